"""Variants beside a base: totals, layer by layer what moved, files, page and picture."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console

import accelsim
from accelsim.errors import AccelsimError
from accelsim.explore import simulate_variants
from accelsim.report import Variants, variants_table
from accelsim.report.documents import variants_document
from accelsim.report.files import write_rows
from accelsim.report.numbers import NONE
from accelsim.report.pictures import tornado, variants_plot, verification_plot, write_figure
from accelsim.report.pictures.verification import MARKS
from accelsim.report.whatif import dram_bytes, energy_ratio, ratio_text, shown_figures
from accelsim.report.whatif.cells import MOST_MOVED
from accelsim.report.whatif.knobs import knob_grid
from accelsim.result import Result, Sensitivity, network_bound
from accelsim.simulation import Simulation

from .networks import network_without_macs, separable_network

EDITS = {
    "half bw": {"dram.bandwidth_bytes_per_s": "0.4 GB/s"},
    "small": {"array.rows": 4, "array.cols": 4},
    "fast": {"clock_hz": "800 MHz"},
}


@pytest.fixture(scope="module")
def found() -> Variants:
    graph = separable_network(6, size=24)
    base = accelsim.simulate(graph)
    return accelsim.compare({"base": base, **simulate_variants(graph, variants=EDITS)})


def test_a_dictionary_is_compared_by_name_and_a_list_as_before(found: Variants, small: Simulation) -> None:
    assert isinstance(found, Variants)
    assert found.names == ("base", *EDITS)
    assert found.base is found.results[0]
    assert not isinstance(accelsim.compare([small.result]), Variants)
    with pytest.raises(AccelsimError, match="at least one Result"):
        accelsim.compare({})


def on_terminal(found: Variants) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200).print(variants_table(found))
    return stream.getvalue()


def test_what_did_not_move_and_what_is_left_out_is_said(small: Simulation) -> None:
    same = on_terminal(accelsim.compare({"base": small.result, "same": small.result}))
    assert "no layer moved the latency or the energy by more than" in same
    assert "more that moved" not in same
    graph = separable_network(20, size=8)
    slow = simulate_variants(graph, variants={"slow": {"dram.bandwidth_bytes_per_s": "0.1 GB/s"}})
    found = accelsim.compare({"base": accelsim.simulate(graph), **slow})
    moved = [move for move in found.moves()["slow"] if move.size > found.threshold]
    text = on_terminal(found)
    assert len(moved) > MOST_MOVED
    assert f"… and {len(moved) - MOST_MOVED} more that moved by more than" in text
    assert "no layer moved" not in text


def test_totals_are_those_of_the_results(found: Variants) -> None:
    table, base = found.totals(), found.base.total
    assert [row[0] for row in table.rows] == list(found.names)
    for row, result in zip(table.rows, found.results, strict=True):
        cells, total = list(zip(table.titles, row, strict=True)), result.total
        assert cells[1] == ("cycles", f"{total.cycles:,}")
        ratios = [text for title, text in cells if title == "×"]
        assert ratios[:2] == [ratio_text(total.cycles, base.cycles), ratio_text(total.latency_s, base.latency_s)]
        assert ratios[4] == ratio_text(dram_bytes(result), dram_bytes(found.base))
        assert cells[-1] == ("bound", network_bound(result))
    small = table.rows[2]
    bounds = energy_ratio(found.results[2], found.base)
    assert bounds is not None
    assert small[6].endswith(f"({bounds.low:.2f} to {bounds.high:.2f})")
    assert table.rows[3][2] != table.rows[3][4]  # another clock: cycles and latency are not alike


def test_what_layers_moved_adds_up_to_what_the_totals_moved(found: Variants) -> None:
    base = found.base.total
    for moves, result in zip(found.moves().values(), found.results[1:], strict=True):
        latency, energy = sum(move.latency for move in moves), sum(move.energy for move in moves)
        assert latency == pytest.approx(result.total.latency_s / base.latency_s - 1, abs=1e-12)
        assert energy == pytest.approx(result.total.energy_pj / base.energy_pj - 1, abs=1e-9)


@pytest.mark.parametrize("threshold", [0.0, 0.005, 0.05, 1.0])
def test_only_layers_beyond_the_threshold_are_shown_the_largest_first(found: Variants, threshold: float) -> None:
    several = Variants(found.names, found.results, threshold)
    for one, moves in zip(several.moved(most=None), several.moves().values(), strict=True):
        large = sorted((max(abs(m.latency), abs(m.energy)) for m in moves), reverse=True)
        wanted = [size for size in large if size > threshold]
        names = {move.layer.name: move for move in moves}
        shown = [names[row[0]] for row in one.layers.rows if "other layer" not in row[0]]
        assert [move.size for move in shown] == wanted
        rest = [row for row in one.layers.rows if "other layer" in row[0]]
        assert len(rest) == bool(wanted and len(wanted) < len(moves))
        if rest:
            assert rest[0][0].startswith(f"{len(moves) - len(wanted)} other")
            left = sum(m.latency for m in moves) - sum(m.latency for m in shown)
            assert float(rest[0][3].removesuffix(" %")) == pytest.approx(100 * left, abs=0.006)


def test_a_threshold_that_is_no_share_is_refused(found: Variants) -> None:
    for threshold in (-0.1, 1.5, math.nan):
        with pytest.raises(AccelsimError, match="threshold: expected a share from 0 to 1"):
            Variants(found.names, found.results, threshold)


def test_where_the_bound_changed_is_counted_over_all_layers(found: Variants) -> None:
    changed = 0
    for one, result in zip(found.moved(most=1), found.results[1:], strict=True):
        pairs = zip(found.base.layers, result.layers, strict=True)
        changes = Counter((a.bound, b.bound) for a, b in pairs if a.bound != b.bound)
        changed += len(changes)
        for (before, after), number in changes.items():
            assert f"{before} → {after} in {number} layer" in one.bounds
        assert changes or one.bounds == "no layer has another bound than in the base"
    assert changed
    slow = next(one for one in Variants(found.names, found.results, 0.0).moved(most=None) if one.name == "half bw")
    assert [row for row in slow.layers.rows if " → " in row[-1]]


def test_in_what_a_variant_differs_is_read_off_the_machines(found: Variants) -> None:
    differs = {one.name: one.differs for one in found.moved(most=None)}
    assert differs["half bw"] == "dram.bandwidth_bytes_per_s 3,200,000,000 → 400,000,000"
    assert differs["small"] == "array.rows 16 → 4, array.cols 16 → 4"
    named = Variants(found.names, found.results, edits={"small": "array.rows=4, array.cols=4"})
    assert named.title("small") == "small: array.rows=4, array.cols=4"
    assert named.title("fast") == "fast"
    assert named.rows()[2]["edits"] == "array.rows=4, array.cols=4"


def renamed(result: Result, layers: slice = slice(None)) -> Result:
    """The same layers, or some of them, by other names."""
    kept = result.layers[layers]
    return result.model_copy(update={"layers": tuple(x.model_copy(update={"name": f"other/{x.name}"}) for x in kept)})


def test_layers_of_other_names_are_matched_in_order_where_they_are_alike(found: Variants) -> None:
    same = accelsim.compare({"a": found.base, "b": renamed(found.base)})
    assert all(move.base and move.other and not move.size for move in same.moves()["b"])
    fewer = accelsim.compare({"a": found.base, "b": renamed(found.base, slice(0, 3))})
    moves = fewer.moves()["b"]
    assert [bool(move.base) for move in moves] == [True] * len(found.base.layers) + [False] * 3
    assert sum(move.base is None or move.other is None for move in moves) == len(moves)
    assert NONE in str(fewer)
    assert "no layer is one of the base's" in str(fewer)
    assert fewer.layer_rows()[-1]["base_cycles"] is None
    assert write(variants_plot(fewer))


def test_different_mappers_are_noted() -> None:
    graph = separable_network(1)
    two = accelsim.compare(
        {"a": accelsim.simulate(graph), **simulate_variants(graph, variants={"b": {"objective": "energy"}})}
    )
    assert "least energy" in two.notes[0]
    assert "note: tiles are not cut alike" in str(two)
    assert "tiles are not cut alike" in two._repr_html_()


def test_rows_hold_totals_and_every_layer(found: Variants) -> None:
    data = json.loads(found.to_json())
    assert (data["schema_version"], data["base"]) == (1, "base")
    assert [one["variant"] for one in data["variants"]] == list(found.names)
    rows, layers = found.layer_rows(), len(found.base.layers)
    assert len(rows) == len(found.names) * (layers + 1)
    for one, result in zip(data["variants"], found.results, strict=True):
        assert (one["cycles"], one["energy_pj"]) == (result.total.cycles, result.total.energy_pj)
        assert one["cycles_ratio"] == result.total.cycles / found.base.total.cycles
        assert [layer["cycles"] for layer in one["layers"]] == [layer.cycles for layer in result.layers]
        assert one["notes"] == list(result.notes)
    assert rows[layers + 1]["variant"] == "half bw"
    assert rows[layers + 1]["layer"] is None
    assert {key: rows[layers + 1][key] for key in ("cycles", "bound")} == {
        k: data["variants"][1][k] for k in ("cycles", "bound")
    }
    stream = io.StringIO()
    write_rows(rows, stream)
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[0].startswith("variant,layer,")


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_a_narrow_page_leaves_columns_out_and_says_which(found: Variants, width: int) -> None:
    console = Console(width=width, file=io.StringIO())
    console.print(variants_table(found, width=width))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    assert ("not shown for lack of width: " in text) == (width < 150)
    tables = [line for line in text.splitlines() if line.startswith(("base ", "half bw ", "small ", "fast "))]
    assert tables
    assert not [line for line in tables if "…" in line]


def test_a_page_holds_tables_and_picture_and_nothing_of_a_name_runs(found: Variants) -> None:
    odd = found.base.layers[0].model_copy(update={"name": "<script>x</script>"})
    base = found.base.model_copy(update={"layers": (odd, *found.base.layers[1:])})
    text = variants_document(
        accelsim.compare({"<b>": base, **dict(zip(found.names[1:], found.results[1:], strict=True))})
    )
    assert text.startswith("<!doctype html>")
    assert "<svg " in text
    assert text.count("<script") == 1  # the page's own
    assert "<script>x" not in text
    assert "<b>&lt;" not in text
    assert text == variants_document(
        accelsim.compare({"<b>": base, **dict(zip(found.names[1:], found.results[1:], strict=True))})
    )


def write(figure: Figure) -> bytes:
    stream = io.BytesIO()
    write_figure(figure, stream)
    return stream.getvalue()


def visible(figure: Figure) -> list[Text]:
    """Every text on the page that is not turned."""
    beyond = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())  # are not drawn
    }
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and id(text) not in beyond]
    return [text for text in texts if text.get_text() and text.get_visible() and not text.get_rotation()]


def check(figure: Figure) -> None:
    """No text covers another, and none leaves the page."""
    figure.draw_without_rendering()
    boxes = [(text, text.get_window_extent()) for text in visible(figure)]
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes:
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y1 <= height + 1, text
    for (a, one), (b, two) in combinations(boxes, 2):
        apart = one.x1 - 1 <= two.x0 or two.x1 - 1 <= one.x0 or one.y1 - 1 <= two.y0 or two.y1 - 1 <= one.y0
        assert apart, (a, b)


@pytest.mark.parametrize(("variants", "depth"), [(1, 0), (2, 0), (3, 20), (20, 20), (20, 98), (8, 98)])
def test_nothing_on_the_picture_covers_anything(variants: int, depth: int) -> None:
    """One to twenty variants, few layers to two hundred, with names of a converter."""
    graph = separable_network(depth, size=8, prefix="model/very/long/scope/of/block/")
    base = accelsim.simulate(graph)
    speeds = {
        f"a variant with a long name, {k}": {"dram.bandwidth_bytes_per_s": 10 ** (7 + k % 4)} for k in range(variants)
    }
    check(variants_plot(accelsim.compare({"base": base, **simulate_variants(graph, variants=speeds)})))


def test_the_picture_shows_every_ratio(found: Variants) -> None:
    ratios, *maps = variants_plot(found).axes[:3]
    lines = {line.get_label(): line for line in ratios.get_lines()}
    latency = [result.total.latency_s / found.base.total.latency_s for result in found.results[1:]]
    assert list(lines["latency"].get_xdata()) == latency
    shares = maps[0].images[0].get_array()
    assert shares is not None
    assert shares.sum(axis=1).tolist() == pytest.approx([ratio - 1 for ratio in latency], abs=1e-12)
    for image in (each.images[0] for each in maps):
        largest = float(np.abs(np.asarray(image.get_array())).max())
        assert (image.norm.vmin, image.norm.vmax) == (-max(largest, 0.01), max(largest, 0.01))
    assert float(np.abs(shares).max()) > 0.01
    dots = len(maps[0].get_lines()[0].get_xdata())
    changed = [a.bound != b.bound for r in found.results[1:] for a, b in zip(found.base.layers, r.layers, strict=True)]
    assert dots == sum(changed) > 0


def test_one_result_alone_and_networks_without_macs_are_drawn(small: Simulation) -> None:
    check(variants_plot(accelsim.compare({"base": small.result})))
    graph = network_without_macs()
    check(
        variants_plot(
            accelsim.compare({"a": accelsim.simulate(graph), **simulate_variants(graph, variants={"b": EDITS["fast"]})})
        )
    )


@pytest.fixture(scope="module", params=["edge_16x16", "mcu_npu", "edge_lpddr4"])
def study(request: pytest.FixtureRequest) -> Sensitivity:
    return accelsim.sensitivity(
        "digits_cnn", arch=request.param, objective="edp" if request.param == "mcu_npu" else "cycles"
    )


def test_nothing_on_the_tornado_covers_anything(study: Sensitivity) -> None:
    check(tornado(study))


def test_the_tornado_shows_each_side_of_each_knob(study: Sensitivity) -> None:
    axes = tornado(study).axes
    assert len(axes) == (4 if study.objective == "edp" else 3)
    panel = axes[-3]
    more, less = ([bar.get_width() for bar in container] for container in panel.containers)
    assert len(more) == len(less) == len(study.effective)
    for right, left, knob in zip(more, less, study.effective, strict=True):
        for drawn, point in ((right, knob.above), (left, knob.below)):
            if point is None:
                assert drawn == 0
            elif not knob.value:
                assert drawn == pytest.approx(100 * (point.latency_s / study.base.latency_s - 1), abs=1e-9)
            else:
                exponent = math.log(point.latency_s / study.base.latency_s) / abs(math.log(point.value / knob.value))
                assert drawn == pytest.approx(100 * (study.step**exponent - 1), abs=1e-9)


def test_a_study_prints_itself_whole(study: Sensitivity) -> None:
    text, html = str(study), study._repr_html_()
    for knob in study.effective:
        assert knob.path in text
        assert knob.path in html
        assert not (knob.note and knob.value) or knob.note.replace("'", "&#x27;") in html
    assert f"no effect within a step: {', '.join(knob.path for knob in study.idle)}" in text
    rows = next(line for line in text.splitlines() if line.startswith("array.rows "))
    assert f"{next(k for k in study.knobs if k.path == 'array.rows').elasticity['latency_s']:+.3f}" in rows
    assert "from 0: change by the step" in text


def test_beside_each_row_of_the_tornado_stands_its_elasticity(study: Sensitivity) -> None:
    """Two digits of it, 0 where nothing follows, a dash for what is a change and no elasticity."""
    for panel, key in zip(tornado(study).axes, shown_figures(study), strict=True):
        said = {text.get_position()[1]: text.get_text() for text in panel.texts if text.get_position()[0] > 1}
        assert [*said] == [*range(len(study.effective))]
        for k, knob in enumerate(study.effective):
            value = knob.effect.get(key)
            if value is None or not knob.elasticity:
                assert said[k] == NONE
            elif value == 0:
                assert said[k] == "0"
            elif abs(value) < 0.005:
                assert said[k] == ("-0.00" if value < 0 else "+0.00")
            else:
                assert said[k][0] == ("-" if value < 0 else "+")
                assert float(said[k]) == pytest.approx(value, rel=0.05)


def test_each_knob_says_on_which_sides_it_was_moved(study: Sensitivity) -> None:
    grid = knob_grid(study)
    said = {row[0].partition(" = ")[0]: row[-1] for row in grid.rows}
    expected = {}
    for knob in study.effective:
        sides = {(True, True): "", (True, False): "one-sided, less", (False, True): "one-sided, more"}
        moved = sides[knob.below is not None, knob.above is not None]
        expected[knob.path] = moved if knob.value else "from 0: change by the step"
    assert said == expected
    assert {*expected.values()} >= {"", "from 0: change by the step"}


@pytest.mark.parametrize("layers", [1, 2, 30, 200])
def test_nothing_on_a_verification_covers_anything(layers: int) -> None:
    """Causes lie over the line of end to end, which is wider than they are: where both agree, both are seen."""
    report = accelsim.verify("digits_cnn", arch="nvdla_small", random_count=2)
    own = (report.layers[k % len(report.layers)] for k in range(layers))
    named = tuple(replace(layer, layer=f"model/block_{k}/very/long/scope/of/it/BiasAdd") for k, layer in enumerate(own))
    figure = verification_plot(replace(report, layers=named, network=()))
    check(figure)
    axes = figure.axes[0]
    (ends,) = (lines for lines in axes.collections if lines.get_label() == "end to end")
    marks = [line for line in axes.get_lines() if line.get_marker() in MARKS]
    assert marks
    assert all(line.get_zorder() > ends.get_zorder() for line in marks)
    step = np.ptp(axes.transData.transform([(0, 1), (1, 1)])[:, 0]) * 72 / figure.dpi
    assert all(line.get_markersize() < 0.84 * step + 0.1 for line in marks)
