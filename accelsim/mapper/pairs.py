"""Which layers to compute in pairs, band by band, so that the tensor between them never goes to DRAM."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from accelsim.arch import Arch
from accelsim.errors import MappingError
from accelsim.graph import Graph, Layer, MacGeometry, MacLayer, VectorLayer, shared_memory
from accelsim.hardware import (
    Memory,
    ceil_div,
    depth,
    dma_of,
    held_weights,
    packed_bytes,
    passes_of,
    slot_capacity,
    slots,
    stored_bits,
    transfer_cycles,
    unit_cycles,
    vector_of,
    weight_blocks,
)
from accelsim.mapper.tiling import OnChip, Tiler, Tiling, Wanted
from accelsim.program import (
    Fused,
    MacShare,
    Mapping,
    band_share,
    first_fit,
    fuse,
    in_whole_bytes,
    lifetimes,
    obstacle,
    row_axis,
    tensor_bytes,
    windows,
)

CYCLE_SLACK = 0.02
"""Estimated cycles that a pair may take more than its layers apart, as a fraction."""


class Load(NamedTuple):
    """Estimated cycles of the array and of the vector unit, and bytes at the DRAM port."""

    array: float
    vector: float
    traffic: float

    def __add__(self, other: object) -> Load:
        assert isinstance(other, Load)
        return Load(self.array + other.array, self.vector + other.vector, self.traffic + other.traffic)

    def cycles(self, arch: Arch) -> float:
        """Of the busiest part."""
        return max(self.array, self.vector, float(transfer_cycles(dma_of(arch, "activations"), 0, self.traffic, 0)))


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A pair with its two mappings, the DRAM bytes that it saves, and the cycles."""

    pair: Fused
    mappings: tuple[Mapping, Mapping]
    saved: float
    cycles: float


def in_bands(mappings: Sequence[Mapping | None], tiler: Tiler) -> tuple[Mapping | None, ...]:
    """``mappings`` with the pairs that together save most DRAM traffic."""
    made = list(mappings)
    for candidate in best_pairs(mappings, tiler):
        made[candidate.pair.producer], made[candidate.pair.consumer] = candidate.mappings
    return tuple(made)


def best_pairs(mappings: Sequence[Mapping | None], tiler: Tiler) -> list[Candidate]:
    """Those that :func:`in_bands` chooses.

    A pair is considered where the tensor between its layers is not kept whole, the window fits beside the tensors that are,
    all of which still are, and by an estimate no more cycles are needed, give or take CYCLE_SLACK.
    """
    graph = tiler.graph
    placement = Placement(graph, tiler.arch)
    candidates = [_candidate(mappings, consumer, placement, tiler) for consumer in range(len(graph.layers))]
    chosen: list[Candidate] = []
    for candidate in _best_disjoint(candidates):
        if placement.allows([c.pair for c in (*chosen, candidate)]):
            chosen.append(candidate)
    return chosen


class Placement:
    """Where tensors stand that are kept whole, and the room beside them."""

    def __init__(self, graph: Graph, arch: Arch) -> None:
        self._graph, self._capacity = graph, slot_capacity(Memory.RESIDENT, arch)
        self._passes = passes_of(graph, arch)
        self._kept = set(first_fit(lifetimes(graph, self._passes), self._capacity))
        self.in_passes = {index for one in self._passes for index in (one.producer, one.consumer)}
        self._home = shared_memory(graph.layers)

    def keeps(self, tensor: str) -> bool:
        """Whether ``tensor`` is kept whole."""
        return self._home.get(tensor, tensor) in self._kept

    def allows(self, pairs: Sequence[Fused]) -> bool:
        """Whether the windows of all ``pairs`` find room beside every tensor that is kept whole without them."""
        taken = windows(self._graph, pairs, self._capacity)
        if any(offset < 0 for _, offset in taken):
            return False
        return self._kept <= set(first_fit(lifetimes(self._graph, (*pairs, *self._passes)), self._capacity, taken))


def _best_disjoint(candidates: Sequence[Candidate | None]) -> list[Candidate]:
    """Of the candidates, one per consumer, those that save most where no layer is in two pairs (dynamic programming)."""
    best: list[tuple[float, list[Candidate]]] = [(0.0, []), (0.0, [])]
    for candidate in candidates:
        with_it = best[-2][0] + (candidate.saved if candidate else 0.0)
        if candidate is not None and with_it > best[-1][0]:
            best.append((with_it, [*best[-2][1], candidate]))
        else:
            best.append(best[-1])
    return best[-1][1]


def _candidate(
    mappings: Sequence[Mapping | None], consumer: int, placement: Placement, tiler: Tiler
) -> Candidate | None:
    """Layer ``consumer`` fused with the one before it in the largest bands that fit; None where that gains nothing."""
    graph, arch = tiler.graph, tiler.arch
    if obstacle(graph, consumer) is not None or placement.keeps(graph.layers[consumer - 1].output):
        return None
    if {consumer - 1, consumer} & placement.in_passes:
        return None
    pair = _largest(graph, consumer, placement)
    if pair is None:
        return None
    estimate = _Estimate(tiler, placement, pair)
    apart = estimate.apart()
    best: Candidate | None = None
    for weights_stay in (True, False):
        tried = estimate.together((mappings[pair.producer], mappings[pair.consumer]), weights_stay=weights_stay)
        if tried is None:
            continue
        made, load = tried
        saved = sum(part.traffic for part in apart) - load.traffic
        before, now = sum(part.cycles(arch) for part in apart), load.cycles(arch)
        if now <= (1 + CYCLE_SLACK) * before and saved > (best.saved if best else 0):
            best = Candidate(pair=pair, mappings=made, saved=saved, cycles=before - now)
    return best


