"""A VerificationReport as a picture: differing codes by layer and cause, and accuracy by accumulator width where it was studied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.report.numbers import short_names
from accelsim.report.pictures.roofline import GRID
from accelsim.report.verification.text import layer_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from accelsim.verification import VerificationReport

PALETTE = ("#0072b2", "#e69f00", "#f0e442", "#56b4e9", "#cc79a7", "#009e73", "#d55e00", "#7f7f7f")
"""Okabe and Ito's (2008), and grey."""
MARKS = "osD^vPX*"
PLAIN, BARS = "#7f7f7f", "#d5dbe3"
_BESIDE: dict[str, Any] = {"fontsize": 8, "frameon": False, "loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
"""Where a legend covers nothing."""
_NAMED = 48
"""Layers that are named, evenly spaced where there are more: what stands side by side without touching."""


def write_verification_plot(report: VerificationReport, stream: IO[bytes], *, format: str = "png") -> None:
    """Draw :func:`verification_plot` into a binary stream."""
    verification_plot(report).savefig(stream, format=format, dpi=150)


def verification_plot(report: VerificationReport) -> Figure:
    """A matplotlib Figure of its own: layers on the left to right, causes as colours; widths below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = 1 if report.widths is None else 2
    figure = Figure(figsize=(11, 4.5 * rows), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, squeeze=False)[:, 0]
    _causes(axes[0], report)
    if report.widths is not None:
        _widths(axes[1], report)
    return figure


def _causes(axes: Axes, report: VerificationReport) -> None:
    """Bars of all that differs, marks of each cause and of end to end, by decades: none at all has no mark."""
    places, causes = np.arange(len(report.layers)), _shares_by_cause(report)
    codes = np.array([max(layer.forced.elements, 1) for layer in report.layers])
    forced = np.array([layer.forced.differing for layer in report.layers]) / codes
    chained = np.array([layer.end_to_end.differing for layer in report.layers]) / codes
    floor = _share_axis(axes, [share for shares in (forced, chained, *causes.values()) for share in shares])
    axes.bar(places, np.where(forced > 0, forced - floor, 0), bottom=floor, color=BARS, label="all causes")
    for i, (step, shares) in enumerate(causes.items()):
        beside = 0.5 * ((i + 0.5) / len(causes) - 0.5)
        _marks(axes, places + beside, shares, MARKS[i % len(MARKS)], PALETTE[i % len(PALETTE)], step)
    some = chained > 0
    # Below the marks, and wider than they are: where both agree, both are seen.
    axes.hlines(
        chained[some],
        places[some] - 0.42,
        places[some] + 0.42,
        color="black",
        linewidth=1,
        zorder=1.9,
        label="end to end",
    )
    _name_layers(axes, report, places)
    against = f"{short_names([report.model], 40)[report.model]} on {report.arch} against {report.oracle}"
    axes.set_title(f"{against}: bars fed with the oracle's inputs", loc="left", parse_math=False)
    axes.legend(**_BESIDE)


def _shares_by_cause(report: VerificationReport) -> dict[str, NDArray[Any]]:
    """Of each layer's codes, the share that a step moved."""
    return {
        step: np.array(
            [sum(c.count for c in x.causes if c.step == step) / max(x.forced.elements, 1) for x in report.layers]
        )
        for step in report.causes()
    }


def _share_axis(axes: Axes, shares: Sequence[float]) -> float:
    """A logarithmic axis from below the smallest share, which is returned; a plain one where there is none."""
    axes.set_ylabel("differing codes")
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    known = [share for share in shares if share > 0]
    if not known:
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.text(0.5, 0.5, "no code differs", transform=axes.transAxes, ha="center", color=PLAIN)
        return 0.0
    floor = 10.0 ** np.floor(np.log10(min(known)) - 0.1)
    axes.set_yscale("log")
    axes.set_ylim(floor, 1.5)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share * 100:.6g} %")
    return float(floor)


def _marks(axes: Axes, x: NDArray[Any], share: NDArray[Any], marker: str, color: str, label: str) -> None:
    some = share > 0
    size = float(np.clip(160 / max(len(share), 1), 2.5, 6))
    axes.plot(
        x[some],
        share[some],
        marker,
        color=color,
        markersize=size,
        markeredgecolor="#333333",
        markeredgewidth=0.4,
        label=label,
    )


def _name_layers(axes: Axes, report: VerificationReport, places: NDArray[Any]) -> None:
    labels, named = layer_labels(report), places[:: -(-len(places) // _NAMED) or 1]
    names = [labels[report.layers[i].layer] for i in named]
    axes.set_xticks(named, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=7, parse_math=False)
    axes.set_xlim(-0.8, len(places) - 0.2)


def _widths(axes: Axes, report: VerificationReport) -> None:
    assert report.widths is not None
    study = report.widths
    bits = [row.bits for row in study.rows]
    axes.plot(
        bits, [row.differing / row.elements for row in study.rows], "o-", color="#d55e00", label="differing codes"
    )
    accuracies = [(row.bits, row.accuracy) for row in study.rows if row.accuracy is not None]
    if accuracies:
        axes.plot(*zip(*accuracies, strict=True), "s-", color="#0072b2", label="accuracy")
    if study.smallest is not None:
        axes.axvline(study.smallest, color=PLAIN, linestyle=":", label=f"no code differs:\n{study.smallest} bits")
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(bits)
    axes.set_xlabel(f"accumulator bits, overflow {study.overflow}")
    axes.grid(color=GRID)
    axes.legend(**_BESIDE)
