"""Operators that move codes and change none; on dequantized codes they move the codes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from accelsim.graph import Concat, Lut, Pad, StridedSlice, Transpose
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
from accelsim.importers.onnx.refusal import RefusalError
from accelsim.importers.onnx.site import Site

INDEX_LIMIT = 2**31


def moved(site: Site, source: Codes, shape: Shape) -> Codes:
    """The output of a node that moves ``source``'s codes: codes for codes, a float tensor for a float one."""
    return moved_to(site, source, shape, site.output_name)


def moved_to(site: Site, source: Codes, shape: Shape, output: str) -> Codes:
    """As :func:`moved`, for one of several outputs.

    Codes behind a float tensor go by the name of the QuantizeLinear after it, where there is one that changes nothing, and
    never by the float tensor's own.
    """
    is_real = isinstance(site.value(0), Real)
    name = _quantized_name(site, source, output) if is_real else output
    out = site.net.make(name, shape, source.format, source.quantization)
    site.net.values[output] = Real(out) if is_real else out
    return out


def _quantized_name(site: Site, source: Codes, output: str) -> str:
    readers = site.net.model.consumers(output)
    if len(readers) == 1 and readers[0].op == "QuantizeLinear":
        reader = Site(readers[0], site.net, site.rules)
        try:
            if reader.quantization(1, 2) == source.quantization:
                return reader.output_name
        except (RefusalError, KeyError):  # the reader's own turn comes, and its own message
            pass
    return site.net.fresh(f"{output}/codes")


def lower_reshape(site: Site) -> None:
    """Target shape with 0 (copied) and one -1 (inferred)."""
    source, given = site.codes(0), site.integers(1, "sizes")
    allow_zero = site.integer("allowzero", 0)
    site.need(
        (not allow_zero or 0 not in given) and len(given) <= 8 and min(given, default=1) >= -1 and given.count(-1) <= 1,
        f"its shape is {given}",
        "sizes with at most one -1, and none of 0 where allowzero is 1",
    )
    site.need(
        all(i < len(source.shape) for i, size in enumerate(given) if size == 0),
        f"its shape is {given}",
        "zeros that copy",
    )
    shape = [source.shape[i] if size == 0 else size for i, size in enumerate(given)]
    rest = math.prod(size for size in shape if size != -1)
    total = math.prod(source.shape)
    if -1 in shape and rest:
        shape[shape.index(-1)] = total // rest
    _reshape(site, source, tuple(shape))


def lower_flatten(site: Site) -> None:
    """Two axes: those before ``axis``, and the others."""
    source = site.codes(0)
    rank = len(source.shape)
    axis = site.integer("axis", 1)
    site.need(-rank <= axis <= rank, f"its axis is {axis} for {rank} axes", "an axis of its input")
    axis += rank if axis < 0 else 0
    _reshape(site, source, (math.prod(source.shape[:axis]), math.prod(source.shape[axis:])))


def lower_squeeze(site: Site) -> None:
    """Axes of size 1 dropped: those of input 1, or all."""
    source = site.codes(0)
    rank = len(source.shape)
    ones = tuple(i for i, size in enumerate(source.shape) if size == 1)
    axes = _axes(site, rank) if site.optional(1) is not None else ones
    site.need(set(axes) <= set(ones), f"its axes are {axes} of {list(source.shape)}", "axes of size 1")
    _reshape(site, source, tuple(size for i, size in enumerate(source.shape) if i not in axes))


def lower_unsqueeze(site: Site) -> None:
    """Axes of size 1 inserted where input 1 says."""
    source = site.codes(0)
    rank = len(source.shape) + len(site.integers(1, "axes"))
    axes = _axes(site, rank)
    rest = iter(source.shape)
    _reshape(site, source, tuple(1 if i in axes else next(rest) for i in range(rank)))


def _axes(site: Site, rank: int) -> tuple[int, ...]:
    given = site.integers(1, "axes")
    axes = tuple(axis % rank for axis in given if -rank <= axis < rank)
    site.need(len(set(axes)) == len(given), f"its axes are {given} for {rank} axes", "each axis once")
    return axes


def _reshape(site: Site, source: Codes, shape: Shape) -> None:
    site.need(
        math.prod(shape) == math.prod(source.shape) and len(shape) <= 8,
        f"it turns shape {list(source.shape)} into {list(shape)}",
        "as many elements",
    )
    out = moved(site, source, shape)
    site.net.reshaped(site.layer_name, source, out, site.node.op.upper())


def lower_transpose(site: Site) -> None:
    """Output axis i is input axis perm[i]; both are stored channels last where they have 4 axes."""
    source = site.codes(0)
    rank = len(source.shape)
    permutation = site.ints("perm", tuple(reversed(range(rank))))
    site.need(sorted(permutation) == list(range(rank)) and rank > 0, f"its perm is {permutation}", "each axis once")
    out = moved(site, source, tuple(source.shape[axis] for axis in permutation))
    order = CHANNELS_LAST if rank == 4 else tuple(range(rank))
    stored = tuple(stored_axis(permutation[axis], rank) for axis in order)
    site.net.layers.append(
        Transpose(**_names(site, source, out), shapes=(source.stored,), shape=out.stored, permutation=stored)
    )


