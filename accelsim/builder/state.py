"""What the layers of a Program under construction share: memories, finished stores, and the operation count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder.columns import Columns
from accelsim.builder.dram import Dram
from accelsim.builder.rings import Ring
from accelsim.builder.stores import StoreGrid
from accelsim.graph import Boxes, Graph
from accelsim.hardware import Memory, packed_bytes
from accelsim.program import Mapping, Residency

Index = NDArray[np.int64]
Made = TypeVar("Made")


class BuildState:
    """Where a Program is built, layer after layer and, within a layer, core after core: ``core`` is the one at work."""

    def __init__(
        self,
        graph: Graph,
        arch: Arch,
        mappings: Sequence[Mapping | None],
        resident: Sequence[str] = (),
        *,
        columns: Columns,
    ) -> None:
        self.graph, self.arch, self.mappings, self.columns = graph, arch, mappings, columns
        self.dram = Dram(graph, arch)
        self.residency = Residency(graph, arch, mappings, resident)
        self.count = self.core = 0
        on_chip = (Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.ACCUMULATORS, Memory.OUTPUTS)
        self._rings = [{memory: Ring(memory, arch) for memory in on_chip} for _ in range(arch.cores.count)]
        self._grids: dict[str, list[StoreGrid]] = {}
        self._last_stores: list[StoreGrid] = []
        self._before: list[StoreGrid] = []
        self._made: dict[object, object] = {}

    def once(self, key: object, make: Callable[[], Made]) -> Made:
        """What ``make`` gives for ``key``, made for the first layer that asks and shared with those like it; nobody may change it."""
        if key not in self._made:
            self._made[key] = make()
        return cast(Made, self._made[key])

    def end_block(self, count: int) -> None:
        """``count`` operations were added; where many are noted they are written, and what was kept for layers alike is dropped."""
        self.count += count
        if self.columns.is_full():
            self._made.clear()
            self.dram.forget()
            self.columns.write()

    def begin_layer(self) -> None:
        """The layers until now are those before the one that all cores turn to."""
        self._before = self._last_stores

    @property
    def rings(self) -> dict[Memory, Ring]:
        """The memories of the core at work."""
        return self._rings[self.core]

    def bits(self, tensor: str) -> int:
        """Width of a tensor's elements."""
        return self.graph.tensors[tensor].format.bits

    def packed_bytes(self, boxes: Boxes, bits: int) -> Index:
        """Bytes of the elements in each box, packed at ``bits``; the same array for layers that share their boxes."""
        return self.once(("bytes", boxes, bits), lambda: packed_bytes(boxes.volume, bits))

    def stored(self, tensor: str, grid: StoreGrid) -> None:
        """Remember the stores of the core at work that make ``tensor``."""
        self._last_stores = self._grids.setdefault(tensor, [])
        self._last_stores.append(grid)

    def alias(self, tensor: str, of: str) -> None:
        """``tensor`` is the same memory as ``of`` under another shape."""
        if of in self._grids:
            self._grids[tensor] = self._grids[of]

    def written(self, tensor: str, boxes: Boxes, view: tuple[int, ...]) -> list[Index]:
        """The stores that each box of ``tensor`` must wait for, per core; -1 where there is none.

        In a graph of shapes only, a layer's unknown input is taken to be whatever the layer before it made.
        """
        if tensor in self._grids:
            return [grid.last_writers(boxes, view) for grid in self._grids[tensor]]
        if not self.graph.shape_only:
            return []
        return [np.full(len(boxes), grid.operations[-1], dtype=np.int64) for grid in self._before]
