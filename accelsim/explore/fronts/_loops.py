"""Loops over sets of points in three and four objectives, all to be minimised."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.numba_cache import inner, njit

Index = NDArray[np.int64]
Reals = NDArray[np.float64]


@njit
def dominated(y: Reals, z: Reals, w: Reals) -> NDArray[np.bool_]:
    """Which points another one dominates, of distinct points in lexicographic order of (x, y, z, w), each of shape (n,).

    Bottom-up divide and conquer over x (Kung, Luccio, Preparata 1975): only a point of the left half can dominate one of the right; there a
    sweep over y asks a Fenwick tree over z for the least w. O(n log^2 n).
    """
    n = len(y)
    lost = np.zeros(n, dtype=np.bool_)
    by_y, by_z = np.arange(n), np.arange(n)
    room, rank, least = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.empty(n + 1)
    half = 1
    while half < n:
        for low in range(0, n - half, 2 * half):
            middle, high = low + half, min(low + 2 * half, n)
            _rank(by_z, z, low, middle, high, rank, room)
            least[: half + 1] = np.inf
            i, j = low, middle
            for k in range(low, high):
                left = j == high or (i < middle and y[by_y[i]] <= y[by_y[j]])
                at = by_y[i] if left else by_y[j]
                room[k] = at
                if left:
                    i += 1
                    if not lost[at]:
                        _enter(least, rank[at], half, w[at])
                else:
                    j += 1
                    lost[at] = lost[at] or _least(least, rank[at]) <= w[at]
            by_y[low:high] = room[low:high]
        half *= 2
    return lost


@inner
def _rank(by_z: Index, z: Reals, low: int, middle: int, high: int, rank: Index, room: Index) -> None:
    """Merge the halves of ``by_z``; ``rank`` of a left point is its place among those, from 1 on, of a right one how many lie at or below it."""
    i, j = low, middle
    for k in range(low, high):
        left = j == high or (i < middle and z[by_z[i]] <= z[by_z[j]])
        at = by_z[i] if left else by_z[j]
        room[k] = at
        if left:
            i += 1
        else:
            j += 1
        rank[at] = i - low
    by_z[low:high] = room[low:high]


@inner
def _enter(least: Reals, place: int, size: int, value: float) -> None:
    while place <= size:
        least[place] = min(least[place], value)
        place += place & -place


@inner
def _least(least: Reals, place: int) -> float:
    found = np.inf
    while place > 0:
        found = min(found, least[place])
        place -= place & -place
    return found


@njit
def volume(points: Reals) -> float:
    """The volume between the origin and ``points``, shape (n, 3), none positive and in ascending order of the last axis.

    A sweep along that axis with the staircase of the other two, whose area every point changes (Fonseca, Paquete, Lopez-Ibanez 2006).
    """
    n = len(points)
    xs, ys = np.empty(n + 2), np.empty(n + 2)
    xs[0], ys[0], xs[1], ys[1] = -np.inf, 0.0, 0.0, -np.inf  # ascending in x, descending in y, ends included
    size, area, total, level = 2, 0.0, 0.0, 0.0
    for p in range(n):
        x, y, z = points[p]
        total += area * (z - level)
        level = z
        first = np.searchsorted(xs[:size], x, side="right")
        if ys[first - 1] <= y:
            continue
        first -= xs[first - 1] == x
        last = first
        floor, left = ys[first - 1], x
        while ys[last] >= y:
            area += (xs[last] - left) * (floor - y)
            floor, left = ys[last], xs[last]
            last += 1
        area += (xs[last] - left) * (floor - y)
        moved = size - last
        for k in range(moved) if first + 1 < last else range(moved - 1, -1, -1):
            xs[first + 1 + k], ys[first + 1 + k] = xs[last + k], ys[last + k]
        xs[first], ys[first] = x, y
        size = first + 1 + moved
    return total - area * level


@njit
def volume_in_four(points: Reals) -> float:
    """As :func:`volume`, shape (n, 4): slices along the last axis, of which each point adds what it alone dominates in the other three."""
    n = len(points)
    kept, size, slab, total, level = np.empty((n, 3)), 0, 0.0, 0.0, 0.0
    for p in range(n):
        point = points[p, :3]
        total += slab * (points[p, 3] - level)
        level = points[p, 3]
        if not _is_covered(kept[:size], point):
            slab += _alone(kept[:size], point)
            size = _insert(kept, size, point)
    return total - slab * level


@inner
def _is_covered(others: Reals, point: Reals) -> bool:
    covered, k = False, 0
    while k < len(others) and not covered:
        covered = others[k, 0] <= point[0] and others[k, 1] <= point[1] and others[k, 2] <= point[2]
        k += 1
    return covered


@inner
def _alone(others: Reals, point: Reals) -> float:
    """What ``point`` dominates and none of ``others`` does, which ascend in the last axis."""
    added: float = -point[0] * point[1] * point[2] - volume(np.maximum(others, point))
    return added


@inner
def _insert(kept: Reals, size: int, point: Reals) -> int:
    """Put ``point`` among the first rows of ``kept``, ascending in the last axis, without those that it dominates; how many there are then."""
    stay = 0
    for k in range(size):
        if not (point[0] <= kept[k, 0] and point[1] <= kept[k, 1] and point[2] <= kept[k, 2]):
            kept[stay] = kept[k]
            stay += 1
    at = stay
    while at > 0 and kept[at - 1, 2] > point[2]:
        kept[at] = kept[at - 1]
        at -= 1
    kept[at] = point
    return stay + 1


@njit
def shortfall(points: Reals, front: Reals) -> Reals:
    """For each of ``points`` (n, m) the least over ``front`` (k, m) of the largest difference, no less than 0."""
    found = np.empty(len(points))
    for p in range(len(points)):
        best = np.inf
        for f in range(len(front)):
            worst = 0.0
            for axis in range(points.shape[1]):
                worst = max(worst, points[p, axis] - front[f, axis])
            best = min(best, worst)
        found[p] = best
    return found
