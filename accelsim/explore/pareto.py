"""Tables of machines as points in two to four objectives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ConfigError
from accelsim.explore.fronts import Costs, Rows, checked, front, hypervolume, knee, reference_of
from accelsim.explore.origin import Origin, plain
from accelsim.result import Front

DEFAULT_OBJECTIVES = "latency_s", "energy_pj"


def costs_of(table: Any, objectives: Sequence[str], *, maximise: Collection[str] = ()) -> Costs:
    """Those columns of ``table`` as costs: what is in ``maximise`` with its sign turned; NaN in rows that failed or are infeasible.

    ``table`` is a DataFrame of :func:`accelsim.read_sweep`, an array of :func:`accelsim.evaluate`, or columns by name. A row failed where
    ``error`` says something, and is infeasible where ``feasible`` is false. ConfigError for a column that is not there or holds no
    numbers, for one that stands twice, and for what is to be maximised without being an objective.
    """
    names = _names(table)
    for name in objectives:
        if name not in names:
            raise ConfigError(f"objective {name!r}: no such column; there are {', '.join(names)}", objective=name)
    check_objectives(objectives, maximise)
    columns = [_numbers(table, name) * (-1.0 if name in maximise else 1.0) for name in objectives]
    costs = checked(np.column_stack(columns))
    costs[~(np.isfinite(costs).all(axis=1) & _is_valid(table, names, len(costs)))] = np.nan
    return costs


def check_objectives(objectives: Sequence[str], maximise: Collection[str]) -> None:
    """ConfigError for one that stands twice, and for what is to be maximised without being an objective."""
    for name in objectives:
        if list(objectives).count(name) > 1:
            raise ConfigError(f"objective {name!r}: given twice; give each once", objective=name)
    for name in maximise:
        if name not in objectives:
            raise ConfigError(f"maximise {name!r}: is none of the objectives, which are {', '.join(objectives)}")


def _names(table: Any) -> list[str]:
    return [str(name) for name in (table.dtype.names or () if isinstance(table, np.ndarray) else table.keys())]


def _numbers(table: Any, name: str) -> Costs:
    try:
        return np.asarray(table[name], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"objective {name!r}: holds texts; expected a column of numbers", objective=name) from error


def _is_valid(table: Any, names: Collection[str], count: int) -> NDArray[np.bool_]:
    valid = np.ones(count, dtype=np.bool_)
    if "feasible" in names:
        valid &= _is_true(np.asarray(table["feasible"], dtype=object))
    if "error" in names:
        valid &= ~_says(np.asarray(table["error"], dtype=object))
    return valid


def _is_true(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a column of truths holds true, and nothing that is missing."""
    return np.array([x is True or x is np.True_ for x in column], dtype=np.bool_)


