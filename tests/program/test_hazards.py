"""The kernel of the hazard check, on a few operations written out by hand."""

from __future__ import annotations

import numpy as np

from accelsim.hardware import Engine
from accelsim.program._hazards import find_hazard

LOAD, RECALL, VECTOR = Engine.LOAD_ACTIVATIONS, Engine.RECALL, Engine.VECTOR


def hazard(
    engines: list[Engine], regions: list[tuple[int, int]], reads: list[list[int]], waits: list[list[int]]
) -> tuple[int, int, int]:
    """(kind, operation, other) of operations that write ``regions`` (low, high) of one memory; empty ones write nothing."""
    queue = np.array(engines, dtype=np.int64)
    low, high = np.array(regions, dtype=np.int64).T
    edges = [[*read, *wait] for read, wait in zip(reads, waits, strict=True)]
    start = np.cumsum([0, *map(len, edges)]).astype(np.int64)
    on = np.array([d for edge in edges for d in edge], dtype=np.int32)
    none = np.full(len(queue), -1, dtype=np.int64)
    return find_hazard(
        len(Engine), queue, np.array(engines, dtype=np.int8), 1, np.where(high > low, 0, -1), low, high - low,
        np.array([len(read) for read in reads], dtype=np.int8), start, on, start, on, none.astype(np.int32),
        none[:, None].astype(np.int32), none,
    )  # fmt: skip


def test_what_a_smaller_tile_leaves_standing_may_still_be_read() -> None:
    """A load writes 0 to 10, the vector unit reads that; the next load takes 0 to 4, a recall 4 to 8 of the same slot."""
    engines, regions = [LOAD, VECTOR, LOAD, RECALL], [(0, 10), (0, 0), (0, 4), (4, 8)]
    reads = [[], [0], [], []]
    assert hazard(engines, regions, reads, [[], [], [1], [1]]) == (0, -1, -1)
    assert hazard(engines, regions, reads, [[], [], [1], []]) == (2, 3, 0)
    assert hazard(engines, regions, reads, [[], [], [], [1]]) == (3, 2, 1)


def test_a_part_is_not_the_whole() -> None:
    """Half of what a load wrote has been overwritten: nobody may read it."""
    assert hazard([LOAD, LOAD, VECTOR], [(0, 10), (5, 9), (0, 0)], [[], [], [0]], [[], [], []]) == (1, 2, 0)
    assert hazard([LOAD, LOAD, VECTOR], [(0, 10), (10, 19), (0, 0)], [[], [], [0]], [[], [], []]) == (0, -1, -1)


def test_writers_of_two_engines_must_be_in_order() -> None:
    assert hazard([LOAD, RECALL], [(0, 4), (2, 6)], [[], []], [[], []]) == (2, 1, 0)
    assert hazard([LOAD, RECALL], [(0, 4), (2, 6)], [[], []], [[], [0]]) == (0, -1, -1)
