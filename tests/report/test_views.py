"""What every picture shows: all that is drawn lies within its axes and fills them, on scales that fit it; each point of a front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

import accelsim
from accelsim.explore import simulate_variants
from accelsim.report.pictures import fronts_plot, plot, tornado, variants_plot, verification_plot
from accelsim.report.pictures.roofline import roofline_points, roofs
from accelsim.result import Front
from accelsim.simulation import Simulation, run

from .networks import far_apart, separable_network

Points = NDArray[np.float64]
HAIR = 1e-6
LEAST = 0.2
"""Of the width or the height of axes, what is drawn there covers at least."""


def drawn(axes: Axes) -> Iterator[Points]:
    """(n, 2), in coordinates of the data: lines, points, bars and pictures; not what spans the axes from side to side."""
    for line in axes.get_lines():
        if line.get_transform() == axes.transData:
            yield np.asarray(line.get_xydata(), float)
    for patch in axes.patches:
        yield np.array([patch.get_xy(), np.add(patch.get_xy(), (patch.get_width(), patch.get_height()))])  # type: ignore[attr-defined]
    for collection in axes.collections:
        if collection.get_offset_transform() == axes.transData:
            yield np.asarray(collection.get_offsets(), float)
    for image in axes.images:
        left, right, bottom, top = image.get_extent()
        yield np.array([[left, bottom], [right, top]])


def check_view(axes: Axes) -> None:
    """Nothing that is drawn is cut off, and none of it is lost in a corner."""
    shown = [points[np.isfinite(points).all(axis=1)] for points in drawn(axes)]
    shown = [points for points in shown if len(points)]
    if not shown:
        return
    points = np.concatenate(shown)
    log = [scale == "log" for scale in (axes.get_xscale(), axes.get_yscale())]
    points = points[((points > 0) | ~np.array(log)).all(axis=1)]
    at = (axes.transData + axes.transAxes.inverted()).transform(points)
    assert at.min() >= -HAIR, axes.get_title(loc="left")
    assert at.max() <= 1 + HAIR, axes.get_title(loc="left")
    for column in range(2):
        if len(np.unique(points[:, column])) > 1:
            assert np.ptp(at[:, column]) >= LEAST, axes.get_title(loc="left")


def check(figure: Figure) -> None:
    figure.draw_without_rendering()
    for axes in figure.axes:
        check_view(axes)


Drawn = tuple[Simulation, Figure]


@pytest.fixture(scope="module")
def pictures(small: Simulation, keeping: Simulation, deep: Simulation) -> dict[str, Drawn]:
    """Drawn once: a picture takes a second."""
    found = {"small": small, "keeping": keeping, "deep": deep}
    return {name: (simulation, plot(simulation)) for name, simulation in found.items()}


@pytest.mark.parametrize("which", ["small", "keeping", "deep"])
def test_a_run(which: str, pictures: dict[str, Drawn]) -> None:
    check(pictures[which][1])


@pytest.fixture(scope="module", params=[1, 2, 30])
def far(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Layers whose figures lie decades apart."""
    table = tmp_path_factory.mktemp("far") / "far.csv"
    table.write_text(far_apart(request.param), encoding="utf-8")
    simulation = run(table, arch="edge_16x16")
    return simulation, plot(simulation)


def test_layers_decades_apart_and_the_ridge_between_them(far: Drawn) -> None:
    simulation, figure = far
    check(figure)
    roofline = figure.axes[0]
    ridge = simulation.arch.peak_macs_per_cycle / (
        simulation.arch.dram.bandwidth_bytes_per_s / simulation.arch.clock_hz
    )
    left, right = roofline.get_xlim()
    assert left < ridge < right
    points = roofline_points(simulation.result)
    assert len(points) == len(simulation.result.layers)
    intensity = [point.intensity for point in points]
    assert left < min(intensity)
    assert max(intensity) < right


