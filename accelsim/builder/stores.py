"""Which store last wrote a part of a tensor: how a later layer waits for just the rows it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Boxes

Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class StoreGrid:
    """The stores of one core for one tensor, a grid of tiles over its view, or over the part of it from ``begin`` on.

    ``stops[axis]`` are the exclusive ends of the tiles along an axis, ``order`` the axes from outermost loop to innermost,
    ``operations`` the store operations in that loop order. Stores of one engine finish in order, so waiting for the last
    one that overlaps a box is waiting for them all.
    """

    view: tuple[int, ...]
    stops: Sequence[Index]
    order: Sequence[int]
    operations: Index
    begin: tuple[int, ...]

    def last_writers(self, boxes: Boxes, view: tuple[int, ...]) -> Index:
        """The last store that each box overlaps (of any box, where the consumer sees the tensor under another view); -1: none."""
        if view != self.view:
            return np.full(len(boxes), self.operations[-1], dtype=np.int64)
        if not self._is_whole:
            boxes = self._inside(boxes)
        position = np.zeros(len(boxes), dtype=np.int64)
        for axis in self.order:
            if len(self.stops[axis]) > 1:
                tile = self.stops[axis].searchsorted(boxes.hi[:, axis], side="left")
                position = position * len(self.stops[axis]) + tile
        if boxes.volume.all():
            return self.operations[position]
        empty = boxes.volume == 0
        return np.where(empty, -1, self.operations[np.where(empty, 0, position)])

    @cached_property
    def _is_whole(self) -> bool:
        return not any(self.begin) and all(stops[-1] == size for stops, size in zip(self.stops, self.view, strict=True))

    def _inside(self, boxes: Boxes) -> Boxes:
        """The part of each box that these stores make, empty where there is none."""
        end = np.array([stops[-1] for stops in self.stops], dtype=np.int64)
        lo, hi = np.maximum(boxes.lo, np.array(self.begin, dtype=np.int64)), np.minimum(boxes.hi, end)
        return Boxes(lo, np.where((lo < hi).all(axis=1, keepdims=True), hi, lo))
