"""What changes, and what is zero, while one compute tile runs on the array: definitions in ``docs/activity.md``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.activity import _toggles
from accelsim.arch import DATAFLOWS

Integers = NDArray[Any]
Counts = NDArray[np.int64]
WIRES = (
    "activation_register",
    "activation_bus",
    "weight_register",
    "weight_bus",
    "stationary_register",
    "partial_sum",
    "accumulator",
)
"""Rows of the counts that :func:`tile_toggles` gives."""
_TURNED = [2, 3, 0, 1, 4, 5, 6]


@dataclass(frozen=True, kw_only=True)
class ToggleArray:
    """The array as its registers are wide; ``products`` narrow products per MAC are slots side by side in its registers."""

    dataflow: str
    rows: int
    cols: int
    products: int
    activation_bits: int
    weight_bits: int
    accumulator_bits: int

    @property
    def partial_sum_bits(self) -> int:
        """Width that no sum of a column leaves: both operands, log2 of the products in a column, one sign."""
        return self.activation_bits + self.weight_bits + (self.rows * self.products - 1).bit_length() + 1

    def bits(self, wire: str) -> int:
        """Width of one word on ``wire``."""
        operand = self.activation_bits if DATAFLOWS[self.dataflow].stationary == "inputs" else self.weight_bits
        widths = {
            "partial_sum": self.partial_sum_bits,
            "accumulator": self.accumulator_bits,
            "stationary_register": operand,
        }
        return widths.get(wire, self.activation_bits if wire.startswith("activation") else self.weight_bits)


class TileShape(NamedTuple):
    """Of ``groups`` products each: (pixels, reduction) @ (reduction, channels)."""

    groups: int
    pixels: int
    reduction: int
    channels: int


def tile_toggles(x: Integers, w: Integers, sums: Integers, *, array: ToggleArray, kept: bool = False) -> Counts:
    """Toggled bits and transitions by wire, int64 (len(WIRES), 2), of ``sums`` += ``x`` @ ``w``, group by group.

    ``x`` is (groups, pixels, reduction), ``w`` (groups, reduction, channels), ``sums`` (groups, pixels, channels), all of at least
    one element; ``kept``: weights of a single fold that stand in the array already. ``sums`` is not changed.
    """
    tile = TileShape(*sums.shape[:2], *w.shape[1:])
    counts, last = np.zeros((_toggles.WIRES, 2), dtype=np.int64), _fresh(tile, array)
    stationary = DATAFLOWS[array.dataflow].stationary
    turned = stationary == "inputs"
    systolic = _systolic(array, turned=turned)
    x, w = _slots(x, 2, array.products), _slots(w, 1, array.products)
    if not stationary:
        for one, other, start in zip(x, w, sums, strict=True):
            _toggles.output_stationary(counts, one, other, start.astype(np.int64), systolic, last)
        return counts
    if turned:
        x, w, sums = w.transpose(0, 2, 1), x.transpose(0, 2, 1), sums.transpose(0, 2, 1)
    single = kept and _folds(w.shape, array) == 1
    for one, other, total in _packs(x, w, sums, array):
        _toggles.stationary(counts, one, other, total, systolic, single, last)
    return counts[_TURNED] if turned else counts


def zero_products(x: Integers, w: Integers) -> int:
    """Products with a zero operand: per reduction element, zero activations x channels + zero weights x pixels - both."""
    zero_x, zero_w = (x == 0).sum(axis=1), (w == 0).sum(axis=2)
    return int((zero_x * w.shape[2] + zero_w * x.shape[1] - zero_x * zero_w).sum())


def significant_bits(x: Integers, w: Integers) -> tuple[int, int]:
    """Bits of the magnitude (0 for 0) of activations and of weights, summed over all products of the tile."""
    return int(_lengths(x).sum()) * w.shape[2], int(_lengths(w).sum()) * x.shape[1]


def stream_toggles(words: NDArray[np.uint64]) -> int:
    """Bits that change between consecutive words."""
    return int(np.bitwise_count(words[1:] ^ words[:-1]).sum()) if len(words) > 1 else 0


def _lengths(values: Integers) -> Counts:
    """``int.bit_length`` of each magnitude below 2^53 (the exponent that frexp gives is exact there)."""
    lengths: Counts = np.frexp(np.abs(values.astype(np.int64, copy=False)).astype(np.float64))[1]
    return lengths


def _slots(block: Integers, axis: int, products: int) -> Counts:
    """The reduction as whole MACs: unused slots of the last carry zeros."""
    missing = -block.shape[axis] % products
    widths = [(0, missing if i == axis else 0) for i in range(block.ndim)]
    return np.ascontiguousarray(np.pad(block, widths) if missing else block, dtype=np.int64)


def _systolic(array: ToggleArray, *, turned: bool) -> _toggles.Systolic:
    moving, fixed = array.activation_bits, array.weight_bits
    widths = (fixed, moving) if turned else (moving, fixed)
    masks = (-1 if b >= 64 else (1 << b) - 1 for b in (*widths, array.partial_sum_bits, array.accumulator_bits))
    return _toggles.Systolic(array.rows, array.cols, array.products, *masks)


def occupied(tile: TileShape, array: ToggleArray) -> tuple[int, int]:
    """Rows and columns of MACs that no fold of the tile goes beyond."""
    stationary = DATAFLOWS[array.dataflow].stationary
    if not stationary:
        return min(array.rows, tile.pixels), min(array.cols, tile.channels)
    macs, wide = -(-tile.reduction // array.products), tile.pixels if stationary == "inputs" else tile.channels
    together = min(tile.groups, _packing(macs, wide, array))
    return min(array.rows, together * macs), min(array.cols, together * wide)


def _fresh(tile: TileShape, array: ToggleArray) -> _toggles.Words:
    """Registers that no word has passed, of the MACs that the tile occupies."""
    rows, cols = occupied(tile, array)
    operand = rows * array.products, cols
    held = operand if DATAFLOWS[array.dataflow].stationary else (0, 0)
    shapes = (cols * array.products, rows), held, operand, (rows, cols)
    return _toggles.Words(*(_toggles.Registers(np.zeros(s, np.int64), np.zeros(s, np.bool_)) for s in shapes))


def _packing(macs: int, wide: int, array: ToggleArray) -> int:
    """Groups of ``macs`` rows and ``wide`` columns each that share a fold as a block diagonal, as in :mod:`accelsim.hardware.array`."""
    return max(1, min(array.rows // macs, array.cols // wide))


def _folds(shape: tuple[int, ...], array: ToggleArray) -> int:
    macs = shape[1] // array.products
    parts = (shape[0], _packing(macs, shape[2], array)), (macs, array.rows), (shape[2], array.cols)
    return int(np.prod([-(-size // unit) for size, unit in parts]))


def _packs(x: Counts, w: Counts, sums: Integers, array: ToggleArray) -> Iterator[tuple[Counts, Counts, Counts]]:
    """(x, w, sums) of groups side by side, weights as a block diagonal."""
    size = _packing(w.shape[1] // array.products, w.shape[2], array)
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        # Accumulators are counted up in place: in a copy, which the concatenation is.
        beside, total = (np.concatenate(list(blocks[part]), axis=1) for blocks in (x, sums))
        yield np.ascontiguousarray(beside), _diagonal(w[part]), np.ascontiguousarray(total, dtype=np.int64)


def _diagonal(blocks: Counts) -> Counts:
    """(n, a, b) as a block-diagonal (n a, n b)."""
    n, a, b = blocks.shape
    whole = np.zeros((n, a, n, b), dtype=np.int64)
    whole[np.arange(n), :, np.arange(n), :] = blocks
    return whole.reshape(n * a, n * b)