def _largest(graph: Graph, consumer: int, placement: Placement) -> Fused | None:
    """The pair in the fewest bands, of equal height but for the last, whose window finds room."""
    view = graph.layers[consumer].output_shape
    rows = view[row_axis(view)]
    for bands in range(2, rows + 1):
        band = ceil_div(rows, bands)
        if band == ceil_div(rows, bands - 1):
            continue
        pair = fuse(graph, consumer, band)
        if placement.allows([pair]):
            return pair
    return None


@dataclass(frozen=True)
class _Estimate:
    """What a pair of layers costs, apart and together."""

    tiler: Tiler
    placement: Placement
    pair: Fused

    @property
    def graph(self) -> Graph:
        """The network."""
        return self.tiler.graph

    @property
    def arch(self) -> Arch:
        """The machine."""
        return self.tiler.arch

    def apart(self) -> list[Load]:
        """Of each layer by itself."""
        return [self._whole(self.graph.layers[index]) for index in (self.pair.producer, self.pair.consumer)]

    def _whole(self, layer: Layer) -> Load:
        if not isinstance(layer, MacLayer):
            return self._vector(layer)
        tiling = self._tiled(layer, layer.geometry, weights_stay=False)
        return Load(tiling.array, 0, tiling.traffic)

    def together(
        self, mappings: tuple[Mapping | None, Mapping | None], *, weights_stay: bool
    ) -> tuple[tuple[Mapping, Mapping], Load] | None:
        """Mappings of both in step, and their load; None where nothing fits.

        Weights stay from band to band where each layer's are one tile that its slots hold beside the other layer's.
        """
        made, loads = [], []
        try:
            for index, mapping in zip((self.pair.producer, self.pair.consumer), mappings, strict=True):
                assert mapping is not None
                tiled, load = self._in_bands(index, mapping, weights_stay)
                made.append(tiled)
                loads.append(load)
        except MappingError:
            return None
        producer, consumer = made
        if not in_whole_bytes(self.graph, self.pair.tensor, producer):
            return None
        return (producer, replace(consumer, band=self.pair.computed[0])), loads[0] + loads[1]

    def _in_bands(self, index: int, mapping: Mapping, weights_stay: bool) -> tuple[Mapping, Load]:
        layer = self.graph.layers[index]
        if not isinstance(layer, MacLayer):
            return mapping, self._vector(layer, fused=True)
        alike: dict[int, list[tuple[int, int]]] = {}
        for band in self.pair.bands():
            rows = band[index - self.pair.producer]
            if rows[1] > rows[0]:
                alike.setdefault(rows[1] - rows[0], []).append(rows)
        tilings = {height: self._band(layer, bands[0], weights_stay) for height, bands in alike.items()}
        array = sum(len(bands) * tilings[height].array for height, bands in alike.items())
        traffic = sum(len(bands) * tilings[height].traffic for height, bands in alike.items())
        g, bits = layer.geometry, stored_bits(layer, self.arch)
        activation = self.graph.tensors[layer.inputs[0]].format.bits
        held = held_weights(*weight_blocks(self.arch, bits, activation), g.reduction, g.oc_per_group, g.groups)
        weights = self._weight_loads() * int(packed_bytes(held, bits)) if weights_stay else 0
        return tilings[max(tilings)].mapping, Load(array, 0, traffic + weights)

    def _band(self, layer: MacLayer, rows: tuple[int, int], weights_stay: bool) -> Tiling:
        share = band_share(layer, self.pair.axis, rows)
        assert isinstance(share, MacShare)
        return self._tiled(layer, share.geometry, weights_stay=weights_stay)

    def _weight_loads(self) -> int:
        """How often a layer's only tile of weights is loaded; MappingError where it does not stay."""
        macs = sum(isinstance(self.graph.layers[i], MacLayer) for i in (self.pair.producer, self.pair.consumer))
        available = slots(Memory.WEIGHTS, self.arch)
        if available % macs or depth(Memory.WEIGHTS, self.arch) < available:
            raise MappingError("the weights of a pair of layers do not stay in the weight buffer")
        return available // macs

    def _tiled(self, layer: MacLayer, geometry: MacGeometry, *, weights_stay: bool) -> Tiling:
        inside = geometry is not layer.geometry
        inputs, output = (
            self.placement.keeps(name) or (inside and name == self.pair.tensor)
            for name in (layer.inputs[0], layer.output)
        )
        return self.tiler.tilings([Wanted(layer, geometry, OnChip(inputs, output, weights_stay))])[0]

    def _vector(self, layer: Layer, *, fused: bool = False) -> Load:
        assert isinstance(layer, VectorLayer)
        work = math.prod(layer.output_shape) * layer.steps_per_output
        moved = [
            tensor_bytes(self.graph, name)
            for name in (*layer.inputs, layer.output)
            if not self.placement.keeps(name) and not (fused and name == self.pair.tensor)
        ]
        return Load(0, float(unit_cycles(vector_of(self.arch), work, 0)), sum(moved))
