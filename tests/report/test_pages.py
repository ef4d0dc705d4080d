"""Pages: what a browser is given, without one."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim.explore import reliefs
from accelsim.importers import load_for
from accelsim.report.documents import run_document, sensitivity_document, variants_document, verification_document
from accelsim.report.files import write_model_explorer
from accelsim.report.numbers import count, energy, magnitude, seconds, share, size
from accelsim.report.pages import Bar, Metric, Node, bars_html, edges_of, html_table, network_html
from accelsim.report.pages.colours import ink_on
from accelsim.report.pages.network import GAP, HEIGHT, WIDTH, places_of, ranks_of
from accelsim.report.pages.tables import MOST_ROWS
from accelsim.result import Change, Reliefs
from accelsim.simulation import Simulation, run

from .networks import separable_network

HOSTILE = '"><script>alert(1)</script>&\x1b'


@st.composite
def networks(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """A number of layers and forward edges between them."""
    size = draw(st.integers(1, 60))
    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda pair: pair[0] < pair[1])
    return size, draw(st.lists(pairs, max_size=100, unique=True)) if size > 1 else []


@given(networks())
def test_no_two_layers_lie_on_each_other_and_readers_come_later(network: tuple[int, list[tuple[int, int]]]) -> None:
    number, edges = network
    places, ranks = places_of(number, edges), ranks_of(number, edges)
    for a, first in enumerate(places):
        for second in places[a + 1 :]:
            assert abs(first.x - second.x) >= WIDTH + GAP or abs(first.y - second.y) >= HEIGHT + GAP
    for source, target in edges:
        assert ranks[source] < ranks[target]
        assert (places[source].x, places[source].y) < (places[target].x, places[target].y) or ranks[source] < ranks[
            target
        ]


@pytest.mark.parametrize("number", [1, 12, 200])
def test_a_chain_is_no_higher_than_a_few_screens(number: int) -> None:
    places = places_of(number, [(k, k + 1) for k in range(number - 1)])
    assert max(place.y for place in places) < 1600


@given(st.integers(0, 10**15), st.floats(1e-9, 1e3), st.floats(1e-3, 1e12), st.floats(0, 1))
def test_a_column_sorts_by_what_its_cells_print(number: int, time: float, picojoules: float, part: float) -> None:
    for text, value in (
        (count(number), number),
        (size(number), number),
        (seconds(time), time),
        (energy(picojoules), picojoules * 1e-12),
        (share(part), part),
    ):
        found = magnitude(text)
        assert found is not None
        assert abs(found - value) <= 0.06 * abs(value) + 1e-3 * (text.endswith("%")) + 1e-9 * text.endswith(
            " ns"
        ) + 1e-12 * text.endswith("pJ")
    assert magnitude("—") is None
    assert magnitude("-1.25 %") == -0.0125


@given(st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), min_size=1), st.booleans(), st.booleans())
def test_every_value_has_a_colour_that_its_text_is_read_on(
    values: list[float | None], low_is_bad: bool, signed: bool
) -> None:
    metric = Metric("m", values, str, low_is_bad=low_is_bad, signed=signed)
    for colour in metric.colours():
        assert re.fullmatch("#[0-9a-f]{6}", colour)
        assert ink_on(colour) in ("#000", "#fff")


def test_more_is_darker_and_little_is_told_apart_by_decades() -> None:
    colours = Metric("cycles", [1.0, 10.0, 100.0, 1e6], str).colours()
    light = [sum(int(colour[k : k + 2], 16) for k in (1, 3, 5)) for colour in colours]
    assert all(a - b > 20 for a, b in pairwise(light))


def test_tables_are_cut_and_say_so() -> None:
    text = html_table(("a",), ([str(k)] for k in range(10_000)), (True,), count=10_000)
    assert text.count("<td") == MOST_ROWS
    assert f"{10_000 - MOST_ROWS:,} more" in text


def test_a_network_of_ten_thousand_layers_is_cut_and_says_so() -> None:
    nodes = [Node(k, f"layer{k}", "CONV_2D") for k in range(10_000)]
    edges = [(k, k + 1) for k in range(9_999)]
    text = network_html(nodes, edges, [Metric("cycles", [float(k) for k in range(10_000)], str)])
    assert text.count('class="node"') == MOST_ROWS
    assert "10,000 layers" in text
    assert len(text) < 1_000_000


def test_the_first_figure_of_a_network_is_chosen_and_no_other() -> None:
    figures = [Metric(f"m{k}", [1.0, 2.0], str) for k in range(3)]
    text = network_html([Node(0, "a", "ADD"), Node(1, "b", "ADD")], [(0, 1)], figures)
    assert [" checked" in radio for radio in re.findall('<input type="radio"[^>]*>', text)] == [True, False, False]


def test_an_operator_stays_in_its_node_whatever_the_font() -> None:
    nodes = [Node(0, "short", "CONV_2D"), Node(1, "W" * 20, "ADD"), Node(2, "c", "DEPTHWISE_CONV_2D_X")]
    text = network_html(nodes, [], [Metric("m", [1.0] * 3, str)])
    squeezed = re.findall(f'textLength="{WIDTH - 12}" lengthAdjust="spacingAndGlyphs">([^<]*)<', text)
    assert squeezed == ["W" * 20, "2 DEPTHWISE_CONV_2D_X"]


def pages(simulation: Simulation) -> dict[str, str]:
    """Every kind of page, of a network whose layers have a hostile name."""
    result = simulation.result
    layers = tuple(
        layer.model_copy(update={"name": f"{HOSTILE}{layer.index}", "op": HOSTILE}) for layer in result.layers
    )
    odd = result.model_copy(update={"layers": layers, "model": HOSTILE, "notes": (HOSTILE,)})
    hostile = Simulation(simulation.graph, simulation.arch, simulation.program, simulation.timeline, odd, None)
    change = Change(HOSTILE, {HOSTILE: 2}, None, HOSTILE)
    two = accelsim.compare({HOSTILE: odd, "other": odd.model_copy(update={"notes": ()})})
    return {
        "run": run_document(hostile, Reliefs(odd, (change,))),
        "variants": variants_document(two, simulation.graph),
    }


class Checker(HTMLParser):
    """Follows the elements; every one must end where it should."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("br", "meta", "input", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_names_are_shown_not_obeyed_and_nothing_is_fetched(small: Simulation) -> None:
    for text in pages(small).values():
        checker = Checker()
        checker.feed(text)
        checker.close()
        assert checker.open == []
        assert text.count("<script") == 1
        assert "\x1b" not in text
        assert "&lt;script&gt;alert(1)" in text
        for tag, attributes in checker.seen:
            assert tag not in ("link", "iframe", "object", "embed")
            for name, value in attributes.items():
                if name in ("src", "href", "xlink:href", "action"):
                    assert (value or "").startswith(("#", "data:"))


