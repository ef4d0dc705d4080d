"""Where the arrays' time goes: every cycle in which one does not compute has one named cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ProgramError
from accelsim.hardware import DRAM_ENGINES, Engine
from accelsim.timing.schedule import port_of, queues
from accelsim.timing.timeline import Timeline

Cycles = NDArray[np.int64]
DRAM_LATENCY = len(Engine)
"""Row of the stalls behind those of the engines."""
DRAIN = DRAM_LATENCY + 1
"""The row behind that: sums on their way through an array that pipelines tiles."""
SHIFT = DRAIN + 1
"""The last row: stationary operands on their way into an array, while nothing streams through it that would hide them."""
CAUSES = (*(engine.label for engine in Engine), "DRAM latency", "drain", "weight shift")
"""What an engine waits for, row by row."""


@dataclass(frozen=True, eq=False)
class Stalls:
    """``cycles`` (causes, layers), int64: how long the array (or another engine) stood still because that engine worked for that layer.

    Rows in the order of :class:`~accelsim.program.Engine`, then DRAM latency, the array's own drain and its weight shift; with one core the
    row of the array itself is 0. With several, all cores' arrays are added up. All entries and the arrays' busy cycles add up to cores times
    the Timeline's total.
    """

    cycles: Cycles
    engine: Engine = Engine.COMPUTE

    @property
    def causes(self) -> tuple[str, ...]:
        """What each row is called; work of another core's same engine, whose result this one needs, stands in the row of its own."""
        return tuple("other cores" if row == self.engine else cause for row, cause in enumerate(CAUSES))

    def by_cause(self) -> dict[str, int]:
        """Cycles of each cause, all layers."""
        return {cause: int(total) for cause, total in zip(self.causes, self.cycles.sum(axis=1), strict=True)}

    def of_layer(self, index: int) -> dict[str, int]:
        """Cycles of each cause while that layer's operations were what the array waited for."""
        return {cause: int(row[index]) for cause, row in zip(self.causes, self.cycles, strict=True)}


def stalls(timeline: Timeline, *, engine: Engine = Engine.COMPUTE) -> Stalls:
    """Attribute each idle stretch of each core's array, or of another ``engine``: back, from its end, along what let operations start.

    The stretch ends when an operation of the engine starts (the last one when the network ends). That start was bound by the arrival
    of a dependency, or by the operation before it on its engine or at the DRAM port; the time in which that one ran is its
    engine's, the time its result was under way is latency; then the same is asked of its own start, until the stretch is
    covered. Stretches are covered exactly, because an operation starts as soon as nothing holds it.
    """
    from accelsim.timing._stalls import attribute, predecessors

    program = timeline.program
    until = timeline.until
    gaps = np.concatenate([_gaps(timeline, until, engine, core) for core in range(program.arch.cores.count)])
    cycles = np.zeros((len(CAUSES), len(program.graph.layers)), dtype=np.int64)
    if engine == Engine.COMPUTE and program.arch.array.hides_preload:
        np.add.at(cycles[SHIFT], program.layer[gaps[:, 2]], gaps[:, 4])
        gaps[:, 0] += gaps[:, 4]
    gaps = np.ascontiguousarray(gaps[gaps[:, 1] > gaps[:, 0], :4])
    count = len(program)
    order, begin = queues(program)
    before = predecessors(order, count)
    before[order[begin[:-1][begin[:-1] < begin[1:]]]] = -1  # the first of each queue
    dma = np.flatnonzero(np.isin(np.arange(len(Engine)), DRAM_ENGINES)[program.engine])
    dma = dma[np.argsort(timeline.start[dma], kind="stable")]
    at_port, port = np.full(count, -1, dtype=np.int64), port_of(program)[program.engine[dma]]
    for which in range(int(port.max(initial=0)) + 1):
        at_port = np.maximum(at_port, predecessors(dma[port == which], count))
    times = timeline.start, timeline.arrivals, until
    late = np.full(len(Engine), DRAM_LATENCY)
    late[Engine.COMPUTE] = DRAIN
    unexplained = attribute(gaps, program.engine, program.layer, *times, *program.waits, before, at_port, late, cycles)
    if unexplained:
        raise ProgramError(f"{unexplained} idle cycles of {engine.label} have no cause; the timeline is not a schedule")
    return Stalls(cycles, engine)


def _gaps(timeline: Timeline, until: Cycles, engine: Engine, core: int) -> Cycles:
    """(idle from, idle to, operation, 0, shift) of every idle stretch that the start of ``operation`` ends; 1: the last one, its finish.

    ``shift``: cycles of it in which the weights of ``operation`` shift in, in an array that hides that. Such an array lets go of a tile
    when other weights may enter, while the tile's vectors still do; what they stream into the stretch is among the tile's cycles already,
    in place of the shift. The last stretch has that of the first tile, which stands before all cycles.
    """
    program = timeline.program
    mine = np.flatnonzero(program.of_engine(engine) & (program.core == core))
    idle_from, idle_to = np.append(0, until[mine]), np.append(timeline.start[mine], timeline.total_cycles)
    ends = np.append(mine, np.argmax(timeline.finish) if len(until) else 0)
    array = program.arch.array
    entering = program.latency[mine] - (array.rows + array.cols - 2 + array.pipeline_stages)
    renewed = np.append((program.weight_reads[mine] > 0) | (array.flow.stationary != "weights"), True)
    entering = np.append(0, np.clip(entering, 0, array.rows)) * renewed
    idle = np.flatnonzero(idle_to > idle_from)
    shift = np.minimum(idle_to - idle_from, entering)
    return np.stack([idle_from, idle_to, ends, np.arange(len(ends)) == len(mine), shift], axis=1, dtype=np.int64)[idle]
