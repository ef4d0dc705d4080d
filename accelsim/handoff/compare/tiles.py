"""Guesses about tile operations that begin with what one before left in a buffer or an accumulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from accelsim.handoff.compare import kinds
from accelsim.handoff.compare.golden import GoldenLayer, narrowed
from accelsim.handoff.compare.kinds import Array, Guess
from accelsim.kernels import accumulate_block
from accelsim.numerics import INT64, Overflow

Operation = Mapping[str, Any]
MOST_TILE_ROWS = 16
LOADS = {"weights": "load weights", "activations": "load activations"}


def tile_guesses(layer: GoldenLayer, operations: Sequence[Operation]) -> Iterator[Guess]:
    """Of the accumulators."""
    steps = [one for one in operations if one["engine"] == "compute"]
    if any(one["core"] for one in operations) or len(steps) == 0:
        return
    if all(len(one["reads"]) == 2 for one in steps) or "tile_after" in layer.entry["streams"]:
        for text, drop in (("beside the bias", False), ("instead of the bias", True)):
            yield Guess(
                kinds.STALE_SUM,
                f"the accumulator is not cleared: a tile begins with what stood there, {text}",
                partial(_uncleared, layer, steps, drop),
            )
    loaded = [{one["operation"] for one in _loads(operations, name)} for name in LOADS]
    if not all(number in numbers for step in steps for number, numbers in zip(step["reads"], loaded, strict=False)):
        return  # operands that stay on the chip
    yield from _unmasked(layer, operations)
    yield from _sheared(layer, steps)
    both = tuple(LOADS)
    for which in (*((name,) for name in both), both):
        yield Guess(
            kinds.LATE, f"late write: tiles are computed with the {' and '.join(which)} that stood in the buffer before",
            partial(_early, layer, operations, which), sporadic=True,
        )  # fmt: skip


def _unmasked(layer: GoldenLayer, operations: Sequence[Operation]) -> Iterator[Guess]:
    """Padding for which the buffer is read, wherever that is beside the tile."""
    (rows, columns), (_, high, wide, _) = layer.sides, layer.entry["sum"]["input_view"]
    beside = {"above": rows < 0, "below": rows >= high, "on the left": columns < 0, "on the right": columns >= wide}
    beside[""] = ~layer.held
    for side, mask in beside.items() if list(layer.entry["sum"]["spread"]) == [1, 1] else ():
        places = np.broadcast_to(mask, layer.held.shape) & ~layer.held
        if places.any():
            text = f"padding {side} is not masked: what stands at its address is read".replace("  ", " ")
            yield Guess(kinds.PADDING, text, partial(_beside, layer, operations, places))


def _beside(layer: GoldenLayer, operations: Sequence[Operation], places: Array) -> Array:
    sums, view = layer.stream("accumulators").copy(), layer.view
    loads = sorted(_loads(operations, "activations"), key=lambda one: int(one["finish"]))
    bits, size = layer.entry["streams"]["activations"]["bits"], view.size
    memory, come = np.zeros(max(_start(one, bits) for one in loads) + size, dtype=np.int64), 0
    rows, columns = (side.reshape(-1)[at] for side, at in zip(layer.sides, np.nonzero(places), strict=True))
    for step in (one for one in operations if one["engine"] == "compute"):
        while come < len(loads) and loads[come]["finish"] <= step["start"]:
            values = view[_box(loads[come])]
            memory[_start(loads[come], bits) :][: values.size] = values.reshape(-1)
            come += 1
        load = _load(step, operations, "activations")
        (first, top, left, deep), sides = load["box"][0], np.subtract(load["box"][1], load["box"][0])
        image, channels = layer.stream("activations").copy(), np.arange(sides[3])
        for n in range(sides[0]):
            at = ((n * sides[1] + rows - top) * sides[2] + columns - left)[:, None] * sides[3] + channels
            at = at + _start(load, bits)
            there = np.where((at >= 0) & (at < memory.size), memory[np.clip(at, 0, memory.size - 1)], 0)
            image[first + n, rows + layer.top, columns + layer.left, deep : deep + sides[3]] = there
        weights = _operand(layer, "weights", _load(step, operations, "weights"), None)
        whole = (layer.stream("activations"), [0, 0, 0, 0])
        sums[_box(step)] += _tile(layer, step, weights, (image, [0, 0, 0, 0])) - _tile(layer, step, weights, whole)
    return layer.fitted(sums)


def _start(load: Operation, bits: int) -> int:
    """Of what a load writes, in elements."""
    return int(load["writes"]["offset"]) * 8 // bits


def _loads(operations: Sequence[Operation], name: str) -> list[Operation]:
    return [one for one in operations if one["engine"] == LOADS[name]]


def _sheared(layer: GoldenLayer, steps: Sequence[Operation]) -> Iterator[Guess]:
    """Windows whose address gains too much with each row of a tile's outputs."""
    golden, deep = layer.stream("accumulators"), layer.view.shape[3]
    in_tile = np.zeros(golden.shape[1], dtype=np.int64)
    for step in steps:
        in_tile[_box(step)[1]] = np.arange(step["box"][1][1] - step["box"][0][1])
    pitches = ((1, "an element more"), (-1, "an element less"), (deep, "a pixel more"), (-deep, "a pixel less"))
    for by, text in pitches if 0 < in_tile.max() < MOST_TILE_ROWS else ():
        yield Guess(
            kinds.ADDRESS, f"from one row of a tile's outputs to the next the address of the activations gains {text}",
            partial(_shorn, layer, in_tile, by),
        )  # fmt: skip


