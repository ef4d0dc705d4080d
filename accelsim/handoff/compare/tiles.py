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
    both = tuple(LOADS)
    for which in (*((name,) for name in both), both):
        yield Guess(
            kinds.LATE, f"late write: tiles are computed with the {' and '.join(which)} that stood in the buffer before",
            partial(_early, layer, operations, which), sporadic=True,
        )  # fmt: skip


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
    loads = [one for one in operations if one["engine"] == LOADS[name]]
    bits, source = layer.entry["streams"][name]["bits"], _source(layer, name)
    ends = [one["writes"]["offset"] * 8 // bits + source[_box(one)].size for one in loads]
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