def test_a_run_tells_every_layer_what_was_simulated_and_stays_small(deep: Simulation) -> None:
    found = reliefs(separable_network(28, size=24, prefix="model/very/long/scope/of/block/"), arch="edge_16x16")
    text = run_document(deep, found)
    assert len(text.encode()) < 2_000_000
    told = 0
    for layer in deep.result.layers:
        relief = found.of(layer)
        if relief is not None:
            told += 1
            sentence = f"{relief.change.text} takes {share(relief.gain)} off this layer ({relief.before:,} → {relief.after:,} cycles)"
            assert sentence.replace("'", "&#x27;") in text
    assert told > 10


def test_an_edge_for_every_tensor_that_a_layer_reads() -> None:
    graph = load_for("digits_cnn", accelsim.load_arch("edge_16x16"))[0]
    layers, edges = graph.layers, edges_of(graph)
    assert len(edges) >= len(layers)  # one reads two
    for source, target in edges:
        assert layers[source].output in layers[target].inputs
    read = {name for layer in layers for name in layer.inputs}
    assert len({source for source, _ in edges}) == sum(layer.output in read for layer in layers)


def test_a_verification_has_its_network_by_sqnr_and_by_cost() -> None:
    simulation = run("digits_cnn", arch="edge_16x16")
    report = accelsim.verify("digits_cnn", arch="edge_16x16", random_count=1)
    text = verification_document(report, simulation.graph, simulation.result)
    assert text.count('class="node"') == len(simulation.graph.layers)
    assert "> cycles</label>" in text
    assert "<svg" not in verification_document(report).partition("Differing codes")[0]


def test_a_sensitivity_is_a_page_of_the_same_kind() -> None:
    study = accelsim.sensitivity(separable_network(1), arch="edge_16x16")
    text = sensitivity_document(study)
    assert text.count("<script") == 1
    assert study.effective[0].path in text


def test_node_data_is_by_the_tensor_that_a_layer_makes(small: Simulation) -> None:
    for overlay, figure in (("cycles", "cycles"), ("energy", "energy_pj")):
        stream = io.StringIO()
        write_model_explorer(small.result, stream, overlay=overlay)
        held = json.loads(stream.getvalue())
        assert held["results"] == {x.output: {"value": getattr(x, figure)} for x in small.result.layers if x.tiles}
        assert [stop["stop"] for stop in held["gradient"]] == [0, 0.5, 1]


@given(st.lists(st.just(0.0) | st.floats(1e-9, 1e12), min_size=1, max_size=50))
def test_bars_stay_in_their_picture_and_more_is_no_shorter(values: list[float]) -> None:
    text = bars_html([Bar(value, "#000000", "tip") for value in values], str, {})
    heights = [float(found) for found in re.findall(r'height="([0-9.]+)" fill="#000000"', text)]
    assert len(heights) == (len(values) if any(values) else 0)
    assert all(0 <= height <= 170 for height in heights)
    for (a, one), (b, other) in pairwise(sorted(zip(values, heights, strict=False))):
        assert one <= other or a == b
    drawn = re.findall(r'y1="([0-9.]+)" y2="([0-9.]+)"/><text [^>]*>([^<]+)<', text)
    ground = max((float(y) for y, _, _ in drawn), default=0.0)
    reached = sorted((float(value), ground - float(y)) for y, other, value in drawn if y == other)
    assert len(reached) == len(drawn)
    assert all(0 <= height <= 170 for _, height in reached)
    marks = sorted([*reached, *zip(values, heights, strict=False)])  # a line is where a bar of its value would end
    assert all(one <= other + 0.1 or a == b for (a, one), (b, other) in pairwise(marks) if a > 0)
