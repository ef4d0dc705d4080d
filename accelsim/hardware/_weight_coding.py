"""Numba kernel of zero run-length coding: how many pairs the tiles of a weight tensor take."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.numba_cache import njit


@njit
def count_pairs(weights: Any, lo: Any, hi: Any, run_bits: int) -> Any:
    """Pairs (zeros before, weight) of each box of ``weights``, int64 of shape (boxes,)."""
    pairs = np.zeros(len(lo), dtype=np.int64)
    for i in range(len(lo)):
        zeros = 0
        for o in range(lo[i, 0], hi[i, 0]):
            for y in range(lo[i, 1], hi[i, 1]):
                for x in range(lo[i, 2], hi[i, 2]):
                    for c in range(lo[i, 3], hi[i, 3]):
                        if weights[o, y, x, c] == 0:
                            zeros += 1
                        else:
                            # A run longer than its field is broken by pairs that stand for 2^run_bits zeros each.
                            pairs[i] += 1 + (zeros >> run_bits)
                            zeros = 0
    return pairs
