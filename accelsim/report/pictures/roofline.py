"""The roofline (Williams, Waterman and Patterson 2009): MACs per cycle over MACs per DRAM byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.result import LayerResult, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

GRID = "#e4e4e4"
_LABELS = 40
_DIGIT, _NUMBER, _LINE = 5.1, 8.0, 1.2
"""Width of a digit of a layer number, and half of a number's, in points; height of a line, in sizes of its letters."""
_OFFSETS = ((7, 0), (-7, 0), (0, 9), (0, -9), (8, 8), (-8, 8), (8, -8), (-8, -8))


@dataclass(frozen=True)
class RooflinePoint:
    """A layer with MACs: ``intensity`` in MACs per DRAM byte, ``rate`` in MACs per cycle of its busiest part.

    ``roof`` is the array's rate at the layer's own operand widths, in MACs per cycle; None where it cannot be told.
    """

    index: int
    intensity: float
    rate: float
    cycles: int
    roof: float | None


def roofline_points(result: Result) -> tuple[RooflinePoint, ...]:
    """One point per layer that has MACs and touches DRAM.

    The rate divides by the longest of the layer's share of the total, its array time and its DRAM time: a layer whose
    loads ran ahead behind the layer before it would else stand above the roof.
    """
    return tuple(
        _point(layer) for layer in result.layers if layer.macs and layer.dram_read_bytes + layer.dram_write_bytes
    )


def _point(layer: LayerResult) -> RooflinePoint:
    traffic = layer.dram_read_bytes + layer.dram_write_bytes
    busy = layer.busy_cycles
    dram = sum(busy.get(name, 0) for name in ("load_weights", "load_activations", "store"))
    cycles = max(layer.cycles, layer.compute_cycles // max(layer.cores, 1), dram, 1)
    roof = round(layer.macs / (layer.utilization * layer.cycles), 6) if layer.utilization else None
    return RooflinePoint(layer.index, layer.macs / traffic, layer.macs / cycles, layer.cycles, roof)


def roofs(arch: Arch) -> tuple[float, float]:
    """(MACs per cycle of all cores' arrays at their own operand widths, DRAM bytes per cycle)."""
    return float(arch.peak_macs_per_cycle), arch.dram.bandwidth_bytes_per_s / arch.clock_hz


def draw_roofline(axes: Axes, result: Result, arch: Arch, colors: NDArray[np.float64]) -> None:
    """Layers under the machine's two roofs; the area of a point is its share of the cycles.

    Dashed roofs are those of layers whose operands are wider or narrower than the array's ports.
    """
    points = roofline_points(result)
    peak, bandwidth = roofs(arch)
    ridge = peak / bandwidth
    others = sorted({point.roof for point in points if point.roof is not None} - {peak})
    top = max(peak, *others) if others else peak
    intensity = [point.intensity for point in points] or [ridge]
    left, right = min(*intensity, ridge) / 4, max(*intensity, ridge) * 6
    x = np.geomspace(left, right, 200)
    axes.loglog(x, np.minimum(peak, x * bandwidth), color="#333333", linewidth=1.6, zorder=2)
    axes.fill_between(x, np.minimum(top, x * bandwidth), top * 3, color="#f3f3f3", zorder=0)
    for roof in others:
        axes.loglog(x, np.minimum(roof, x * bandwidth), color="#333333", linewidth=1, linestyle="--", zorder=1)
        axes.text(right / 1.15, roof * 1.08, f"{roof:,.6g} at other widths", ha="right", va="bottom", fontsize=7)
    axes.axvline(ridge, color="#aaaaaa", linewidth=0.8, linestyle=":", zorder=1)
    lowest = min([point.rate for point in points] or [peak / 100])
    axes.set_xlim(left, right)
    axes.set_ylim(min(lowest / 3, peak / 30), top * 3)
    axes.grid(which="major", color=GRID)
    axes.set_title("Roofline (point: layer number; area: share of the cycles)", loc="left", fontsize=11)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.7g}")
    axes.set_xlabel("MACs per DRAM byte")
    axes.set_ylabel("MACs per cycle")
    _name_roofs(axes, peak, bandwidth, left, right)
    _draw_points(axes, points, colors)


