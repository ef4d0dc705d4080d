"""Numba loops behind :mod:`accelsim.activity.toggles`: bits that change on the registers of one compute tile.

Matrices are int64, widths are applied as masks, so that words are two's complement. ``counts`` (WIRES, 2) collects toggled
bits and transitions (pairs of consecutive words). A register that no word has passed yet counts nothing for its first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.numba_cache import njit

MOVING, MOVING_BUS, FIXED, FIXED_BUS, HELD, PARTIAL, TOTAL = range(7)
"""Registers that the moving operand passes, its lanes at the array's edge; the same two of the operand that is shifted in (in an
output-stationary array: of the weights, which move too); stationary registers; sums between MACs; accumulators."""
WIRES = 7
TOGGLED, TRANSITIONS = range(2)
"""Columns of the counts."""


class Systolic(NamedTuple):
    """The array, and the masks that cut its words to their widths (-1 for 64 bits)."""

    rows: int
    cols: int
    products: int
    moving: int
    fixed: int
    partial: int
    total: int


class Registers(NamedTuple):
    """Last words of one kind of register, int64, and whether any has passed, bool."""

    words: Any
    passed: Any


class Words(NamedTuple):
    """Registers of the ``rows`` x ``cols`` MACs that a tile occupies: ``fixed`` (cols * products, rows), ``held`` and ``moving`` (rows *
    products, cols), ``sums`` (rows, cols).

    ``sums`` are partial sums between MACs, in an output-stationary array the accumulators in them; there nothing is held.
    """

    fixed: Registers
    held: Registers
    moving: Registers
    sums: Registers


@njit
def ones(word: int) -> Any:
    """Set bits of a 64-bit word (Warren, Hacker's Delight, section 5-1)."""
    v = np.uint64(word)
    v = v - ((v >> np.uint64(1)) & np.uint64(0x5555555555555555))
    v = (v & np.uint64(0x3333333333333333)) + ((v >> np.uint64(2)) & np.uint64(0x3333333333333333))
    v = (v + (v >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((v * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit
def _sequence(counts: Any, register: int, bus: int, words: Any, mask: int, hops: int, lanes: Any) -> None:
    """``words`` (time, lanes) pass ``hops`` registers each; ``lanes`` are those of (lane, hop)."""
    for lane in range(words.shape[1]):
        # Every register on the way sees the same words: their changes are counted once, times the hops. What each holds from the
        # sequence before is its own.
        inside = 0
        for t in range(1, words.shape[0]):
            inside += ones((words[t, lane] ^ words[t - 1, lane]) & mask)
        counts[register, TOGGLED] += inside * hops
        counts[register, TRANSITIONS] += (words.shape[0] - 1) * hops
        counts[bus, TOGGLED] += inside
        counts[bus, TRANSITIONS] += words.shape[0] - 1
        for hop in range(hops):
            if lanes.passed[lane, hop]:
                change = ones((words[0, lane] ^ lanes.words[lane, hop]) & mask)
                counts[register, TOGGLED] += change
                counts[register, TRANSITIONS] += 1
                if hop == 0:
                    counts[bus, TOGGLED] += change
                    counts[bus, TRANSITIONS] += 1
            lanes.words[lane, hop] = words[-1, lane]
            lanes.passed[lane, hop] = True


@njit
def _held(counts: Any, words: Any, mask: int, held: Any) -> None:
    """``words`` (lanes, columns) replace those in the stationary registers."""
    for k in range(words.shape[0]):
        for j in range(words.shape[1]):
            if held.passed[k, j]:
                counts[HELD, TOGGLED] += ones((words[k, j] ^ held.words[k, j]) & mask)
                counts[HELD, TRANSITIONS] += 1
            held.words[k, j] = words[k, j]
            held.passed[k, j] = True


@njit
def _partial_sums(counts: Any, x: Any, w: Any, products: int, mask: int, last: Any, prefix: Any) -> None:
    """Sums of ``x`` (time, elements) @ ``w`` (elements, columns) after each row of MACs; ``prefix`` becomes the product."""
    prefix[...] = 0
    pixels, columns = prefix.shape
    toggled = 0
    for row in range(w.shape[0] // products):
        for p in range(pixels):
            for e in range(row * products, (row + 1) * products):
                value = x[p, e]
                if value != 0:  # behind a rectifier many are
                    for j in range(columns):
                        prefix[p, j] += value * w[e, j]
            if p > 0:
                for j in range(columns):
                    toggled += ones((prefix[p, j] ^ prefix[p - 1, j]) & mask)
        counts[PARTIAL, TRANSITIONS] += (pixels - 1) * columns
        for j in range(columns):
            if last.passed[row, j]:
                toggled += ones((prefix[0, j] ^ last.words[row, j]) & mask)
                counts[PARTIAL, TRANSITIONS] += 1
            last.words[row, j] = prefix[pixels - 1, j]
            last.passed[row, j] = True
    counts[PARTIAL, TOGGLED] += toggled


@njit
def _add(counts: Any, sums: Any, more: Any, mask: int) -> None:
    """Each accumulator word takes up its sum."""
    for p in range(sums.shape[0]):
        for j in range(sums.shape[1]):
            after = sums[p, j] + more[p, j]
            counts[TOTAL, TOGGLED] += ones((sums[p, j] ^ after) & mask)
            sums[p, j] = after
    counts[TOTAL, TRANSITIONS] += sums.size


@njit
def stationary(counts: Any, x: Any, w: Any, sums: Any, array: Systolic, kept: bool, last: Words) -> None:
    """``sums`` += ``x`` (time, elements) @ ``w`` (elements, columns): ``w`` stands, column folds outside, row folds inside.

    ``elements`` is a multiple of ``array.products``; ``kept``: ``w`` stands already.
    """
    elements, columns = w.shape
    products, step = array.products, array.rows * array.products
    for c in range(0, columns, array.cols):
        for r in range(0, elements, step):
            fold = np.ascontiguousarray(w[r : r + step, c : c + array.cols])
            vectors = np.ascontiguousarray(x[:, r : r + step])
            used = fold.shape[0] // products
            if not kept:
                # One word of `products` slots per column and cycle, first row first; it passes the registers of all used rows.
                shifted = np.empty((used, fold.shape[1] * products), dtype=np.int64)
                for row in range(used):
                    for slot in range(products):
                        shifted[row, slot::products] = fold[row * products + slot]
                _sequence(counts, FIXED, FIXED_BUS, shifted, array.fixed, used, last.fixed)
                _held(counts, fold, array.fixed, last.held)
            _sequence(counts, MOVING, MOVING_BUS, vectors, array.moving, fold.shape[1], last.moving)
            prefix = np.empty((x.shape[0], fold.shape[1]), dtype=np.int64)
            _partial_sums(counts, vectors, fold, products, array.partial, last.sums, prefix)
            _add(counts, sums[:, c : c + array.cols], prefix, array.total)


@njit
def output_stationary(counts: Any, x: Any, w: Any, sums: Any, array: Systolic, last: Words) -> None:
    """As :func:`stationary`, pixels over rows, columns over columns; sums stand in the MACs."""
    elements, products = w.shape[0], array.products
    steps = elements // products
    for p in range(0, x.shape[0], array.rows):
        for c in range(0, w.shape[1], array.cols):
            high, wide = min(array.rows, x.shape[0] - p), min(array.cols, w.shape[1] - c)
            # One word of `products` slots per row and step from the left, per column and step from the top.
            left = np.empty((steps, high * products), dtype=np.int64)
            top = np.empty((steps, wide * products), dtype=np.int64)
            for t in range(steps):
                for s in range(products):
                    left[t, s::products] = x[p : p + high, t * products + s]
                    top[t, s::products] = w[t * products + s, c : c + wide]
            _sequence(counts, MOVING, MOVING_BUS, left, array.moving, wide, last.moving)
            _sequence(counts, FIXED, FIXED_BUS, top, array.fixed, high, last.fixed)
            folded = sums[p : p + high, c : c + wide]
            _standing_sums(counts, x[p : p + high], w[:, c : c + wide], folded, products, array.total, last.sums)


@njit
def _standing_sums(counts: Any, x: Any, w: Any, sums: Any, products: int, mask: int, last: Registers) -> None:
    """The accumulator of each MAC after each step; what stood in it from the fold before is its first word."""
    for i in range(sums.shape[0]):
        for j in range(sums.shape[1]):
            before = last.words[i, j] if last.passed[i, j] else sums[i, j]
            total = sums[i, j]
            for t in range(0, w.shape[0], products):
                for e in range(t, t + products):
                    total += x[i, e] * w[e, j]
                counts[TOTAL, TOGGLED] += ones((before ^ total) & mask)
                before = total
            counts[TOTAL, TRANSITIONS] += w.shape[0] // products
            sums[i, j] = total
            last.words[i, j], last.passed[i, j] = total, True
