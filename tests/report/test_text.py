"""The text, the HTML and the terminal table say the same, completely, and never 0 for what is not there."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from accelsim.energy import MEMORIES, SCRATCHPADS
from accelsim.report.lines import align
from accelsim.report.numbers import NAME_WIDTH, NONE, energy, femtojoules, power, scaled, seconds, size
from accelsim.report.result.cells import fit_columns, layer_columns
from accelsim.report.result.html import summary_html
from accelsim.report.result.table import natural_width, result_table
from accelsim.report.result.text import summary_text
from accelsim.result import LayerResult, Result, ValueSummary
from accelsim.simulation import Simulation


def plain(result: Result, *, width: int | None = None) -> str:
    text = io.StringIO()
    Console(file=text, width=width or max(120, natural_width(result)), highlight=False).print(
        result_table(result, width=width)
    )
    return text.getvalue()


def with_values(result: Result, **changes: object) -> Result:
    values = {"inputs": 360, "reader": "layers", "program_checked": 1, "accumulators_proved": True}
    return result.model_copy(update={"values": ValueSummary.model_validate(values | changes)})


def hostile(result: Result) -> Result:
    layer = result.layers[0].model_copy(update={"name": "<script>alert('x')</script>[bold]\x1b[31m"})
    return result.model_copy(update={"layers": (layer, *result.layers[1:]), "model": "<b>&amp;[red]"})


@pytest.mark.parametrize("render", [summary_text, plain])
def test_every_layer_has_one_line_with_its_figures(small: Simulation, render) -> None:
    lines = render(small.result).splitlines()
    for layer in small.result.layers:
        (line,) = [line for line in lines if re.match(rf"\s*{layer.index}  {re.escape(layer.name)}\s", line)]
        assert layer.op in line
        if layer.macs:
            assert f" {layer.macs:,} " in line
        if layer.tiles:
            assert f" {layer.cycles:,} " in line
            assert energy(layer.energy_pj) in line
            assert size(layer.dram_read_bytes) in line
            assert layer.bound in line


@pytest.mark.parametrize("render", [summary_text, plain, summary_html])
def test_totals_split_and_limits_are_stated(small: Simulation, render) -> None:
    text = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", render(small.result)))
    total = small.result.total
    for expected in (
        f"{total.cycles:,}",
        f"{total.macs:,}",
        seconds(total.latency_s),
        size(total.weight_bytes),
        energy(total.energy_pj),
    ):
        assert expected in text
    for name, pj in total.energy_split_pj.items():
        absent = name in {*SCRATCHPADS.values(), *MEMORIES} and not pj
        assert (name.replace("_", " ") in text.lower()) != absent
    for limit in small.result.not_modelled:
        assert limit in text
    assert "not modelled:" in text.lower()


def test_what_is_not_there_is_a_dash_and_not_zero(result: Result) -> None:
    flatten = next(layer for layer in result.layers if layer.op == "RESHAPE")
    cells = [column.cell(flatten) for column in layer_columns(result)]
    assert cells[3:] == [NONE] * len(cells[3:])
    pool = next(layer for layer in result.layers if layer.op == "MEAN")
    by_title = {column.title: column.cell(pool) for column in layer_columns(result)}
    assert by_title["MACs"] == by_title["util."] == NONE
    assert f"accuracy  {NONE}" in summary_text(result)


def test_a_modelled_zero_stays_a_zero(result: Result) -> None:
    hidden = result.layers[0].model_copy(update={"cycles": 0, "utilization": None})
    cells = {column.title: column.cell(hidden) for column in layer_columns(result)}
    assert cells["cycles"] == "0"


def test_accuracy_and_the_reader_are_stated(result: Result) -> None:
    text = summary_text(with_values(result, accuracy=0.975, correct=351))
    assert "97.50 % (351 of 360 inputs, bit-exact)" in text
    assert "360 inputs by whole-layer kernels; 1 also through the Program's tiles and buffers, same bits" in text
    assert "proved: no sum can leave its accumulator" in text


def test_values_without_labels_or_proof(result: Result) -> None:
    text = summary_text(with_values(result, reader="program", accumulators_proved=False, inputs=1))
    assert "1 input through the Program's tiles and buffers" in text
    assert "summed in the array's own order" in text
    assert f"{NONE} (no labels were given)" in text
    assert "overflow wraps" in summary_text(with_values(result, accumulators_proved=False))


def test_repr_is_the_text(result: Result) -> None:
    assert repr(result) == str(result) == summary_text(result)


def test_columns_are_aligned(result: Result) -> None:
    lines = summary_text(result).splitlines()
    head = next(line for line in lines if "MACs" in line and "energy" in line)
    for layer in result.layers:
        line = next(line for line in lines if f" {layer.name} " in line)
        assert len(line) == len(head)


def test_names_are_cut_before_a_column_goes(result: Result) -> None:
    """To 22 characters and to 16; whole names are at most as long as anywhere."""
    layers = tuple(layer.model_copy(update={"name": f"{layer.index:060}"}) for layer in result.layers)
    named = result.model_copy(update={"layers": layers})
    shown: dict[int, set[int]] = {}
    for width in range(60, 240):
        columns, hidden = fit_columns(named, width)
        names = {len(column.cell(layer)) for column in columns for layer in layers if column.title == "layer"}
        shown.setdefault(len(hidden), set()).update(names)
    assert shown.pop(0) == {16, 22, NAME_WIDTH}
    assert set(map(frozenset, shown.values())) == {frozenset({16})}


@pytest.mark.parametrize("width", [60, 80, 100, 120, 140])
@pytest.mark.parametrize("which", ["small", "deep"])
def test_a_narrow_page_hides_columns_by_name_and_cuts_no_figure(
    which: str, width: int, request: pytest.FixtureRequest
) -> None:
    result = request.getfixturevalue(which).result
    columns, hidden = fit_columns(result, width)
    text = plain(result, width=width)
    assert {"layer", "MACs", "cycles", "util.", "bound", "energy"} <= {column.title for column in columns}
    assert len(columns) + len(hidden) == len(layer_columns(result))
    for title in hidden:
        assert title in text.split("not shown for lack of width:")[1]
    lines = text.splitlines()
    if width >= 80:
        assert max(map(len, lines)) <= width
        for layer in result.layers:
            assert (
                any(
                    re.match(rf"\s*{layer.index} ", line) and energy(layer.energy_pj) in line
                    for line in lines
                    if layer.tiles
                )
                or not layer.tiles
            )


def test_the_whole_table_needs_its_natural_width(deep: Simulation) -> None:
    lines = plain(deep.result).splitlines()
    rule = next(line for line in lines if line.startswith("───"))
    assert len(rule.rstrip()) == natural_width(deep.result)


def test_html_escapes_what_the_model_says(result: Result) -> None:
    html = summary_html(hostile(result))
    assert "<script" not in html
    assert "<b>&amp;[red]" not in html
    assert "&lt;b&gt;&amp;amp;[red]" in html


def test_html_is_well_formed(result: Result) -> None:
    class Checker(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag != "br":
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    checker = Checker()
    checker.feed(result._repr_html_())
    checker.close()
    assert checker.open == []
    assert result._repr_html_().count("<tr>") > len(result.layers)


def test_markup_and_escapes_in_names_are_shown_not_obeyed(result: Result) -> None:
    for text in (plain(hostile(result)), summary_text(hostile(result))):
        assert "\x1b" not in text
        assert "<b>&amp;[red]" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (size(0), "0 B"),
        (size(1023), "1023 B"),
        (size(1024), "1.0 KiB"),
        (size(1536 * 1024), "1.5 MiB"),
        (energy(999.96), "1.0 nJ"),
        (energy(0.04), "0.0 pJ"),
        (energy(2.5e6), "2.5 µJ"),
        (seconds(0.0012), "1.2 ms"),
        (power(0.0), NONE),
        (power(0.2272), "227.2 mW"),
        (femtojoules(None), NONE),
        (femtojoules(41793.2), "41,793 fJ"),
        (femtojoules(12.345), "12.35 fJ"),
        (scaled(5, ((10.0, "ten"),)), "0.5 ten"),
    ],
)
def test_units(text: str, expected: str) -> None:
    assert text == expected


def test_align_pads_to_the_widest_cell() -> None:
    assert align([["a", "1"], ["bcd", "23"]], right=[False, True]) == ["a     1", "bcd  23"]


def test_a_foreign_machine_description_does_not_break_the_page(result: Result) -> None:
    assert summary_text(result.model_copy(update={"arch": {}})).startswith(f"{result.model} on {NONE}")


def test_round_trip_keeps_every_figure(result: Result) -> None:
    again = Result.from_json(result.to_json())
    assert again == result
    assert isinstance(again.layers[0], LayerResult)
    assert summary_text(again) == summary_text(result)
