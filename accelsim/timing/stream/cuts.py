"""Cuts of vector layers as the streamed schedule reads them, each made once, and which outputs stay on chip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder import share_boxes
from accelsim.graph import Graph, VectorLayer
from accelsim.hardware import Memory, slot_capacity
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
        self._volume: list[Index] = []
        self._elements: list[Index] = []
        self._high: list[Index] = []
        self._shape: list[Index] = []
        self._tile: list[Index] = []
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
        boxes, _ = share_boxes(VectorShare(core=0, begin=(0,) * len(shape), shape=shape), tile)
        reads = layer.reads(boxes)
        self._volume.append(boxes.volume)
        self._elements.append(np.concatenate([read.volume for read in reads]))
        self._high.append(np.concatenate([_padded(read.hi, self._rank) for read in reads]))
        self._shape.append(_row(shape, self._rank))
        self._tile.append(_row(tile, self._rank))
        self._made = None

    def tiles(self) -> Tiles:
        """All of them."""
        if self._made is None:
            volume, elements = self._volume, self._elements
            high = np.concatenate([np.zeros((0, self._rank), np.int64), *self._high])
            shape, tile = (np.array(rows, np.int64).reshape(-1, self._rank) for rows in (self._shape, self._tile))
            self._made = Tiles(
                _starts(volume), _starts(elements), _joined(volume), _joined(elements), high, shape, tile
            )
        return self._made


def _padded(corners: Index, rank: int) -> Index:
    """Corners of boxes of so many axes; 1 beyond their own."""
    return np.pad(corners, ((0, 0), (0, rank - corners.shape[1])), constant_values=1)


def _row(sizes: Sequence[int], rank: int) -> Index:
    return np.array([*sizes, *[1] * (rank - len(sizes))], dtype=np.int64)


def _starts(parts: list[Index]) -> Index:
    return np.cumsum([0, *map(len, parts)], dtype=np.int64)


def _joined(parts: list[Index]) -> Index:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def tilings_of(mappings: Sequence[Mapping | None], cuts: Cuts) -> NDArray[np.void]:
    """Records of TILING for ``mappings``."""
    rows = np.zeros(len(mappings), dtype=TILING)
    for index, (row, mapping) in enumerate(zip(rows, mappings, strict=True)):
        if isinstance(mapping, MacMapping):
            for name in ("n", "oh", "ow", "oc", "ic", "kh", "kw", "groups"):
                row[name] = getattr(mapping, name)
            row["order"] = LOOP_ORDERS.index(mapping.order)
        elif isinstance(mapping, VectorMapping):
            row["cut"] = cuts.number(index, mapping.tile)
    return rows


def kept_of(graph: Graph, arch: Arch) -> Kept:
    """The outputs that stay on chip, all of whole bytes."""
    capacity, number = slot_capacity(Memory.RESIDENT, arch), {layer.output: i for i, layer in enumerate(graph.layers)}
    wanted = lifetimes(graph) if capacity else ()
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
