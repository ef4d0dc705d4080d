"""Cuts of vector layers as the streamed schedule reads them, each made once, and which outputs stay on chip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder import VectorTiles, vector_tiles
from accelsim.graph import Graph, VectorLayer
from accelsim.hardware import Memory, passes_of, slot_capacity
from accelsim.program import (
    LOOP_ORDERS,
    MacMapping,
    Mapping,
    VectorMapping,
    VectorShare,
    first_fit,
    lifetimes,
    overlap,
)
from accelsim.timing.stream.records import TILING, Kept, Tiles

Index = NDArray[np.int64]
MAC_RANK = 4
"""Axes of a MAC layer's views."""


class Cuts:
    """The tiles of every cut of a vector layer of ``graph`` that was asked for."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        views = (view for layer in graph.layers for view in (*layer.input_shapes, layer.output_shape))
        self._rank = max([MAC_RANK, *map(len, views)])
        self._number: dict[tuple[int, tuple[int, ...]], int] = {}
        self._cuts: list[VectorTiles] = []
        self._made: Tiles | None = None

    def number(self, index: int, tile: tuple[int, ...]) -> int:
        """The cut of layer ``index`` into such tiles."""
        key = index, tile
        if key not in self._number:
            self._number[key] = len(self._number)
            self._add(index, tile)
        return self._number[key]

    def _add(self, index: int, tile: tuple[int, ...]) -> None:
        layer = self._graph.layers[index]
        assert isinstance(layer, VectorLayer)
        shape = layer.output_shape
        share = VectorShare(core=0, begin=(0,) * len(shape), shape=shape)
        self._cuts.append(vector_tiles(layer, share, tile, self._rank))
        self._made = None

    def tiles(self) -> Tiles:
        """All of them."""
        if self._made is None:
            none, corners = np.zeros(0, np.int64), np.zeros((0, self._rank), np.int64)
            empty = VectorTiles(none, none, corners, corners, corners, corners, corners, corners)
            parts = [empty, *(cut._replace(shape=cut.shape[None], tile=cut.tile[None]) for cut in self._cuts)]
            joined = VectorTiles(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
            volumes, elements = ([getattr(cut, name) for cut in self._cuts] for name in ("volume", "elements"))
            self._made = Tiles(_starts(volumes), _starts(elements), joined)
        return self._made


def _starts(parts: list[Index]) -> Index:
    return np.cumsum([0, *map(len, parts)], dtype=np.int64)


def tilings_of(mappings: Sequence[Mapping | None], cuts: Cuts) -> NDArray[np.void]:
    """Records of TILING for ``mappings``."""
    rows = np.zeros(len(mappings), dtype=TILING)
    for index, (row, mapping) in enumerate(zip(rows, mappings, strict=True)):
        write_tiling(row, mapping, index, cuts)
    return rows


def write_tiling(row: np.void, mapping: Mapping | None, index: int, cuts: Cuts) -> None:
    """Make ``row``, a record of TILING, that of ``mapping`` of layer ``index``."""
    if isinstance(mapping, MacMapping):
        for name in ("n", "oh", "ow", "oc", "ic", "kh", "kw", "groups"):
            row[name] = getattr(mapping, name)
        row["order"] = LOOP_ORDERS.index(mapping.order)
    elif isinstance(mapping, VectorMapping):
        row["cut"] = cuts.number(index, mapping.tile)


def kept_of(graph: Graph, arch: Arch) -> Kept:
    """The outputs that stay on chip, all of whole bytes."""
    capacity, number = slot_capacity(Memory.RESIDENT, arch), {layer.output: i for i, layer in enumerate(graph.layers)}
    wanted = lifetimes(graph, passes_of(graph, arch)) if capacity else ()
    placed, size = first_fit(wanted, capacity), {lifetime.tensor: lifetime.size for lifetime in wanted}
    outputs, first, over = np.zeros(len(graph.layers), np.bool_), [0], list[int]()
    for layer in graph.layers:
        at = placed.get(layer.output)
        if at is not None:
            outputs[number[layer.output]] = True
            mine = at, at + size[layer.output]
            over += [number[o] for o, b in placed.items() if o != layer.output and overlap(mine, (b, b + size[o]))]
        first.append(len(over))
    return Kept(outputs, np.array(first, np.int64), np.array(over, np.int64))
