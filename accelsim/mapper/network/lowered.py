"""A Graph as the compiled loop over machines reads it, made once for all of them."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder import check_bias, least_mac_operations
from accelsim.energy import charged_kind
from accelsim.graph import PIXEL, Graph, MacLayer, VectorLayer
from accelsim.hardware import Memory, Pass, passes_of, slot_capacity
from accelsim.mapper.tiling import space_of
from accelsim.mapper.vector_tiling import FINER, WORK, best_work, vector_tilings
from accelsim.objective import Objective
from accelsim.timing import COUNTS, MOST_OPERATIONS, NONE, TILING, Cuts, Kept, Network, kept_of, network_of, supported

Index = NDArray[np.int64]
MOST_KNOWN = 1024
"""Pairs of capacities whose cuts of vector layers are remembered."""


class _Cuts(NamedTuple):
    """Of the vector ``layers`` (V,) what each of their tiles does (``works``, (V, K)) and their ``numbers`` among the cuts (V, K)."""

    layers: Index
    works: NDArray[np.void]
    numbers: Index


class Lowered:
    """``graph`` with what was worked out from it for machines until now."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        plain, self.widths = network_of(graph)
        self._networks: dict[tuple[Pass, ...], Network] = {(): plain}
        self._spaces: dict[tuple[tuple[int, int], ...], Any] = {}
        self.cuts = Cuts(graph)
        self.whole_bytes = all(tensor.format.bits % 8 == 0 for tensor in graph.tensors.values())
        self._kept: dict[tuple[int, tuple[Pass, ...]], Kept] = {}
        self._cut: dict[tuple[int, int], _Cuts] = {}
        self._biases: dict[int | None, None] = {}

    @cached_property
    def twins(self) -> Index:
        """An earlier MAC layer of the same geometry, widths and prices for each; NONE where there is none."""
        seen: dict[object, int] = {}
        twins = np.full(len(self.graph.layers), NONE, dtype=np.int64)
        for index, layer in enumerate(self.graph.layers):
            if isinstance(layer, MacLayer):
                key = layer.geometry, charged_kind(layer, self.graph)
                twins[index] = seen.get(key, NONE)
                seen[key] = index
        return twins

    def network(self, arch: Arch) -> Network:
        """The arrays of the graph, with the layers that ``arch`` computes on the fly."""
        passes = passes_of(self.graph, arch)
        if passes not in self._networks:
            self._networks[passes] = network_of(self.graph, passes)[0]
        return self._networks[passes]

    def space(self, arch: Arch) -> Any:
        """Sizes of tiles of every MAC layer, of whole windows of pools in their passes."""
        windows = {one.producer: one.window for one in passes_of(self.graph, arch)}
        pools = tuple(windows.get(index, PIXEL) for index in range(len(self.graph.layers)))
        if pools not in self._spaces:
            nests = [layer.geometry if isinstance(layer, MacLayer) else None for layer in self.graph.layers]
            self._spaces[pools] = space_of(nests, pools=pools)
        return self._spaces[pools]

    def least_operations(self, arch: Arch) -> int:
        """Fewest tile operations of the MAC layer that has most, in any tiling."""
        return max((least_mac_operations(layer, self.graph, arch) for layer in self._largest), default=0)

    @cached_property
    def _largest(self) -> list[MacLayer]:
        """Of the MAC layers of each width that of most products."""
        found: dict[object, MacLayer] = {}
        for layer in self.graph.layers:
            if isinstance(layer, MacLayer):
                bits = (
                    layer.code_format.bits,
                    *(self.graph.tensors[name].format.bits for name in (layer.inputs[0], layer.output)),
                )
                found[bits] = max(layer, found.get(bits, layer), key=lambda x: x.macs)
        return list(found.values())

    def streams(self, arch: Arch) -> bool:
        """Whether the streamed schedule knows all that ``arch`` does with the network."""
        kept = self.whole_bytes or not arch.activation_buffer.resident_bytes
        return kept and supported(arch) and self.least_operations(arch) <= MOST_OPERATIONS

    def kept(self, arch: Arch) -> Kept:
        """What stays on chip."""
        key = slot_capacity(Memory.RESIDENT, arch), passes_of(self.graph, arch)
        if key not in self._kept:
            self._kept[key] = kept_of(self.graph, arch)
        return self._kept[key]

    def tilings(self, arch: Arch, objective: Objective) -> NDArray[Any]:
        """Records of TILING with the cut of every vector layer; MappingError where one fits nowhere."""
        key = slot_capacity(Memory.ACTIVATIONS, arch), slot_capacity(Memory.OUTPUTS, arch)
        if key not in self._cut:
            if len(self._cut) >= MOST_KNOWN:
                self._cut.clear()
            self._cut[key] = self._cuts_of(arch)
        known = self._cut[key]
        rows = np.zeros(len(self.graph.layers), dtype=TILING)
        best = best_work(known.works, arch, objective)
        rows["cut"][known.layers] = known.numbers[np.arange(len(best)), best]
        return rows

    def _cuts_of(self, arch: Arch) -> _Cuts:
        layers = [(k, layer) for k, layer in enumerate(self.graph.layers) if isinstance(layer, VectorLayer)]
        works = np.zeros((len(layers), FINER + 1), dtype=WORK)
        numbers = np.zeros((len(layers), FINER + 1), dtype=np.int64)
        for row, (index, layer) in enumerate(layers):
            for k, tiling in enumerate(vector_tilings(layer, graph=self.graph, arch=arch)):
                works[row, k], numbers[row, k] = tiling.work, self.cuts.number(index, tiling.tile)
        return _Cuts(np.array([index for index, _ in layers], dtype=np.int64), works, numbers)

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