@pytest.mark.parametrize("which", ["small", "deep"])
def test_dots_by_decades_stand_beside_their_bars(which: str, pictures: dict[str, Drawn]) -> None:
    """Bars lie where the layers are few, and stand where they are many; a layer takes as much room as another."""
    simulation, figure = pictures[which]
    _, bars, _, dots = figure.axes
    energies = [layer.energy_pj for layer in simulation.result.layers]
    lying = len(energies) < 18
    places, values = ("y", "x") if lying else ("x", "y")
    low, high = sorted(getattr(bars, f"get_{places}lim")())
    assert (low, high) == tuple(sorted(getattr(dots, f"get_{places}lim")()))
    assert -1 < low <= -0.5
    assert len(energies) - 0.5 <= high < len(energies)
    assert getattr(dots, f"get_{values}scale")() == "log"
    (line,) = dots.get_lines()
    at = np.asarray(line.get_xydata(), float)[:, :: -1 if lying else 1]
    assert at[:, 0].tolist() == [k for k, energy in enumerate(energies) if energy]
    assert at[:, 1] / at[:, 1].max() == pytest.approx(np.array([e for e in energies if e]) / max(energies))
    ticks = getattr(dots, f"get_{values}ticks")()
    least, most = sorted(getattr(dots, f"get_{values}lim")())
    assert least < at[:, 1].min() <= at[:, 1].max() < most
    assert (ticks[0], len(ticks) <= 4) == (least, True)
    assert most <= 100 * at[:, 1].max()
    assert least >= at[:, 1].min() / 100


def test_the_paper_is_grey_above_the_roofs_and_white_below(far: Drawn) -> None:
    simulation, figure = far
    axes = figure.axes[0]
    peak, bandwidth = roofs(simulation.arch)
    (grey,) = (c for c in axes.collections if isinstance(c, PolyCollection))
    (path,) = grey.get_paths()
    left, right = axes.get_xlim()
    for x in np.geomspace(left * 1.01, right / 1.01, 20):
        roof = min(peak, bandwidth * x)
        assert path.contains_point((x, roof * 1.05))
        assert not path.contains_point((x, roof / 1.05))


def test_layers_of_other_widths_have_roofs_of_their_own(tmp_path: Path) -> None:
    """Dashed, as high as their arrays work, and named; the paper is grey above the highest."""
    table = tmp_path / "net.csv"
    table.write_text("name,op,h,w,c,oc,kh,kw,weight_bits\na,conv2d,8,8,8,16,3,3,8\nb,conv2d,8,8,16,16,3,3,2\n")
    done = run(table, arch="bit_fusion_16x16")
    axes, (peak, bandwidth) = plot(done).axes[0], roofs(done.arch)
    others = {point.roof for point in roofline_points(done.result)} - {peak}
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    assert {float(np.max(line.get_ydata())) for line in dashed} == others != set()
    for line in dashed:
        x, y = np.asarray(line.get_xydata()).T
        assert y.tolist() == np.minimum(y.max(), x * bandwidth).tolist()
    named = {text.get_text() for text in axes.texts}
    assert {f"{roof:,.6g} at other widths" for roof in others} <= named
    assert axes.get_ylim()[1] > max(peak, *others)


@pytest.mark.parametrize("which", ["small", "deep"])
def test_the_number_of_a_layer_stands_beside_its_point(which: str, pictures: dict[str, Drawn]) -> None:
    simulation, figure = pictures[which]
    figure.draw_without_rendering()
    axes = figure.axes[0]
    points = roofline_points(simulation.result)
    (drawn_points,) = (c for c in axes.collections if len(c.get_offsets()) == len(points) > 1)
    radii = np.sqrt(drawn_points.get_sizes() / np.pi)
    place = axes.transData.transform([(point.intensity, point.rate) for point in points]) * 72 / figure.dpi
    at = {point.index: k for k, point in enumerate(points)}
    numbers = [text for text in axes.texts if text.get_text().isdigit()]
    assert numbers
    for number in numbers:
        k, box = at[int(number.get_text())], number.get_window_extent()
        middle = np.array([box.x0 + box.x1, box.y0 + box.y1]) / 2 * 72 / figure.dpi
        assert radii[k] < np.hypot(*(middle - place[k])) < radii[k] + 16


