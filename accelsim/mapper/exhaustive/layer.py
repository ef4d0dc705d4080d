"""The search of one layer: bounds for all of its tilings, schedules for those whose bound or estimate is good enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.energy import EnergyTable
from accelsim.graph import Graph, MacLayer
from accelsim.hardware import DRAM, operand_bits
from accelsim.mapper.exhaustive.clock import Clock
from accelsim.mapper.exhaustive.problem import (
    least_cycles,
    mapping_of,
    problem_of,
    shares_of,
)
from accelsim.mapper.exhaustive.space import space_of
from accelsim.mapper.tiling import THROUGH_DRAM, OnChip, Weigh, worth
from accelsim.objective import Objective
from accelsim.program import MacMapping

FINALISTS = 512
"""Tilings of least bound that are kept; the search is proved to have found the best unless all of them had to be scheduled."""
CHUNK = 2**17
"""Tilings between two looks at the clock: tens of milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best tiling of one layer by ``objective``, alone on the machine but for operands that are kept on chip.

    ``cycles`` and ``energy_pj`` are scheduled, ``value`` what was minimised: for the product of a network that by which the layer makes it
    grow, a sum of its cycles and its energy. ``bound`` is its least possible value over the
    whole space, so ``value / bound`` says how far the tiling is from it at most. ``closed_form``: the tiling's cycles follow
    from an equation, because the array never waits (the schedule agrees). ``proved``: no tiling of the space is better.
    ``visited`` tilings were looked at, ``fitting`` fit the buffers, ``scheduled`` were scheduled.
    """

    mapping: MacMapping
    objective: Objective
    value: float
    bound: float
    cycles: int
    energy_pj: float
    closed_form: bool
    proved: bool
    visited: int
    fitting: int
    scheduled: int


class Cost(NamedTuple):
    """Of a tiling that was scheduled."""

    value: float
    cycles: int
    energy_pj: float


class Least(NamedTuple):
    """What no tiling of a layer has less of: cycles of the array, cycles of the DRAM port, picojoules beside those of time."""

    array: float
    port: float
    spent: float


class LayerSearch:
    """A search that can be stopped and taken up again; ``schedule`` gives the cycles and the energy of a tiling."""

    def __init__(
        self, layer: MacLayer, graph: Graph, arch: Arch, table: EnergyTable, weigh: Weigh,
        schedule: Callable[[MacMapping], tuple[int, float]], kept: OnChip = THROUGH_DRAM,
    ) -> None:  # fmt: skip
        from accelsim.mapper.exhaustive._finalists import SIZES, Lists, Search, Tiles, finalists, floors_of

        self.weigh, self._schedule = weigh, schedule
        shares, pool = shares_of(layer, graph, arch), operand_bits(layer, graph, arch).window
        space = space_of(*shares, gathered=arch.activation_buffer.im2col == DRAM, pool=pool)
        problem = problem_of(layer, graph, arch, table, kept)
        tiles = Tiles(space.pixels, space.taps, space.channels, space.rows, space.columns)
        inputs = float(layer.geometry.n * space.rows[0].min() * space.columns[0].min() * problem.case.input_channels)
        inputs *= problem.machine.operands.activation_bits / 8
        x = Search(*problem, tiles, least_cycles(problem), inputs, weigh)
        self._search, floors = x, np.zeros((len(space.taps) * len(space.channels), 5))
        floors_of(x, floors)
        self._blocks = np.argsort(floors[:, 0], kind="stable")
        self._floors, self._at = floors[self._blocks], 0
        self._chunk = max(1, CHUNK // len(space.pixels))
        self._lists = Lists(
            np.full((2, FINALISTS), np.inf), np.zeros((2, FINALISTS, SIZES), np.int64), np.zeros(2, np.int64),
            np.full(3, np.inf), np.zeros(2, np.int64),
        )  # fmt: skip
        finalists(x, self._blocks[:0], self._floors[:0], self._lists)  # compiles before any clock runs
        self.costs: dict[MacMapping, Cost] = {}
        self.proved = False

    @property
    def walked(self) -> bool:
        """Whether all tilings were looked at."""
        return self._at == len(self._blocks)

    @property
    def fits(self) -> bool:
        """Whether a tiling was found that fits."""
        return bool(self._lists.seen[1] > 0)

    def walk(self, clock: Clock, share: float = 1.0) -> bool:
        """Look at all tilings, or until so much of the time is over; whether all were looked at."""
        from accelsim.mapper.exhaustive._finalists import finalists

        while not self.walked and not clock.over(share):
            part = slice(self._at, self._at + self._chunk)
            finalists(self._search, self._blocks[part], self._floors[part], self._lists)
            self._at = min(part.stop, len(self._blocks))
        return self.walked

    @property
    def least(self) -> Least:
        """Over the whole space: what was not looked at has its floors."""
        left = self._floors[self._at :, 1:4].min(axis=0, initial=np.inf)
        return Least(*(float(x) for x in np.minimum(left, self._lists.floors)))

    @property
    def bound(self) -> float:
        """The least value of any tiling."""
        left = self._floors[self._at : self._at + 1, 0].min(initial=np.inf)
        return float(min(left, self._lists.values[0].min()))

    @property
    def bounds(self) -> list[float]:
        """The least bounds of tilings, ascending."""
        return [float(value) for value in self._sorted(0)[0]]

    def _sorted(self, which: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """(values, rows of SIZES), the best first."""
        values, best = self._lists.values[which], self._lists.best[which]
        order = np.argsort(values, kind="stable")[: int(np.isfinite(values).sum())]
        return values[order], best[order]

    @property
    def estimate(self) -> float:
        """The least value that is expected of a tiling; 0 where none was looked at."""
        least = float(self._lists.values[1].min())
        return least if least < np.inf else 0.0

    def likely(self, count: int) -> list[MacMapping]:
        """Tilings by estimate, the best first."""
        return [mapping_of(row) for row in self._sorted(1)[1][:count]]

    @cached_property
    def _exact(self) -> set[MacMapping]:
        best = self._lists.best[0]
        return {mapping_of(row) for row in best[best[:, 9] > 0]}

    def cost(self, mapping: MacMapping) -> Cost:
        """Of one tiling, scheduled once."""
        if mapping not in self.costs:
            cycles, energy = self._schedule(mapping)
            self.costs[mapping] = Cost(worth(self.weigh, cycles, energy), cycles, energy)
        return self.costs[mapping]

    def best(self, count: int = 1) -> list[MacMapping]:
        """The best of those that were scheduled."""
        return sorted(self.costs, key=lambda mapping: self.costs[mapping].value)[:count]

    def prove(self, clock: Clock) -> bool:
        """Schedule the tilings of least bound until the next bound is no better than the best schedule; whether it came to that."""
        values, rows = self._sorted(0)
        for bound, row in zip(values.tolist(), rows, strict=True):
            if self.costs and bound >= self.cost(self.best()[0]).value:
                self.proved = self.walked
                return self.proved
            if clock.over():
                return False
            clock.timed(partial(self.cost, mapping_of(row)))
        self.proved = self.walked and len(values) < FINALISTS
        return self.proved

    def found(self, mapping: MacMapping, objective: Objective) -> Found:
        """What is known of ``mapping``."""
        cost, seen = self.cost(mapping), self._lists.seen
        least = self.cost(self.best()[0]).value
        return Found(
            mapping=mapping, objective=objective, value=cost.value, bound=min(self.bound, cost.value), cycles=cost.cycles,
            energy_pj=cost.energy_pj, closed_form=mapping in self._exact, proved=self.proved and cost.value <= least,
            visited=int(seen[0]), fitting=int(seen[1]), scheduled=len(self.costs),
        )  # fmt: skip
