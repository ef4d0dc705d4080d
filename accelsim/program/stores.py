"""Which store last wrote a part of a tensor: how a later layer waits for just the rows it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Boxes

Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class StoreGrid:
    """The stores of one tensor, a grid of tiles over its view.

    ``stops[axis]`` are the exclusive ends of the tiles along an axis, ``order`` the axes from outermost loop to innermost,
    ``operations`` the store operations in that loop order. Stores of one engine finish in order, so waiting for the last
    one that overlaps a box is waiting for them all.
    """

    view: tuple[int, ...]
    stops: Sequence[Index]
    order: Sequence[int]
    operations: Index

    def last_writers(self, boxes: Boxes, view: tuple[int, ...]) -> Index:
        """The last store that each box overlaps (of any box, where the reader sees the tensor under another view)."""
        if view != self.view:
            return np.full(len(boxes), self.operations[-1], dtype=np.int64)
        position = np.zeros(len(boxes), dtype=np.int64)
        for axis in self.order:
            tile = np.searchsorted(self.stops[axis], boxes.hi[:, axis], side="left")
            position = position * len(self.stops[axis]) + tile
        empty = boxes.volume == 0
        return np.where(empty, -1, self.operations[np.where(empty, 0, position)])