def _shorn(layer: GoldenLayer, in_tile: Array, by: int) -> Array:
    sums = layer.stream("accumulators").copy()
    for row in range(1, int(in_tile.max()) + 1):
        view = np.roll(layer.view.reshape(-1), -row * by).reshape(layer.view.shape)
        moved = layer.products(layer.image(view), layer.stream("weights"), layer.zero) - layer.plain
        sums[:, in_tile == row] += moved[:, in_tile == row]
    return layer.fitted(sums)


def lost_steps(layer: GoldenLayer, operations: Sequence[Operation]) -> Iterator[Guess]:
    """Accumulators that lost what a step before had made, where there are several and the tile streams tell them."""
    if "tile_before" not in layer.entry["streams"] or not any(len(one["reads"]) == 3 for one in operations):
        return

    def lost(keep: Callable[[Array, Array], Array]) -> Array:
        sums = layer.stream("accumulators").copy()
        before, after = layer.stream("tile_before"), layer.stream("tile_after")
        for one in operations:
            if one["engine"] == "compute" and len(one["reads"]) == 3:
                first, count = one["data"]["tile_after"]
                box, part = _box(one), slice(first, first + count)
                sums[box] = layer.fitted(keep(before[part], after[part])).reshape(sums[box].shape)
        return sums

    begins, ends = "lost partial sum: each step begins at 0", "lost partial sum: the last step is not added"
    yield Guess(kinds.LOST_STEP, begins, lambda: lost(lambda before, after: after - before))
    yield Guess(kinds.LOST_STEP, ends, lambda: lost(lambda before, after: before))


def _box(operation: Operation) -> tuple[slice, ...]:
    return tuple(slice(a, b) for a, b in zip(*operation["box"], strict=True))


def _uncleared(layer: GoldenLayer, steps: Sequence[Operation], drop: bool) -> Array:
    """Sums of tiles that begin with the words of the accumulators, which hold 0 at first."""
    words = np.zeros(max(_end(one) for one in steps), dtype=np.int64)
    golden, sums = layer.stream("accumulators"), layer.stream("accumulators").copy()
    bias = np.broadcast_to(layer.stream("bias"), golden.shape)
    for one in steps:
        box, offset = _box(one), one["writes"]["offset"]
        if "tile_after" in one.get("data", {}):
            first, count = one["data"]["tile_after"]
            part = slice(first, first + count)
            before = layer.stream("tile_before")[part] if len(one["reads"]) > 2 else np.zeros(count, dtype=np.int64)
            added = (layer.stream("tile_after")[part] - before).reshape(golden[box].shape)
        else:
            added = golden[box]
        if drop and len(one["reads"]) == 2:
            added = added - bias[box]
        place = slice(offset, offset + added.size)
        words[place] = layer.fitted(words[place] + added.reshape(-1))
        sums[box] = words[place].reshape(added.shape)
    return sums


def _end(operation: Operation) -> int:
    return int(operation["writes"]["offset"] + operation["writes"]["extent"])


def _early(layer: GoldenLayer, operations: Sequence[Operation], which: Sequence[str]) -> Array:
    """Sums of tiles whose loads had not come."""
    held = {name: _before(layer, operations, name) for name in which}
    sums = layer.stream("accumulators").copy()
    for one in operations:
        if one["engine"] == "compute":
            box = _box(one)
            loads = {name: _load(one, operations, name) for name in LOADS}
            right = [_operand(layer, name, load, None) for name, load in loads.items()]
            wrong = [
                _operand(layer, name, load, held.get(name, {}).get(load["operation"])) for name, load in loads.items()
            ]
            sums[box] += _tile(layer, one, *wrong) - _tile(layer, one, *right)
    return layer.fitted(sums)


def _load(step: Operation, operations: Sequence[Operation], name: str) -> Operation:
    number = step["reads"][list(LOADS).index(name)]
    return next(one for one in operations if one["operation"] == number)


def _source(layer: GoldenLayer, name: str) -> Array:
    return layer.stream("weights") if name == "weights" else layer.view


def _before(layer: GoldenLayer, operations: Sequence[Operation], name: str) -> dict[int, Array]:
    """By load of ``name``, what its place in the buffer held until it came; zeros at first."""
    loads = _loads(operations, name)
    bits, source = layer.entry["streams"][name]["bits"], _source(layer, name)
    ends = [_start(one, bits) + source[_box(one)].size for one in loads]
    memory, found = np.zeros(max(ends, default=0), dtype=np.int64), {}
    for one, end in zip(loads, ends, strict=True):
        values = source[_box(one)]
        place = slice(end - values.size, end)
        found[one["operation"]] = memory[place].reshape(values.shape).copy()
        memory[place] = values.reshape(-1)
    return found


def _operand(layer: GoldenLayer, name: str, load: Operation, values: Array | None) -> tuple[Array, list[int]]:
    """What a load brings, or ``values`` in its place, and where it stands: the padded image, for activations."""
    box = _box(load)
    if name == "weights":
        return layer.stream("weights")[box] if values is None else values, load["box"][0]
    view = layer.view.copy()
    if values is not None:
        view[box] = values
    return layer.image(view), [0, 0, 0, 0]


def _tile(
    layer: GoldenLayer, step: Operation, weights: tuple[Array, list[int]], image: tuple[Array, list[int]]
) -> Array:
    box = _box(step)
    sums = np.zeros(layer.stream("accumulators")[box].shape, dtype=np.int64)
    accumulate_block(
        sums, narrowed(image[0]), narrowed(weights[0]), geometry=layer.geometry, output_origin=step["box"][0],
        input_origin=image[1], weight_origin=weights[1], input_zero_point=layer.zero, accumulator=INT64,
        overflow=Overflow.WRAP, where=layer.entry["name"],
    )  # fmt: skip
    return sums
