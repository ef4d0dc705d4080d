"""How constant weights stand in memory: the codes of their network, indices of a codebook, runs of zeros, a Golomb-Rice code.

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

**Golomb-Rice coding** (Rice & Plaunt 1971; lengths limited as in JPEG-LS, ITU-T T.87, A.5.3): ``docs/weight_formats.md`` has the layout. A
weight ``w`` becomes a symbol, ``2w`` or ``-2w - 1``; of a layer of at most 32 values ``w`` is the rank of the value, counted from that
of 0 or of the least above it. Blocks of 256 weights have a Rice parameter ``k`` each, and one of the runs of zeros between the others
where that is shorter:

    bits(s) = floor(s / 2^k) + 1 + k,  or  15 + width  from a quotient of 15 on

A tile takes what is shorter, the code or the weights as they are; its length, which the transfer states, tells which. Tiles stand coded
in DRAM, one after another, each from a burst on, and in the weight buffer, where a slot has room for the weights as they are; they
are decoded in front of the array. The buffer's reads and writes are those of the weights as they are, times the coded share of the layer.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.graph import Boxes, MacLayer
from accelsim.hardware.kinds import LONGEST
from accelsim.hardware.laws import ceil_div, packed_bytes
from accelsim.numerics import IntFormat

Index = NDArray[np.int64]
GOLOMB_RICE, FEW_LEVELS = "golomb_rice", 32
"""The value of ``weight_buffer.coding``, and the values of a layer whose ranks are coded."""
_LEVELS: WeakKeyDictionary[MacLayer, Index] = WeakKeyDictionary()
_SYMBOLS: WeakKeyDictionary[MacLayer, Symbols] = WeakKeyDictionary()
_SHARES: WeakKeyDictionary[MacLayer, float] = WeakKeyDictionary()
"""Of layers that were asked for: finding them takes a walk through the weights."""


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
    if arch.weight_buffer.coding != "codebook" or layer.weights is None:
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


class Symbols(NamedTuple):
    """The weights of a layer as numbers from 0 on, small ones the more frequent: int64 of their shape, of ``width`` bits at most."""

    symbols: Index
    width: int


def symbols_of(layer: MacLayer) -> Symbols:
    """What stands in the Golomb-Rice code of a layer's weights."""
    assert layer.weights is not None
    if layer not in _SYMBOLS:
        signed = _ranks(layer)
        symbols = np.where(signed < 0, -2 * signed - 1, 2 * signed)
        _SYMBOLS[layer] = Symbols(symbols, max(1, int(symbols.max(initial=0)).bit_length()))
    return _SYMBOLS[layer]


def _ranks(layer: MacLayer) -> Index:
    """The weights, or of few values their ranks."""
    assert layer.weights is not None
    weights = layer.weights.astype(np.int64)
    if not _has_few_levels(layer):
        return weights
    levels = levels_of(layer)
    ranks: Index = np.searchsorted(levels, weights) - np.searchsorted(levels, 0)
    return ranks


def _has_few_levels(layer: MacLayer) -> bool:
    return len(levels_of(layer)) <= FEW_LEVELS and not layer.has_weight_zero_points


class Packets(NamedTuple):
    """Where the coded tile of each load begins, in bytes behind the first one, and how many bytes it has."""

    start: Index
    size: Index


def packs(arch: Arch) -> bool:
    """Whether tiles of constant weights stand in DRAM one by one, coded or behind parameters, each with a length of its own."""
    coded = arch.dma.weight_compression is not None or arch.weight_buffer.coding == GOLOMB_RICE
    return coded or arch.requantizer.parameter_bytes > 0


def is_packed(layer: MacLayer, arch: Arch) -> bool:
    """Whether tiles of the weights of ``layer`` do."""
    parameters = arch.requantizer.parameter_bytes > 0 and len(layer.inputs) == 1
    return parameters or is_coded(layer, arch)


def is_coded(layer: MacLayer, arch: Arch) -> bool:
    """Whether tiles of the weights of ``layer`` are coded; in Golomb-Rice code, where that makes the layer shorter."""
    if layer.weights is None or arch.dma.weight_compression is not None:
        return layer.weights is not None
    return arch.weight_buffer.coding == GOLOMB_RICE and _rice_share(layer) < 1


def is_decoded(layer: MacLayer, arch: Arch) -> bool:
    """Whether weights are decoded in front of the array, by ``weight_buffer.decoders``."""
    if arch.weight_buffer.coding == GOLOMB_RICE:
        return is_coded(layer, arch)
    return stored_bits(layer, arch) < layer.code_format.bits


def packed_tiles(layer: MacLayer, boxes: Boxes, arch: Arch, *, held: Index) -> Packets:
    """The tiles under ``boxes`` of the layer's weights (4 axes), equal boxes being one tile; int64 arrays of shape (boxes,).

    ``held``: bytes of each that are not coded. In front of those that begin a sum stand ``requantizer.parameter_bytes`` of each output channel.
    """
    corners = np.concatenate([boxes.lo, boxes.hi], axis=1)
    tiles, at, which = np.unique(corners, axis=0, return_index=True, return_inverse=True)
    rank = boxes.lo.shape[1]
    lo, hi = np.ascontiguousarray(tiles[:, :rank]), np.ascontiguousarray(tiles[:, rank:])
    size = coded_bytes(layer, Boxes(lo, hi), arch) if is_coded(layer, arch) else held[at]
    align = arch.dram.bytes_per_burst
    size = size + np.where((lo[:, 1:] == 0).all(axis=1), hi[:, 0] - lo[:, 0], 0) * arch.requantizer.parameter_bytes
    room = ceil_div(size, align) * align
    start = np.cumsum(room) - room
    return Packets(start[which.reshape(-1)], size[which.reshape(-1)])


