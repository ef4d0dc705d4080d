"""A Sensitivity as a tornado: what a step of each knob does to each figure, the largest effect on the objective on top."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from accelsim.report.numbers import NONE, short_names
from accelsim.report.pictures.roofline import GRID
from accelsim.report.whatif import remark, shown_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from accelsim.result import Figures, Knob, Sensitivity

_MORE, _LESS = "#0072b2", "#e69f00"
"""Of Okabe and Ito's palette (2008): a knob that is larger, and smaller."""
_LEAST = 0.1
"""Percent: what is drawn in proportion; beyond, lengths go by decades."""
_MANY = 10.0
"""Percent at the end of an axis: numbers would stand close beyond."""
_SMALLEST = 0.005
"""Elasticities below print as 0.00."""
_SUFFIXES = ((1e9, " G"), (1e6, " M"), (1e3, " k"))


def tornado(found: Sensitivity) -> Figure:
    """A matplotlib Figure of its own: a row for each knob with an effect, a panel for each figure.

    Bars are changes in percent for one ``step`` of the study, scaled to it where the legal step is another: ``step ** e - 1`` with the
    elasticity e of that side. Numbers at the right are the elasticities of both sides together.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    knobs, figures = found.effective, shown_figures(found)
    figure = Figure(figsize=(14, 0.3 * max(len(knobs), 1) + 2.2), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(figures), sharey=True, squeeze=False)[0]
    for axes, (key, title) in zip(panels, figures.items(), strict=True):
        _panel(axes, found, key, title)
    panels[0].set_yticks(range(len(knobs)), [_label(knob) for knob in knobs], fontsize=8)
    panels[0].set_ylim(max(len(knobs), 1) - 0.5, -0.5)
    handles, labels = panels[0].get_legend_handles_labels()
    notes = "numbers at the right: elasticities; *: one-sided, or from 0"
    figure.legend(
        handles, labels, title=notes, loc="outside lower center", ncols=2, fontsize=9, title_fontsize=9, frameon=False
    )
    where = f"{short_names([found.model], 60)[found.model]} on {found.arch.get('name')}"
    figure.suptitle(
        f"{where}: change of each figure by a step of {found.step:g}", fontsize=12, fontweight="bold", parse_math=False
    )
    return figure


def _panel(axes: Axes, found: Sensitivity, key: str, title: str) -> None:
    knobs, places = found.effective, range(len(found.effective))
    more = [_percent(found, knob, key, more=True) for knob in knobs]
    less = [_percent(found, knob, key, more=False) for knob in knobs]
    step = f"{found.step:g}"
    axes.barh(
        [k - 0.2 for k in places], more, height=0.36, color=_MORE, label=f"knob × {step} (a knob at 0: one step up)"
    )
    axes.barh([k + 0.2 for k in places], less, height=0.36, color=_LESS, label=f"knob / {step}")
    axes.axvline(0, color="#555555", linewidth=1)
    _percent_axis(axes, max(map(abs, (*more, *less)), default=0.0))
    for k, knob in enumerate(knobs):
        text = _number(knob, key)
        axes.text(1.01, k, text, transform=axes.get_yaxis_transform(), va="center", fontsize=7, color="#555555")
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _percent_axis(axes: Axes, most: float) -> None:
    """Proportional near 0, by decades beyond, and alike on both sides."""
    decades = [_LEAST * 10**k for k in range(8)]
    end = next((decade for decade in decades if decade >= most), decades[-1])
    shown = [decade for decade in decades if decade <= end]
    axes.set_xscale("symlog", linthresh=_LEAST, linscale=0.5)
    axes.set_xlim(-end * 1.3, end * 1.3)
    axes.set_xticks([*(-decade for decade in reversed(shown)), 0.0, *shown])
    axes.xaxis.set_major_formatter(lambda percent, _: _tick(percent, end))
    axes.minorticks_off()
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("%", fontsize=8)


def _tick(percent: float, end: float) -> str:
    """Of the decades around 0, which stand close, 0 alone is named; of four or more on a side every second one, down from the ``end``."""
    decades = round(math.log10(end / abs(percent))) if percent else 0
    if not percent:
        return "0"
    if abs(percent) <= _LEAST or (end > _MANY and decades % 2):
        return ""
    return f"{percent:+g}"


def _percent(found: Sensitivity, knob: Knob, key: str, *, more: bool) -> float:
    """The change of a figure by one step of ``knob`` to that side; 0 where it has none."""
    point = knob.above if more else knob.below
    if point is None:
        return 0.0
    logs = _log(found, point, key)
    if not knob.value:
        return 100 * math.expm1(logs)
    step = math.log(found.step) / abs(math.log(point.value / knob.value))
    return 100 * math.expm1(logs * step)


def _log(found: Sensitivity, point: Figures, key: str) -> float:
    """ln of a figure over the base's."""
    if key == "objective":
        return _log(found, point, "latency_s") + _log(found, point, "energy_pj")
    mine, base = getattr(point, key), getattr(found.base, key)
    return math.log(mine / base) if mine and base else 0.0


def _number(knob: Knob, key: str) -> str:
    value = knob.effect.get(key)
    if value is None or not knob.elasticity:
        return NONE
    if not value:
        return "0"
    return f"{value:+.2g}" if abs(value) >= _SMALLEST else f"{'-' if value < 0 else '+'}0.00"


def _label(knob: Knob) -> str:
    low, high = (_short(point.value if point else knob.value) for point in (knob.below, knob.above))
    one_sided = " *" if remark(knob) else ""
    return f"{knob.path}  {low} → {high}{one_sided}"


def _short(value: float) -> str:
    scale, suffix = next(((s, x) for s, x in _SUFFIXES if value >= max(s, 1e4)), (1.0, ""))
    return f"{value / scale:.4g}{suffix}"
