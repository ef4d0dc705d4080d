"""Transposed convolution in its gather form: input rows spread apart, kernel flipped (Dumoulin and Visin 1603.07285, section 4)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.graph import TransposeConv2D
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.layout import Layout, image_of
from accelsim.importers.onnx.lower.mac import Form, dequantized_bias, dequantized_weights, mac, operands_of
from accelsim.importers.onnx.lower.reduce import APPROXIMATION
from accelsim.importers.onnx.network import Codes, Weights
from accelsim.importers.refusal import RefusalError
from accelsim.importers.window import Axis, transposed

LARGEST = 2**20
"""Bound on strides and pads."""


def lower_conv_transpose(node: NodeContext) -> None:
    """``out[stride*y - pad + k] += x[y]*w[k]``; weights (C_in, C_out/groups, kh, kw), scales per tensor or along axis 1."""
    given, kernel = node.codes(0), dequantized_weights(node, 1)
    node.need(
        len(given.shape) == kernel.codes.ndim and kernel.codes.ndim in (3, 4),
        f"its input has shape {list(given.shape)}, its weights {list(kernel.codes.shape)}",
        "convolution in 1-D or 2-D: 3 or 4 dimensions each",
    )
    image, layout = image_of(node, given)
    weights, groups = _turned(node, image, kernel)
    form = _form(node, image, weights, groups, layout)
    if any(np.frexp(scale)[0] != 0.5 for scale in (image.known.scale, *weights.scales)):
        node.approximate(APPROXIMATION)
    bias = dequantized_bias(node, 2, image, weights, axis=0)
    node.result(mac(node, form, image, operands_of(node, weights, (0, 1, 2, 3), bias)))


def _turned(node: NodeContext, image: Codes, given: Weights) -> tuple[Weights, int]:
    """Weights (C_out, kh, kw, C_in/groups), flipped, and the number of groups; groups share scales along axis 1."""
    shape, groups = given.codes.shape, node.integer("group", 1)
    node.need(
        groups >= 1 and shape[0] == image.shape[1] and shape[0] % groups == 0 and given.codes.size > 0,
        f"its weights have shape {list(shape)} in {groups} groups over {image.shape[1]} input channels",
        "channels that divide evenly",
    )
    node.need(
        given.axis in (None, 1), f"the scales of its weights differ along axis {given.axis}", "axis 1, or one scale"
    )
    ic, oc, kh, kw = shape if len(shape) == 4 else (*shape[:2], 1, shape[2])
    split = (
        given.codes.reshape(ic, oc, kh, kw)[:, :, ::-1, ::-1]
        .reshape(groups, ic // groups, oc, kh, kw)
        .transpose(0, 2, 3, 4, 1)
    )
    codes = np.ascontiguousarray(split.reshape(groups * oc, kh, kw, ic // groups))
    repeats = [1 if len(v) == 1 else groups for v in (given.scales, given.zero_points)]
    scales, zeros = np.tile(given.scales, repeats[0]), np.tile(given.zero_points, repeats[1])
    return replace(given, codes=codes, scales=scales, zero_points=zeros, axis=None if given.axis is None else 0), groups


def _form(node: NodeContext, image: Codes, weights: Weights, groups: int, layout: Layout) -> Form:
    n, ic, ih, iw = image.shape
    oc, kh, kw, _ = weights.codes.shape
    kernel = (kw,) if layout.is_flat else (kh, kw)
    node.need(node.ints("kernel_shape", kernel) == kernel, "its kernel_shape is not its weights'", f"{kernel}")
    rows, columns = _axes(node, (ih, iw), (kh, kw), layout)
    output = n, rows.size, columns.size, oc
    geometry = transposed((n, ih, iw, ic), output, (kh, kw), (rows, columns), groups)
    shape = layout.shape((n, oc, rows.size, columns.size))
    return Form(TransposeConv2D, TransposeConv2D.operator, image.tensor, geometry, shape, layout.order)


def _axes(node: NodeContext, image: tuple[int, int], kernel: tuple[int, int], layout: Layout) -> tuple[Axis, Axis]:
    strides, extra = layout.ints(node, "strides", 1), layout.ints(node, "output_padding", 0)
    pads, dilations = layout.ints(node, "pads", 0, 2), layout.ints(node, "dilations", 1)
    node.need(dilations == (1, 1), f"its dilations are {dilations}", "dilations of 1")
    node.need(
        min(strides) >= 1 and min(*pads, *extra) >= 0 and max(*strides, *pads) < LARGEST,
        f"its strides are {strides}, its pads {pads}, its output_padding {extra}",
        "strides of at least 1, pads and output_padding of at least 0",
    )
    node.need(
        all(e < s for e, s in zip(extra, strides, strict=True)),
        f"its output_padding is {extra} for strides {strides}",
        "output_padding smaller than the stride",
    )
    full = [strides[i] * (image[i] - 1) + extra[i] + kernel[i] for i in (0, 1)]
    asked = layout.ints(node, "output_shape", 1) if "output_shape" in node.attributes else (None, None)
    first, second = (
        _axis(node, asked[i], full[i], image[i] * strides[i], strides[i], (pads[i], pads[i + 2])) for i in (0, 1)
    )
    return first, second


def _axis(node: NodeContext, asked: int | None, full: int, same: int, stride: int, pads: tuple[int, int]) -> Axis:
    """``full`` rows of output before any are cut off; ``same`` is the size that SAME asks for (Operators.md, ConvTranspose)."""
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", ""):
        raise RefusalError(f"its auto_pad is {auto!r}", "NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    if asked is None and auto not in ("SAME_UPPER", "SAME_LOWER"):
        before, after = (0, 0) if auto == "VALID" else pads
        size = full - before - after
    else:
        size = same if asked is None else asked
        # Nothing says whether rows are added in front or behind where the kernel does not reach that size.
        node.need(
            full >= size, f"its output of {size} is more than the {full} that its input reaches", f"at most {full}"
        )
        before = (full - size) // 2 if auto == "SAME_UPPER" else full - size - (full - size) // 2
    node.need(size >= 1, f"its pads leave an output of {size}", "an output that is not empty")
    return Axis(size, before, stride)
