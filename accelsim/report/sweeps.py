"""A sweep as tables of a page, each of bounded length: its space, what failed, its figures, what each axis does, the best points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from accelsim.report.numbers import NONE, count, figure, share
from accelsim.report.pages import Cell, histogram_html, html_facts, html_list, html_table, section, shown
from accelsim.report.whatif import TITLES
from accelsim.result import Effect, Level, Overview, WorkloadOverview

MOST_WORKLOADS, MOST_AXES, MOST_LISTED, MOST_ERRORS, MOST_CONSTRAINTS = 4, 10, 100, 20, 100
"""Of what there may be more than a page holds; what is left out is counted."""
LONGEST, LONGEST_COMMAND = 120, 2000
"""Characters of a text."""
_FIRST_VALUES = 8
_TITLES = TITLES | {"dram_read_bytes": "DRAM reads", "dram_write_bytes": "DRAM writes"}
_DECADE = 10.0
_SHARE = ("utilization", "accuracy")
_WAYS = {"grid": "grid", "random": "random", "latin_hypercube": "Latin hypercube"}


def space_html(found: Overview) -> str:
    """What was swept."""
    axes = [[cut(path), cut(values_text(given))] for path, given in list(found.about["axes"].items())[:MOST_LISTED]]
    table = html_table(("axis", "values"), axes, (False, False), count=len(found.about["axes"]))
    groups = [
        [cut(name), cut(", ".join(patterns))] for name, patterns in list(found.about["groups"].items())[:MOST_LISTED]
    ]
    named = html_table(("group", "layers"), groups, (False, False), count=len(found.about["groups"])) if groups else ""
    return f"{html_facts(_facts(found))}{section('Space', table + named)}"


def _facts(found: Overview) -> Iterator[tuple[str, str]]:
    about = found.about
    way, number, seed, *_ = about["sample"]
    workloads = about["workloads"]
    yield "workloads", ", ".join(map(cut, workloads[:MOST_WORKLOADS])) + _more(len(workloads) - MOST_WORKLOADS)
    yield "machine", cut(found.machine)
    yield "tiles minimise", about["objective"]
    yield "sample", _WAYS[way] if way == "grid" else f"{_WAYS[way]}, {count(number)} of seed {seed}"
    left = found.points - found.finished
    yield "points", count(found.points) + (f", {count(left)} of them not computed yet" if left else "")
    out = found.finished - found.rows
    yield "rows", count(found.rows) + (f"; {count(out)} left out by constraints over axes" if out else "")
    yield "feasible", f"{count(found.feasible)}{_of(found.feasible, found.rows)}"
    yield "failed", f"{count(found.failed)}{_of(found.failed, found.rows)}"
    yield "folder", cut(found.folder)


def _of(part: int, whole: int) -> str:
    return f", {share(part / whole)}" if whole else ""


def _more(number: int) -> str:
    return f" and {count(number)} more" if number > 0 else ""


def cut(text: str) -> str:
    """``text``, of which a page shows no more than :data:`LONGEST` characters."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def values_text(given: Mapping[str, Any]) -> str:
    """The values of an axis, as the header of a sweep records them."""
    if "values" not in given:
        whole = ", whole numbers" if given["whole"] else ""
        return f"from {given['from']:g} to {given['to']:g}, {given['scale']}{whole}"
    values = ["null" if value is None else str(value) for value in given["values"]]
    if len(values) <= _FIRST_VALUES + 1:
        return ", ".join(values)
    return f"{', '.join(values[:_FIRST_VALUES])}, …, {values[-1]} ({count(len(values))} values)"


def kept_html(found: Overview) -> str:
    """What constraints left over, and why rows failed."""
    return f"{section('Constraints', _constraints(found))}{section('Errors', _errors(found))}"


def _constraints(found: Overview) -> str:
    few = found.broken[:MOST_CONSTRAINTS]
    if not few:
        return ""
    titles = ("constraint", "rows that break it", "that break no other")
    rows = [[cut(x.constraint), *_broken(x.rows, x.alone)] for x in few]
    over_axes = any(x.rows is None for x in few)
    note = f'<p class="note">{NONE}: over axes alone, left out before it was computed</p>' if over_axes else ""
    return html_table(titles, rows, (False, True, True), count=len(found.broken)) + note


def _errors(found: Overview) -> str:
    rows = [[count(number), cut(text)] for text, number in found.errors[:MOST_ERRORS]]
    other = len(found.errors) - len(rows)
    more = f'<p class="note">and {count(other)} other texts</p>' if other > 0 else ""
    return html_table(("rows", "error"), rows, (True, False)) + more if rows else ""


def _broken(rows: int | None, alone: int | None) -> tuple[str, str]:
    return (NONE, NONE) if rows is None or alone is None else (count(rows), count(alone))


def workloads_html(found: Overview) -> str:
    """The first workloads, each with its figures, effects and best points."""
    left = len(found.workloads) - MOST_WORKLOADS
    note = f'<p class="note">… and {count(left)} more workloads, not on this page</p>' if left > 0 else ""
    return "".join(map(_workload, found.workloads[:MOST_WORKLOADS])) + note


