"""The picture: its numbers, its formats, and that nothing on it covers anything else."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.path import Path as MplPath
from matplotlib.transforms import Bbox

from accelsim.arch import load_arch
from accelsim.errors import AccelsimError
from accelsim.hardware import Engine
from accelsim.report.files import KEEPING, TRACKS
from accelsim.report.numbers import NONE
from accelsim.report.pictures.figure import (
    COMPONENT_COLORS,
    draw_timeline,
    ink,
    layer_colors,
    plot,
    plot_format,
    write_plot,
)
from accelsim.report.pictures.roofline import roofline_points, roofs
from accelsim.simulation import Simulation, run
from accelsim.timing import Timeline, schedule
from tests.generate import random_program

from .networks import far_apart, network_without_macs, separable_network

ROOT = Path(__file__).parents[2]
"""Where the package of tests lies."""


@pytest.mark.parametrize(("name", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_formats(small: Simulation, name: str, start: bytes) -> None:
    stream = io.BytesIO()
    write_plot(small, stream, format=plot_format(f"picture.{name.upper()}"))
    assert stream.getvalue().startswith(start)
    assert len(stream.getvalue()) > 10_000


@pytest.mark.parametrize("path", ["picture.bmp", "picture", "picture.jpeg2", ".png.txt"])
def test_unknown_format_names_the_accepted_ones(path: str) -> None:
    with pytest.raises(AccelsimError, match=r"\.png, \.svg or \.pdf"):
        plot_format(path)


def test_drawing_touches_no_global_state() -> None:
    code = (
        "import sys, matplotlib\n"
        "def state(): return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != 'backend'}\n"
        "before = state()\n"
        "from accelsim.simulation import run\n"
        "from accelsim.report.pictures.figure import plot\n"
        f"sys.path.append({str(ROOT)!r})\n"
        "from tests.report.networks import separable_network\n"
        "plot(run(separable_network(1), arch='edge_16x16'))\n"
        "assert state() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_no_point_stands_above_its_roof(small: Simulation, deep: Simulation) -> None:
    for simulation in (small, deep):
        peak, bandwidth = roofs(simulation.arch)
        points = roofline_points(simulation.result)
        assert len(points) == sum(layer.macs > 0 for layer in simulation.result.layers)
        for point in points:
            assert point.rate <= min(peak, bandwidth * point.intensity) * (1 + 1e-9)


def shares(timeline: Timeline, engine: Engine, *, columns: int, core: int = 0) -> np.ndarray:
    """Share of each column that is black where every layer is."""
    black = np.zeros((len(timeline.program.graph.layers), 4))
    return 1 - ink(timeline, engine, black, columns=columns, core=core)[:, 0]


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.integers(1, 3000))
def test_an_engine_looks_as_busy_as_it_is(seed: int, columns: int) -> None:
    """In all, and in every column: what it works between the cycles at its sides."""
    program = random_program(seed)
    timeline = schedule(program)
    cycle = np.linspace(0, max(timeline.total_cycles, 1), columns + 1)
    for engine in Engine:
        for core in range(program.arch.cores.count):
            drawn, busy = shares(timeline, engine, columns=columns, core=core), timeline.busy_cycles(engine, core=core)
            assert drawn.mean() * cycle[-1] == pytest.approx(busy)
            mine = program.of_engine(engine) & (program.core == core)
            begin, end = timeline.start[mine], timeline.until[mine]
            at = seed % columns
            inside = np.clip(np.minimum(end, cycle[at + 1]) - np.maximum(begin, cycle[at]), 0, None).sum()
            assert drawn[at] * (cycle[at + 1] - cycle[at]) == pytest.approx(inside, abs=1e-6 * cycle[-1])


def test_what_is_on_the_page_is_as_dark_as_its_engine_is_busy(deep: Simulation) -> None:
    """Within one pixel of the strip, although most work is shorter than that."""
    figure = Figure(figsize=(9, 4), dpi=100)
    canvas, axes = FigureCanvasAgg(figure), figure.add_axes((0.1, 0.15, 0.8, 0.7))
    draw_timeline(axes, deep.timeline, np.tile([0.0, 0.0, 0.0, 1.0], (len(deep.result.layers), 1)))
    canvas.draw()
    page, busiest = np.asarray(canvas.buffer_rgba())[::-1, :, 0] / 255, 0.0
    for row, engine in enumerate(e for e in TRACKS if e not in KEEPING or deep.timeline.busy_cycles(e)):
        (left, y), (right, _) = axes.transData.transform([(0, row + 0.5), (deep.timeline.total_cycles, row + 0.5)])
        strip = page[round(y), round(left) + 1 : round(right) - 1]
        busy = deep.timeline.busy_cycles(engine) / deep.timeline.total_cycles
        assert 1 - strip.mean() == pytest.approx(
            busy, abs=4 / len(strip)
        )  # a pixel of strip, grid and border at either side
        busiest = max(busiest, busy)
    assert busiest > 0.3


def test_several_cores_share_a_track_and_the_roof() -> None:
    simulation = run(separable_network(1), arch=load_arch("edge_16x16").with_({"cores.count": 4}))
    for engine in Engine:
        drawn = sum(shares(simulation.timeline, engine, columns=500, core=core).mean() for core in range(4))
        assert drawn * simulation.timeline.total_cycles == pytest.approx(simulation.timeline.busy_cycles(engine))
    assert roofs(simulation.arch)[0] == 4 * 256
    peak, bandwidth = roofs(simulation.arch)
    for point in roofline_points(simulation.result):
        assert point.rate <= min(peak, bandwidth * point.intensity) * (1 + 1e-9)
        assert point.roof == pytest.approx(peak)
    strips = [image.get_extent() for image in plot(simulation).axes[2].images]
    assert sum(np.isclose(bottom - top, 0.76 / 4) for _, _, bottom, top in strips) == sum(
        simulation.timeline.busy_cycles(e, core=c) > 0 for e in Engine for c in range(4)
    )


def test_keep_and_recall_have_tracks_where_they_work(small: Simulation, keeping: Simulation) -> None:
    labels = [[text.get_text() for text in plot(s).axes[2].get_yticklabels()] for s in (small, keeping)]
    assert labels[1] == [*labels[0], "keep", "recall"]


def test_a_network_without_macs_has_a_roofline_without_points() -> None:
    axes = plot(run(network_without_macs(), arch="edge_16x16")).axes
    assert "no layer runs on the array" in [text.get_text() for text in axes[0].texts]
    assert not axes[0].collections[1:]


def test_beside_each_track_stands_how_busy_its_engine_is(keeping: Simulation) -> None:
    axes, total = plot(keeping).axes[2], keeping.timeline.total_cycles
    engine_at = {
        y: engine
        for y, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        for engine in Engine
        if engine.label == label.get_text()
    }
    beside = [text for text in axes.texts if text.get_transform() == axes.get_yaxis_transform()]
    said = {text.get_position()[1]: text.get_text() for text in beside}
    shares_of = {y: keeping.timeline.busy_cycles(engine) / total for y, engine in engine_at.items()}
    assert said == {y: f"{share:.0%}" if share else NONE for y, share in shares_of.items()}
    assert len({*said.values()}) > 3


@pytest.mark.parametrize("which", ["small", "keeping", "deep"])
def test_labels_do_not_cover_each_other(which: str, request: pytest.FixtureRequest) -> None:
    figure = plot(request.getfixturevalue(which))
    figure.draw_without_rendering()
    for axes in figure.axes:
        texts = [
            text
            for text in (*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels())
            if text.get_text() and text.get_visible()
        ]
        boxes = [text.get_window_extent() for text in texts if text.get_rotation() == 0]
        for a, b in combinations(boxes, 2):
            assert not (a.x0 < b.x1 - 1 and b.x0 < a.x1 - 1 and a.y0 < b.y1 - 1 and b.y0 < a.y1 - 1)


@pytest.fixture(scope="session", params=[1, 2, 30, 200])
def far(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """Layers whose figures lie decades apart."""
    table = tmp_path_factory.mktemp("far") / f"far{request.param}.csv"
    table.write_text(far_apart(request.param), encoding="utf-8")
    return run(table, arch="edge_16x16")


def apart(a: Bbox, b: Bbox, gap: float = 0.0) -> bool:
    return a.x1 + gap <= b.x0 or b.x1 + gap <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0


def test_of_one_layer_to_two_hundred_no_text_covers_another(far: Simulation) -> None:
    figure = plot(far)
    figure.draw_without_rendering()
    for axes in figure.axes:
        numbers = [text for text in axes.texts if text.get_text().isdigit()]
        for a, b in combinations([text.get_window_extent() for text in numbers], 2):
            assert apart(a, b)
        for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
            for a, b in combinations([tick.get_window_extent() for tick in ticks if tick.get_text()], 2):
                assert apart(a, b, gap=4)


def test_no_layer_number_touches_the_name_of_a_roof(far: Simulation) -> None:
    """The turned name of the DRAM's too: its rectangle from its anchor, along the direction that it is written in."""
    figure = plot(far)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    numbers = [text for text in axes.texts if text.get_text().isdigit()]
    names = [text for text in axes.texts if not text.get_text().isdigit()]
    assert len(names) == 2
    assert numbers
    for name in names:
        width, height, _ = axes.figure.canvas.get_renderer().get_text_width_height_descent(  # type: ignore[attr-defined]
            name.get_text(), name.get_fontproperties(), False
        )
        corner = np.array(axes.transData.transform(name.get_position()))
        angle = np.radians(name.get_rotation())
        along, up = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        start = corner - along * width * (name.get_horizontalalignment() == "right")
        strip = MplPath([start, start + along * width, start + along * width + up * height, start + up * height])
        for number in numbers:
            box = number.get_window_extent()
            assert not strip.intersects_bbox(box), (name.get_text(), number.get_text())


