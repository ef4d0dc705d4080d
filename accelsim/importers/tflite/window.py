"""Padding and output size of a sliding window, as TFLite computes them (LiteRT kernels/padding.h)."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.context import NodeContext
from accelsim.importers.tflite.file.options import SAME, VALID


@dataclass(frozen=True)
class Axis:
    """One axis of a window: output size and the padding in front of it."""

    size: int
    before: int


def window_axis(padding: int, size: int, kernel: int, stride: int, dilation: int = 1) -> Axis:
    """SAME: ``ceil(size / stride)`` outputs, half the padding in front; VALID: ``ceil((size - extent + 1) / stride)``."""
    extent = (kernel - 1) * dilation + 1
    out = -(-size // stride) if padding == SAME else -(-(size - extent + 1) // stride)
    return Axis(out, max((out - 1) * stride + extent - size, 0) // 2)


def window(
    node: NodeContext, image: tuple[int, int], kernel: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> tuple[Axis, Axis, tuple[int, int]]:
    """Both axes of the operator's window over ``image``, and its strides; RefusalError where no output is left."""
    strides = node.option("stride_h"), node.option("stride_w")
    padding = node.option("padding")
    node.need(padding in (SAME, VALID), f"its padding is {padding}", "SAME (0) or VALID (1)")
    if min(*strides, *kernel, *dilation) < 1:
        raise RefusalError(
            f"its strides are {strides}, its kernel {kernel}, its dilation {dilation}", "values of at least 1"
        )
    rows, columns = (window_axis(padding, *values) for values in zip(image, kernel, strides, dilation, strict=True))
    node.need(
        min(rows.size, columns.size) >= 1,
        f"its window {kernel} does not fit its input {image}",
        "at least one output row and column",
    )
    return rows, columns, strides
