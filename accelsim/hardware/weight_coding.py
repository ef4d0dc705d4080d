"""Zero run-length coding of weight tiles, as EIE stores them (Han et al., ISCA 2016, section 3): pairs (zeros before, weight).

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

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.graph import Boxes, MacLayer
from accelsim.hardware.laws import ceil_div, packed_bytes

Index = NDArray[np.int64]


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

    bits, run_bits = layer.weight_format.bits, arch.dma.zero_run_bits
    lo = np.zeros((1, 4), dtype=np.int64)
    hi = lo + np.array(layer.weights.shape, dtype=np.int64)
    size = coded_bytes(count_pairs(layer.weights, lo, hi, run_bits), Boxes(lo, hi).volume, bits=bits, run_bits=run_bits)
    return float(size[0]) / float(packed_bytes(layer.weights.size, bits))
