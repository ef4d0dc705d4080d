"""A Sensitivity as text: each knob with its elasticities; shared by terminal, text, HTML and picture."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from accelsim.display import printable
from accelsim.report.lines import ruled
from accelsim.report.numbers import NONE, area, energy, seconds
from accelsim.report.pages import html_list, section, shown
from accelsim.report.whatif.cells import Column, Grid, points
from accelsim.report.whatif.moves import ARROW
from accelsim.report.whatif.record import grid_html
from accelsim.report.whatif.table import grid_table
from accelsim.result import Knob, Sensitivity

TITLES = {"latency_s": "latency", "energy_pj": "energy", "area_um2": "area"}
PRODUCT = "energy x delay"
_HOW = "elasticity e: a knob 1 % larger makes the figure e % larger"


def shown_figures(found: Sensitivity) -> dict[str, str]:
    """Titles of what is shown, by the keys of the elasticities: the objective first where it is no single figure."""
    return ({"objective": PRODUCT} if found.objective == "edp" else {}) | TITLES


def knob_grid(found: Sensitivity) -> Grid:
    """One row per knob that changes something; of a knob at 0 the change that a step makes."""
    figures = shown_figures(found)
    columns = (Column("knob", right=False), Column("value", 1), Column("steps", 2, right=False))
    figured = tuple(Column(title) for title in figures.values())
    rows = [(*_names(k), *(_effect(k, key) for key in figures), remark(k)) for k in found.effective]
    return Grid((*columns, *figured, Column("sides", 3, right=False)), rows)


def _names(knob: Knob) -> tuple[str, str, str]:
    return " = ".join((knob.path, *knob.tied)), number(knob.value), steps(knob)


def steps(knob: Knob) -> str:
    """The values between which the effect was taken."""
    low, high = (number(point.value if point else knob.value) for point in (knob.below, knob.above))
    return f"{low} {ARROW} {high}"


def number(value: float) -> str:
    """A knob's value."""
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.6g}"


def _effect(knob: Knob, key: str) -> str:
    value = knob.effect.get(key)
    if value is None:
        return NONE
    if not value:
        return "0"
    return f"{value:+.3f}" if knob.elasticity else points(math.expm1(value))


def remark(knob: Knob) -> str:
    """Whether the effect is no central difference."""
    if not knob.value:
        return "from 0: change by the step"
    return "" if knob.below and knob.above else f"one-sided, {'more' if knob.above else 'less'}"


def heading(found: Sensitivity) -> str:
    """What was studied, in one line."""
    base = found.base
    size = "" if base.area_um2 is None else f", {area(base.area_um2)}"
    return (
        f"{found.model} on {found.arch.get('name')}: {base.cycles:,} cycles, {seconds(base.latency_s)}, {energy(base.energy_pj)}{size}; "
        f"steps of {found.step:g}, each mapped for least {found.objective}"
    )


def closing(found: Sensitivity) -> Iterator[str]:
    """What the table leaves out, a line each."""
    yield f"{_HOW}; largest effect on {shown_figures(found).get('objective', _objective(found))} first"
    if found.idle:
        yield f"no effect within a step: {', '.join(knob.path for knob in found.idle)}"
    for path, why in found.fixed.items():
        yield f"no legal step of {path}: {why}"


def _objective(found: Sensitivity) -> str:
    return "latency" if found.objective == "cycles" else "energy"


def sensitivity_table(found: Sensitivity, *, width: int | None = None) -> RenderableType:
    """For the terminal; columns without room in ``width`` are named."""
    lines = [Text(printable(line), style="dim") for line in closing(found)]
    return Group(
        Text(printable(heading(found)), style="bold"), Text(), *grid_table(knob_grid(found), width), Text(), *lines
    )


def sensitivity_text(found: Sensitivity) -> str:
    """As plain text."""
    grid = knob_grid(found)
    return "\n".join([heading(found), "", *ruled([grid.titles, *grid.rows], right=grid.right), "", *closing(found)])


def sensitivity_html(found: Sensitivity) -> str:
    """A fragment; every text from the model is escaped."""
    one_sided = html_list(f"{knob.path}: {knob.note}" for knob in found.effective if knob.note)
    parts = [f"<p><b>{shown(heading(found))}</b></p>", grid_html(knob_grid(found))]
    parts += [f"<p>{shown(line)}</p>" for line in closing(found)]
    parts.append(section("One-sided", one_sided))
    return f'<div class="accelsim-sensitivity">{"".join(parts)}</div>'
