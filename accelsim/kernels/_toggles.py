"""Numba loops behind :mod:`accelsim.kernels.toggles`: bits that change on the registers of one compute tile.

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
FIXED_WORD, HELD_WORD, MOVING_WORD, SUM_WORD, FIXED_SEEN, HELD_SEEN, MOVING_SEEN, SUM_SEEN = range(STATES := 8)
"""Of a state, int64 (STATES, max(rows, cols) * products, max(rows, cols)): the last words of the registers, and whether any has passed."""


class Grid(NamedTuple):
    """Shape of the array, and masks of the widths of its moving, fixed, partial-sum and accumulator words."""

    rows: int
    cols: int
    products: int
    moving: int
    fixed: int
    partial: int
    total: int


@njit
def ones(word: int) -> Any:
    """Set bits of a 64-bit word (Warren, Hacker's Delight, section 5-1)."""
    v = np.uint64(word)
    v = v - ((v >> np.uint64(1)) & np.uint64(0x5555555555555555))
    v = (v & np.uint64(0x3333333333333333)) + ((v >> np.uint64(2)) & np.uint64(0x3333333333333333))
    v = (v + (v >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((v * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit
def _sequence(counts: Any, register: int, bus: int, words: Any, mask: int, hops: int, lanes: Any, passed: Any) -> None:
    """``words`` (time, lanes) pass ``hops`` registers each, whose last words are ``lanes`` (lanes, hops) where ``passed``."""
    for lane in range(words.shape[1]):
        inside = 0
        for t in range(1, words.shape[0]):
            inside += ones((words[t, lane] ^ words[t - 1, lane]) & mask)
        counts[register, 0] += inside * hops
        counts[register, 1] += (words.shape[0] - 1) * hops
        counts[bus, 0] += inside
        counts[bus, 1] += words.shape[0] - 1
        for hop in range(hops):
            if passed[lane, hop]:
                change = ones((words[0, lane] ^ lanes[lane, hop]) & mask)
                counts[register, 0] += change
                counts[register, 1] += 1
                if hop == 0:
                    counts[bus, 0] += change
                    counts[bus, 1] += 1
            lanes[lane, hop] = words[-1, lane]
            passed[lane, hop] = True


@njit
def _held(counts: Any, words: Any, mask: int, held: Any, passed: Any) -> None:
    """``words`` (lanes, columns) replace those in the stationary registers."""
    for k in range(words.shape[0]):
        for j in range(words.shape[1]):
            if passed[k, j]:
                counts[HELD, 0] += ones((words[k, j] ^ held[k, j]) & mask)
                counts[HELD, 1] += 1
            held[k, j] = words[k, j]
            passed[k, j] = True


@njit
def _partial_sums(counts: Any, x: Any, w: Any, products: int, mask: int, last: Any, passed: Any, prefix: Any) -> None:
    """Sums of ``x`` (time, elements) @ ``w`` (elements, columns) after each row of MACs; ``prefix`` becomes the product."""
    prefix[...] = 0
    pixels, columns = prefix.shape
    toggled = 0
    for row in range(w.shape[0] // products):
        for p in range(pixels):
            for e in range(row * products, (row + 1) * products):
                value = x[p, e]
                if value != 0:
                    for j in range(columns):
                        prefix[p, j] += value * w[e, j]
            if p > 0:
                for j in range(columns):
                    toggled += ones((prefix[p, j] ^ prefix[p - 1, j]) & mask)
        counts[PARTIAL, 1] += (pixels - 1) * columns
        for j in range(columns):
            if passed[row, j]:
                toggled += ones((prefix[0, j] ^ last[row, j]) & mask)
                counts[PARTIAL, 1] += 1
            last[row, j] = prefix[pixels - 1, j]
            passed[row, j] = True
    counts[PARTIAL, 0] += toggled


@njit
def _add(counts: Any, sums: Any, more: Any, mask: int) -> None:
    """Each accumulator word takes up its sum."""
    for p in range(sums.shape[0]):
        for j in range(sums.shape[1]):
            after = sums[p, j] + more[p, j]
            counts[TOTAL, 0] += ones((sums[p, j] ^ after) & mask)
            sums[p, j] = after
    counts[TOTAL, 1] += sums.size


@njit
def stationary(counts: Any, x: Any, w: Any, sums: Any, grid: Any, kept: bool, state: Any) -> None:
    """``sums`` += ``x`` (time, elements) @ ``w`` (elements, columns): ``w`` stands, column folds outside, row folds inside.

    ``elements`` is a multiple of the grid's products; ``kept``: ``w`` stands already.
    """
    (elements, columns), (rows, cols, products) = w.shape, grid[:3]
    step = rows * products
    for c in range(0, columns, cols):
        for r in range(0, elements, step):
            fold = np.ascontiguousarray(w[r : r + step, c : c + cols])
            vectors = np.ascontiguousarray(x[:, r : r + step])
            used = fold.shape[0] // products
            if not kept:
                # One word of `products` slots per column and cycle, first row first; it passes the registers of all used rows.
                shifted = np.empty((used, fold.shape[1] * products), dtype=np.int64)
                for row in range(used):
                    for slot in range(products):
                        shifted[row, slot::products] = fold[row * products + slot]
                _sequence(counts, FIXED, FIXED_BUS, shifted, grid.fixed, used, state[FIXED_WORD], state[FIXED_SEEN])
                _held(counts, fold, grid.fixed, state[HELD_WORD], state[HELD_SEEN])
            _sequence(
                counts, MOVING, MOVING_BUS, vectors, grid.moving, fold.shape[1], state[MOVING_WORD], state[MOVING_SEEN]
            )
            prefix = np.empty((x.shape[0], fold.shape[1]), dtype=np.int64)
            _partial_sums(counts, vectors, fold, products, grid.partial, state[SUM_WORD], state[SUM_SEEN], prefix)
            _add(counts, sums[:, c : c + cols], prefix, grid.total)


@njit
def output_stationary(counts: Any, x: Any, w: Any, sums: Any, grid: Any, state: Any) -> None:
    """As :func:`stationary`, pixels over rows, columns over columns; sums stand in the MACs, as wide as an accumulator."""
    rows, cols, products = grid[:3]
    steps = w.shape[0] // products
    for p in range(0, x.shape[0], rows):
        for c in range(0, w.shape[1], cols):
            high, wide = min(rows, x.shape[0] - p), min(cols, w.shape[1] - c)
            left = np.empty((steps, high * products), dtype=np.int64)
            top = np.empty((steps, wide * products), dtype=np.int64)
            for t in range(steps):
                for s in range(products):
                    left[t, s::products] = x[p : p + high, t * products + s]
                    top[t, s::products] = w[t * products + s, c : c + wide]
            _sequence(counts, MOVING, MOVING_BUS, left, grid.moving, wide, state[MOVING_WORD], state[MOVING_SEEN])
            _sequence(counts, FIXED, FIXED_BUS, top, grid.fixed, high, state[FIXED_WORD], state[FIXED_SEEN])
            part = sums[p : p + high, c : c + wide]
            _standing_sums(counts, x[p : p + high], w[:, c : c + wide], part, products, grid.total, state)


@njit
def _standing_sums(counts: Any, x: Any, w: Any, sums: Any, products: int, mask: int, state: Any) -> None:
    """The accumulator of each MAC after each step; what stood in it from the fold before is its first word."""
    for i in range(sums.shape[0]):
        for j in range(sums.shape[1]):
            before = state[SUM_WORD, i, j] if state[SUM_SEEN, i, j] else sums[i, j]
            total = sums[i, j]
            for t in range(0, w.shape[0], products):
                for e in range(t, t + products):
                    total += x[i, e] * w[e, j]
                counts[TOTAL, 0] += ones((before ^ total) & mask)
                before = total
            counts[TOTAL, 1] += w.shape[0] // products
            sums[i, j] = total
            state[SUM_WORD, i, j], state[SUM_SEEN, i, j] = total, 1
