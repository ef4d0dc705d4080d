"""Which tensors stay on chip between layers, and where: windows of fused pairs at the top, the others by first fit, in layer order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.errors import MappingError
from accelsim.graph import Graph, Layer, MacLayer, Reshape, shared_memory
from accelsim.hardware import Memory, Pass, packed_bytes, passes_of, slot_capacity
from accelsim.program.fusion import Fused, fused_layers, window_bytes
from accelsim.program.mapping import MacMapping, Mapping, VectorMapping

Index = NDArray[np.int64]
STEP = 16
"""Capacities closer to each other than this part of them are not told apart."""


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """A computed tensor of ``size`` bytes, from layer ``first``, which makes it, to layer ``last``, its last consumer.

    A fused pair of layers, or a pass, is at work from the first's beginning to the second's end.
    """

    tensor: str
    first: int
    last: int
    size: int


def lifetimes(graph: Graph, fused: Sequence[Fused | Pass] = ()) -> tuple[Lifetime, ...]:
    """The computed tensors that only layers of the network read, in layer order; the host needs outputs in DRAM, the
    next inference what variables hold.

    Those inside ``fused`` pairs or passes are left out: :func:`windows` has them, or they stand nowhere. So are tensors of codes
    narrower than a byte whose rows, however they are cut into tiles, end inside a byte (:func:`in_whole_bytes`).
    """
    home, unfit = shared_memory(graph.layers), _inside_bytes(graph)
    begin = {pair.consumer: pair.producer for pair in fused}
    end = {index: pair.consumer for pair in fused for index in range(pair.producer, pair.consumer)}
    inside = {name for pair in fused for name in pair.tensors}
    outputs = {home.get(name, name) for name in graph.results}
    last = {
        home.get(name, name): index
        for index, layer in enumerate(graph.layers)
        if not isinstance(layer, Reshape)
        for name in layer.inputs
    }
    return tuple(
        Lifetime(
            tensor=layer.output,
            first=begin.get(index, index),
            last=end.get(last[layer.output], last[layer.output]),
            size=tensor_bytes(graph, layer.output),
        )
        for index, layer in enumerate(graph.layers)
        if layer.output in last and home[layer.output] == layer.output and layer.output not in outputs | inside | unfit
    )


def _inside_bytes(graph: Graph) -> set[str]:
    """Tensors with a row that ends inside a byte, as their layer makes them or as one of their consumers sees them."""
    home = shared_memory(graph.layers)
    seen = [(layer.output, layer.output_shape) for layer in graph.layers]
    seen += [pair for layer in graph.layers for pair in zip(layer.inputs, layer.input_shapes, strict=True)]
    return {home.get(name, name) for name, view in seen if graph.tensors[name].format.bits * _row(view) % 8}


def windows(graph: Graph, fused: Sequence[Fused], capacity: int) -> tuple[tuple[Lifetime, int], ...]:
    """The windows of ``fused`` pairs, each at the top of the ``capacity`` bytes; no two pairs are at work at once."""
    made = (
        Lifetime(tensor=pair.tensor, first=pair.producer, last=pair.consumer, size=window_bytes(graph, pair))
        for pair in fused
    )
    return tuple((lifetime, capacity - lifetime.size) for lifetime in made)


def likely_kept(graph: Graph, arch: Arch) -> frozenset[str]:
    """The tensors that stay on chip unless a mapping cuts narrow codes inside a byte: what a mapper can know beforehand.

    Under every name that they go by: a reshaped tensor has the memory of the one that it was made from.
    """
    capacity = slot_capacity(Memory.RESIDENT, arch)
    if not capacity:
        return frozenset()
    placed, home = first_fit(lifetimes(graph, passes_of(graph, arch)), capacity), shared_memory(graph.layers)
    return frozenset(name for name, of in home.items() if of in placed)


def tensor_bytes(graph: Graph, tensor: str) -> int:
    """Bytes of a tensor packed at its width."""
    return int(packed_bytes(graph.tensors[tensor].elements, graph.tensors[tensor].format.bits))


def first_fit(wanted: Sequence[Lifetime], capacity: int, taken: Sequence[tuple[Lifetime, int]] = ()) -> dict[str, int]:
    """The lowest offset for each tensor in turn beside what is ``taken``; one that fits nowhere during its lifetime is left out."""
    return _fitted(wanted, capacity, taken)[0]


def first_fits(wanted: Sequence[Lifetime], most: int) -> Iterator[tuple[int, frozenset[str]]]:
    """Capacities up to ``most`` bytes, ascending, and the tensors that :func:`first_fit` keeps there.

    The least capacity for each set of tensors, but none within STEP of the one before, up to the least that keeps all; each says the
    same whatever ``most`` is.
    """
    everything = _needed(_fitted(wanted, sys.maxsize)[0], wanted)
    capacity = min((lifetime.size for lifetime in wanted), default=sys.maxsize)
    while capacity <= most:
        placed, next_one = _fitted(wanted, capacity)
        yield capacity, frozenset(placed)
        capacity = max(next_one, min(capacity + capacity // STEP, everything))
        if len(placed) == len(wanted):
            return


def _needed(placed: dict[str, int], wanted: Sequence[Lifetime]) -> int:
    return max((placed[lifetime.tensor] + lifetime.size for lifetime in wanted), default=0)


def _fitted(
    wanted: Sequence[Lifetime], capacity: int, taken: Sequence[tuple[Lifetime, int]] = ()
) -> tuple[dict[str, int], int]:
    """:func:`first_fit`, and the least capacity at which one tensor more would have found room."""
    placed, next_one = list(taken), sys.maxsize
    for lifetime in wanted:
        offset = 0
        for start, stop in _occupied(lifetime, placed):
            if offset + lifetime.size <= start:
                break
            offset = max(offset, stop)
        if offset + lifetime.size <= capacity:
            placed.append((lifetime, offset))
        else:
            next_one = min(next_one, offset + lifetime.size)
    return {lifetime.tensor: offset for lifetime, offset in placed[len(taken) :]}, next_one


def _occupied(lifetime: Lifetime, placed: Sequence[tuple[Lifetime, int]]) -> list[tuple[int, int]]:
    """Ranges, by offset, of the tensors that live at some time during ``lifetime``; a layer's input and output both do."""
    meets = [(other, at) for other, at in placed if other.first <= lifetime.last and lifetime.first <= other.last]
    return sorted((at, at + other.size) for other, at in meets)


