"""Padding and output size of a sliding window, as TFLite computes them (LiteRT kernels/padding.h)."""

from __future__ import annotations

from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.context import FileContext
from accelsim.importers.tflite.file.options import SAME, VALID
from accelsim.importers.window import Axis, explicit, same

Pair = tuple[int, int]


def window(node: FileContext, image: Pair, kernel: Pair) -> tuple[Axis, Axis]:
    """Both axes of the operator's window over ``image``; RefusalError where no output is left."""
    strides = node.option("stride_h"), node.option("stride_w")
    padding, is_dilated = node.option("padding"), "dilation_h" in node.record.options
    dilation = (node.option("dilation_h"), node.option("dilation_w")) if is_dilated else (1, 1)
    node.need(padding in (SAME, VALID), f"its padding is {padding}", "SAME (0) or VALID (1)")
    if min(*strides, *kernel, *dilation) < 1:
        raise RefusalError(
            f"its strides are {strides}, its kernel {kernel}, its dilation {dilation}", "values of at least 1"
        )
    axis = same if padding == SAME else explicit
    rows, columns = (axis(*values) for values in zip(image, kernel, strides, dilation, strict=True))
    node.need(
        min(rows.size, columns.size) >= 1,
        f"its window {kernel} does not fit its input {image}",
        "at least one output row and column",
    )
    return rows, columns
