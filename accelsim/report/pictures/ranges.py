"""A Diagnosis as pictures: what each quantizer does to the output, and what its codes cover of the numbers that it meets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.report.numbers import short_names
from accelsim.report.pictures.roofline import GRID

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from accelsim.ptq.diagnose import ActivationRange, Diagnosis, QuantizerFinding, WeightRange

_WEIGHTS, _ACTS, _LIMIT, _PLAIN = "#0072b2", "#e69f00", "#d55e00", "#7f7f7f"
"""Of Okabe and Ito's palette (2008), and grey."""
MOST_BARS, MOST_PANELS = 40, 12
"""Quantizers of a picture: those that harm the output most."""
_NAME = 34


def diagnosis_plots(found: Diagnosis) -> dict[str, Callable[[], Figure]]:
    """Pictures by name: ``quantizers``, ``weights``, ``activations``; each drawn when it is called."""
    order = {each.quantizer: k for k, each in enumerate(found.quantizers)}
    weights = sorted(found.weights, key=lambda each: order[each.quantizer])[:MOST_PANELS]
    acts = sorted(found.activations, key=lambda each: order[each.quantizer])[:MOST_PANELS]
    names = {each.quantizer.layer: each.quantizer.layer for each in found.quantizers} | short_names(
        found.network, _NAME
    )
    plots: dict[str, Callable[[], Figure]] = {"quantizers": lambda: quantizers_plot(found.quantizers, names)}
    if weights:
        plots["weights"] = lambda: weights_plot(weights, names)
    if acts:
        plots["activations"] = lambda: activations_plot(acts, names)
    return plots


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)


def quantizers_plot(found: Sequence[QuantizerFinding], names: Mapping[str, str]) -> Figure:
    """Bars of the output's SQNR with one quantizer on, the most harmful on top; marks of the SQNR at its own tensor."""
    few = found[:MOST_BARS]
    figure = _figure(9, 0.24 * len(few) + 1.6)
    axes, places = figure.subplots(), np.arange(len(few))
    finite = [each.alone.sqnr_db for each in few if math.isfinite(each.alone.sqnr_db)]
    top = max([*finite, *(x.own_sqnr_db for x in few if math.isfinite(x.own_sqnr_db)), 1.0])
    for kind, colour in (("weights", _WEIGHTS), ("activations", _ACTS)):
        own = [k for k, each in enumerate(few) if each.quantizer.kind == kind]
        values = [min(few[k].alone.sqnr_db, top) for k in own]
        axes.barh(places[own], values, height=0.7, color=colour, label=f"{kind}: SQNR of the output")
    marked = [min(each.own_sqnr_db, top) for each in few]
    axes.plot(
        marked, places, "o", color="white", markeredgecolor="black", markersize=4.5, label="SQNR at its own tensor"
    )
    labels = [f"{names[each.quantizer.layer]}  {_short(each)}" for each in few]
    axes.set_yticks(places, labels, fontsize=8, parse_math=False)
    axes.set_ylim(len(few) - 0.4, -0.6)
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_xlabel("dB, this quantizer on and all others off", fontsize=9)
    axes.grid(axis="x", color=GRID)
    _tidy(axes)
    more = f" (the {len(few)} most harmful of {len(found)})" if len(found) > len(few) else ""
    axes.set_title(f"What each quantizer does to the output{more}", loc="left", fontsize=11)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _short(each: QuantizerFinding) -> str:
    return f"{'w' if each.quantizer.kind == 'weights' else 'a'}{each.bits}"


