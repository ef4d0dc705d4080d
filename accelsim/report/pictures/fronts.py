"""Fronts as a picture: all points of each workload, those on the front joined, the knee marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from accelsim.report.pictures.roofline import GRID
from accelsim.result import Front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLOUD, LINE, MARK = "#bbbbbb", "#0072b2", "#d55e00"
"""Of Okabe and Ito's palette (2008), and a grey."""
MOST_DRAWN = 20_000
"""Points of a cloud: every so manieth where there are more."""
MOST_LEVELS = 4
"""Values of the third objective that stand at its scale themselves."""
DECADE = 10.0
"""Largest over least from which an axis is logarithmic."""


def fronts_plot(fronts: Sequence[Front]) -> Figure:
    """A matplotlib Figure of its own: a row for each workload with a front, first objective across, second up, third as colour."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = [front for front in fronts if front.rows]
    figure = Figure(figsize=(8, 5.0 * len(drawn)), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
    for axes, front in zip(rows, drawn, strict=True):
        _draw(figure, axes, front)
    figure.legend(*rows[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw(figure: Figure, axes: Axes, front: Front) -> None:
    best = np.array([[row[name] for name in front.objectives] for row in front.rows])
    every = max(1, -(-len(front.values) // MOST_DRAWN))
    cloud = front.values[::every]
    axes.plot(cloud[:, 0], cloud[:, 1], ".", color=CLOUD, markersize=4, label="points", rasterized=True, zorder=1)
    if best.shape[1] == 2:
        axes.plot(
            best[:, 0],
            best[:, 1],
            "o-",
            color=LINE,
            markersize=5,
            linewidth=1,
            drawstyle="steps-post",
            label="front",
            zorder=3,
        )
    else:
        norm = "log" if _spans_decades(best[:, 2]) else "linear"
        shown = axes.scatter(
            best[:, 0],
            best[:, 1],
            c=best[:, 2],
            cmap="cividis",
            norm=norm,
            s=26,
            edgecolors="black",
            linewidths=0.4,
            label="front",
            zorder=3,
        )
        bar = figure.colorbar(shown, ax=axes, label=front.objectives[2])
        if len(levels := np.unique(best[:, 2])) <= MOST_LEVELS:
            bar.set_ticks(levels.tolist(), labels=[f"{level:,.4g}" for level in levels])
            bar.minorticks_off()
    knee = best[front.knee or 0]
    axes.plot(knee[0], knee[1], "*", color=MARK, markersize=15, label="knee", zorder=4)
    _scale(axes, front)
    axes.set_title(_title(front), loc="left", fontsize=11, parse_math=False)
    axes.grid(color=GRID)
    axes.set_axisbelow(True)


def _scale(axes: Axes, front: Front) -> None:
    for column, (letter, axis) in enumerate([("x", axes.xaxis), ("y", axes.yaxis)]):
        name = front.objectives[column]
        if _spans_decades(front.values[:, column]):
            axes.set(**{f"{letter}scale": "log"})
        axis.set_major_formatter(lambda value, _: f"{value:,.4g}")
        axis.set_label_text(f"{name} (most)" if name in front.maximised else name, parse_math=False)


def _spans_decades(values: NDArray[np.float64]) -> bool:
    least, most = float(values.min()), float(values.max())
    return least > 0 and most > DECADE * least


def _title(front: Front) -> str:
    left = f"; {front.objectives[3]} is not drawn" if len(front.objectives) == 4 else ""
    return f"{front.workload or 'all rows'}: {len(front.rows):,} of {front.counts['rows']:,} on the front{left}"