def _says(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a column of texts holds one."""
    return np.array([isinstance(x, str) and bool(x) for x in column], dtype=np.bool_)


def pareto(
    table: Any,
    objectives: Sequence[str] = DEFAULT_OBJECTIVES,
    *,
    maximise: Collection[str] = (),
    reference: Mapping[str, float] | None = None,
) -> tuple[Front, ...]:
    """The front of each workload of ``table``, as of :func:`costs_of`; a DataFrame of :func:`accelsim.read_sweep` says how to run rows again.

    ``reference`` names the corner of the hypervolume, in an objective's own sign; where it is silent that is the worst of all points. A
    workload without a point has a front without rows. ConfigError where no workload has one, and as :func:`costs_of`.
    """
    costs = costs_of(table, objectives, maximise=maximise)
    for name in reference or {}:
        if name not in objectives:
            raise ConfigError(f"reference {name!r}: is none of the objectives, which are {', '.join(objectives)}")
    maximised = tuple(name for name in objectives if name in maximise)
    asked = _Asked(_columns(table, objectives), tuple(objectives), maximised, dict(reference or {}), Origin.of(table))
    workloads = asked.column("workload", np.full(len(costs), "", dtype=object))
    fronts = tuple(
        _front_of(asked, costs, np.flatnonzero(workloads == name), name) for name in dict.fromkeys(workloads.tolist())
    )
    if not any(found.rows for found in fronts):
        rows, all_of = f"{len(costs):,} rows", ", ".join(objectives)
        raise ConfigError(f"none of {rows} is feasible, without error and has numbers in all of {all_of}")
    return fronts


def _columns(table: Any, objectives: Sequence[str]) -> dict[str, NDArray[Any]]:
    """What of ``table`` is needed, each column converted once; texts and truths as Python's."""
    origin, names = Origin.of(table), _names(table)
    plain = {name: np.asarray(table[name]) for name in (*objectives, "point") if name in names}
    texts = ("workload", "feasible", "error", "objective")
    held = {name: np.asarray(table[name], dtype=object) for name in texts if name in names}
    return {name: np.asarray(table[name]) for name in (origin.axes if origin else ())} | held | plain


class _Asked(NamedTuple):
    """What :func:`pareto` is asked for, the columns that it needs, and where the table comes from."""

    columns: dict[str, NDArray[Any]]
    objectives: tuple[str, ...]
    maximised: tuple[str, ...]
    reference: dict[str, float]
    origin: Origin | None

    @property
    def signs(self) -> Costs:
        """1 for an objective to be minimised, else -1."""
        return np.array([-1.0 if name in self.maximised else 1.0 for name in self.objectives])

    @property
    def axes(self) -> tuple[str, ...]:
        """Columns of the table that say what was varied."""
        return self.origin.axes if self.origin else ()

    def column(self, name: str, otherwise: NDArray[Any]) -> NDArray[Any]:
        """The column called ``name``, or ``otherwise`` where there is none."""
        return self.columns.get(name, otherwise)

    def corner(self, points: Costs) -> Costs:
        """The reference of the hypervolume among the costs ``points``."""
        worst = zip(self.objectives, self.signs.tolist(), reference_of(points).tolist(), strict=True)
        return np.array([sign * self.reference.get(name, sign * cost) for name, sign, cost in worst])


def _front_of(asked: _Asked, costs: Costs, at: Rows, workload: str) -> Front:
    """The front of the rows ``at``."""
    points = costs[at]
    valid = np.asarray(np.isfinite(points).all(axis=1))
    rows = front(points)
    best = points[rows]  # of which alone the rest is asked: a front is its own front
    bent = int(rows[knee(best)]) if len(rows) else -1
    corner = asked.corner(points) if len(rows) else np.zeros(points.shape[1])
    volume = hypervolume(best, corner)
    return Front(
        workload=workload,
        objectives=asked.objectives,
        maximised=asked.maximised,
        axes=asked.axes,
        rows=tuple(_row(asked, int(at[row]), workload, is_knee=row == bent) for row in rows.tolist()),
        hypervolume=volume,
        share=_share(volume, corner, best),
        reference=tuple((corner * asked.signs).tolist()),
        counts=_counts(asked, at, valid),
        values=points[valid] * asked.signs,
    )


def _share(volume: float, corner: Costs, points: Costs) -> float | None:
    """``volume`` over the box from the best of each objective among ``points`` to the ``corner``; None for a flat one."""
    box = float(np.prod(np.maximum(corner - points.min(axis=0), 0.0))) if len(points) else 0.0
    return volume / box if box > 0 else None


def _row(asked: _Asked, at: int, workload: str, *, is_knee: bool) -> dict[str, Any]:
    """One row of a front, its values as Python has them."""
    values = {name: plain(asked.columns[name][at]) for name in (*asked.axes, *asked.objectives)}
    point = plain(asked.columns["point"][at]) if "point" in asked.columns else at
    told = asked.origin.command(workload, values, asked.columns["objective"][at]) if asked.origin else ""
    return {"point": point, "knee": is_knee, **values, "command": told}


def _counts(asked: _Asked, at: Rows, valid: NDArray[np.bool_]) -> dict[str, int]:
    """Rows of a workload by why they are no points; one that failed is counted as that alone."""
    failed = _says(asked.columns["error"][at]) if "error" in asked.columns else np.zeros(len(at), dtype=np.bool_)
    feasible = _is_true(asked.columns["feasible"][at]) if "feasible" in asked.columns else ~failed
    infeasible = ~feasible & ~failed
    lacking = ~valid & ~failed & ~infeasible
    found = {"rows": len(at), "failed": failed.sum(), "infeasible": infeasible.sum(), "incomplete": lacking.sum()}
    return {name: int(number) for name, number in found.items()}
