"""Operators that move codes and change none; on dequantized codes they move the codes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from accelsim.graph import Concat, Lut, Pad, StridedSlice, Transpose
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.formulas import Quantization, identity, quantize, unary_table
from accelsim.importers.onnx.network import (
    CHANNELS_LAST,
    Codes,
    Pending,
    Real,
    Shape,
    Target,
    stored_axis,
    stored_shape,
    view,
)
from accelsim.importers.refusal import RefusalError

INDEX_LIMIT = 2**31


def moved(node: NodeContext, source: Codes, shape: Shape) -> Codes:
    """The output of a node that moves ``source``'s codes: codes for codes, a float tensor for a float one."""
    return moved_to(node, source, shape, node.output_name)


def moved_to(node: NodeContext, source: Codes, shape: Shape, output: str) -> Codes:
    """As :func:`moved`, for one of several outputs.

    Codes behind a float tensor go by the name of the QuantizeLinear after it, where there is one that changes nothing, and
    never by the float tensor's own.
    """
    is_real = isinstance(node.value(0), Real)
    name = _quantized_name(node, source, output) if is_real else output
    out = node.net.make(name, shape, source.format, source.quantization)
    node.net.values[output] = Real(out) if is_real else out
    return out


def _quantized_name(node: NodeContext, source: Codes, output: str) -> str:
    consumers = node.net.model.consumers(output)
    if len(consumers) == 1 and consumers[0].op == "QuantizeLinear":
        consumer = NodeContext(consumers[0], node.net, node.rules)
        try:
            if consumer.quantization(1, 2) == source.quantization:
                return consumer.output_name
        except (RefusalError, KeyError):  # the consumer's own turn comes, and its own message
            pass
    return node.net.fresh(f"{output}/codes")


def lower_reshape(node: NodeContext) -> None:
    """Target shape with 0 (copied) and one -1 (inferred)."""
    source, given = node.codes(0), node.integers(1, "sizes")
    allow_zero = node.integer("allowzero", 0)
    node.need(
        (not allow_zero or 0 not in given) and len(given) <= 8 and min(given, default=1) >= -1 and given.count(-1) <= 1,
        f"its shape is {given}",
        "sizes with at most one -1, and none of 0 where allowzero is 1",
    )
    node.need(
        all(i < len(source.shape) for i, size in enumerate(given) if size == 0),
        f"its shape is {given}",
        "zeros that copy",
    )
    shape = [source.shape[i] if size == 0 else size for i, size in enumerate(given)]
    rest = math.prod(size for size in shape if size != -1)
    total = math.prod(source.shape)
    if -1 in shape and rest:
        shape[shape.index(-1)] = total // rest
    _reshape(node, source, tuple(shape))


def lower_flatten(node: NodeContext) -> None:
    """Two axes: those before ``axis``, and the others."""
    source = node.codes(0)
    rank = len(source.shape)
    axis = node.integer("axis", 1)
    node.need(-rank <= axis <= rank, f"its axis is {axis} for {rank} axes", "an axis of its input")
    axis += rank if axis < 0 else 0
    _reshape(node, source, (math.prod(source.shape[:axis]), math.prod(source.shape[axis:])))


def lower_squeeze(node: NodeContext) -> None:
    """Axes of size 1 dropped: those of input 1, or all."""
    source = node.codes(0)
    rank = len(source.shape)
    ones = tuple(i for i, size in enumerate(source.shape) if size == 1)
    axes = _axes(node, rank) if node.optional(1) is not None else ones
    node.need(set(axes) <= set(ones), f"its axes are {axes} of {list(source.shape)}", "axes of size 1")
    _reshape(node, source, tuple(size for i, size in enumerate(source.shape) if i not in axes))


def lower_unsqueeze(node: NodeContext) -> None:
    """Axes of size 1 inserted where input 1 says."""
    source = node.codes(0)
    rank = len(source.shape) + len(node.integers(1, "axes"))
    axes = _axes(node, rank)
    rest = iter(source.shape)
    _reshape(node, source, tuple(1 if i in axes else next(rest) for i in range(rank)))


def _axes(node: NodeContext, rank: int) -> tuple[int, ...]:
    given = node.integers(1, "axes")
    axes = tuple(axis % rank for axis in given if -rank <= axis < rank)
    node.need(len(set(axes)) == len(given), f"its axes are {given} for {rank} axes", "each axis once")
    return axes