def test_energies_begin_at_zero(far: Simulation) -> None:
    energies = plot(far).axes[1]
    limits = energies.get_xlim() if len(far.result.layers) < 18 else energies.get_ylim()
    assert limits[0] == 0.0


def test_the_picture_stays_inside_the_page(deep: Simulation) -> None:
    figure = plot(deep)
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 >= -0.01
    assert box.y0 >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y1 <= height + 0.01


def test_names_are_no_formulas(small: Simulation) -> None:
    layer = small.result.layers[0].model_copy(update={"name": r"a$\frac{b$"})
    result = small.result.model_copy(update={"layers": (layer, *small.result.layers[1:]), "model": "$x_{$"})
    stream = io.BytesIO()
    write_plot(replace(small, result=result), stream)
    assert stream.getvalue()


def test_energy_bars_add_up(small: Simulation) -> None:
    energy_axes = plot(small).axes[1]
    drawn = sum(bar.get_width() for container in energy_axes.containers for bar in container)
    total_nj = small.result.total.energy_pj / 1e3
    assert drawn == pytest.approx(total_nj, rel=1e-6) or drawn * 1e3 == pytest.approx(total_nj, rel=1e-6)
    assert set(small.result.total.energy_split_pj) == set(COMPONENT_COLORS)


def test_each_layer_has_its_colour() -> None:
    assert len(np.unique(layer_colors(60), axis=0)) == 60
    assert layer_colors(0).shape == (1, 4)
