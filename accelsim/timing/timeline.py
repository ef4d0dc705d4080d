"""Start and finish cycle of every tile operation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware import FREED, Engine
from accelsim.program import Fused, Program

_ARRAY = (Engine.COMPUTE,)
_WORK = (Engine.COMPUTE, Engine.VECTOR)


@dataclass(frozen=True, eq=False)
class Timeline:
    """``start`` and ``finish`` (int64 cycles, one per operation); the engine is taken from start to ``until``."""

    program: Program
    start: NDArray[np.int64]
    finish: NDArray[np.int64]

    @cached_property
    def until(self) -> NDArray[np.int64]:
        """Cycle at which each operation lets go of its engine (int64): what streams, not before the last of what it reads."""
        taken, own = self.program.streamed, self.start + self.program.cycles
        return np.where(taken >= 0, np.maximum(own, self.finish[taken] + self.program.lag), own)

    @cached_property
    def arrivals(self) -> NDArray[np.int64]:
        """When what each of ``program.waits`` stands for has come (int64): a result, a slot, or the first of what streams."""
        first, on = self.program.waits
        waiting = np.repeat(np.arange(len(self.start)), np.diff(first))
        engine, other = self.program.engine[waiting], self.program.engine[on]
        arrivals = np.where(FREED[engine, other], self.until[on], self.finish[on])
        streams = self.program.streamed[waiting] == on
        begun = np.where(other == Engine.COMPUTE, self.program.lag[on], self.program.latency[on] + 1)
        return np.where(streams, self.start[on] + begun, arrivals)

    @cached_property
    def total_cycles(self) -> int:
        """Cycle at which the last operation finishes."""
        return int(self.finish.max(initial=0))

    def busy_cycles(self, engine: Engine, *, core: int | None = None) -> int:
        """Cycles during which ``engine`` of ``core`` is taken; of all cores added up where none is named."""
        mine = self.program.of_engine(engine)
        return int((self.until - self.start)[mine if core is None else mine & (self.program.core == core)].sum())

    @cached_property
    def layer_finish(self) -> NDArray[np.int64]:
        """Finish of each layer's last operation, or of all before it where that is later; int64 of shape (layers,)."""
        finish = np.zeros(len(self.program.graph.layers), dtype=np.int64)
        alike = self.program.groups
        np.maximum.at(finish, alike.layer, alike.sums(self.finish, np.maximum))
        return np.maximum.accumulate(finish)

    @cached_property
    def layer_cycles(self) -> NDArray[np.int64]:
        """How far each layer moves the finish of the network; the entries add up to ``total_cycles``.

        Two layers in step move it together. Each is given its array cycles, and the rest in proportion to what array and vector unit do.
        """
        cycles = np.diff(self.layer_finish, prepend=0)
        for pair in self.program.fused:
            array, work = (self._busy(pair, engines) for engines in (_ARRAY, _WORK))
            both = cycles[pair.producer] + cycles[pair.consumer]
            mine = np.clip(both * work[0] // work.sum(), min(array[0], both), max(both - array[1], 0))
            cycles[pair.producer], cycles[pair.consumer] = mine, both - mine
        return cycles

    def _busy(self, pair: Fused, engines: tuple[Engine, ...]) -> NDArray[np.int64]:
        """Cycles of ``engines`` for the producer and for the consumer of a pair."""
        works, layers = np.isin(self.program.engine, engines), (pair.producer, pair.consumer)
        return np.array([self.program.cycles[works & (self.program.layer == layer)].sum() for layer in layers])