def lower_pad(site: Site) -> None:
    """Constant padding; the fill value is a code, or a real number that becomes one."""
    source = site.codes(0)
    rank = len(source.shape)
    mode = site.node.attributes.get("mode", "constant")
    site.need(mode == "constant", f"its mode is {mode!r}", "constant")
    amounts, axes = site.integers(1, "pads"), tuple(range(rank))
    if site.optional(3) is not None:
        given = site.integers(3, "axes")
        axes = tuple(axis % rank for axis in given if -rank <= axis < rank)
    site.need(
        len(amounts) == 2 * len(axes) == 2 * len(set(axes)) and all(0 <= a < INDEX_LIMIT for a in amounts),
        f"its pads are {amounts}",
        "one pair of 0 or more per axis",
    )
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        before[axis], after[axis] = amounts[i], amounts[i + len(axes)]
    shape = tuple(b + size + a for b, size, a in zip(before, source.shape, after, strict=True))
    site.need(math.prod(shape) < INDEX_LIMIT, f"its output has shape {list(shape)}", "fewer than 2^31 elements")
    value = _fill(site, source)
    out = moved(site, source, shape)
    stored = tuple(before[axis] for axis in CHANNELS_LAST) if rank == 4 else tuple(before)
    site.net.layers.append(
        Pad(**_names(site, source, out), shapes=(source.stored,), shape=out.stored, before=stored, value=value)
    )


def _fill(site: Site, source: Codes) -> int:
    real = site.scalar(2, 0.0)
    if isinstance(site.value(0), Real):
        return int(quantize(np.array([real], np.float32), source.known)[0])
    site.need(real == int(real) and source.format.contains(int(real)), f"its fill value is {real}", "one code")
    return int(real)


def lower_split(site: Site) -> None:
    """Pieces along ``axis``: their sizes from input 1 or the attribute of older opsets, else as equal as they can be."""
    source, outputs = site.codes(0), site.outputs
    rank = len(source.shape)
    site.need(rank > 0, "its input is a number", "at least one axis")
    axis, start = site.axis(rank, 0), 0
    for i, (output, size) in enumerate(zip(outputs, _pieces(site, source.shape[axis], len(outputs)), strict=True)):
        out = moved_to(site, source, (*source.shape[:axis], size, *source.shape[axis + 1 :]), output)
        begin = tuple(start if at == stored_axis(axis, rank) else 0 for at in range(rank))
        names = {**_names(site, source, out), "name": f"{site.layer_name} piece {i}"}
        shapes: dict[str, Any] = {"shapes": (source.stored,), "shape": out.stored}
        site.net.layers.append(StridedSlice(**names, **shapes, begin=begin, strides=(1,) * rank))
        start += size