def _reshape(node: NodeContext, source: Codes, shape: Shape) -> None:
    node.need(
        math.prod(shape) == math.prod(source.shape) and len(shape) <= 8,
        f"it turns shape {list(source.shape)} into {list(shape)}",
        "as many elements",
    )
    out = moved(node, source, shape)
    node.net.reshaped(node.layer_name, source, out, node.op.upper())


def lower_transpose(node: NodeContext) -> None:
    """Output axis i is input axis perm[i]; both are stored channels last where they have 4 axes."""
    source = node.codes(0)
    rank = len(source.shape)
    permutation = node.ints("perm", tuple(reversed(range(rank))))
    node.need(sorted(permutation) == list(range(rank)) and rank > 0, f"its perm is {permutation}", "each axis once")
    out = moved(node, source, tuple(source.shape[axis] for axis in permutation))
    order = CHANNELS_LAST if rank == 4 else tuple(range(rank))
    stored = tuple(stored_axis(permutation[axis], rank) for axis in order)
    node.net.layers.append(Transpose(**node.fields(source, out), permutation=stored))


def lower_pad(node: NodeContext) -> None:
    """Constant padding; the fill value is a code, or a real number that becomes one."""
    source = node.codes(0)
    rank = len(source.shape)
    mode = node.attributes.get("mode", "constant")
    node.need(mode == "constant", f"its mode is {mode!r}", "constant")
    amounts, axes = node.integers(1, "pads"), tuple(range(rank))
    if node.optional(3) is not None:
        given = node.integers(3, "axes")
        axes = tuple(axis % rank for axis in given if -rank <= axis < rank)
    node.need(
        len(amounts) == 2 * len(axes) == 2 * len(set(axes)) and all(0 <= a < INDEX_LIMIT for a in amounts),
        f"its pads are {amounts}",
        "one pair of 0 or more per axis",
    )
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        before[axis], after[axis] = amounts[i], amounts[i + len(axes)]
    shape = tuple(b + size + a for b, size, a in zip(before, source.shape, after, strict=True))
    node.need(math.prod(shape) < INDEX_LIMIT, f"its output has shape {list(shape)}", "fewer than 2^31 elements")
    value = _fill(node, source)
    out = moved(node, source, shape)
    stored = tuple(before[axis] for axis in CHANNELS_LAST) if rank == 4 else tuple(before)
    node.net.layers.append(Pad(**node.fields(source, out), before=stored, value=value))


def _fill(node: NodeContext, source: Codes) -> int:
    real = node.scalar(2, 0.0)
    if isinstance(node.value(0), Real):
        return int(quantize(np.array([real], np.float32), source.known)[0])
    node.need(real == int(real) and source.format.contains(int(real)), f"its fill value is {real}", "one code")
    return int(real)


def lower_split(node: NodeContext) -> None:
    """Pieces along ``axis``: their sizes from input 1 or the attribute of older opsets, else as equal as they can be."""
    source, outputs = node.codes(0), node.outputs
    node.need(all(outputs), "one of its outputs has no name", "outputs that all have names")
    count = node.integer("num_outputs", len(outputs))
    node.need(count == len(outputs), f"its num_outputs is {count}", f"its {len(outputs)} outputs")
    rank = len(source.shape)
    node.need(rank > 0, "its input is a number", "at least one axis")
    axis, start = node.axis(rank, 0), 0
    for i, (output, size) in enumerate(zip(outputs, _pieces(node, source.shape[axis], len(outputs)), strict=True)):
        out = moved_to(node, source, (*source.shape[:axis], size, *source.shape[axis + 1 :]), output)
        begin = tuple(start if at == stored_axis(axis, rank) else 0 for at in range(rank))
        fields = {**node.fields(source, out), "name": f"{node.layer_name} piece {i}"}
        node.net.layers.append(StridedSlice(**fields, begin=begin, strides=(1,) * rank))
        start += size


