"""The picture: its numbers, its formats, and that nothing on it covers anything else."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.errors import AccelsimError
from accelsim.hardware import Engine
from accelsim.report.pictures.figure import COMPONENT_COLORS, busy_segments, layer_colors, plot, plot_format, write_plot
from accelsim.report.pictures.roofline import roofline_points, roofs
from accelsim.simulation import Simulation, run

from .networks import separable_network


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


def test_busy_segments_hold_all_busy_cycles(deep: Simulation) -> None:
    for engine in Engine:
        begin, end, layer = busy_segments(deep.timeline, engine)
        assert int((end - begin).sum()) == deep.timeline.busy_cycles(engine)
        assert np.all(begin[1:] >= end[:-1])
        assert len(layer) == len(begin)


def test_several_cores_share_a_track_and_the_roof() -> None:
    simulation = run(separable_network(1), arch=load_arch("edge_16x16").with_({"cores.count": 4}))
    for engine in Engine:
        parts = [busy_segments(simulation.timeline, engine, core=core) for core in range(4)]
        assert sum(int((end - begin).sum()) for begin, end, _ in parts) == simulation.timeline.busy_cycles(engine)
    assert roofs(simulation.arch)[0] == 4 * 256
    peak, bandwidth = roofs(simulation.arch)
    for point in roofline_points(simulation.result):
        assert point.rate <= min(peak, bandwidth * point.intensity) * (1 + 1e-9)
        assert point.roof == pytest.approx(peak)
    strips = [c.get_paths()[0].get_extents() for c in plot(simulation).axes[2].collections if c.get_paths()]
    assert sum(np.isclose(strip.height, 0.76 / 4) for strip in strips) == sum(
        simulation.timeline.busy_cycles(e, core=c) > 0 for e in Engine for c in range(4)
    )


def test_busy_segments_close_small_gaps_only(deep: Simulation) -> None:
    tolerance = deep.timeline.total_cycles // 100
    fine = busy_segments(deep.timeline, Engine.COMPUTE)
    coarse = busy_segments(deep.timeline, Engine.COMPUTE, tolerance=tolerance)
    assert len(coarse[0]) < len(fine[0])
    same_layer = coarse[2][1:] == coarse[2][:-1]
    assert np.all((coarse[0][1:] - coarse[1][:-1])[same_layer] > tolerance)


def test_keep_and_recall_have_tracks_where_they_work(small: Simulation, keeping: Simulation) -> None:
    labels = [[text.get_text() for text in plot(s).axes[2].get_yticklabels()] for s in (small, keeping)]
    assert labels[1] == [*labels[0], "keep", "recall"]


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
