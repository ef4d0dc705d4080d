"""How full the on-chip memories are and how busy the DRAM port is, over time, read off a Timeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware import DRAM_ENGINES, Engine, Memory, activation_share
from accelsim.program import Fused, Program, kept_places, recalls
from accelsim.timing import Timeline

Cycles = NDArray[np.int64]
ON_CHIP = (Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.ACCUMULATORS, Memory.OUTPUTS, Memory.RESIDENT)
KEEPING = (Engine.KEEP, Engine.RECALL)
TRACKS = (
    Engine.LOAD_WEIGHTS, Engine.LOAD_ACTIVATIONS, Engine.COMPUTE, Engine.REQUANTIZE, Engine.VECTOR, Engine.STORE, *KEEPING,
)  # fmt: skip
"""Engines in the order of the data; those of ``KEEPING`` work on machines that keep tensors on chip."""


@dataclass(frozen=True, eq=False)
class Steps:
    """A quantity over time: ``values[i]`` holds from ``cycles[i]`` (ascending, int64) until ``cycles[i + 1]``."""

    cycles: Cycles
    values: Cycles


def memory_fill(timeline: Timeline, memory: Memory, *, core: int = 0, operations: int | None = None) -> Steps:
    """Occupied bytes of ``memory`` of ``core`` (words of the accumulators) by the first ``operations`` of the Program.

    A region is occupied from the start of the operation that writes it until its last consumer has read it. A compute
    operation that adds to the partial sums of the one before takes the region over as it starts. A kept tensor fills the
    resident memory tile by tile, and leaves it when its last consumer is done; rows of a window when theirs are.
    """
    program = timeline.program
    writers = np.flatnonzero((program.memory[:operations] == memory) & (program.core[:operations] == core))
    released = region_release(timeline)[writers]
    size = program.extent[writers]
    return _steps(np.concatenate([timeline.start[writers], released]), np.concatenate([size, -size]))


def region_release(timeline: Timeline) -> Cycles:
    """Cycle at which each operation's region is free: when its last consumer lets go, or its own finish where nothing reads it."""
    program = timeline.program
    consumer, source = source_edges(program)
    takes_over = (program.memory[consumer] == program.memory[source]) & (program.memory[consumer] != Memory.DRAM)
    until = np.where(takes_over, timeline.start[consumer], timeline.until[consumer])
    release = np.full(len(program), -1, dtype=np.int64)
    np.maximum.at(release, source, until)
    for keeps, reads, fused in _kept(program):
        read = (
            np.ones((len(keeps), len(reads)), dtype=np.bool_)
            if fused is None
            else _same_rows(program, keeps, reads, fused)
        )
        last = np.where(read, timeline.finish[reads], 0).max(axis=1, initial=0)
        release[keeps] = np.maximum(timeline.finish[keeps], last)
    return np.where(release < 0, timeline.finish, release)


def _kept(program: Program) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Fused | None]]:
    """(its KEEPs, its RECALLs, its pair of layers if only a window is kept) of every tensor on chip."""
    places = kept_places(program)
    for producer, reads in recalls(program, places).items():
        yield (
            np.flatnonzero(program.of_engine(Engine.KEEP) & (program.layer == producer)),
            reads,
            places[producer].fused,
        )


def _same_rows(program: Program, keeps: Cycles, reads: Cycles, fused: Fused) -> NDArray[np.bool_]:
    """Whether each of ``reads`` sees a row of each of ``keeps``: bool of shape (keeps, reads)."""
    lo, hi = program.lo[:, fused.axis], program.hi[:, fused.axis]
    same: NDArray[np.bool_] = (lo[reads] < hi[keeps, None]) & (lo[keeps, None] < hi[reads])
    return same


def source_edges(program: Program) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(consumer, source) of every on-chip data dependency, in program order of the consumer."""
    waits = np.diff(program.dependency_start)
    consumer = np.repeat(np.arange(len(program), dtype=np.int64), waits)
    place = np.arange(len(consumer)) - program.dependency_start[consumer]
    is_source = place < program.sources[consumer]
    return consumer[is_source], program.dependencies[is_source].astype(np.int64)


def tensor_edges(program: Program, store: Engine) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(load, store) of every load that waits for a STORE, through DRAM, or for a KEEP, on chip, to have made its tensor."""
    consumer = np.repeat(np.arange(len(program), dtype=np.int64), np.diff(program.dependency_start))
    on = program.dependencies.astype(np.int64)
    loads = np.isin(program.engine[consumer], (Engine.LOAD_ACTIVATIONS, Engine.LOAD_WEIGHTS, Engine.RECALL))
    through = loads & (program.engine[on] == store)
    return consumer[through], on[through]


def dram_rate(timeline: Timeline, *, write: bool, operations: int | None = None) -> tuple[Cycles, NDArray[np.float64]]:
    """(cycles, bytes per cycle) of DRAM reads or writes while ports carry them, coded where activations are; one transfer at a time at each."""
    program = timeline.program
    kinds = (Engine.STORE,) if write else tuple(engine for engine in DRAM_ENGINES if engine is not Engine.STORE)
    moves = np.flatnonzero(np.isin(program.engine[:operations], kinds))
    begin, end = timeline.start[moves], timeline.until[moves]
    coded = np.ones(len(Engine))
    coded[Engine.LOAD_ACTIVATIONS] = float(activation_share(program.arch, "activations"))
    coded[Engine.STORE] = float(activation_share(program.arch, "outputs"))
    rate = program.amount[moves] * coded[program.engine[moves]] / np.maximum(1, end - begin)
    at, where = np.unique(np.concatenate([begin, end]), return_inverse=True)
    value, active = np.zeros(len(at)), np.zeros(len(at), dtype=np.int64)
    np.add.at(value, where, np.concatenate([rate, -rate]))
    np.add.at(active, where, np.repeat([1, -1], len(moves)))
    return at, np.where(np.cumsum(active) > 0, np.maximum(np.cumsum(value), 0), 0.0)


def _steps(at: Cycles, change: Cycles) -> Steps:
    """Running sum of ``change``, all changes of one cycle taken together, cycles without effect left out."""
    if not len(at):
        return Steps(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    cycles, where = np.unique(at, return_inverse=True)
    net = np.zeros(len(cycles), dtype=np.int64)
    np.add.at(net, where, change)
    moved = net != 0
    return Steps(cycles[moved], np.cumsum(net)[moved])