@pytest.mark.parametrize("which", ["small", "deep"])
def test_the_band_of_layers_stands_above_all_tracks(which: str, pictures: dict[str, Drawn]) -> None:
    """Each layer from where the one before it ends to its own end; its number in the middle, where there is room."""
    simulation, figure = pictures[which]
    axes = figure.axes[2]
    finish = simulation.timeline.layer_finish.tolist()
    bands = [c.get_paths()[0].get_extents() for c in axes.collections if isinstance(c, PolyCollection)]
    assert [(band.x0, band.x1) for band in bands] == list(zip([0, *finish], finish, strict=False))
    assert len({(band.y0, band.y1) for band in bands}) == 1
    lowest, highest = axes.get_ylim()[1], min(bottom for image in axes.images for bottom in image.get_extent()[2:])
    assert lowest < bands[0].y0 < bands[0].y1 < highest
    numbers = {int(text.get_text()): text.get_position() for text in axes.texts if text.get_text().isdigit()}
    assert numbers
    for k, (x, y) in numbers.items():
        assert x == pytest.approx((bands[k].x0 + bands[k].x1) / 2)
        assert bands[k].y0 < y < bands[k].y1


@pytest.mark.parametrize("arch", ["edge_16x16", "mcu_npu"])
def test_a_sensitivity(arch: str) -> None:
    """Its rows are as high as each other, and fill the panels."""
    found = accelsim.sensitivity("digits_cnn", arch=arch)
    figure = tornado(found)
    check(figure)
    for panel in figure.axes:
        assert panel.get_ylim() == (len(found.effective) - 0.5, -0.5)
        assert panel.get_xlim()[0] == -panel.get_xlim()[1]


@pytest.mark.parametrize("speeds", [(0.9, 1.1), (0.01, 0.1, 3.0)])
def test_variants(speeds: Sequence[float]) -> None:
    graph = separable_network(2, size=16)
    base = accelsim.simulate(graph)
    bandwidth = accelsim.load_arch("edge_16x16").dram.bandwidth_bytes_per_s
    edits: dict[str, Any] = {f"{speed}": {"dram.bandwidth_bytes_per_s": round(speed * bandwidth)} for speed in speeds}
    figure = variants_plot(accelsim.compare({"base": base, **simulate_variants(graph, variants=edits)}))
    check(figure)
    ratios = figure.axes[0]
    assert ratios.get_xscale() == ("log" if max(speeds) / min(speeds) >= 10 else "linear")
    low, high = ratios.get_xlim()
    assert low < 1.0 < high


def test_a_verification() -> None:
    report = accelsim.verify("digits_cnn", arch="nvdla_small", random_count=2)
    figure = verification_plot(report)
    check(figure)
    low, high = figure.axes[0].get_ylim()
    shares = [layer.forced.differing / layer.forced.elements for layer in report.layers]
    assert 0 < low < min(share for share in shares if share)
    assert max(shares) < high < 10


def test_where_no_code_differs_the_axis_is_that_of_a_share() -> None:
    report = accelsim.verify("digits_cnn", arch="nvdla_small", random_count=2)
    same = replace(report.layers[0].forced, differing=0)
    layers = tuple(replace(layer, forced=same, end_to_end=same, causes=()) for layer in report.layers)
    figure = verification_plot(replace(report, layers=layers))
    axes = figure.axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim() == (0.0, 1.0)
    assert "no code differs" in [text.get_text() for text in axes.texts]


