"""What the layers of a Program under construction share: memories, finished stores, and the operation count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.graph import Boxes, Graph
from accelsim.program.dram import Dram
from accelsim.program.kinds import Memory
from accelsim.program.mapping import Mapping
from accelsim.program.residency import Residency
from accelsim.program.rings import Ring
from accelsim.program.stores import StoreGrid

Index = NDArray[np.int64]


class Site:
    """Where a Program is built, layer after layer."""

    def __init__(self, graph: Graph, arch: Arch, mappings: Sequence[Mapping | None]) -> None:
        self.graph, self.arch = graph, arch
        self.dram = Dram(graph, arch)
        self.residency = Residency(graph, arch, mappings)
        self.count = 0
        on_chip = (Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.ACCUMULATORS, Memory.OUTPUTS)
        self.rings = {memory: Ring(memory, arch) for memory in on_chip}
        self._grids: dict[str, StoreGrid] = {}
        self._last_store = -1

    def bits(self, tensor: str) -> int:
        """Width of a tensor's elements."""
        return self.graph.tensors[tensor].format.bits

    def stored(self, tensor: str, grid: StoreGrid) -> None:
        """Remember the stores that made ``tensor``."""
        self._grids[tensor] = grid
        self._last_store = int(grid.operations[-1])

    def alias(self, tensor: str, of: str) -> None:
        """``tensor`` is the same memory as ``of`` under another shape."""
        if of in self._grids:
            self._grids[tensor] = self._grids[of]

    def written(self, tensor: str, boxes: Boxes, view: tuple[int, ...]) -> Index:
        """The store that each box of ``tensor`` must wait for; -1 where it is there from the start.

        In a graph of shapes only, a layer's unknown input is taken to be whatever the layer before it made.
        """
        if tensor in self._grids:
            return self._grids[tensor].last_writers(boxes, view)
        before = self._last_store if self.graph.shape_only else -1
        return np.full(len(boxes), before, dtype=np.int64)
