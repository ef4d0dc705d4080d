"""A sweep as a whole: what was swept, how its figures lie, what each axis does to them, and the best points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How ``figure`` lies among rows: ``counts`` between ``edges``, which are equal ratios where ``log`` says so, and three of its values."""

    figure: str
    least: float
    median: float
    most: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    log: bool


@dataclass(frozen=True, kw_only=True)
class Level:
    """The rows at one value of an axis, or from ``low`` to ``high`` (``value`` None): how many there are, and how many of them are feasible.

    By objective, None where there is none: ``best`` of the feasible rows (``kept``; where a workload has none, of all without error) and
    ``median`` of all without error. ``others`` counts the values of a level that
    gathers those which are too many to stand alone.
    """

    value: str | None
    low: float
    high: float
    others: int
    rows: int
    kept: int
    best: tuple[float | None, ...]
    median: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What ``axis`` does to each objective: ``shares`` of its variance that the axis alone explains, among all rows without error.

    A share is None where there is no variance, or no value of the axis has two rows.
    """

    axis: str
    shares: tuple[float | None, ...]
    levels: tuple[Level, ...]

    @property
    def strength(self) -> float:
        """The largest share."""
        return max((share for share in self.shares if share is not None), default=0.0)


@dataclass(frozen=True, kw_only=True)
class WorkloadOverview:
    """The rows of one workload.

    ``distributions`` and ``best`` are of the feasible rows, or where there are none (``all_infeasible``) of all without error.
    ``counts`` are the rows, and those that failed and are infeasible. ``objectives`` have a number somewhere; those in ``maximised`` are to be
    large. ``effects`` begin with the strongest axis; ``best`` has rows by objective, the best first, as those of a
    :class:`~accelsim.result.Front`.
    """

    workload: str
    counts: Mapping[str, int]
    all_infeasible: bool
    objectives: tuple[str, ...]
    maximised: tuple[str, ...]
    distributions: tuple[Distribution, ...]
    effects: tuple[Effect, ...]
    best: Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Broken:
    """How many rows without error break a constraint, and how many no other; None of one over axes alone, which leaves points out before."""

    constraint: str
    rows: int | None
    alone: int | None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The table in ``folder``: its space of ``points`` (``about`` it, as the header of the sweep records it), and what came of ``rows``.

    ``finished`` counts points whose chunks are there. ``errors`` are texts with the number of rows that failed by them, the most frequent first.
    """

    folder: str
    machine: str
    about: Mapping[str, Any]
    points: int
    finished: int
    rows: int
    feasible: int
    failed: int
    errors: tuple[tuple[str, int], ...]
    broken: tuple[Broken, ...]
    workloads: tuple[WorkloadOverview, ...]