def front(values: Points, best: Sequence[int], *, knee: int, maximised: tuple[str, ...] = ()) -> Front:
    names = ("a", "b", "c", "d")[: values.shape[1]]
    rows = [{"point": k, "knee": k == knee, **dict(zip(names, values[k], strict=True))} for k in best]
    counts = {"rows": len(values), "failed": 0, "infeasible": 0, "incomplete": 0}
    return Front(
        workload="net",
        objectives=names,
        maximised=maximised,
        axes=(),
        rows=tuple(rows),
        hypervolume=1.0,
        share=None,
        reference=tuple(values.max(axis=0)),
        counts=counts,
        values=values,
    )


TWO = np.array([[1.0, 5.0], [2.0, 3.0], [4.0, 2.0], [4.0, 6.0], [8.0, 9.0]])


def labelled(axes: Axes, label: str) -> Points:
    """The points of what is named ``label``."""
    lines = [np.asarray(line.get_xydata(), float) for line in axes.get_lines() if line.get_label() == label]
    clouds = [np.asarray(c.get_offsets(), float) for c in axes.collections if c.get_label() == label]
    (found,) = [*lines, *clouds]
    return found


def test_a_front_of_two_objectives() -> None:
    figure = fronts_plot([front(TWO, [0, 1, 2], knee=1, maximised=("b",))])
    check(figure)
    (axes,) = figure.axes
    assert labelled(axes, "points").tolist() == TWO.tolist()
    assert labelled(axes, "front").tolist() == TWO[:3].tolist()
    assert labelled(axes, "knee").tolist() == [[2.0, 3.0]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b (most)")
    assert axes.get_title(loc="left") == "net: 3 of 5 on the front"
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "linear")


@pytest.mark.parametrize(("largest", "scale"), [(9.0, "linear"), (10.0, "linear"), (10.5, "log"), (1000.0, "log")])
def test_more_than_a_decade_is_drawn_by_decades(largest: float, scale: str) -> None:
    values = TWO * (largest / 8.0, 1.0)
    values[0, 0] = 1.0
    figure = fronts_plot([front(values, [0, 1, 2], knee=2)])
    check(figure)
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == (scale, "linear")


def test_zeros_are_drawn_in_proportion() -> None:
    values = TWO - (1.0, 0.0)
    assert fronts_plot([front(values, [0, 1], knee=0)]).axes[0].get_xscale() == "linear"


@pytest.mark.parametrize(("levels", "ticks"), [(2, 2), (4, 4), (5, None)])
def test_the_third_objective_is_a_colour_and_the_fourth_is_named(levels: int, ticks: int | None) -> None:
    third = 1.0 + np.arange(5) % levels
    values = np.column_stack([TWO, third, np.zeros(5)])
    figure = fronts_plot(
        [front(values[:, :3], range(5), knee=3), front(values, range(5), knee=3), front(TWO, [], knee=0)]
    )
    check(figure)
    plain, other, *scales = figure.axes
    assert len(scales) == 2
    assert labelled(other, "front").tolist() == TWO.tolist()
    assert labelled(other, "knee").tolist() == [[4.0, 6.0]]
    assert plain.get_title(loc="left") == "net: 5 of 5 on the front"
    assert other.get_title(loc="left") == "net: 5 of 5 on the front; d is not drawn"
    (colours,) = (c for c in plain.collections if c.get_label() == "front")
    assert np.asarray(colours.get_array()).tolist() == third.tolist()
    for scale in scales:
        assert scale.get_ylabel() == "c"
        if ticks is not None:
            assert [label.get_text() for label in scale.get_yticklabels()] == [f"{k + 1}" for k in range(ticks)]


@pytest.mark.parametrize(("count", "shown"), [(20_000, 20_000), (20_001, 10_001), (60_000, 20_000)])
def test_a_large_cloud_is_thinned(count: int, shown: int) -> None:
    values = np.random.default_rng(0).uniform(1, 2, (count, 2))
    (axes,) = fronts_plot([front(values, [0], knee=0)]).axes
    assert len(labelled(axes, "points")) == shown