def weights_plot(found: Sequence[WeightRange], names: Mapping[str, str]) -> Figure:
    """A panel for each product: the weights of every output channel as a box with whiskers, and what the codes reach."""
    columns = min(2, len(found))
    rows = -(-len(found) // columns)
    figure = _figure(6.2 * columns, 2.1 * rows + 0.9)
    panels = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axes, each in zip(panels, found, strict=False):
        _weights(axes, each, names[each.quantizer.layer])
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.suptitle("Weights by output channel", fontsize=11, fontweight="bold")
    return figure


def _weights(axes: Axes, found: WeightRange, name: str) -> None:
    low, first, middle, third, high = found.quartiles.T
    x = np.arange(len(low))
    wide = float(np.clip(170 / len(x), 0.6, 6))
    axes.vlines(x, low, high, color=_WEIGHTS, linewidth=wide / 3, alpha=0.8, label="smallest to largest")
    axes.vlines(x, first, third, color=_WEIGHTS, linewidth=wide, label="middle half")
    axes.plot(
        x,
        middle,
        ".",
        color="white",
        markeredgecolor="black",
        markeredgewidth=0.4,
        markersize=wide / 2 + 1.5,
        label="median",
    )
    _steps(axes, x, found.limits[:, 1], label="what the codes reach")
    _steps(axes, x, found.limits[:, 0])
    axes.set_title(
        f"{name}: {found.sqnr_db:.1f} dB, widest channel {found.spread:.3g} × the narrowest",
        loc="left",
        fontsize=9,
        parse_math=False,
    )
    _by_channel(axes, len(x))
    axes.grid(axis="y", color=GRID)
    _tidy(axes)


def _by_channel(axes: Axes, count: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(-0.8, count - 0.2)
    axes.xaxis.set_major_locator(MaxNLocator(9, integer=True, min_n_ticks=1))


def _steps(axes: Axes, x: NDArray[Any], values: NDArray[Any], **options: Any) -> None:
    edges = np.concatenate([x - 0.5, [x[-1] + 0.5]])
    axes.stairs(values, edges, baseline=None, color=_LIMIT, linewidth=1, **options)


def activations_plot(found: Sequence[ActivationRange], names: Mapping[str, str]) -> Figure:
    """Two panels for each quantizer: a histogram of the values, and the range of every channel, beside what the codes cover."""
    figure = _figure(12.4, 1.9 * len(found) + 0.9)
    panels = figure.subplots(len(found), 2, squeeze=False, width_ratios=(1, 1.25))
    for (left, right), each in zip(panels, found, strict=True):
        _histogram(left, each, names[each.quantizer.layer])
        _channels(right, each)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle("Activations: values, and ranges of channels", fontsize=11, fontweight="bold")
    return figure


def _histogram(axes: Axes, found: ActivationRange, name: str) -> None:
    axes.stairs(found.counts, found.edges, fill=True, color=_ACTS, label="values")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, max(int(found.counts.max()), 1) * 3)
    axes.yaxis.set_major_locator(_decades(int(found.counts.max())))
    axes.minorticks_off()
    for k, end in enumerate((found.low, found.high)):
        axes.axvline(end, color=_LIMIT, linewidth=1, label=None if k else "what the codes cover")
    clipped = f", {found.clipped:.2g} of the values outside" if found.clipped else ""
    axes.set_title(f"{name}: {found.sqnr_db:.1f} dB{clipped}", loc="left", fontsize=9, parse_math=False)
    axes.set_xlim(found.edges[0], found.edges[-1])
    _tidy(axes)


def _decades(most: int) -> Any:
    from matplotlib.ticker import FixedLocator

    exponents = range(0, max(math.ceil(math.log10(max(most, 1))), 1) + 1, 2)
    return FixedLocator([0.0, *(10.0**k for k in exponents)])


def _channels(axes: Axes, found: ActivationRange) -> None:
    x = np.arange(len(found.lows))
    axes.vlines(x, found.lows, found.highs, color=_ACTS, linewidth=float(np.clip(170 / len(x), 0.6, 6)))
    for end in (found.low, found.high):
        axes.axhline(end, color=_LIMIT, linewidth=1)
    still = f", {found.constant} constant" if found.constant else ""
    axes.set_title(f"smallest to largest of {len(x)} channel{'s' if len(x) > 1 else ''}{still}", loc="left", fontsize=9)
    _by_channel(axes, len(x))
    axes.grid(axis="y", color=GRID)
    _tidy(axes)
