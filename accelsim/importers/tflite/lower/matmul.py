"""BATCH_MATMUL: a MatMul between transpositions; operands in the file are brought to its order at import."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from accelsim.graph import MatMul
from accelsim.importers.matmul import ACCEPTED, Shape, keeps_order, product_of, transposition
from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.context import FORMATS, Made, NodeContext, scale_of, zero_point_of
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.lower.pieces import check_repeats, joined_pieces
from accelsim.importers.tflite.lower.sums import largest_step
from accelsim.numerics import INT32, INT64, Requantization
from accelsim.quant import requantization_from_scales

MAX_ELEMENTS = 1 << 24
"""Of a constant operand that is repeated."""


def lower_batch_matmul(node: NodeContext) -> Made:
    """``adj_x`` and ``adj_y`` exchange the last two axes of an operand (LiteRT batch_matmul.cc)."""
    left, right, output = node.operand(0), node.operand(1), node.output
    node.result((left.type,))
    node.need(left.type == right.type, f"its operands are {left.type} and {right.type}", "operands of one type")
    turned = bool(node.option("adj_x")), bool(node.option("adj_y"))
    node.without_effect("asymmetric_quantize_inputs")
    made = Made()
    product = product_of(left.shape, right.shape, turned=turned)
    if product is None:
        made, left, right = _spread(node, left, right)
        product = product_of(left.shape, right.shape, turned=turned)
    if product is None:
        raise RefusalError(f"it multiplies {list(left.shape)} with {list(right.shape)}, adjoint {turned}", ACCEPTED)
    node.output_shape_is(product.shape)
    made, left_name = _ordered(node, made, left, product.left, "left")
    made, right_name = _ordered(node, made, right, product.right, "right")
    moved = not keeps_order(output.shape, product.output)
    result = node.fresh("output") if moved else output.name
    layer = MatMul(
        name=node.layer_name,
        inputs=(left_name, right_name),
        output=result,
        geometry=product.geometry,
        weights=None,
        weight_format=FORMATS[right.type],
        input_zero_point=zero_point_of(left),
        right_zero_point=zero_point_of(right),
        requant=_requant(node, left, right, product.geometry.reduction),
        accumulator=INT64 if left.type == "INT16" else INT32,
    )
    made = made.then(layer)
    return _restored(node, made, result, product.output) if moved else made


def _spread(node: NodeContext, left: TfliteTensor, right: TfliteTensor) -> tuple[Made, TfliteTensor, TfliteTensor]:
    """Operands whose leading axes differ, each repeated along axes of 1 so that they have the same."""
    node.need(
        min(len(left.shape), len(right.shape)) > 1,
        f"it multiplies {list(left.shape)} with {list(right.shape)}",
        ACCEPTED,
    )
    lead = node.broadcast(left.shape[:-2], right.shape[:-2])
    made, left = _repeated(node, Made(), left, lead, "left")
    made, right = _repeated(node, made, right, lead, "right")
    return made, left, right


def _repeated(
    node: NodeContext, made: Made, operand: TfliteTensor, lead: Shape, part: str
) -> tuple[Made, TfliteTensor]:
    shape = (*lead, *operand.shape[-2:])
    check_repeats(node, lead)
    if operand.data is not None:
        node.need(
            math.prod(shape) <= MAX_ELEMENTS, f"it spreads a constant to {list(shape)}", f"{MAX_ELEMENTS:,} elements"
        )
        data = np.ascontiguousarray(np.broadcast_to(operand.data, shape))
        spread = replace(operand, name=node.fresh(f"{part}_spread"), shape=shape, data=data)
        return made.holding(spread), spread
    tensor = replace(operand, shape=(1,) * (len(shape) - len(operand.shape)) + operand.shape)
    for axis, size in enumerate(lead):
        if tensor.shape[axis] != size:
            word = f"{part} spread {axis}"
            grown = (*tensor.shape[:axis], size, *tensor.shape[axis + 1 :])
            target = replace(tensor, name=node.fresh(word.replace(" ", "_")), shape=grown)
            made = joined_pieces(node, made.holding(target), tensor, axis, [range(1)] * size, target, word)
            tensor = target
    return made, tensor


def _requant(node: NodeContext, left: TfliteTensor, right: TfliteTensor, inner: int) -> Requantization:
    """One multiplier for sums of ``inner`` products; 16-bit operands are symmetric and summed in 64 bits (LiteRT reference batch_matmul.h)."""
    output, zero = node.output, zero_point_of(right)
    wide = left.type == "INT16"
    if wide:
        node.need(
            zero == zero_point_of(left) == zero_point_of(output) == 0,
            "16-bit activations have a zero point other than 0",
            "symmetric 16-bit activations",
        )
        reach = (
            inner
            * float(largest_step(left))
            * largest_step(right)
            * scale_of(left)
            * scale_of(right)
            / scale_of(output)
        )
        node.need(
            reach <= INT32.max,
            f"its results reach {reach:.3g} output codes, and the runtimes wrap at 32 bits",
            "an output scale that fits them",
        )
    scales, fmt = (scale_of(left), scale_of(right), scale_of(output)), FORMATS[output.type]
    return requantization_from_scales(
        node.rules.product_scheme(left.type, wide=wide, right_zero_point=zero),
        s_in=scales[0],
        s_w=scales[1],
        s_out=scales[2],
        zero_point=zero_point_of(output),
        clamp_min=fmt.min,
        clamp_max=fmt.max,
        real=node.rules.dense_ratio(*scales),
    )


def _ordered(node: NodeContext, made: Made, operand: TfliteTensor, order: Shape, part: str) -> tuple[Made, str]:
    """``operand`` with axis ``order[i]`` as axis ``i``: the same tensor, another constant, or a Transpose's output."""
    if keeps_order(operand.shape, order):
        return made, operand.name
    name = node.fresh(part)
    shape = tuple(operand.shape[axis] for axis in order)
    moved = replace(operand, name=name, shape=shape)
    if operand.data is not None:
        return made.holding(replace(moved, data=np.ascontiguousarray(operand.data.transpose(order)))), name
    layer = transposition(f"{node.layer_name} {part}", operand.name, name, operand.shape, order)
    return made.holding(moved).then(layer), name


def _restored(node: NodeContext, made: Made, result: str, order: Shape) -> Made:
    """The output, from ``result`` whose axis ``i`` is its axis ``order[i]``."""
    output = node.output
    shape = tuple(output.shape[axis] for axis in order)
    back = tuple(order.index(axis) for axis in range(len(order)))
    layer = transposition(f"{node.layer_name} output", result, output.name, shape, back)
    return made.holding(replace(output, name=result, shape=shape)).then(layer)
