"""Fronts of a sweep as tables: for the terminal, and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from accelsim.report.lines import GAP, width_of
from accelsim.report.numbers import NONE, count, share
from accelsim.report.pages import html_list, html_table, section
from accelsim.report.terminal import fact_table, first_rows, text_table
from accelsim.result import Front

KNEE = "knee"
_WHY = {"failed": "failed", "infeasible": "infeasible", "incomplete": "without all objectives"}


def front_table(front: Front) -> RenderableType:
    """One row of the terminal's table per row of the front, then what is said of all."""
    cells, more = first_rows(_cells(front), len(front.rows), remedy="--csv writes all")
    table = text_table(_titles(front), cells, right=_right(front), overflow="fold")
    return Group(Text(_heading(front), style="bold"), Text(), table, *more, Text(), fact_table(_facts(front)))


def front_width(front: Front) -> int:
    """Characters that the whole table takes."""
    cells, _ = first_rows(_cells(front), 0)
    return width_of(zip(_titles(front), *cells, strict=True)) + GAP * len(_titles(front))


def front_rows(fronts: Sequence[Front]) -> list[dict[str, Any]]:
    """One dictionary per row of every front."""
    return [{"workload": front.workload, **row} for front in fronts for row in front.rows]


def front_html(front: Front) -> str:
    """Table and facts as HTML; every text is escaped."""
    table = html_table(_titles(front), _cells(front), _right(front), count=len(front.rows))
    facts = html_list(f"{name}: {value}" for name, value in _facts(front))
    commands = html_list(f"point {row['point']}: {row['command']}" for row in front.rows if row["command"])
    return section(_heading(front), f"{table}{facts}{commands and f'<p>Each of them runs again by:</p>{commands}'}")


def _heading(front: Front) -> str:
    of = f"{front.workload}: " if front.workload else ""
    return f"{of}{count(len(front.rows))} of {count(front.counts['rows'])} rows are on the front"


def _titles(front: Front) -> list[str]:
    objectives = (f"{name} (most)" if name in front.maximised else name for name in front.objectives)
    return ["point", *(axis for axis in front.axes if axis not in front.objectives), *objectives, ""]


def _right(front: Front) -> list[bool]:
    return [True] * (len(_titles(front)) - 1) + [False]


def _cells(front: Front) -> list[list[str]]:
    names = [*(axis for axis in front.axes if axis not in front.objectives), *front.objectives]
    return [
        [str(row["point"]), *(_cell(row[name]) for name in names), KNEE if row["knee"] else ""] for row in front.rows
    ]


def _cell(value: Any) -> str:
    """Six digits of a real number, all of a whole one."""
    if value is None or value != value:
        return NONE
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _facts(front: Front) -> list[tuple[str, str]]:
    left_out = ", ".join(f"{count(front.counts[key])} {why}" for key, why in _WHY.items() if front.counts[key])
    corner = ", ".join(f"{name} {value:.6g}" for name, value in zip(front.objectives, front.reference, strict=True))
    volume = f"{front.hypervolume:.6g}, {share(front.share)} of the box from the best of each objective to {corner}"
    facts = [("left out", left_out), ("hypervolume", volume), (KNEE, _knee(front))]
    return [(name, value) for name, value in facts if value and (front.rows or name == "left out")]


def _knee(front: Front) -> str:
    place = front.knee
    if place is None:
        return ""
    chord = "chord between its ends" if len(front.objectives) == 2 else "plane through the unit points"
    return (
        f"point {front.rows[place]['point']}, the farthest below the {chord}, each objective from 0 to 1 on the front"
    )
