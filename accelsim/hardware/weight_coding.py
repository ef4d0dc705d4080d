"""How constant weights stand in memory: the codes of their network, indices of a codebook, runs of zeros.

**Codebook** (Han et al., ICLR 2016, "Deep Compression", section 3): of a layer whose weights take no more than ``2^b`` values, fewer
than their width has, memory holds indices of ``b`` bits, in DRAM and in the weight buffer. The values stand in a table in front of the
array, which every weight on its way into the array is looked up in. Tables, as biases and multipliers, are taken to be in place.

**Zero run-length coding**, as EIE stores weights (Han et al., ISCA 2016, section 3): pairs (zeros before, weight).

A tile's weights are taken in the order in which the tile is stored (output channel, kernel row, kernel column, input channel).
The run field has ``z`` bits; a run of ``r`` zeros before a weight takes ``floor(r / 2^z)`` pairs (2^z - 1, 0) first, each of which
stands for 2^z zeros. Zeros behind the last weight take no pair: the reader knows the tile's size. One flag in front of each tile
says whether its weights follow as pairs or as they are, whichever is shorter; of weights of ``w`` bits

    bits = 1 + min(n w, pairs (z + w)),    pairs = sum over weights other than 0 of 1 + floor(zeros before / 2^z)

Tiles stand one after another, each from a burst on. They are unpacked on their way into the weight buffer, which holds them as they
are; the unpacker keeps pace with the DRAM.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.graph import Boxes, MacLayer
from accelsim.hardware.laws import ceil_div, packed_bytes
from accelsim.numerics import IntFormat

Index = NDArray[np.int64]
_LEVELS: WeakKeyDictionary[MacLayer, Index] = WeakKeyDictionary()
"""Values of layers that were asked for: finding them takes a walk through the weights."""


class Stored(NamedTuple):
    """How a layer's weights stand in memory: codes of ``format``, their zero points added, or the places of these among ``levels``."""

    format: IntFormat
    levels: Index | None
    zero_points: Index | None

    def encoded(self, weights: NDArray[Any], first: int) -> NDArray[Any]:
        """Of weights (channels, ...), the channels from number ``first`` on."""
        codes = weights if self.zero_points is None else weights + self._zeros(weights, first)
        return codes if self.levels is None else np.searchsorted(self.levels, codes)

    def decoded(self, codes: NDArray[Any], first: int) -> NDArray[Any]:
        """The inverse of :meth:`encoded`: what the array multiplies."""
        found = codes if self.levels is None else self.levels[codes]
        return found if self.zero_points is None else found.astype(np.int64) - self._zeros(codes, first)

    def _zeros(self, codes: NDArray[Any], first: int) -> Index:
        assert self.zero_points is not None
        zeros = self.zero_points
        return (zeros if len(zeros) == 1 else zeros[first : first + len(codes)]).reshape(-1, *(1,) * (codes.ndim - 1))


def stored(layer: MacLayer, arch: Arch) -> Stored:
    """How ``arch`` keeps the weights of ``layer``."""
    plain = Stored(layer.code_format, None, layer.weight_zero_points)
    if arch.weight_buffer.coding is None or layer.weights is None:
        return plain
    levels = levels_of(layer)
    bits = max(1, (len(levels) - 1).bit_length())
    return Stored(IntFormat(bits, signed=False), levels, plain.zero_points) if bits < plain.format.bits else plain


def stored_bits(layer: MacLayer, arch: Arch) -> int:
    """Width of a weight of ``layer`` in the memories of ``arch``."""
    return stored(layer, arch).format.bits


def levels_of(layer: MacLayer) -> Index:
    """The different codes of a layer's weights, ascending, zero points added."""
    assert layer.weights is not None
    if layer not in _LEVELS:
        codes = Stored(layer.code_format, None, layer.weight_zero_points).encoded(layer.weights, 0)
        low = int(codes.min(initial=0))
        _LEVELS[layer] = low + np.flatnonzero(np.bincount((codes.astype(np.int64) - low).reshape(-1)))
    return _LEVELS[layer]


class Packets(NamedTuple):
    """Where the coded tile of each load begins, in bytes behind the first one, and how many bytes it has."""

    start: Index
    size: Index


def packed_tiles(weights: NDArray[Any], boxes: Boxes, *, bits: int, run_bits: int, align: int) -> Packets:
    """The coded tiles under ``boxes`` of ``weights`` (4 axes), equal boxes being one tile; int64 arrays of shape (boxes,)."""
    from accelsim.hardware._weight_coding import count_pairs

    corners = np.concatenate([boxes.lo, boxes.hi], axis=1)
    tiles, which = np.unique(corners, axis=0, return_inverse=True)
    rank = boxes.lo.shape[1]
    lo, hi = np.ascontiguousarray(tiles[:, :rank]), np.ascontiguousarray(tiles[:, rank:])
    pairs = count_pairs(weights, lo, hi, run_bits)
    size = coded_bytes(pairs, Boxes(lo, hi).volume, bits=bits, run_bits=run_bits)
    room = ceil_div(size, align) * align
    start = np.cumsum(room) - room
    return Packets(start[which.reshape(-1)], size[which.reshape(-1)])


def coded_bytes(pairs: Index, elements: Index, *, bits: int, run_bits: int) -> Index:
    """Bytes of coded tiles: the flag, and the shorter of pairs and plain weights."""
    size: Index = ceil_div(1 + np.minimum(elements * bits, pairs * (run_bits + bits)), 8)
    return size


def coded_share(layer: MacLayer, arch: Arch) -> float:
    """Bytes of a layer's coded weights, as one tile, over those of the weights; 0 where they are not coded."""
    if arch.dma.weight_compression is None or layer.weights is None:
        return 0.0
    from accelsim.hardware._weight_coding import count_pairs

    bits, run_bits = stored_bits(layer, arch), arch.dma.zero_run_bits
    lo = np.zeros((1, 4), dtype=np.int64)
    hi = lo + np.array(layer.weights.shape, dtype=np.int64)
    size = coded_bytes(count_pairs(layer.weights, lo, hi, run_bits), Boxes(lo, hi).volume, bits=bits, run_bits=run_bits)
    return float(size[0]) / float(packed_bytes(layer.weights.size, bits))
