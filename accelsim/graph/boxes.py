"""Half-open boxes of tensor elements, many at a time: what a tile reads or writes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Corners = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Boxes:
    """``count`` boxes of one tensor: ``lo`` and ``hi``, both int64, or int32, of shape (count, rank), ``lo <= hi``, ``hi`` exclusive.

    Nobody may change them: layers that are alike share theirs, and what was worked out from them.
    """

    lo: Corners
    hi: Corners

    @cached_property
    def volume(self) -> Index:
        """Elements in each box, int64 of shape (count,)."""
        volume: Index = np.multiply.reduce(self.hi - self.lo, axis=1, dtype=np.int64)
        return volume

    def some(self, which: Index) -> Boxes:
        """Those numbered ``which``, ascending; these very boxes where it names them all."""
        return self if len(which) == len(self) else Boxes(self.lo[which], self.hi[which])

    def widened(self) -> Boxes:
        """The same boxes, int64."""
        return Boxes(self.lo.astype(np.int64), self.hi.astype(np.int64))

    def clipped(self, shape: tuple[int, ...]) -> Boxes:
        """The part of each box inside ``shape``; a box outside becomes empty."""
        bounds = np.asarray(shape, dtype=np.int64)
        lo = np.clip(self.lo, 0, bounds)
        return Boxes(lo, np.maximum(np.clip(self.hi, 0, bounds), lo))

    def moved(self, by: tuple[int, ...]) -> Boxes:
        """The same boxes ``by`` elements further along each axis."""
        step = np.asarray(by, dtype=self.lo.dtype)
        return Boxes(self.lo + step, self.hi + step)

    def __len__(self) -> int:
        return len(self.lo)