def _pieces(site: Site, size: int, count: int) -> tuple[int, ...]:
    """Without sizes, every piece but the last has ``ceil(size / count)`` indices (opset 18)."""
    attribute = site.node.attributes.get("split", ())
    sizes = site.integers(1, "sizes") if site.optional(1) is not None else attribute
    if sizes == ():
        each = -(-size // count)
        sizes = (*(each,) * (count - 1), size - each * (count - 1))
    fine = isinstance(sizes, tuple) and len(sizes) == count and all(isinstance(s, int) and s >= 0 for s in sizes)
    pieces = tuple(int(s) for s in sizes) if fine and isinstance(sizes, tuple) else ()
    site.need(fine and sum(pieces) == size, f"its pieces of {size} are {sizes}", f"{count} sizes that sum to {size}")
    return pieces


def lower_dropout(site: Site) -> None:
    """The same tensor: nothing is dropped at inference."""
    site.need(site.scalar(2, 0.0) == 0, "its training_mode is on", "inference")
    mask = site.node.outputs[1:]
    used = any(site.net.model.consumers(name) or name in site.net.model.outputs for name in mask if name)
    site.need(not used, "its mask is read", "a mask that nothing reads")
    site.net.values[site.node.outputs[0]] = site.value(0)


def lower_slice(site: Site) -> None:
    """starts, ends, axes, steps as constants; clamped as numpy does (ONNX Slice)."""
    source = site.codes(0)
    rank = len(source.shape)
    starts, ends = site.integers(1, "starts"), site.integers(2, "ends")
    given = site.integers(3, "axes") if site.optional(3) is not None else tuple(range(len(starts)))
    steps = site.integers(4, "steps") if site.optional(4) is not None else (1,) * len(starts)
    axes = tuple(axis % rank for axis in given if -rank <= axis < rank)
    site.need(
        len(starts) == len(ends) == len(steps) == len(axes) == len(set(axes)) and all(steps),
        f"its starts {starts}, ends {ends}, axes {given} and steps {steps} do not match",
        "one start, end and step other than 0 per axis",
    )
    ranges = [range(size) for size in source.shape]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        ranges[axis] = range(source.shape[axis])[
            slice(start, None if step < 0 and end < -source.shape[axis] else end, step)
        ]
    out = moved(site, source, tuple(len(r) for r in ranges))
    ordered = [ranges[axis] for axis in CHANNELS_LAST] if rank == 4 else ranges
    begin, strides = tuple(r.start for r in ordered), tuple(r.step for r in ordered)
    site.net.layers.append(
        StridedSlice(
            **_names(site, source, out), shapes=(source.stored,), shape=out.stored, begin=begin, strides=strides
        )
    )


def _names(site: Site, source: Codes, out: Codes) -> dict[str, Any]:
    return {"name": site.layer_name, "inputs": (source.tensor,), "output": out.tensor}


def lower_qlinear_concat(site: Site) -> None:
    """s_y, z_y, then (x, s, z) per input (com.microsoft)."""
    to = site.quantization(0, 1)
    count = len(site.node.inputs)
    site.need(count > 2 and count % 3 == 2, f"it has {count} inputs", "two, and three per operand")
    parts = [site.scaled(i, i + 1, i + 2) for i in range(2, count, 3)]
    site.emit(_concatenation(site, parts), to)


def lower_concat(site: Site) -> None:
    """DequantizeLinear of every operand -> Concat -> QuantizeLinear, or plain codes side by side."""
    parts = [site.codes(i) for i in range(len(site.node.inputs))]
    site.need(bool(parts), "it has no inputs", "at least one")
    if isinstance(site.value(0), Real):
        site.need(
            all(isinstance(site.value(i), Real) for i in range(len(parts))), "its operands differ in kind", "one kind"
        )
        site.result(_concatenation(site, parts))
        return
    same = {(part.format, part.quantization) for part in parts}
    site.need(len(same) == 1, "its operands differ in type, scale or zero point", "equal ones, or QLinearConcat")
    shape, axis = concat_shape(site, parts)
    out = moved(site, parts[0], shape)
    site.net.layers.append(concat_layer(site, parts, [p.tensor for p in parts], out.tensor, shape, axis))


def _concatenation(site: Site, parts: list[Codes]) -> Pending:
    """Operands of another scale pass a table first (ONNX Runtime qlinear_concat.cc)."""
    shape, axis = concat_shape(site, parts)

    def emit(target: Target) -> None:
        names = [_rescaled(site, part, i, target) for i, part in enumerate(parts)]
        site.net.layers.append(concat_layer(site, parts, names, target.name, shape, axis))

    return Pending(shape, emit, "a concatenation")


def concat_shape(site: Site, parts: list[Codes]) -> tuple[Shape, int]:
    """Shape of the concatenation in ONNX's order, and its axis; RefusalError where other axes differ."""
    first = parts[0].shape
    axis = site.axis(len(first), 0) if first else 0
    site.need("axis" in site.node.attributes and bool(first), "it has no axis", "an axis")
    rest = {(len(p.shape), p.shape[:axis], p.shape[axis + 1 :]) for p in parts}
    site.need(
        len(rest) == 1,
        f"its inputs have shapes {[list(p.shape) for p in parts]}",
        f"shapes that differ along axis {axis} only",
    )
    return (*first[:axis], sum(p.shape[axis] for p in parts), *first[axis + 1 :]), axis


def concat_layer(site: Site, parts: list[Codes], names: list[str], output: str, shape: Shape, axis: int) -> Concat:
    """The layer that joins tensors ``names``, whose ONNX shapes are those of ``parts``, into ``output``."""
    return Concat(
        name=site.layer_name, inputs=tuple(names), output=output, shapes=tuple(p.stored for p in parts),
        shape=stored_shape(shape), axis=stored_axis(axis, len(shape)),
    )  # fmt: skip


def _rescaled(site: Site, part: Codes, position: int, target: Target) -> str:
    """The tensor whose codes have the target's quantization."""
    to = target.quantization
    whole = (target.low, target.high) == (to.format.min, to.format.max)
    if part.known == to and whole:
        return part.tensor
    name = site.net.fresh(f"{target.name}/{position}")
    site.net.make(name, part.shape, to.format, to)
    layer = f"{site.layer_name} operand {position}"
    site.net.layers.append(table_layer(layer, part, Target(name, to, target.low, target.high), "QUANTIZE"))
    return name


def table_layer(name: str, source: Codes, target: Target, operator: str, function: Any = identity) -> Lut:
    """A table of 256 codes of ``function``."""
    known: Quantization = source.known
    table = np.clip(unary_table(function, known, target.quantization), target.low, target.high)
    shape = view(source.stored)
    return Lut(
        name=name, inputs=(source.tensor,), output=target.name, shapes=(shape,), shape=shape, source_operator=operator,
        table=table.astype(target.quantization.format.dtype), input_min=known.format.min,
    )  # fmt: skip
