"""Padding and output size of a sliding window, as ONNX computes them (Operators.md, Conv and MaxPool)."""

from __future__ import annotations

from dataclasses import replace

from accelsim.graph import window_extent
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.layout import Layout
from accelsim.importers.refusal import RefusalError
from accelsim.importers.window import Axis, explicit, same


def window(node: NodeContext, image: tuple[int, int], kernel: tuple[int, int], layout: Layout) -> tuple[Axis, Axis]:
    """Rows and columns of the node's window over ``image``; RefusalError where no output is left."""
    strides, dilations = layout.ints(node, "strides", 1), layout.ints(node, "dilations", 1)
    pads = layout.ints(node, "pads", 0, 2)
    auto = node.attributes.get("auto_pad", "NOTSET")
    ceil = bool(node.integer("ceil_mode", 0))
    node.need(
        min(*kernel, *strides, *dilations) >= 1
        and min(pads) >= 0
        and max(*kernel, *strides, *dilations, *pads) < 2**20,
        f"its kernel is {kernel}, its strides {strides}, its dilations {dilations}, its pads {pads}",
        "strides and dilations of at least 1, pads of at least 0",
    )
    rows, columns = (
        _axis(auto, ceil, image[i], kernel[i], strides[i], dilations[i], (pads[i], pads[i + 2])) for i in (0, 1)
    )
    node.need(
        min(rows.size, columns.size) >= 1,
        f"its window {kernel} does not fit its input {image}",
        "an output that is not empty",
    )
    return rows, columns


def _axis(auto: object, ceil: bool, size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> Axis:
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        return same(size, kernel, stride, dilation, odd_in_front=auto == "SAME_LOWER")
    if auto not in ("NOTSET", "VALID", ""):
        raise RefusalError(f"its auto_pad is {auto!r}", "NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    before, after = pads if auto != "VALID" else (0, 0)
    axis = explicit(size, kernel, stride, dilation, (before, after))
    if not ceil or not axis.size:
        return axis
    out = axis.size + ((size + before + after - window_extent(kernel, dilation)) % stride > 0)
    # A window that would start behind the image and its front padding does not count.
    return replace(axis, size=out - ((out - 1) * stride >= size + before))
