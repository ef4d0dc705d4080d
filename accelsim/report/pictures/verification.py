"""A VerificationReport as a picture: differing codes by layer and cause, and accuracy by accumulator width where it was studied."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import numpy as np

from accelsim.report.numbers import short_names
from accelsim.report.pictures.figure import COMPONENT_COLORS
from accelsim.report.pictures.roofline import GRID
from accelsim.report.verification.text import layer_labels

if TYPE_CHECKING:
    from accelsim.verification import VerificationReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = tuple(COMPONENT_COLORS.values())
PLAIN = "#7f7f7f"
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
    places = np.arange(len(report.layers))
    steps = list(report.causes())
    total = np.array([max(layer.forced.elements, 1) for layer in report.layers])
    below = np.zeros(len(places))
    for i, step in enumerate(steps):
        counts = np.array([sum(c.count for c in layer.causes if c.step == step) for layer in report.layers])
        axes.bar(places, counts / total, bottom=below, color=PALETTE[i % len(PALETTE)], label=step)
        below += counts / total
    chained = [layer.end_to_end.differing / n for layer, n in zip(report.layers, total, strict=True)]
    axes.plot(places, chained, "o", color="black", markersize=4, label="end to end")
    labels, named = layer_labels(report), places[:: -(-len(places) // _NAMED) or 1]
    names = [labels[report.layers[i].layer] for i in named]
    axes.set_xticks(named, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=7, parse_math=False)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.2%}")
    axes.set_ylabel("differing codes")
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    against = f"{short_names([report.model], 40)[report.model]} on {report.arch} against {report.oracle}"
    axes.set_title(f"{against}: bars fed with the oracle's inputs", loc="left", parse_math=False)
    axes.legend(fontsize=8, frameon=False)


def _widths(axes: Axes, report: VerificationReport) -> None:
    assert report.widths is not None
    study = report.widths
    bits = [row.bits for row in study.rows]
    axes.plot(
        bits, [row.differing / row.elements for row in study.rows], "o-", color=PALETTE[-1], label="differing codes"
    )
    accuracies = [(row.bits, row.accuracy) for row in study.rows if row.accuracy is not None]
    if accuracies:
        axes.plot(*zip(*accuracies, strict=True), "s-", color=PALETTE[0], label="accuracy")
    if study.smallest is not None:
        axes.axvline(study.smallest, color=PLAIN, linestyle=":", label=f"no code differs: {study.smallest} bits")
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(bits)
    axes.set_xlabel(f"accumulator bits, overflow {study.overflow}")
    axes.grid(color=GRID)
    axes.legend(fontsize=8, frameon=False)
