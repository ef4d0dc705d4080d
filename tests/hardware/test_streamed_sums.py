"""When a unit that streams is done with a tile: the closed form against the unit itself, which takes what has come, cycle by cycle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numba
import numpy as np

from accelsim.arch import load_arch
from accelsim.hardware import array_of, compiled, laws, requantizer_of

TILES, MACHINES = 25, 200
BASE = load_arch("edge_16x16").with_({"requantizer.streaming": True})
folds_of, held_cost, last_sums = (
    numba.njit(law.py_func) for law in (compiled.folds_of, compiled.held_cost, compiled.last_sums)
)
Vectors = list[tuple[int, int]]
"""Cycle from the start of the tile in which each vector of finished sums is there, and its sums."""


def drawn_array(rng: np.random.Generator, dataflow: str) -> dict[str, Any]:
    rows, cols = (int(side) for side in rng.integers(1, 7, 2))
    edits: dict[str, Any] = {
        "array.dataflow": dataflow, "array.rows": rows, "array.cols": cols, "array.pipeline_stages": int(rng.choice([0, 2])),
        "array.issue_cycles": int(rng.choice([0, 5])), "array.fold_issue_cycles": int(rng.choice([0, 0, 3])),
        "requantizer.lanes": int(rng.integers(1, 7)), "array.weight_bits": int(rng.choice([8, 8, 4])),
    }  # fmt: skip
    if dataflow == "adder_tree":
        edits["accumulator.products_per_add"] = rows
        if rng.random() < 0.5:
            edits["array.stripe_pixels"] = int(rng.choice([1, 3, 4]))
        return edits
    edits["array.weight_preload"], edits["array.drain"] = (str(way) for way in rng.choice(["serial", "overlapped"], 2))
    return edits


def rows_of_sums(array: Any, tile: compiled.Tile) -> Iterator[tuple[int, int]]:
    """Output-stationary: each fold's rows of pixels leave one after the other."""
    stream, drain = tile.taps * tile.depth * array.passes, array.rows + array.cols - 2 + array.stages
    each = (max(stream, array.rows) if array.drains_behind else stream + drain) + array.fold_issue
    fold = 0
    for _ in range(tile.groups):
        for column in range(0, tile.channels, array.cols):
            for pixel in range(0, tile.pixels, array.rows):
                there = array.tile_issue + array.fold_issue + fold * each + stream + array.cols - 1 + array.stages
                for row in range(min(array.rows, tile.pixels - pixel)):
                    yield there + row, min(array.cols, tile.channels - column)
                fold += 1


def sums_of_folds(array: Any, tile: compiled.Tile, *, turned: bool, tree: bool) -> Iterator[tuple[int, int]]:
    """What stands beside what streams: a vector of sums for each of the latter in the last fold of a reduction."""
    streamed, across = (tile.channels, tile.pixels) if turned else (tile.pixels, tile.channels)
    reduction, rows, cols = tile.taps * tile.depth, array.rows, array.cols
    deep, blocks = -(-reduction // rows), -(-across // cols)
    pack = min(rows // reduction, cols // across) if tile.groups > 1 and deep == blocks == 1 and not tree else 1
    stream = streamed * array.passes
    drain, shift, each = rows + cols - 2 + array.stages, rows, max(stream, rows)
    if tree:
        drain, shift = array.stages, 0
    elif not array.overlapped:
        shift = 0 if tile.kept and not turned and deep * blocks * -(-tile.groups // pack) == 1 else rows
        each = rows + stream + (0 if array.drains_behind else drain)
    stripe, begin = array.stripe or streamed, array.tile_issue
    for group in range(0, tile.groups, pack):
        for block in range(blocks):
            size = min(pack, tile.groups - group) * min(cols, across - block * cols)
            for low in range(0, streamed, stripe):
                count = min(stripe, streamed - low)
                for fold in range(deep):
                    begin += array.fold_issue if low == 0 or deep > 1 else 0
                    for i in range(count if fold == deep - 1 else 0):
                        yield begin + shift + (i + 1) * array.passes + drain, size
                    begin += count * array.passes if tree else each


def greedy(vectors: Vectors, lanes: int, start: int) -> int:
    """The cycle behind the one in which the last sum is taken, of so many a cycle from ``start`` on."""
    cycle, waiting, come = start, 0, 0
    while come < len(vectors) or waiting:
        while come < len(vectors) and vectors[come][0] <= cycle:
            waiting, come = waiting + vectors[come][1], come + 1
        waiting, cycle = max(0, waiting - lanes), cycle + 1
    return cycle


def test_a_unit_that_streams_ends_when_the_closed_form_says() -> None:
    """5,000 random tiles in every dataflow, the unit free at once or later: no cycle differs."""
    rng, backlog = np.random.default_rng(18), 0
    flows = ("weight_stationary", "output_stationary", "input_stationary", "adder_tree")
    for dataflow in flows * (MACHINES // len(flows)):
        arch = BASE.with_(drawn_array(rng, dataflow))
        array, unit = array_of(arch, weight_bits=8, activation_bits=8), requantizer_of(arch)
        for _ in range(TILES):
            sizes = (int(rng.integers(1, top)) for top in (20, 4, 9, 14))
            tile = compiled.Tile(*sizes, int(rng.choice([1, 1, 2, 5])), bool(rng.random() < 0.2))
            held = folds_of(array, tile.taps, tile.depth, tile.channels, tile.groups)
            cost, last = held_cost(array, held, tile), last_sums(array, held, tile)
            if dataflow == "output_stationary":
                vectors = list(rows_of_sums(array, tile))
            else:
                turned, tree = dataflow == "input_stationary", dataflow == "adder_tree"
                vectors = list(sums_of_folds(array, tile, turned=turned, tree=tree))
            outputs, end = tile.pixels * tile.channels * tile.groups, cost.cycles + cost.latency
            assert (vectors[0][0], sum(size for _, size in vectors)) == (last.first, outputs)
            assert vectors[-1][0] == end - last.idle
            start = last.first + int(rng.choice([0, 0, 3, 30]))
            lag = int(laws.requantize_lag(unit, last))
            law = max(start + -(-outputs // unit.lanes), end + lag)
            assert law == max(end + 1, greedy(vectors, unit.lanes, start)), (arch.array, unit.lanes, tile)
            backlog += lag > -(-last.size // unit.lanes)
    assert backlog > TILES * MACHINES // 10
