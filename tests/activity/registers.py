"""Registers of the three systolic arrays in plain Python: every word that arrives is compared with the word before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

Counts = dict[str, list[int]]


class Registers:
    """All registers of one tile by name and place; ``counts`` holds toggled bits and transitions by wire."""

    def __init__(self) -> None:
        self._words: dict[tuple[Any, ...], int] = {}
        self.counts: Counts = defaultdict(lambda: [0, 0])

    def put(self, wire: str, place: tuple[int, ...], word: int, bits: int) -> None:
        """A word of ``bits`` bits arrives; the first one toggles nothing."""
        key = (wire, *place)
        if key in self._words:
            self.counts[wire][0] += ((self._words[key] ^ word) & ((1 << bits) - 1)).bit_count()
            self.counts[wire][1] += 1
        self._words[key] = word


def packs(x: np.ndarray, w: np.ndarray, rows: int, cols: int) -> Iterator[tuple[slice, Any, Any]]:
    """Groups that share folds: activations side by side, weights as a block diagonal."""
    groups, _, reduction = x.shape
    channels, together = w.shape[2], max(1, min(rows // reduction, cols // w.shape[2]))
    for start in range(0, groups, together):
        part = range(start, min(start + together, groups))
        wide = np.zeros((len(part) * reduction, len(part) * channels), dtype=object)
        for i, g in enumerate(part):
            wide[i * reduction : (i + 1) * reduction, i * channels : (i + 1) * channels] = w[g]
        yield slice(part.start, part.stop), np.concatenate([x[g] for g in part], axis=1), wide


def stationary(x: Any, w: Any, sums: Any, rows: int, cols: int, bits: dict[str, int], names: dict[str, str]) -> Counts:
    """``w`` stands, ``x`` moves: shift chain, stationary registers, rows of moving words, sums from row to row, accumulators."""
    here = Registers()
    for part, vectors, weights in packs(x, w, rows, cols):
        held = [[int(v) for v in row] for row in np.concatenate(list(sums[part]), axis=1)]
        for c in range(0, weights.shape[1], cols):
            for r in range(0, weights.shape[0], rows):
                fold = weights[r : r + rows, c : c + cols]
                used, wide = fold.shape
                for row in range(used):
                    for j in range(wide):
                        here.put(names["fixed_bus"], (j,), int(fold[row, j]), bits["fixed"])
                        for hop in range(used):
                            here.put(names["fixed"], (j, hop), int(fold[row, j]), bits["fixed"])
                for row in range(used):
                    for j in range(wide):
                        here.put("stationary_register", (row, j), int(fold[row, j]), bits["fixed"])
                for p in range(vectors.shape[0]):
                    for row in range(used):
                        here.put(names["moving_bus"], (row,), int(vectors[p, r + row]), bits["moving"])
                        for hop in range(wide):
                            here.put(names["moving"], (row, hop), int(vectors[p, r + row]), bits["moving"])
                    for j in range(wide):
                        total = 0
                        for row in range(used):
                            total += int(vectors[p, r + row]) * int(fold[row, j])
                            here.put("partial_sum", (row, j), total, bits["partial_sum"])
                        before, held[p][c + j] = held[p][c + j], held[p][c + j] + total
                        here.counts["accumulator"][0] += (
                            (before ^ held[p][c + j]) & ((1 << bits["accumulator"]) - 1)
                        ).bit_count()
                        here.counts["accumulator"][1] += 1
    return here.counts


def output_stationary(x: Any, w: Any, sums: Any, rows: int, cols: int, bits: dict[str, int]) -> Counts:
    """Both operands move, each accumulator stands at its MAC and takes over the next fold's start with its first sum."""
    here = Registers()
    for g in range(len(x)):
        for p in range(0, x.shape[1], rows):
            for c in range(0, w.shape[2], cols):
                left, top = x[g, p : p + rows], w[g, :, c : c + cols]
                for t in range(w.shape[1]):
                    for i in range(len(left)):
                        here.put("activation_bus", (i,), int(left[i, t]), bits["moving"])
                        for hop in range(top.shape[1]):
                            here.put("activation_register", (i, hop), int(left[i, t]), bits["moving"])
                    for j in range(top.shape[1]):
                        here.put("weight_bus", (j,), int(top[t, j]), bits["fixed"])
                        for hop in range(len(left)):
                            here.put("weight_register", (j, hop), int(top[t, j]), bits["fixed"])
                for i in range(len(left)):
                    for j in range(top.shape[1]):
                        total = int(sums[g, p + i, c + j])
                        if ("accumulator", i, j) not in here._words:
                            here._words["accumulator", i, j] = total
                        for t in range(w.shape[1]):
                            total += int(left[i, t]) * int(top[t, j])
                            here.put("accumulator", (i, j), total, bits["accumulator"])
    return here.counts


def operand_bits(values: Iterable[int]) -> int:
    """Bits of the magnitudes, added up."""
    return sum(abs(int(v)).bit_length() for v in values)