def _name_roofs(axes: Axes, peak: float, bandwidth: float, left: float, right: float) -> None:
    axes.text(right / 1.15, peak * 1.12, f"array: {peak:,.0f} MACs/cycle", ha="right", va="bottom", fontsize=8)
    start, above = left * 1.25, bandwidth * 1.25
    axes.text(
        start,
        start * above,
        f"DRAM: {bandwidth:,.3g} bytes/cycle",
        rotation=float(np.degrees(np.arctan(above))),
        rotation_mode="anchor",
        transform_rotates_text=True,
        va="bottom",
        fontsize=8,
    )


def _draw_points(axes: Axes, points: tuple[RooflinePoint, ...], colors: NDArray[np.float64]) -> None:
    if not points:
        axes.text(0.5, 0.4, "no layer runs on the array", transform=axes.transAxes, ha="center", color="#777777")
        return
    x, y = [point.intensity for point in points], [point.rate for point in points]
    color = colors[[point.index for point in points]]
    axes.scatter(x, y, s=_areas(points), c=color, edgecolors="#333333", linewidths=0.5, alpha=0.85, zorder=3)


def _areas(points: tuple[RooflinePoint, ...]) -> NDArray[np.float64]:
    """Marker areas in square points."""
    cycles = np.array([point.cycles for point in points], dtype=np.float64)
    return np.asarray(18 + 380 * cycles / max(1.0, float(cycles.sum())))


def label_points(axes: Axes, result: Result) -> None:
    """Layer numbers beside their points, the slowest layers first; a number that would cover another, or the name of a roof, is left out.

    Call it when the figure's layout is final, since it looks at places on the page.
    """
    points = roofline_points(result)
    if not points:
        return
    radius = np.sqrt(_areas(points) / np.pi)
    place = axes.transData.transform([(p.intensity, p.rate) for p in points]) * 72 / axes.figure.dpi
    wide = 3 + _DIGIT * len(str(points[-1].index))
    names, taken = [_strip_of(text, axes.figure.dpi) for text in axes.texts], list[tuple[float, float]]()
    for i in sorted(range(len(points)), key=lambda i: -points[i].cycles)[:_LABELS]:
        for dx, dy in _OFFSETS:
            shift = np.array([dx + np.sign(dx) * radius[i], dy + np.sign(dy) * radius[i]])
            spot = place[i] + shift
            if _is_free(spot, taken, place, radius, i, wide) and not any(strip.holds(spot) for strip in names):
                taken.append((float(place[i][0] + shift[0]), float(place[i][1] + shift[1])))
                _label(axes, points[i], (float(shift[0]), float(shift[1])))
                break


class _Strip(NamedTuple):
    """Where a text lies: its lower left corner and the unit vector along it, its length and height, all in points."""

    corner: NDArray[np.float64]
    along: NDArray[np.float64]
    length: float
    height: float

    def holds(self, spot: NDArray[np.float64]) -> bool:
        """Whether a layer number at ``spot`` would touch it."""
        away = spot - self.corner
        x, y = float(away @ self.along), float(self.along[0] * away[1] - self.along[1] * away[0])
        return -_NUMBER < x < self.length + _NUMBER and -_NUMBER < y < self.height + _NUMBER


def _strip_of(text: Text, dpi: float) -> _Strip:
    """Of a text that is turned about its lower left corner by less than a right angle, or not at all."""
    box, angle = text.get_window_extent(), np.radians(text.get_rotation())
    x, y, wide, high = np.array([box.x0, box.y0, box.width, box.height]) * 72 / dpi
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    height = _LINE * float(text.get_fontsize())
    length = (wide - height * sin) / cos if cos > sin else (high - height * cos) / sin
    return _Strip(np.array([x + height * sin, y]), np.array([cos, sin]), float(length), height)


def _label(axes: Axes, point: RooflinePoint, shift: tuple[float, float]) -> None:
    at = (point.intensity, point.rate)
    axes.annotate(
        str(point.index), at, shift, textcoords="offset points", ha="center", va="center", fontsize=8
    ).set_in_layout(False)


def _is_free(
    spot: NDArray[np.float64],
    taken: list[tuple[float, float]],
    place: NDArray[np.float64],
    radius: NDArray[np.float64],
    own: int,
    wide: float,
) -> bool:
    if any(abs(spot[0] - x) < wide and abs(spot[1] - y) < 10 for x, y in taken):
        return False
    distance = np.hypot(*(place - spot).T) - radius
    return bool(np.all(np.delete(distance, own) > 5))
