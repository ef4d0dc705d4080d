"""Exact cycles and energy of a network in given tiles: streamed where the machine allows it, else of its Program."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder import build_program
from accelsim.energy import count_actions, layer_energy, table_of
from accelsim.graph import Graph
from accelsim.hardware import passes_of
from accelsim.mapper.network.lowered import Lowered, counts_of
from accelsim.mapper.network.prices import Groups
from accelsim.program import MacMapping, Mapping
from accelsim.timing import (
    CHIP,
    NONE,
    TILING,
    WIDTH,
    Kept,
    Network,
    chip_of,
    queues_of,
    schedule,
    width_of,
    write_tiling,
)

Mappings = Sequence[Mapping | None]


class Programs:
    """By building Programs, for any machine."""

    def __init__(self, graph: Graph, arch: Arch) -> None:
        self._graph, self._arch, self._table = graph, arch, table_of(arch)

    def of(self, mappings: Mappings) -> tuple[int, float]:
        """(cycles, picojoules) of the network; AccelsimError where the tiles fit nowhere or are too many."""
        timeline = schedule(build_program(self._graph, arch=self._arch, mappings=mappings))
        program, cycles = timeline.program, timeline.layer_cycles
        split = layer_energy(program, count_actions(program), self._table, cycles=cycles)
        return timeline.total_cycles, sum(layer.total for layer in split)


class Streamed:
    """By the streamed schedule, for machines that it knows: the same cycles, the same energy but for rounding (1e-12)."""

    def __init__(self, lowered: Lowered, groups: Groups, arch: Arch) -> None:
        self._lowered, self._groups, self._arch = lowered, groups, arch
        self._prices, self._kept, self._network = groups.prices(arch), lowered.kept(arch), lowered.network(arch)
        self._chip = np.array([tuple(chip_of(arch).values())], dtype=CHIP)[0]
        self._widths = np.array([width_of(arch, *bits) for bits in lowered.widths], dtype=WIDTH).reshape(-1)
        self._queue = queues_of(arch)
        self._rows = np.zeros(len(lowered.graph.layers), dtype=TILING)
        self._last: list[Mapping | None] = [None] * len(self._rows)
        self._apart: dict[int, tuple[Network, Kept] | None] = {}
        self._idle = self._prices.clock + self._prices.leakage

    def of(self, mappings: Mappings) -> tuple[int, float]:
        """As :meth:`Programs.of`, of mappings that fit; cycles NONE where there are too many tile operations."""
        for index, (mapping, last) in enumerate(zip(mappings, self._last, strict=True)):
            if mapping is not last:
                write_tiling(self._rows[index], mapping, index, self._lowered.cuts)
                self._last[index] = mapping
        return self._cost(self._network, self._rows, self._kept, self._groups.of)

    def alone(self, index: int, mapping: MacMapping) -> tuple[int, float] | None:
        """Of layer ``index`` by itself; None where its operands are on chip, which the streamed schedule has from layers before, and where
        another follows in its pass."""
        if index not in self._apart:
            self._apart[index] = self._alone(index)
        if (apart := self._apart[index]) is None:
            return None
        rows = np.zeros(1, dtype=self._rows.dtype)
        write_tiling(rows[0], mapping, index, self._lowered.cuts)
        return self._cost(apart[0], rows, apart[1], self._groups.of[index : index + 1])

    def _alone(self, index: int) -> tuple[Network, Kept] | None:
        if index in {one.producer for one in passes_of(self._lowered.graph, self._arch)}:
            return None
        network, outputs = self._network, self._kept.outputs[index : index + 1]
        operands, nothing = network.operands, np.zeros(0, np.int64)
        mine = slice(operands.first[index], operands.first[index + 1])
        if (operands.computed[mine] & self._kept.outputs[operands.source[mine]]).any():
            return None
        bits = operands.bits[mine]
        given = np.zeros(len(bits), np.bool_)
        first, none = np.array([0, len(bits)]), np.full(len(bits), NONE)
        own = operands._replace(first=first, source=none, computed=given, boxwise=given, bits=bits)
        return Network(network.layers[index : index + 1], own), Kept(outputs, np.zeros(2, np.int64), nothing)

    def _cost(self, network: Network, rows: NDArray[Any], kept: Kept, groups: NDArray[np.int64]) -> tuple[int, float]:
        from accelsim.timing.compiled import network_cycles

        counts, figures = counts_of(len(rows))
        tiles = self._lowered.cuts.tiles()
        cycles = network_cycles(network, self._chip, self._widths, rows, tiles, kept, self._queue, counts)
        return int(cycles), float((self._charges[groups] * figures).sum() + cycles * self._idle)

    @cached_property
    def _charges(self) -> NDArray[np.float64]:
        flow, apart = self._arch.array.flow, self._arch.streams.apart
        charges: NDArray[np.float64] = self._groups.charges([self._prices], flow.stationary, apart)[0]
        return charges


def exact_costs(graph: Graph, arch: Arch) -> Programs | Streamed:
    """The faster of the two that knows all that ``arch`` does with ``graph``."""
    lowered = Lowered(graph)
    if lowered.streams(arch):
        lowered.check(arch)
        return Streamed(lowered, Groups(graph), arch)
    return Programs(graph, arch)