def _pieces(node: NodeContext, size: int, count: int) -> tuple[int, ...]:
    """Without sizes, every piece but the last has ``ceil(size / count)`` indices (opset 18)."""
    attribute = node.attributes.get("split", ())
    sizes = node.integers(1, "sizes") if node.optional(1) is not None else attribute
    if sizes == ():
        each = -(-size // count)
        sizes = (*(each,) * (count - 1), size - each * (count - 1))
    fine = isinstance(sizes, tuple) and len(sizes) == count and all(isinstance(s, int) and s >= 0 for s in sizes)
    pieces = tuple(int(s) for s in sizes) if fine and isinstance(sizes, tuple) else ()
    node.need(fine and sum(pieces) == size, f"its pieces of {size} are {sizes}", f"{count} sizes that sum to {size}")
    return pieces


def lower_dropout(node: NodeContext) -> None:
    """The same tensor: nothing is dropped at inference."""
    node.need(node.scalar(2, 0.0) == 0, "its training_mode is on", "inference")
    node.ignore("seed", inputs=(1,))  # a ratio
    mask = node.outputs[1:]
    used = any(node.net.model.consumers(name) or name in node.net.model.outputs for name in mask if name)
    node.need(not used, "its mask is read", "a mask that nothing reads")
    node.net.values[node.outputs[0]] = node.value(0)


def lower_slice(node: NodeContext) -> None:
    """starts, ends, axes, steps as constants; clamped as numpy does (ONNX Slice)."""
    source = node.codes(0)
    rank = len(source.shape)
    starts, ends = node.integers(1, "starts"), node.integers(2, "ends")
    given = node.integers(3, "axes") if node.optional(3) is not None else tuple(range(len(starts)))
    steps = node.integers(4, "steps") if node.optional(4) is not None else (1,) * len(starts)
    axes = tuple(axis % rank for axis in given if -rank <= axis < rank)
    node.need(
        len(starts) == len(ends) == len(steps) == len(axes) == len(set(axes)) and all(steps),
        f"its starts {starts}, ends {ends}, axes {given} and steps {steps} do not match",
        "one start, end and step other than 0 per axis",
    )
    ranges = [range(size) for size in source.shape]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        ranges[axis] = range(source.shape[axis])[
            slice(start, None if step < 0 and end < -source.shape[axis] else end, step)
        ]
    out = moved(node, source, tuple(len(r) for r in ranges))
    ordered = [ranges[axis] for axis in CHANNELS_LAST] if rank == 4 else ranges
    begin, strides = tuple(r.start for r in ordered), tuple(r.step for r in ordered)
    node.net.layers.append(StridedSlice(**node.fields(source, out), begin=begin, strides=strides))


def lower_depth_to_space(node: NodeContext) -> None:
    """Channels (rows, columns, c) of a block, or (c, rows, columns) in mode CRD, become its places."""
    source, block = node.codes(0), node.integer("blocksize", 0)
    mode = node.attributes.get("mode", "DCR")
    n, c, h, w = node.image(source)
    node.need(mode in ("DCR", "CRD"), f"its mode is {mode!r}", "DCR, CRD")
    node.need(
        block > 0 and c % (block * block) == 0,
        f"its blocksize is {block} for {c} channels",
        "channels that divide evenly",
    )
    deep = c // block**2
    out = moved(node, source, (n, deep, h * block, w * block))
    parts = (block, block, deep) if mode == "DCR" else (deep, block, block)
    order = (0, 1, 3, 2, 4, 5) if mode == "DCR" else (0, 1, 4, 2, 5, 3)
    _rearranged(node, source, out, (n, h, w, *parts), order)


def lower_space_to_depth(node: NodeContext) -> None:
    """The places of a block become channels (rows, columns, c)."""
    source, block = node.codes(0), node.integer("blocksize", 0)
    n, c, h, w = node.image(source)
    mode = node.attributes.get("mode", "DCR")
    node.need(mode == "DCR", f"its mode is {mode!r}", "DCR")
    node.need(
        block > 0 and h % block == w % block == 0, f"its blocksize is {block} for {h} x {w}", "sizes that divide evenly"
    )
    out = moved(node, source, (n, c * block**2, h // block, w // block))
    _rearranged(node, source, out, (n, h // block, block, w // block, block, c), (0, 1, 3, 2, 4, 5))


def _rearranged(node: NodeContext, source: Codes, out: Codes, whole: Shape, order: Shape) -> None:
    """The stored tensor seen under the shape ``whole``, with axes in another ``order``."""
    fields = {**node.fields(source, out), "shapes": (whole,), "shape": tuple(whole[axis] for axis in order)}
    node.net.layers.append(Transpose(**fields, permutation=order))


def lower_qlinear_concat(node: NodeContext) -> None:
    """s_y, z_y, then (x, s, z) per input (com.microsoft)."""
    to = node.quantization(0, 1)
    count = len(node.inputs)
    node.need(count > 2 and count % 3 == 2, f"it has {count} inputs", "two, and three per operand")
    parts = [node.scaled(i, i + 1, i + 2) for i in range(2, count, 3)]
    node.emit(_concatenation(node, parts), to)


def lower_concat(node: NodeContext) -> None:
    """DequantizeLinear of every operand -> Concat -> QuantizeLinear, or plain codes side by side."""
    parts = [node.codes(i) for i in range(len(node.inputs))]
    node.need(bool(parts), "it has no inputs", "at least one")
    if isinstance(node.value(0), Real):
        node.need(
            all(isinstance(node.value(i), Real) for i in range(len(parts))), "its operands differ in kind", "one kind"
        )
        node.result(_concatenation(node, parts))
        return
    same = {(part.format, part.quantization) for part in parts}
    node.need(len(same) == 1, "its operands differ in type, scale or zero point", "equal ones, or QLinearConcat")
    join(node, parts)


def join(node: NodeContext, parts: list[Codes]) -> None:
    """Codes of one quantization side by side."""
    shape, axis = _concat_shape(node, parts)
    out = moved(node, parts[0], shape)
    node.net.layers.append(_concat_layer(node, parts, [p.tensor for p in parts], out.tensor, shape, axis))


def _concatenation(node: NodeContext, parts: list[Codes]) -> Pending:
    """Operands of another scale pass a table first (ONNX Runtime qlinear_concat.cc)."""
    shape, axis = _concat_shape(node, parts)

    def emit(target: Target) -> None:
        names = [_rescaled(node, part, i, target) for i, part in enumerate(parts)]
        node.net.layers.append(_concat_layer(node, parts, names, target.name, shape, axis))

    return Pending(shape, emit, "a concatenation")


def _concat_shape(node: NodeContext, parts: list[Codes]) -> tuple[Shape, int]:
    """Shape of the concatenation in ONNX's order, and its axis; RefusalError where other axes differ."""
    first = parts[0].shape
    axis = node.axis(len(first), 0) if first else 0
    node.need("axis" in node.attributes and bool(first), "it has no axis", "an axis")
    rest = {(len(p.shape), p.shape[:axis], p.shape[axis + 1 :]) for p in parts}
    node.need(
        len(rest) == 1,
        f"its inputs have shapes {[list(p.shape) for p in parts]}",
        f"shapes that differ along axis {axis} only",
    )
    return (*first[:axis], sum(p.shape[axis] for p in parts), *first[axis + 1 :]), axis


def _concat_layer(
    node: NodeContext, parts: list[Codes], names: list[str], output: str, shape: Shape, axis: int
) -> Concat:
    """The layer that joins tensors ``names``, whose ONNX shapes are those of ``parts``, into ``output``."""
    return Concat(
        name=node.layer_name, inputs=tuple(names), output=output, shapes=tuple(p.stored for p in parts),
        shape=stored_shape(shape), axis=stored_axis(axis, len(shape)),
    )  # fmt: skip


def _rescaled(node: NodeContext, part: Codes, position: int, target: Target) -> str:
    """The tensor whose codes have the target's quantization."""
    to = target.quantization
    whole = (target.low, target.high) == (to.format.min, to.format.max)
    if part.known == to and whole:
        return part.tensor
    name = node.net.fresh(f"{target.name}/{position}")
    node.net.make(name, part.shape, to.format, to)
    layer = f"{node.layer_name} operand {position}"
    node.net.layers.append(table_layer(layer, part, Target(name, to, target.low, target.high), "QUANTIZE"))
    return name


def table_layer(name: str, source: Codes, target: Target, operator: str, function: Any = identity) -> Lut:
    """A table of 256 codes of ``function``."""
    known: Quantization = source.known
    table = np.clip(unary_table(function, known, target.quantization), target.low, target.high)
    shape = view(source.stored)
    return Lut(
        name=name, inputs=(source.tensor,), output=target.name, shapes=(shape,), shape=shape, source_operator=operator,
        table=table.astype(target.quantization.format.dtype), input_min=known.format.min, clamp=target.clamp,
    )  # fmt: skip