def coded_bytes(layer: MacLayer, boxes: Boxes, arch: Arch) -> Index:
    """Bytes of the coded tiles under ``boxes``: the shorter of code and weights as they are, behind a flag where runs of zeros are coded."""
    from accelsim.hardware._weight_coding import count_pairs, count_rice

    assert layer.weights is not None
    shape, bits, elements = layer.geometry.weight_shape, stored_bits(layer, arch), boxes.volume
    if arch.dma.weight_compression is None:
        symbols, width = symbols_of(layer)
        lengths = np.minimum(count_rice(symbols.reshape(shape), boxes.lo, boxes.hi, width), elements * bits)
    else:
        run_bits = arch.dma.zero_run_bits
        pairs = count_pairs(layer.weights.reshape(shape), boxes.lo, boxes.hi, run_bits)
        lengths = 1 + np.minimum(elements * bits, pairs * (run_bits + bits))
    size: Index = ceil_div(lengths, 8)
    return size


def coded_share(layer: MacLayer, arch: Arch) -> float:
    """Bytes of a layer's coded weights, as one tile, over those of the weights; 0 where they are not coded."""
    if not is_coded(layer, arch):
        return 0.0
    return _rice_share(layer) if arch.dma.weight_compression is None else _share(layer, arch)


def held_share(layer: MacLayer, arch: Arch) -> float:
    """Bits of a layer's weights that pass the weight buffer over those of the weights as they are stored there: 1 but in Golomb-Rice code."""
    coded = arch.weight_buffer.coding == GOLOMB_RICE and is_coded(layer, arch)
    return _rice_share(layer) if coded else 1.0


def _whole(layer: MacLayer) -> Boxes:
    lo = np.zeros((1, 4), dtype=np.int64)
    return Boxes(lo, lo + np.array(layer.geometry.weight_shape, dtype=np.int64))


def _share(layer: MacLayer, arch: Arch) -> float:
    assert layer.weights is not None
    return float(coded_bytes(layer, _whole(layer), arch)[0]) / float(
        packed_bytes(layer.weights.size, stored_bits(layer, arch))
    )


def _rice_share(layer: MacLayer) -> float:
    from accelsim.hardware._weight_coding import count_rice

    if layer not in _SHARES:
        (symbols, width), box = symbols_of(layer), _whole(layer)
        (bits,) = count_rice(symbols.reshape(layer.geometry.weight_shape), box.lo, box.hi, width)
        plain = int(packed_bytes(symbols.size, layer.code_format.bits))
        _SHARES[layer] = min(1.0, float(ceil_div(bits, 8)) / plain)
    return _SHARES[layer]


def least_code_bits(layer: MacLayer, channels: slice, arch: Arch) -> int:
    """Bits that stand in DRAM for some output ``channels`` of coded weights at least, however they are cut into tiles.

    Of runs of zeros, the weights between them; in Golomb-Rice code, what each symbol takes by the parameter that serves it best.
    """
    assert layer.weights is not None
    if arch.dma.weight_compression is not None:
        return int(np.count_nonzero(layer.weights[channels])) * stored_bits(layer, arch)
    symbols, width = symbols_of(layer)
    found, counts = np.unique(symbols[channels], return_counts=True)
    least = np.minimum(_least_length(found, width), 1 + _least_length(np.maximum(found - 1, 0), width))
    least = np.minimum(least, min(width, layer.code_format.bits))
    return int((np.where(found == 0, 0, least) * counts).sum())


def longest_code(layer: MacLayer) -> int:
    """Bits of the longest code that a symbol of ``layer`` may have."""
    return LONGEST + symbols_of(layer).width


def _least_length(symbols: Index, width: int) -> Index:
    lengths = [(symbols >> k) + 1 + k for k in range(width)]
    found: Index = np.minimum(np.min(lengths, axis=0), LONGEST + width)
    return found


def rice_code(symbols: Index, width: int) -> NDArray[np.uint8]:
    """The Golomb-Rice code of ``symbols`` (n,) of at most ``width`` bits: whole bytes, the first bit the least of the first."""
    from accelsim.hardware._weight_coding import count_rice, write_rice

    line = np.ascontiguousarray(symbols, dtype=np.int64)
    lo = np.zeros((1, 4), dtype=np.int64)
    (length,) = count_rice(line.reshape(1, 1, 1, -1), lo, lo + np.array([1, 1, 1, line.size]), width)
    return np.packbits(write_rice(line, width, int(length)), bitorder="little")


def rice_symbols(code: NDArray[np.uint8], count: int, width: int) -> Index:
    """The inverse of :func:`rice_code`: ``count`` symbols, int64."""
    from accelsim.hardware._weight_coding import read_rice

    found: Index = read_rice(np.unpackbits(code, bitorder="little"), count, width)
    return found


def passed_through_code(layer: MacLayer, box: tuple[slice, ...], weights: NDArray[Any]) -> NDArray[Any]:
    """``weights`` of the tile under ``box`` as they come back out of their Golomb-Rice code."""
    symbols, width = symbols_of(layer)
    mine = symbols.reshape(layer.geometry.weight_shape)[box]
    back = rice_symbols(rice_code(mine.reshape(-1), width), mine.size, width)
    signed = np.where(back & 1, -(back + 1 >> 1), back >> 1)
    if _has_few_levels(layer):
        levels = levels_of(layer)
        signed = levels[signed + np.searchsorted(levels, 0)]
    return signed.reshape(weights.shape).astype(weights.dtype)
