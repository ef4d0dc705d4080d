"""From the number of a point to its workload and the values of its axes, for a range of numbers at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.explore.sweep.space.axes import Values
from accelsim.explore.sweep.space.columns import Column
from accelsim.explore.sweep.space.space import WORKLOAD, Space

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Points:
    """Some points: their numbers and those of their workloads, shape (n,); the columns known before; per axis the values of edits."""

    point: Index
    workload: Index
    columns: dict[str, Column]
    edits: list[list[Any]]


def points_of(space: Space, start: int, stop: int) -> Points:
    """The points numbered from ``start`` to before ``stop`` that constraints over axes leave in."""
    numbers = np.arange(start, min(stop, space.points), dtype=np.int64)
    workload, design = np.divmod(numbers, space.designs)
    values = _drawn(space, start, start + len(numbers)) if space.sample.count else _grid(space, design)
    names = np.array(space.workloads, dtype=object)
    columns = {WORKLOAD: names[workload], **{x.path: v.column for x, v in zip(space.axes, values, strict=True)}}
    keep = np.ones(len(numbers), dtype=np.bool_)
    for constraint in space.constraints_over(results=False):
        keep &= constraint.holds(columns)
    edits = [[value for value, kept in zip(v.edits, keep.tolist(), strict=True) if kept] for v in values]
    return Points(numbers[keep], workload[keep], {name: column[keep] for name, column in columns.items()}, edits)


def _grid(space: Space, design: Index) -> list[Values]:
    """Digits of ``design`` in the mixed radix of the axes, the last of which moves first."""
    values = list[Values]()
    for axis in reversed(space.axes):
        design, digit = np.divmod(design, len(axis.levels))
        values.append(axis.at(digit))
    return values[::-1]


def _drawn(space: Space, start: int, stop: int) -> list[Values]:
    """What the sample gives each workload's designs from point ``start`` to before ``stop``."""
    size, axes = space.designs, len(space.axes)
    begins = range(start - start % size, stop, size)
    parts = [space.sample.fractions(axes, max(start - begin, 0), min(stop - begin, size)) for begin in begins]
    fractions = np.concatenate(parts)
    return [axis.drawn(fractions[:, k]) for k, axis in enumerate(space.axes)]
