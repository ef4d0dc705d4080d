"""What is best in two to four objectives at once: the front, its knee, the volume that it dominates, how far all else is from it.

``costs`` are points in rows and objectives in columns, shape (n, m), m from 2 to 4, all to be minimised; :func:`accelsim.explore.costs_of`
makes them of a table. A row that holds anything but finite numbers is no point: never on a front, at no distance. A point is dominated by
one that is no worse in any objective and better in one, so that equal points are on the front together or not at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import ConfigError

Costs = NDArray[np.float64]
Rows = NDArray[np.int64]
FEWEST, MOST = 2, 4
"""Objectives."""


def checked(points: ArrayLike) -> Costs:
    """``points`` as costs; ConfigError where they have another shape."""
    costs = np.array(points, dtype=np.float64)
    if costs.ndim != 2 or not FEWEST <= costs.shape[1] <= MOST:
        raise ConfigError(
            f"costs: expected points in rows and {FEWEST} to {MOST} objectives in columns, got shape {costs.shape}"
        )
    return costs


def front(costs: ArrayLike) -> Rows:
    """The rows that no other dominates, ascending by the first objective, then by the next ones and by their number.

    O(n log n) in two objectives, O(n log^2 n) in three and four.
    """
    given = checked(costs)
    rows = np.flatnonzero(np.isfinite(given).all(axis=1))
    rows = rows[np.lexsort(given[rows].T[::-1])]
    points = given[rows]
    if not len(rows):
        return rows
    new = np.append(True, (points[1:] != points[:-1]).any(axis=1))
    distinct = points[new]
    lost = _dominated_in_two(distinct[:, 1]) if distinct.shape[1] == FEWEST else _dominated(distinct)
    best: Rows = rows[~lost[np.cumsum(new) - 1]]
    return best


def _dominated_in_two(y: Costs) -> NDArray[np.bool_]:
    """Of distinct points in lexicographic order: whether one before it is as low."""
    return np.append(False, np.minimum.accumulate(y)[:-1] <= y[1:])


def _dominated(points: Costs) -> NDArray[np.bool_]:
    from accelsim.explore.fronts import _loops

    columns = np.zeros((MOST, len(points)))
    columns[: points.shape[1]] = points.T
    return _loops.dominated(*columns[1:])


def reference_of(costs: ArrayLike) -> Costs:
    """The worst of each objective among all points, shape (m,): the reference of :func:`hypervolume` where nobody names one."""
    worst: Costs = _finite(checked(costs)).max(axis=0)
    return worst


def _finite(costs: Costs) -> Costs:
    points = costs[np.isfinite(costs).all(axis=1)]
    if not len(points):
        raise ConfigError("no point has finite objectives, is feasible and without error; there is no front")
    return points


def hypervolume(costs: ArrayLike, reference: ArrayLike) -> float:
    """The volume of what some point dominates and dominates ``reference``, shape (m,), in the objectives' units (Zitzler, Thiele 1998).

    Exact. Points that are not below the reference in every objective add nothing.
    """
    from accelsim.explore.fronts import _loops

    given, corner = checked(costs), np.asarray(reference, dtype=np.float64)
    if corner.shape != given.shape[1:] or not np.isfinite(corner).all():
        raise ConfigError(f"reference: expected {given.shape[1]} finite numbers, got {corner.tolist()}")
    points = given[front(given)] - corner
    points = points[(points < 0).all(axis=1)]
    if points.shape[1] == FEWEST:  # a slice of unit depth
        points = np.column_stack([points, np.full(len(points), -1.0)])
    points = np.ascontiguousarray(points[np.lexsort(points.T)])
    return float(_loops.volume(points) if points.shape[1] < MOST else _loops.volume_in_four(points))


def knee(costs: ArrayLike) -> int:
    """The row of the front's knee: with each objective from 0, its best on the front, to 1, its worst there, the least sum of all.

    In two objectives that is the point farthest below the chord between the front's ends, in more below the hyperplane through the unit
    points (Das 1999, Structural Optimization 18, section 2). Of several the first in the order of :func:`front`.
    """
    given = checked(costs)
    _finite(given)
    rows = front(given)
    points = given[rows]
    return int(rows[np.argmin(_shares(points, points).sum(axis=1).round(12))])


def distance(costs: ArrayLike, *, to: ArrayLike | None = None) -> Costs:
    """How far each row is from the front, shape (n,): the least share by which it would have to get better in every objective to be on it.

    The additive epsilon of a single point (Zitzler et al. 2003), in shares of the front's range in each objective; where all of the
    front has one value, in shares of that. 0 on the front, NaN where a row is no point. ``to`` are the costs whose front is meant: these.
    """
    from accelsim.explore.fronts import _loops

    given = checked(costs)
    others = given if to is None else checked(to)
    _finite(others)
    points = np.unique(others[front(others)], axis=0)
    found = _loops.shortfall(_shares(given, points), _shares(points, points))
    return np.where(np.isfinite(given).all(axis=1), found, np.nan)


def _shares(costs: Costs, points: Costs) -> Costs:
    """``costs`` from 0 to 1 in the range of ``points``."""
    best = points.min(axis=0)
    scale = points.max(axis=0) - best
    scale = np.where(scale > 0, scale, np.where(best == 0, 1.0, np.abs(best)))
    shares: Costs = (costs - best) / scale
    return shares
