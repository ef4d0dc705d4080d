"""A Graph as the compiled loop over machines reads it, made once for all of them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder import check_bias, least_mac_operations
from accelsim.graph import Graph, MacLayer
from accelsim.hardware import Memory, operand_bits, slot_capacity
from accelsim.mapper import map_layer
from accelsim.program import VectorMapping
from accelsim.timing import COUNTS, NONE, TILING, Cuts, Kept, kept_of, network_of

Index = NDArray[np.int64]
MOST_KNOWN = 1024
"""Pairs of capacities whose cuts of vector layers are remembered."""


class Lowered:
    """``graph`` with what was worked out from it for machines until now."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.network, self.widths = network_of(graph)
        self.cuts = Cuts(graph)
        self.whole_bytes = all(tensor.format.bits % 8 == 0 for tensor in graph.tensors.values())
        self._kept: dict[int, Kept] = {}
        self._cut: dict[tuple[int, int], NDArray[Any]] = {}
        self._biases: dict[int | None, None] = {}

    @cached_property
    def twins(self) -> Index:
        """An earlier MAC layer of the same geometry and widths for each; NONE where there is none."""
        seen: dict[object, int] = {}
        twins = np.full(len(self.graph.layers), NONE, dtype=np.int64)
        for index, layer in enumerate(self.graph.layers):
            if isinstance(layer, MacLayer):
                key = layer.geometry, operand_bits(layer, self.graph)
                twins[index] = seen.get(key, NONE)
                seen[key] = index
        return twins

    def least_operations(self, arch: Arch) -> int:
        """Fewest tile operations of the MAC layer that has most, in any tiling."""
        return max((least_mac_operations(layer, self.graph, arch) for layer in self._largest), default=0)

    @cached_property
    def _largest(self) -> list[MacLayer]:
        """Of the MAC layers of each width that of most products."""
        found: dict[object, MacLayer] = {}
        for layer in self.graph.layers:
            if isinstance(layer, MacLayer):
                bits = operand_bits(layer, self.graph)
                found[bits] = max(layer, found.get(bits, layer), key=lambda x: x.macs)
        return list(found.values())

    def kept(self, arch: Arch) -> Kept:
        """What stays on chip."""
        capacity = slot_capacity(Memory.RESIDENT, arch)
        if capacity not in self._kept:
            self._kept[capacity] = kept_of(self.graph, arch)
        return self._kept[capacity]

    def tilings(self, arch: Arch) -> NDArray[Any]:
        """Records of TILING with the cut of every vector layer; MappingError where one fits nowhere."""
        key = slot_capacity(Memory.ACTIVATIONS, arch), slot_capacity(Memory.OUTPUTS, arch)
        if key not in self._cut:
            if len(self._cut) >= MOST_KNOWN:
                self._cut.clear()
            self._cut[key] = self._cuts(arch)
        return self._cut[key]

    def _cuts(self, arch: Arch) -> NDArray[Any]:
        rows = np.zeros(len(self.graph.layers), dtype=TILING)
        for index, layer in enumerate(self.graph.layers):
            mapping = None if isinstance(layer, MacLayer) else map_layer(layer, graph=self.graph, arch=arch)
            if isinstance(mapping, VectorMapping):
                rows[index]["cut"] = self.cuts.number(index, mapping.tile)
        return rows

    def check(self, arch: Arch) -> None:
        """Refuse, as a Program would, biases that the machine does not hold."""
        bits = arch.accumulator.bias_bits
        if bits not in self._biases:
            for layer in self.graph.layers:
                if isinstance(layer, MacLayer):
                    check_bias(layer, arch)
            self._biases[bits] = None


def counts_of(layers: int) -> tuple[NDArray[Any], Index]:
    """Records of COUNTS for so many layers, and the same memory as plain integers (layers, fields)."""
    figures = np.zeros((layers, len(COUNTS.names or ())), dtype=np.int64)
    return figures.view(COUNTS).reshape(layers), figures
