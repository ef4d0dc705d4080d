"""Variants as a picture: ratios to the base, and below layer by layer what moved and where the bound changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.report.numbers import short_names
from accelsim.report.pictures.roofline import GRID
from accelsim.report.whatif import Variants, dram_bytes, energy_ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from accelsim.report.whatif import Move
    from accelsim.result import Result

_MARKS = {
    "latency": ("#0072b2", "o"), "energy": ("#d55e00", "s"), "area": ("#009e73", "D"), "DRAM traffic": ("#cc79a7", "^"),
}  # fmt: skip
"""Okabe and Ito's palette (2008), and a shape for each."""
_NAMED, _NUMBERED = 48, 24
"""Layers that are named; numbers on the axis where there are more."""
_DECADE = 10.0
_LEAST = 1e-3
"""Of the base's total: what is coloured in proportion; beyond, colours go by decades."""


def variants_plot(found: Variants) -> Figure:
    """A matplotlib Figure of its own: a row for each variant; ratios, then two maps over the layers, of latency and of energy."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = max(len(found.names) - 1, 1)
    heights = (0.42 * rows + 0.4, 0.24 * rows + 0.2, 0.24 * rows + 0.2)
    figure = Figure(figsize=(13, sum(heights) + 3.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    ratios, latency, energy = figure.subplots(3, 1, height_ratios=heights)
    _ratios(ratios, found)
    _map(latency, found, "latency", last=False)
    _map(energy, found, "energy", last=True)
    base = f"{short_names([found.base.model], 60)[found.base.model]} on {found.base.arch.get('name')}"
    figure.suptitle(
        f"{short_names(found.names)[found.names[0]]}: {base}", fontsize=12, fontweight="bold", parse_math=False
    )
    return figure


def _rows(axes: Axes, found: Variants) -> None:
    """A row for each variant, the first on top."""
    shown = short_names(found.names)
    names = [shown[name] for name in found.names[1:]]
    axes.set_yticks(range(len(names)), names, parse_math=False, fontsize=9)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


class _Ratio(NamedTuple):
    """A figure's ratio, with its bounds where those are known."""

    value: float
    low: float
    high: float


def _ratio_of(result: Result, base: Result) -> dict[str, _Ratio | None]:
    def plain(value: float | None, reference: float | None) -> _Ratio | None:
        return _Ratio(*[value / reference] * 3) if value and reference else None

    energy, bounds = plain(result.total.energy_pj, base.total.energy_pj), energy_ratio(result, base)
    return {
        "latency": plain(result.total.latency_s, base.total.latency_s),
        "energy": energy._replace(low=bounds.low, high=bounds.high) if energy and bounds else energy,
        "area": plain(result.area_um2, base.area_um2),
        "DRAM traffic": plain(dram_bytes(result), dram_bytes(base)),
    }


def _ratios(axes: Axes, found: Variants) -> None:
    """A mark for each figure, one under the other in the variant's row, so that none covers another."""
    ratios = [_ratio_of(result, found.base) for result in found.results[1:]]
    for k, (figure, (color, marker)) in enumerate(_MARKS.items()):
        known = [(row, ratio[figure]) for row, ratio in enumerate(ratios)]
        marks = [(row - 0.3 + 0.2 * k, ratio) for row, ratio in known if ratio]
        y, x = [y for y, _ in marks], [ratio.value for _, ratio in marks]
        axes.hlines(y, [r.low for _, r in marks], [r.high for _, r in marks], color=color, linewidth=2, alpha=0.5)
        axes.plot(x, y, marker, color=color, markersize=5, label=figure)
    axes.axvline(1, color="#555555", linewidth=1, zorder=1)
    for row in range(1, len(ratios)):
        axes.axhline(row - 0.5, color=GRID, linewidth=0.8)
    ends = [end for ratio in ratios for r in ratio.values() if r for end in (r.low, r.high)] or [1.0]
    _ratio_axis(axes, min(*ends, 1.0), max(*ends, 1.0))
    _rows(axes, found)
    axes.set_title("Ratio to the base (lines: what the energies' ranges leave open)", loc="left", fontsize=11)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, fontsize=9, frameon=False, borderaxespad=0.2)


