"""Operators that cut a tensor along its axes, repeat or reverse it, or put several together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from accelsim.graph import Concat, Reshape, StridedSlice
from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.context import MOVED_TYPES, Made, NodeContext, view
from accelsim.importers.tflite.file.records import TfliteTensor

Shape = tuple[int, ...]
MAX_RUNS = 128
"""Layers that a GATHER may become."""
MAX_REPEATS = 1024
"""How often an axis may be repeated, since each repetition is an operand of a concatenation."""


def sliced(name: str, source: TfliteTensor, target: TfliteTensor, ranges: Sequence[range]) -> StridedSlice:
    """The indices ``ranges`` of every axis of ``source``."""
    return StridedSlice(
        name=name,
        inputs=(source.name,),
        output=target.name,
        shapes=(view(source.shape),),
        shape=tuple(len(each) for each in ranges),
        begin=tuple(each.start for each in ranges),
        strides=tuple(each.step for each in ranges),
    )


def along(shape: Shape, axis: int, taken: range) -> list[range]:
    """All indices of ``shape``, of ``axis`` those ``taken``."""
    return [taken if at == axis else range(size) for at, size in enumerate(shape)]


def lower_split(node: NodeContext) -> Made:
    """SPLIT: the axis, then the tensor; pieces of one size."""
    source, outputs = node.moved(position=1), node.outputs
    axis, size, count = _axis(node, 0, source), 0, node.option("num_splits")
    size = source.shape[axis]
    node.need(
        count == len(outputs) > 0 and size % count == 0,
        f"it splits {size} indices into {count} pieces, and has {len(outputs)} outputs",
        "as many pieces of one size as outputs",
    )
    return _pieces(node, source, axis, [size // count] * count)


def lower_split_v(node: NodeContext) -> Made:
    """SPLIT_V: the tensor, the sizes of the pieces, one of them -1, and the axis."""
    source, sizes = node.moved(), node.integers(1, "sizes")
    axis, count = _axis(node, 2, source), node.option("num_splits")
    size, known = source.shape[axis], sum(each for each in sizes if each >= 0)
    pieces = [size - known if each == -1 else each for each in sizes]
    fine = sizes.count(-1) <= 1 and min(pieces, default=-1) > 0 and sum(pieces) == size
    node.need(
        fine and len(pieces) == count == len(node.outputs),
        f"it splits {size} indices into {sizes}, and has {len(node.outputs)} outputs",
        "as many sizes as outputs, whose sum is that of the axis",
    )
    return _pieces(node, source, axis, pieces)


def _axis(node: NodeContext, position: int, source: TfliteTensor) -> int:
    given = node.integers(position, "axis")
    node.need(len(given) == 1, f"its axis is {given}", "one axis")
    return node.axis_of(given[0], len(source.shape))


def _pieces(node: NodeContext, source: TfliteTensor, axis: int, sizes: Sequence[int]) -> Made:
    made, start = Made(), 0
    for i, (output, size) in enumerate(zip(node.outputs, sizes, strict=True)):
        ranges = along(source.shape, axis, range(start, start + size))
        node.shape_is(output, tuple(len(each) for each in ranges))
        made = made.then(sliced(f"{node.layer_name} piece {i}", source, output, ranges))
        start += size
    return made


def lower_unpack(node: NodeContext) -> Made:
    """Every index of an axis as a tensor of its own, without that axis."""
    source, outputs = node.moved(), node.outputs
    axis = node.axis_of(node.option("axis"), len(source.shape))
    size = source.shape[axis]
    node.need(
        node.option("num") == size == len(outputs),
        f"it unpacks {size} indices into {node.option('num')}, and has {len(outputs)} outputs",
        "an output for each index",
    )
    made = Made()
    for i, output in enumerate(outputs):
        node.shape_is(output, (*source.shape[:axis], *source.shape[axis + 1 :]))
        layer = sliced(f"{node.layer_name} piece {i}", source, output, along(source.shape, axis, range(i, i + 1)))
        made = made.then(layer)
    return made


def lower_pack(node: NodeContext) -> Concat:
    """Tensors of one shape side by side along a new axis."""
    parts = [node.operand(i, MOVED_TYPES) for i in range(len(node.record.inputs))]
    shapes = {part.shape for part in parts}
    node.need(
        node.option("values_count") == len(parts) > 0 and len(shapes) == 1,
        f"it packs {node.option('values_count')} tensors of shapes {sorted(map(list, shapes))}",
        "all of its inputs, of one shape",
    )
    node.result((parts[0].type,))
    node.same_quantization(*parts)
    (shape,) = shapes
    axis = node.axis_of(node.option("axis"), len(shape) + 1)
    node.output_shape_is((*shape[:axis], len(parts), *shape[axis:]))
    views = ((*shape[:axis], 1, *shape[axis:]),) * len(parts)
    return Concat(**node.names_of(*parts), shapes=views, shape=node.output.shape, axis=axis)


def lower_slice(node: NodeContext) -> StridedSlice:
    """Begins and sizes, -1 for all that is left."""
    source, begins, sizes = node.moved(), node.integers(1, "begins"), node.integers(2, "sizes")
    fine = len(begins) == len(sizes) == len(source.shape) > 0
    rows = list(zip(source.shape, begins, sizes, strict=True)) if fine else []
    ranges = [range(begin, size if length == -1 else begin + length) for size, begin, length in rows]
    node.need(
        fine and all(0 <= r.start < r.stop <= size for r, size in zip(ranges, source.shape, strict=True)),
        f"its begins {begins} and sizes {sizes} do not fit shape {list(source.shape)}",
        "one begin and one size per axis, inside it",
    )
    node.output_shape_is(tuple(len(each) for each in ranges))
    return sliced(node.layer_name, source, node.output, ranges)


def lower_reverse(node: NodeContext) -> StridedSlice:
    """REVERSE_V2: the axes of input 1 backwards."""
    source, given = node.moved(), node.integers(1, "axes")
    axes = {node.axis_of(axis, len(source.shape)) for axis in given}
    node.output_shape_is(source.shape)
    ranges = [range(size)[::-1] if at in axes else range(size) for at, size in enumerate(source.shape)]
    return sliced(node.layer_name, source, node.output, ranges)


def lower_gather(node: NodeContext) -> Made:
    """Constant indices of one axis: a slice for each run of equal steps, side by side."""
    source, indices = node.moved(), node.constant(1, "indices")
    node.need(not node.option("batch_dims"), f"its batch_dims are {node.option('batch_dims')}", "batch_dims 0")
    node.need(indices.dtype.kind == "i" and indices.size > 0, f"its indices are {indices.dtype}", "integers")
    axis = node.axis_of(node.option("axis"), len(source.shape))
    size = source.shape[axis]
    wanted = [int(index) for index in indices.reshape(-1)]
    node.need(
        all(0 <= index < size for index in wanted), f"its indices are {wanted[:8]} of {size}", "indices inside the axis"
    )
    node.output_shape_is((*source.shape[:axis], *indices.shape, *source.shape[axis + 1 :]))
    found = runs(wanted)
    node.need(
        len(found) <= MAX_RUNS, f"its indices form {len(found)} runs of equal steps", f"at most {MAX_RUNS} such runs"
    )
    return side_by_side(node, source, axis, found)


def runs(indices: Sequence[int]) -> list[range]:
    """``indices`` as ranges, each as long as its step stays the same and is not 0."""
    found: list[range] = []
    for index in indices:
        last = found[-1] if found else range(0)
        step = index - last[-1] if len(last) else 0
        if step and (len(last) == 1 or step == last.step):
            found[-1] = range(last.start, index + (1 if step > 0 else -1), step)
        else:
            found.append(range(index, index + 1))
    return found


def side_by_side(node: NodeContext, source: TfliteTensor, axis: int, pieces: Sequence[range]) -> Made:
    """Indices ``pieces`` of ``axis``, one behind the other: a slice, or several and their concatenation."""
    made, output = Made(), node.output
    if len(pieces) == 1:
        return made.then(sliced(node.layer_name, source, output, along(source.shape, axis, pieces[0])))
    return joined_pieces(node, made, source, axis, pieces, output)


def joined_pieces(
    node: NodeContext,
    made: Made,
    source: TfliteTensor,
    axis: int,
    pieces: Sequence[range],
    target: TfliteTensor,
    part: str = "",
) -> Made:
    """The concatenation of ``pieces`` as ``target``; a piece that is the whole axis is the tensor itself."""
    names, shapes = [], []
    for i, piece in enumerate(pieces):
        ranges = along(source.shape, axis, piece)
        shapes.append(tuple(len(each) for each in ranges))
        if piece == range(source.shape[axis]):
            names.append(source.name)
            continue
        word = f"{part} {i}".strip()
        tensor = replace(source, name=node.fresh(word.replace(" ", "_")), shape=shapes[-1], data=None)
        made = made.holding(tensor).then(sliced(f"{node.layer_name} piece {word}", source, tensor, ranges))
        names.append(tensor.name)
    shape = (*source.shape[:axis], sum(map(len, pieces)), *source.shape[axis + 1 :])
    layer = Concat(
        name=f"{node.layer_name} {part}".strip(), inputs=tuple(names), output=target.name, shapes=tuple(shapes), shape=shape, axis=axis
    )  # fmt: skip
    return made.then(layer)


def lower_tile(node: NodeContext) -> Made:
    """TILE and BROADCAST_TO: axes repeated, one after the other."""
    source, given = node.moved(), node.integers(1, "sizes")
    shape, times = (_tiled if node.op == "TILE" else _broadcast)(node, source.shape, given)
    node.output_shape_is(tuple(size * many for size, many in zip(shape, times, strict=True)))
    check_repeats(node, times)
    return repeated(
        node, replace(source, shape=shape), {axis: [range(shape[axis])] * n for axis, n in enumerate(times)}
    )


def check_repeats(node: NodeContext, times: Sequence[int]) -> None:
    """RefusalError where an axis is repeated more often than a concatenation has operands."""
    most = max(times, default=1)
    node.need(most <= MAX_REPEATS, f"it repeats an axis {most} times", f"at most {MAX_REPEATS:,}")


def _tiled(node: NodeContext, shape: Shape, given: list[int]) -> tuple[Shape, Shape]:
    node.need(len(given) == len(shape) and min(given, default=0) > 0, f"its multiples are {given}", "one per axis")
    return shape, tuple(given)


def _broadcast(node: NodeContext, shape: Shape, given: list[int]) -> tuple[Shape, Shape]:
    """The shape with axes in front, and how often each axis is repeated."""
    whole = node.broadcast(shape, tuple(given)) if min(given, default=0) > 0 else ()
    node.need(whole == tuple(given), f"it broadcasts {list(shape)} to {given}", "a shape that it broadcasts to")
    padded = (1,) * (len(whole) - len(shape)) + shape
    return padded, tuple(out // size for out, size in zip(whole, padded, strict=True))


def repeated(node: NodeContext, source: TfliteTensor, pieces: dict[int, list[range]]) -> Made:
    """Each axis of ``source`` made of its pieces, one axis after the other; axes of one whole piece stay."""
    axes = [axis for axis, each in pieces.items() if each != [range(source.shape[axis])]]
    if not axes:
        shape = view(source.shape)
        return Made((Reshape(**node.names_of(source), shapes=(shape,), shape=shape, source_operator=node.op),))
    made, tensor = Made(), source
    for axis in axes:
        shape = (*tensor.shape[:axis], sum(map(len, pieces[axis])), *tensor.shape[axis + 1 :])
        last = axis == axes[-1]
        target = replace(source, name=node.output.name if last else node.fresh(f"axis{axis}"), shape=shape, data=None)
        made = made if last else made.holding(target)
        made = joined_pieces(node, made, tensor, axis, pieces[axis], target, "" if last else f"axis {axis}")
        tensor = target
    return made


def lower_mirror_pad(node: NodeContext) -> Made:
    """What stands before and behind each axis is its own mirror image, with (SYMMETRIC) or without (REFLECT) the edge."""
    source, amounts, mode = node.moved(), node.integers(1, "paddings"), node.option("mode")
    rank = len(source.shape)
    node.need(mode in (0, 1), f"its mode is {mode}", "REFLECT (0) or SYMMETRIC (1)")
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True)) if len(amounts) == 2 * rank else []
    edge = 1 - mode
    fits = all(0 <= pad <= size - edge for pair, size in zip(pairs, source.shape, strict=False) for pad in pair)
    if not (pairs and fits):
        raise RefusalError(f"its paddings are {amounts} for shape {list(source.shape)}", "a pair per axis, inside it")
    pieces = {}
    for axis, ((before, after), size) in enumerate(zip(pairs, source.shape, strict=True)):
        sides = [
            range(before - 1 + edge, edge - 1, -1),
            range(size),
            range(size - 1 - edge, size - 1 - edge - after, -1),
        ]
        pieces[axis] = [side for side in sides if len(side)]
    node.output_shape_is(tuple(sum(map(len, each)) for each in pieces.values()))
    return repeated(node, source, pieces)