def _workload(found: WorkloadOverview) -> str:
    name, axes = cut(found.workload), found.effects[:MOST_AXES]
    if not found.objectives:
        return section(
            f"{name}: all of its {count(found.counts['rows'])} rows failed", "<p>There is nothing to show.</p>"
        )
    whose = (
        "none feasible: figures are of all rows without error"
        if found.all_infeasible
        else "figures are of feasible rows"
    )
    of = found.counts
    about = f"{count(of['rows'])} rows, {count(of['failed'])} failed, {count(of['infeasible'])} infeasible; {whose}"
    pictures = "".join(histogram_html(x, title(x.figure), partial(text_of, x.figure)) for x in found.distributions)
    parts = {
        "figures": f'<p>{shown(about)}</p><div class="side">{pictures}</div>',
        "what each axis does": _effects(found, axes),
        "best points": "".join(_best(found, objective, axes) for objective in found.objectives),
    }
    return "".join(section(f"{name}: {what}", body) for what, body in parts.items())


def title(name: str) -> str:
    """A column of the table in words."""
    return _TITLES.get(name, name)


def text_of(name: str, value: float | None) -> str:
    """A figure with its unit."""
    if name in _SHARE and value is not None:
        return f"{value * 100:.4g} %"
    return figure(name, value)


def _effects(found: WorkloadOverview, axes: Sequence[Effect]) -> str:
    titles = ["axis", *(f"of {title(name)}" for name in found.objectives)]
    rows = [[cut(effect.axis), *map(_part, effect.shares)] for effect in found.effects[:MOST_LISTED]]
    shares = html_table(titles, rows, [False, *[True] * len(found.objectives)], count=len(found.effects))
    note = (
        "<p>The share of the variance of a figure's logarithm that an axis explains alone, whatever the others are, among all rows without "
        "error (the correlation ratio, adjusted for the number of values): with 100 % nothing else matters. Below it, for each value, the "
        "best feasible row and the median of all without error. The dot is the best, the line ends at the median, on one scale for all axes.</p>"
    )
    left = len(found.effects) - len(axes)
    more = f'<p class="note">… and {count(left)} axes that matter less</p>' if left > 0 else ""
    scales = [_scale(axes, k) for k in range(len(found.objectives))]
    return note + shares + "".join(_levels(found, effect, scales) for effect in axes) + more


def _part(value: float | None) -> Cell | str:
    return NONE if value is None else Cell(share(value), span=(0.0, value))


Scale = tuple[float, float, bool]


def _scale(axes: Sequence[Effect], objective: int) -> Scale:
    """The least and the most of an objective's figures at the levels of ``axes``, and whether they differ by decades."""
    levels = [level for effect in axes for level in effect.levels]
    both = [value for level in levels for value in (level.best[objective], level.median[objective])]
    known = [value for value in both if value is not None]
    if not known:
        return 0.0, 0.0, False
    return min(known), max(known), min(known) > 0 and max(known) > _DECADE * min(known)


def _levels(found: WorkloadOverview, effect: Effect, scales: Sequence[Scale]) -> str:
    figures = [(name, k) for k, name in enumerate(found.objectives)]
    heads = [f"{title(name)}, {what}" for name, _ in figures for what in ("best", "median")]
    titles = [cut(effect.axis), "rows", "without error" if found.all_infeasible else "feasible", *heads]
    rows = (
        [_level(level), count(level.rows), count(level.kept), *(c for name, k in figures for c in _cells(level, name, k, scales[k]))]
        for level in effect.levels
    )  # fmt: skip
    numeric = all(level.value is not None and _is_number(level.value) for level in effect.levels)
    return html_table(titles, rows, [numeric, *[True] * (len(titles) - 1)])


def _level(level: Level) -> str:
    if level.others:
        return f"{count(level.others)} others"
    return cut(level.value) if level.value is not None else f"{level.low:.6g} to {level.high:.6g}"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _cells(level: Level, name: str, objective: int, scale: Scale) -> tuple[str, str | Cell]:
    best, median = level.best[objective], level.median[objective]
    if best is None or median is None:
        return NONE, text_of(name, median)
    return text_of(name, best), Cell(text_of(name, median), span=(_along(best, scale), _along(median, scale)))


def _along(value: float, scale: Scale) -> float:
    low, high, log = scale
    if not high > low:
        return 0.5
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)


def _best(found: WorkloadOverview, objective: str, axes: Sequence[Effect]) -> str:
    names = [effect.axis for effect in axes]
    figures = [x.figure for x in found.distributions]
    titles = ["point", *map(cut, names), *map(title, figures)]
    rows = [
        [str(row["point"]), *(cut(_value(row[name])) for name in names), *(text_of(x, row[x]) for x in figures)]
        for row in found.best[objective]
    ]
    most = "most" if objective in found.maximised else "least"
    head = f"<p><b>{most} {shown(title(objective))}</b></p>"
    commands = html_list(f"point {row['point']}: {_command(row)}" for row in found.best[objective])
    return head + html_table(titles, rows, [True] * len(titles)) + commands


def _value(value: Any) -> str:
    if value is None:
        return "null"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _command(row: Mapping[str, Any]) -> str:
    command = str(row["command"])
    return command if len(command) <= LONGEST_COMMAND else f"{NONE} ({count(len(command))} characters)"
