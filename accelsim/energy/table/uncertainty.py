"""How sure a total is: bounds by interval arithmetic, a seeded distribution, and ratios in which common factors cancel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Charges = Mapping[str, float]
Ranges = Mapping[str, tuple[float, float]]
SEED, DRAWS = 2026, 4000
"""Of the distribution: its seed, and its size (percentiles then repeat within about 2 %)."""


class Interval(NamedTuple):
    """Least and greatest value."""

    low: float
    high: float


def interval(charges: Charges, ranges: Ranges) -> Interval:
    """Bounds of a sum of non-negative ``charges``, each times a factor inside the range of its entry."""
    low = sum(pj * ranges.get(key, (1.0, 1.0))[0] for key, pj in charges.items())
    high = sum(pj * ranges.get(key, (1.0, 1.0))[1] for key, pj in charges.items())
    return Interval(float(low), float(high))


def draws(charges: Charges, ranges: Ranges, *, seed: int = SEED, count: int = DRAWS) -> NDArray[np.float64]:
    """``count`` totals, float64 of shape (count,): the factor of each entry is drawn from its range, 1 being the median.

    Half of the draws lie below 1 and half above, log-uniform on either side (a two-piece distribution; log-uniform over all of a
    range whose geometric middle is 1). Entries are independent; one entry has one factor wherever it is used. Entries are drawn in
    the order of their names, so that two machines with the same entries draw the same factors.
    """
    keys = sorted(charges)
    factors = _factors(tuple(ranges.get(key, (1.0, 1.0)) for key in keys), seed, count)
    return np.asarray(factors @ np.array([charges[key] for key in keys], dtype=np.float64))


@lru_cache(maxsize=8)
def _factors(ranges: tuple[tuple[float, float], ...], seed: int, count: int) -> NDArray[np.float64]:
    """The factors of entries of these ranges, (count, entries): a megabyte that machines of one table share."""
    limits = np.log(np.array(ranges).reshape(-1, 2))
    side = 2 * np.random.default_rng(seed).random((count, len(ranges))) - 1
    factors: NDArray[np.float64] = np.exp(np.where(side < 0, -side * limits[:, 0], side * limits[:, 1]))
    factors.setflags(write=False)
    return factors


def ratio_interval(first: Charges, second: Charges, ranges: Ranges) -> Interval:
    """Bounds of ``sum(first) / sum(second)`` where both share the entries' factors; (nan, nan) where the second is 0.

    A ratio of linear forms is greatest at a corner of the box, where the entries with the largest ratio of their own charges
    have their largest factor and the others their smallest (linear-fractional programming, Charnes & Cooper 1962).
    """
    if not sum(second.values()):
        return Interval(float("nan"), float("nan"))
    keys = sorted({*first, *second}, key=lambda key: _own_ratio(first.get(key, 0.0), second.get(key, 0.0)))
    return Interval(_corner(keys, first, second, ranges, most=0), _corner(keys, first, second, ranges, most=1))


def _own_ratio(a: float, b: float) -> float:
    return a / b if b else float("inf")


def _corner(keys: list[str], first: Charges, second: Charges, ranges: Ranges, *, most: int) -> float:
    """Largest (``most`` 1) or smallest (0) ratio over all splits of ``keys``, which ascend in their own ratio."""
    best: list[float] = []
    for split in range(len(keys) + 1):
        chosen = {key: ranges.get(key, (1.0, 1.0))[most if i >= split else 1 - most] for i, key in enumerate(keys)}
        top = sum(pj * chosen[key] for key, pj in first.items())
        bottom = sum(pj * chosen[key] for key, pj in second.items())
        if bottom:
            best.append(top / bottom)
    return max(best) if most else min(best)
