"""Figures of every layer, read off a scheduled Program for all layers at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware import DRAM_ENGINES, WRITE_BACK, Engine, Memory
from accelsim.program import Program
from accelsim.result.bounds import compute_bounds, traffic_bounds
from accelsim.timing import Timeline

Cycles = NDArray[np.int64]
_NEVER = 2**63 - 1


class Measured(NamedTuple):
    """Of one layer: ``busy`` cycles of all cores and ``longest`` of the busiest one, by engine; ``cores`` have a share of it, the
    ``arrays`` of some of them something to compute; cycles and counts as in :class:`~accelsim.result.record.LayerResult`.
    """

    busy: list[int]
    longest: list[int]
    cores: int
    arrays: int
    stream: int
    tiles: int
    start: int
    finish: int
    cycles: int
    compute_bound: int
    traffic_bound: int


def busy_cycles(program: Program) -> Cycles:
    """Busy cycles, int64 of shape (cores, engines, layers)."""
    busy = np.zeros((program.arch.cores.count, len(Engine), len(program.graph.layers)), dtype=np.int64)
    alike = program.groups
    np.add.at(busy, (alike.core, alike.engine, alike.layer), alike.sums(program.cycles))
    return busy


def measured(timeline: Timeline, busy: Cycles) -> Iterator[Measured]:
    """The figures of every layer; ``busy`` as of :func:`busy_cycles`."""
    program = timeline.program
    finished = np.isin(program.groups.engine, WRITE_BACK) | (program.groups.memory == Memory.ON_THE_FLY)
    written = np.where(finished, np.diff(program.groups.begin), 0)
    columns = (
        busy.sum(axis=0).T,
        _longest(busy).T,
        (busy > 0).any(axis=1).sum(axis=0),
        (busy[:, Engine.COMPUTE] > 0).sum(axis=0),
        _per_layer(program, program.groups.sums(program.stream_cycles)),
        _per_layer(program, written),
        _starts(timeline),
        timeline.layer_finish,
        timeline.layer_cycles,
        compute_bounds(program),
        traffic_bounds(program),
    )
    return (Measured(*figures) for figures in zip(*(column.tolist() for column in columns), strict=True))


def _per_layer(program: Program, sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """``sums``, one for each of the Program's groups, added up by layer."""
    total = np.zeros(len(program.graph.layers), dtype=np.int64)
    np.add.at(total, program.groups.layer, sums)
    return total


def _starts(timeline: Timeline) -> Cycles:
    """Cycle at which each layer starts; for one without operations, at which all before it have finished."""
    first = np.full(len(timeline.layer_finish), _NEVER, dtype=np.int64)
    alike = timeline.program.groups
    np.minimum.at(first, alike.layer, alike.sums(timeline.start, np.minimum))
    return np.where(first < _NEVER, first, timeline.layer_finish)


def _longest(busy: Cycles) -> Cycles:
    """Busy cycles (engines, layers) of the busiest core; of all cores where they take turns, at the DRAM port."""
    longest: Cycles = busy.max(axis=0)
    longest[list(DRAM_ENGINES)] = busy[:, list(DRAM_ENGINES)].sum(axis=0)
    return longest
