"""What the values of an axis do to the figures of rows: groups of rows, how much of a figure's variance lies between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.explore.origin import text_of
from accelsim.result import Effect, Level

MOST_LEVELS = 16
"""Values of an axis that stand alone: of more numbers there are :data:`RANGES`, of more texts the most frequent, and the others together."""
RANGES = 8
Values = NDArray[np.float64]
Truths = NDArray[np.bool_]


class Groups(NamedTuple):
    """The number of the group of each row, shape (n,), and what each group is."""

    at: NDArray[np.int64]
    made: list[_Group]


class _Group(NamedTuple):
    value: str | None = None
    low: float = np.nan
    high: float = np.nan
    others: int = 0


def groups_of(column: NDArray[Any]) -> Groups:
    """Rows by the value of an axis, the values in order; those of numbers between equal shares of the rows where there are too many."""
    if column.dtype.kind in "if":
        return _of_numbers(column)
    numbers: dict[str, int] = {}
    index = np.array([numbers.setdefault(text_of(value), len(numbers)) for value in column.tolist()], dtype=np.int64)
    names, counts = list(numbers), np.bincount(index, minlength=1)
    frequent = np.argsort(-counts, kind="stable")[: MOST_LEVELS - (len(names) > MOST_LEVELS)]
    kept = np.sort(frequent) if names else frequent[:0]
    place = np.full(max(len(names), 1), len(kept))
    place[kept] = np.arange(len(kept))
    rest = len(names) - len(kept)
    return Groups(place[index], [_Group(names[k]) for k in kept.tolist()] + [_Group(others=rest)] * bool(rest))


def _of_numbers(column: NDArray[Any]) -> Groups:
    known = ~np.isnan(column) if column.dtype.kind == "f" else np.ones(len(column), dtype=np.bool_)
    levels = np.unique(column[known])
    index = np.full(len(column), -1, dtype=np.int64)
    if len(levels) <= MOST_LEVELS:
        index[known] = np.searchsorted(levels, column[known])
        made = [_Group(text_of(level.item()), float(level), float(level)) for level in levels]
    else:
        cuts = np.unique(np.quantile(column[known], np.arange(1, RANGES) / RANGES, method="lower"))
        index[known] = np.searchsorted(cuts, column[known])
        whole = np.arange(len(cuts) + 1)
        held = whole[np.bincount(index[known], minlength=len(whole)) > 0]
        index[known] = np.searchsorted(held, index[known])
        parts = [column[index == k] for k in range(len(held))]
        made = [_Group(None, float(part.min()), float(part.max())) for part in parts]
    if not known.all():
        index[~known] = len(made)
        made.append(_Group(text_of(None)))
    return Groups(index, made)


def explained(index: NDArray[np.int64], values: Values) -> float | None:
    """The share of the variance of ``values`` between the groups ``index``, 0 to 1, less what chance would give; None where there is none.

    The correlation ratio, adjusted for the number of groups (Kelley 1935): 1 - (1 - R) * (n - 1) / (n - k). NaN is no value.
    """
    known = np.isfinite(values)
    x, groups = values[known], index[known]
    counts = np.bincount(groups)
    n, k = len(x), int(np.count_nonzero(counts))
    if n <= k or not (whole := float(np.square(x - x.mean()).sum())):
        return None
    sums = np.bincount(groups, weights=x - x.mean())
    between = float((np.square(sums) / np.maximum(counts, 1)).sum())
    return min(max(1.0 - (1.0 - between / whole) * (n - 1) / (n - k), 0.0), 1.0)


def effect_of(axis: str, groups: Groups, valid: Truths, kept: Truths, costs: Sequence[Values]) -> Effect:
    """The effect of ``axis`` on ``costs``, each of shape (n,), of the rows that are ``valid``; the best are of those that are ``kept``."""
    return Effect(
        axis=axis,
        shares=tuple(explained(groups.at[valid], scaled(cost[valid])) for cost in costs),
        levels=tuple(_levels(groups, valid, kept, costs)),
    )


def scaled(values: Values) -> Values:
    """Logarithms of what is above 0 throughout, so that a factor weighs the same wherever it is."""
    known = values[np.isfinite(values)]
    return np.log(values) if len(known) and known.min() > 0 else values


def _levels(groups: Groups, valid: Truths, kept: Truths, costs: Sequence[Values]) -> Iterator[Level]:
    count = len(groups.made)
    order = np.argsort(groups.at, kind="stable")
    ends = np.searchsorted(groups.at[order], np.arange(count + 1))
    for number, group in enumerate(groups.made):
        at = order[ends[number] : ends[number + 1]]
        all_valid, best = at[valid[at]], at[kept[at]]
        yield Level(
            **group._asdict(),
            rows=len(at),
            kept=len(best),
            best=tuple(_over(np.min, cost[best]) for cost in costs),
            median=tuple(_over(np.median, cost[all_valid]) for cost in costs),
        )


def _over(figure: Callable[[Values], Any], values: Values) -> float | None:
    known = values[np.isfinite(values)]
    return float(figure(known)) if len(known) else None