def in_whole_bytes(graph: Graph, tensor: str, mapping: Mapping | None, passes: Sequence[Pass] = ()) -> bool:
    """Whether every tile row of the layer that makes ``tensor``, and every row that a consumer sees, fills whole bytes.

    Codes narrower than a byte are packed along the innermost axis; two tiles must never share a byte of a tensor's place. What the
    second layer of a pass makes comes in the tiles of the first.
    """
    bits = graph.tensors[tensor].format.bits
    if bits % 8 == 0:
        return True
    index = graph.producer[tensor]
    layer = graph.layers[{one.consumer: one.producer for one in passes}.get(index, index)]
    return all(bits * length % 8 == 0 for length in _row_tiles(layer, mapping)) and tensor not in _inside_bytes(graph)


def _row(view: tuple[int, ...]) -> int:
    """Elements of an innermost row."""
    return view[-1] if view else 1


def _row_tiles(layer: Layer, mapping: Mapping | None) -> tuple[int, ...]:
    """Lengths of which every tile boundary along the innermost axis is a multiple, or the end of the row."""
    row = _row(layer.output_shape)
    if isinstance(layer, MacLayer) and isinstance(mapping, MacMapping):
        group = layer.geometry.oc_per_group
        cut = mapping.groups == 1 and mapping.oc < group
        return (mapping.oc, group) if cut else (min(row, mapping.groups * group),)
    return (min(row, mapping.tile[-1]),) if isinstance(mapping, VectorMapping) and mapping.tile else (row,)


class Residency:
    """Where the kept tensors of a Program under construction stand."""

    def __init__(
        self, graph: Graph, arch: Arch, mappings: Sequence[Mapping | None], resident: Sequence[str] = ()
    ) -> None:
        self._graph, self._home = graph, shared_memory(graph.layers)
        self.fused, passes = fused_layers(graph, mappings), passes_of(graph, arch)
        capacity = slot_capacity(Memory.RESIDENT, arch)
        for pair in self.fused:
            _check_window(graph, pair, mappings[pair.producer], capacity)
        taken = windows(graph, self.fused, capacity)
        wanted = [
            lifetime
            for lifetime in lifetimes(graph, (*self.fused, *passes))
            if in_whole_bytes(graph, lifetime.tensor, mappings[lifetime.first], passes)
        ]
        self._windows = {pair.tensor: pair for pair in self.fused}
        self._offsets = first_fit(wanted if capacity else [], capacity, taken) | {
            lifetime.tensor: at for lifetime, at in taken
        }
        for name in resident:
            self._offsets[name] = max((self._range(other)[1] for other in self._offsets), default=0)
        self._numbers = {name: number for number, name in enumerate(self._offsets)}

    def offset(self, tensor: str) -> int | None:
        """Where the place of ``tensor`` begins; None for one that goes through DRAM."""
        return self._offsets.get(self._home.get(tensor, tensor))

    def number(self, tensor: str) -> int:
        """Which of the kept tensors ``tensor`` is, from 0 on; -1 for one that goes through DRAM."""
        return self._numbers.get(self._home.get(tensor, tensor), -1)

    def window(self, tensor: str) -> Fused | None:
        """The pair that leaves only some rows of ``tensor`` on chip at a time; None where all of it stays."""
        return self._windows.get(tensor)

    def neighbours(self, tensor: str) -> list[int]:
        """The numbers of other tensors with a byte in common."""
        mine = self._range(tensor)
        return [i for other, i in self._numbers.items() if other != tensor and overlap(mine, self._range(other))]

    def _range(self, tensor: str) -> tuple[int, int]:
        start, pair = self._offsets[tensor], self._windows.get(tensor)
        return start, start + (tensor_bytes(self._graph, tensor) if pair is None else window_bytes(self._graph, pair))


def _check_window(graph: Graph, pair: Fused, mapping: Mapping | None, capacity: int) -> None:
    """MappingError where the window of a fused pair has no room."""
    layer, size = graph.layers[pair.consumer], window_bytes(graph, pair)
    if size > capacity:
        raise MappingError(
            f"layer {layer.name!r}: band of {pair.computed[0]}: {pair.window} rows of {pair.tensor!r} take {size} bytes, "
            f"activation_buffer.resident_bytes are {capacity}; enlarge them, compute fewer rows at a time, or leave band out",
            layer=layer.name,
        )
    if not in_whole_bytes(graph, pair.tensor, mapping):
        raise MappingError(
            f"layer {layer.name!r}: band of {pair.computed[0]}: tile rows of {pair.tensor!r} end inside a byte; "
            f"cut the channels of layer {graph.layers[pair.producer].name!r} elsewhere, or leave band out",
            layer=layer.name,
        )


def overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two half-open ranges share something."""
    return max(a[0], b[0]) < min(a[1], b[1])