def _ratio_axis(axes: Axes, low: float, high: float) -> None:
    """From ``low`` to ``high`` with room beside them; by decades where they are one apart or more."""
    from matplotlib.ticker import LogLocator, NullLocator

    if high / low >= _DECADE:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < _DECADE**3 else (1.0,)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(low / 1.2, high * 1.2)
    else:
        room = max(0.06 * (high - low), 0.01)
        axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_formatter(lambda ratio, _: f"×{ratio:.4g}")
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)


def _map(axes: Axes, found: Variants, figure: str, *, last: bool) -> None:
    """What each layer of the base (and all others together) moved of the total, as a colour; a dot where the bound changed."""
    from matplotlib.colors import SymLogNorm

    every = list(found.moves().values())
    columns = len(found.base.layers) + any(move.base is None for moved in every for move in moved)
    values, dots = _cells(every, figure, columns, len(found.base.layers))
    most = max(float(np.abs(values).max(initial=0.0)), 10 * _LEAST)
    image = axes.imshow(
        values, aspect="auto", cmap="PuOr_r", norm=SymLogNorm(_LEAST, vmin=-most, vmax=most), interpolation="nearest"
    )
    if last:
        _layer_axis(axes, found, columns)
    else:
        axes.set_xticks([])
    size = _dot(columns)
    axes.plot(*dots.T[::-1], "o", color="black", markersize=size, markeredgecolor="white", markeredgewidth=size / 5)
    for row in range(1, len(every)):
        axes.axhline(row - 0.5, color="white", linewidth=1.5)
    _rows(axes, found)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_title(
        f"Moved by each layer, of the base's {figure} (dot: another bound than in the base)", loc="left", fontsize=11
    )
    _scale(axes, image, most)


def _dot(columns: int) -> float:
    """A size in points that fits a column."""
    return float(np.clip(300 / columns, 1.6, 5.0))


def _cells(every: list[tuple[Move, ...]], figure: str, columns: int, own: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """(shares, (variants, columns)), and (row, column) of every changed bound; what is no layer of the base is in the last column."""
    values, dots = np.zeros((max(len(every), 1), columns)), []
    for row, moved in enumerate(every):
        for k, move in enumerate(moved):
            values[row, min(k, own)] += getattr(move, figure)
            if move.base and move.other and len(move.bounds) > 1:
                dots.append((row, k))
    return values, np.array(dots, dtype=np.int64).reshape(-1, 2)


def _layer_axis(axes: Axes, found: Variants, columns: int) -> None:
    from matplotlib.ticker import MaxNLocator

    layers = found.base.layers
    if columns > _NAMED:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=_NUMBERED))
        axes.set_xlabel(
            "layer number" + ("; last: layers that the base does not have" if columns > len(layers) else "")
        )
        return
    short = short_names((layer.name for layer in layers), 24)
    names = [f"{layer.index}: {short[layer.name]}" for layer in layers] + ["others"] * (columns - len(layers))
    axes.set_xticks(
        range(columns), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=7, parse_math=False
    )


def _scale(axes: Axes, image: Any, most: float) -> None:
    """The scale of colours, in percent, with a tick for each decade."""
    decades = [_LEAST * _DECADE**k for k in range(12) if _LEAST * _DECADE**k <= most * 1.0001]
    ticks = [-tick for tick in reversed(decades)] + [0.0, *decades]
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, aspect=12, ticks=ticks[:: 1 + len(ticks) // 8])
    bar.ax.yaxis.set_major_formatter(lambda share, _: f"{share * 100:+.3g} %" if share else "0")
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=8)
