"""``overview``: the table of a sweep, summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ConfigError
from accelsim.explore.effects import effect_of, groups_of, scaled
from accelsim.explore.origin import ATTRIBUTE, Origin, plain
from accelsim.explore.sweep.space import read_constraint
from accelsim.result import Broken, Distribution, Effect, Overview, WorkloadOverview

OBJECTIVES: Mapping[str, bool] = {"latency_s": False, "energy_pj": False, "area_um2": False, "accuracy": True}
"""What the best points are of, where the table has it, and whether more is better."""
FIGURES = (*OBJECTIVES, "utilization", "dram_read_bytes", "dram_write_bytes")
"""What is shown as a distribution."""
BEST = 5
"""Rows by each objective."""
BINS = 24
_DECADE = 10.0
Rows = NDArray[np.intp]
Truths = NDArray[np.bool_]


def overview(table: Any) -> Overview:
    """What a DataFrame of :func:`accelsim.read_sweep` comes to: counts, distributions, the effect of each axis, and the best rows.

    ConfigError for a table that does not say of which sweep it is.
    """
    about, origin = getattr(table, "attrs", {}).get(ATTRIBUTE) or {}, Origin.of(table)
    if origin is None or "space" not in about:
        raise ConfigError("an overview is of the table of accelsim.read_sweep, with its attrs and all its columns")
    whole = _Table({str(name): np.asarray(table[name]) for name in table.columns}, origin)
    errors = Counter(text for text in whole.columns["error"].tolist() if text)
    workloads = whole.columns["workload"]
    return Overview(
        folder=about["folder"],
        machine=about["machine"]["name"],
        about=about["space"],
        points=about["points"],
        finished=about.get("finished", len(table)),
        rows=len(table),
        feasible=int(np.count_nonzero(whole.feasible)),
        failed=int(np.count_nonzero(whole.failed)),
        errors=tuple(errors.most_common()),
        broken=tuple(_broken(whole, about)),
        workloads=tuple(
            _of_workload(whole, np.flatnonzero(workloads == name), name) for name in dict.fromkeys(workloads.tolist())
        ),
    )


@dataclass(frozen=True)
class _Table:
    """The columns of a sweep, and where they come from."""

    columns: dict[str, NDArray[Any]]
    origin: Origin

    @cached_property
    def failed(self) -> Truths:
        """Rows with an error."""
        return np.asarray(self.columns["error"] != "", dtype=np.bool_)

    @cached_property
    def feasible(self) -> Truths:
        """Rows that keep every constraint."""
        return np.asarray(self.columns["feasible"], dtype=np.bool_)

    def figure(self, name: str, at: Rows) -> NDArray[np.float64]:
        """The numbers of a column, NaN where a row has none."""
        values = np.asarray(self.columns[name][at], dtype=np.float64)
        return np.where(self.failed[at], np.nan, values)

    def row(self, at: int) -> dict[str, Any]:
        """One row with the command that runs it again."""
        names = ("point", *self.origin.axes, *(name for name in FIGURES if name in self.columns), "feasible")
        values = {name: plain(self.columns[name][at]) for name in names}
        workload, objective = self.columns["workload"][at], self.columns["objective"][at]
        return values | {"command": self.origin.command(workload, values, objective)}


def _broken(table: _Table, about: Mapping[str, Any]) -> Iterator[Broken]:
    """Each constraint with the rows that break it."""
    valid, texts = ~table.failed, about["space"]["constraints"]
    known = {"workload", *table.origin.axes}
    read = [read_constraint(text, about["columns"]) for text in texts]
    breaks = [None if x.names <= known else valid & ~x.holds(table.columns) for x in read]
    total = sum((found.astype(np.int64) for found in breaks if found is not None), np.zeros(len(valid), np.int64))
    for text, found in zip(texts, breaks, strict=True):
        if found is None:
            yield Broken(constraint=text, rows=None, alone=None)
        else:
            alone = int(np.count_nonzero(found & (total == 1)))
            yield Broken(constraint=text, rows=int(np.count_nonzero(found)), alone=alone)


def _of_workload(table: _Table, at: Rows, workload: str) -> WorkloadOverview:
    failed, feasible = table.failed[at], table.feasible[at]
    kept = feasible if feasible.any() else ~failed
    figures = {name: table.figure(name, at) for name in FIGURES if name in table.columns}
    held = {name: values for name, values in figures.items() if np.isfinite(values[kept]).any()}
    objectives = tuple(name for name in OBJECTIVES if name in held)
    costs = {name: -held[name] if OBJECTIVES[name] else held[name] for name in objectives}
    counts = {"rows": len(at), "failed": failed.sum(), "infeasible": (~failed & ~feasible).sum()}
    return WorkloadOverview(
        workload=workload,
        counts={name: int(number) for name, number in counts.items()},
        all_infeasible=not feasible.any(),
        objectives=objectives,
        maximised=tuple(name for name in objectives if OBJECTIVES[name]),
        distributions=tuple(_distribution(name, values[kept]) for name, values in held.items()),
        effects=tuple(_effects(table, at, kept, costs)),
        best={name: _best(table, at[kept], [cost[kept] for cost in _first(costs, name)]) for name in objectives},
    )


def _first(costs: Mapping[str, NDArray[np.float64]], name: str) -> list[NDArray[np.float64]]:
    """All ``costs``, that of ``name`` before the others, which decide between rows that are equal in it."""
    return [costs[name], *(cost for other, cost in costs.items() if other != name)]


def _effects(table: _Table, at: Rows, kept: Truths, costs: Mapping[str, NDArray[np.float64]]) -> list[Effect]:
    """Effects of the axes, the strongest first; figures with their own sign."""
    found = list[Effect]()
    for axis in table.origin.axes:
        effect = effect_of(axis, groups_of(table.columns[axis][at]), ~table.failed[at], kept, list(costs.values()))
        found.append(_signed(effect, [OBJECTIVES[name] for name in costs]))
    return sorted(found, key=lambda effect: -effect.strength)


def _signed(effect: Effect, turned: Sequence[bool]) -> Effect:
    """``effect`` with the costs of what is ``turned`` as the figures that they stand for."""

    def signed(values: Sequence[float | None]) -> tuple[float | None, ...]:
        return tuple(-x if x is not None and turn else x for x, turn in zip(values, turned, strict=True))

    return replace(
        effect,
        levels=tuple(replace(x, best=signed(x.best), median=signed(x.median)) for x in effect.levels),
    )


def _best(table: _Table, at: Rows, costs: Sequence[NDArray[np.float64]]) -> list[dict[str, Any]]:
    """The rows of ``at`` of least cost, of those that have one."""
    order = np.lexsort(tuple(reversed(costs)))[:BEST]  # NaN is last
    return [table.row(int(at[k])) for k in order.tolist() if np.isfinite(costs[0][k])]


def _distribution(name: str, values: NDArray[np.float64]) -> Distribution:
    known = values[np.isfinite(values)]
    least, most = float(known.min()), float(known.max())
    log = least > 0 and most > _DECADE * least
    counts, edges = np.histogram(scaled(known) if log else known, bins=BINS if most > least else 1)
    return Distribution(
        figure=name, least=least, median=float(np.median(known)), most=most,
        edges=tuple((np.exp(edges) if log else edges).tolist()), counts=tuple(counts.tolist()), log=log,
    )  # fmt: skip
