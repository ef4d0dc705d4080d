"""Windows unrolled into a matrix (im2col, Chellapilla et al. 2006): what a tile of activations holds, and what is fetched for it.

The matrix of a tile has a row per pixel (image, row, column) and a column per product of its sums (kernel row, kernel column,
channel). Taps on padding and on inserted zeros take their place in it, as the code of zero (the zero point; -1 for bipolar codes,
which have none: the array, which knows those taps, leaves them out), but are fetched from nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Boxes, MacGeometry

Index = NDArray[np.int64]
IMPLICIT, BUFFER, DRAM = "implicit", "buffer", "dram"
MODES = (IMPLICIT, BUFFER, DRAM)
"""Values of ``activation_buffer.im2col``; the compiled mappers know them by their place."""
AT_ARRAY, AT_BUFFER, AT_DMA = range(len(MODES))
"""Where windows are unrolled, as compiled code compares it: places in MODES."""


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows under compute tiles: ``pixels`` boxes of the output view, ``taps`` of the weight view, ``inputs`` of the input view."""

    geometry: MacGeometry
    pixels: Boxes
    taps: Boxes
    inputs: Boxes

    @property
    def elements(self) -> Index:
        """Of each tile's matrix: pixels x reduction, the channels of all its groups side by side."""
        outputs, taps = self.pixels.hi - self.pixels.lo, self.taps.hi - self.taps.lo
        sizes: Index = outputs[:, 0] * outputs[:, 1] * outputs[:, 2] * taps[:, 1] * taps[:, 2] * self._channels
        return sizes

    @property
    def fetched(self) -> Index:
        """Those of them that stand in the image."""
        images = self.pixels.hi[:, 0] - self.pixels.lo[:, 0]
        rows, columns = (self._met(k, axis) for k, axis in ((1, "h"), (2, "w")))
        return images * rows * columns * self._channels

    @property
    def ranges(self) -> Index:
        """(tiles, 12): first and last + 1 of image, row, column, kernel row, kernel column, channel of the input."""
        parts = (self.pixels, 0), (self.pixels, 1), (self.pixels, 2), (self.taps, 1), (self.taps, 2), (self.inputs, 3)
        return np.stack([side for boxes, k in parts for side in (boxes.lo[:, k], boxes.hi[:, k])], axis=1)

    @property
    def _channels(self) -> Index:
        channels: Index = self.inputs.hi[:, 3] - self.inputs.lo[:, 3]
        return channels

    def _met(self, k: int, axis: str) -> Index:
        """Pairs of output and tap along axis ``k`` of each tile that meet the image."""
        outs, taps = ((boxes.lo[:, k], boxes.hi[:, k]) for boxes in (self.pixels, self.taps))
        return self.geometry.axis(axis).met(outs, taps)
