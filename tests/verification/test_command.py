"""``accelsim verify``: exit codes, JSON, page, picture; the report as rows; the accumulator what-if."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import accelsim
from accelsim.cli import main
from accelsim.names import LayerNames
from accelsim.report.documents import verification_document
from accelsim.report.pictures.verification import verification_plot
from accelsim.verification import Comparison, LayerReport, names
from tests.verification.networks import digits_layers, images

ARCH = ("--arch", "edge_16x16")


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in ("verify", "digits_cnn", *ARCH, *arguments)])


def test_mismatch_is_exit_code_1_and_tolerance_makes_it_0() -> None:
    exact, near = cli("--count", 3), cli("--count", 3, "--tolerance", "1lsb")
    assert (exact.exit_code, near.exit_code) == (1, 0)
    assert "MISMATCH (tolerance exact)" in exact.stdout
    assert "match (tolerance 1 LSB)" in near.stdout
    assert "double rounding (expected rate" in exact.stdout
    assert "first difference" in exact.stdout


def test_json_holds_the_report_and_its_sums(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    assert cli("--count", 3, "--json", target).exit_code == 1
    held = json.loads(target.read_text())
    report = accelsim.verify("digits_cnn", arch="edge_16x16", inputs=images(3)[0], labels=images(3)[1])
    assert held["schema"] == "accelsim.verify/1"
    assert held["differing"] == report.differing == sum(held["causes"].values()) > 0
    assert held["layers"] == json.loads(json.dumps([dataclasses.asdict(layer) for layer in report.layers]))
    to_stdout = cli("--count", 3, "--json", "-")
    assert json.loads(to_stdout.stdout) == held


def test_page_and_picture(tmp_path: Path) -> None:
    page, picture = tmp_path / "report.html", tmp_path / "report.svg"
    cli("--count", 2, "--html", page, "--plot", picture)
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "pool</td>" in text
    assert not re.search(r"(src|href)=|@import|url\(", text)  # nothing from elsewhere
    assert text.count("<h1>") == 1
    assert "codes: tie rule" in text
    assert "<svg" in picture.read_text()


def test_report_is_frozen_and_has_tables() -> None:
    report = accelsim.verify("digits_cnn", arch="edge_16x16", inputs=images(2)[0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.model = "other"  # type: ignore[misc]
    rows = report.layer_rows()
    assert [row["layer"] for row in rows] == [layer.layer for layer in report.layers]
    assert sum(row["differing"] for row in rows) == sum(row["count"] for row in report.cause_rows()) == report.differing
    assert report.first is not None
    assert report.first.layer == digits_layers()[0] or report.first.forced.differing
    assert report.layer("dd").operator == "ADD"
    assert "<table>" in report._repr_html_()


def test_first_difference_is_exact() -> None:
    """The value before rounding of the first differing element lies within half a code and an epsilon of both codes' edge."""
    report = accelsim.verify("digits_cnn", arch="edge_16x16", inputs=images(5)[0])
    shown = [layer for layer in report.layers if layer.first is not None and layer.first.exact is not None]
    assert shown
    for layer in shown:
        assert layer.first is not None
        assert layer.first.exact is not None
        value = float(layer.first.exact.rstrip("…"))
        assert abs(value - layer.first.expected) <= 0.5 + 1e-3
        assert {layer.first.got, layer.first.expected} == {int(np.floor(value)), int(np.ceil(value))}


def test_accumulator_what_if() -> None:
    edits = ["accumulator.bits=16", "accumulator.overflow=wrap"]
    done = cli("--count", 6, "--json", "-", *(part for edit in edits for part in ("--set", edit)))
    assert done.exit_code == 1
    held = json.loads(done.stdout)
    study = held["widths"]
    bits = [row["bits"] for row in study["rows"]]
    assert bits == list(range(16, study["smallest"] + 1))
    assert 16 < study["smallest"] <= study["proved"]
    assert [bool(row["differing"]) for row in study["rows"]] == [True] * (len(bits) - 1) + [False]
    assert study["rows"][0]["first_layer"] == digits_layers()[0]
    assert study["rows"][0]["accuracy"] < study["rows"][-1]["accuracy"] == 1.0
    assert names.ACCUMULATOR in held["causes"]


def test_width_study_is_drawn() -> None:
    arch = accelsim.load_arch("edge_16x16").with_({"accumulator.bits": 16, "accumulator.overflow": "wrap"})
    x, labels = images(2)
    report = accelsim.verify("digits_cnn", arch=arch, inputs=x, labels=labels)
    study, lines = report.widths, str(report).splitlines()
    assert study is not None
    printed = lines[lines.index("accumulator width") + 1 :]
    for row, line in zip(study.rows, printed, strict=False):
        assert line.strip().startswith(f"{row.bits} bits, wrap: {row.differing:,} of {row.elements:,} codes differ, ")
        place = f"{str(row.first_layer)[-8:]}, accuracy {row.accuracy:.2%}"
        assert line.endswith(place if row.differing else f"no code differs, accuracy {row.accuracy:.2%}")
        assert ("breaks first in" in line) == bool(row.differing)
    smallest, proved = f"these inputs: {study.smallest} bits", f"any input: {study.proved} bits"
    assert printed[len(study.rows)].strip() == f"smallest that changes no code of {smallest}; proved for {proved}"
    figure = verification_plot(report)
    assert len(figure.axes) == 2
    wide = accelsim.verify("digits_cnn", arch="edge_16x16", inputs=x)
    assert wide.widths is None
    assert len(verification_plot(wide).axes) == 1


def test_the_charts_tell_of_every_layer_and_of_what_was_not_compared() -> None:
    report = accelsim.verify("digits_cnn", arch="edge_16x16", inputs=images(2)[0])
    first, *others = report.layers
    network = tuple(layer.layer for layer in report.layers)
    text = verification_document(dataclasses.replace(report, layers=tuple(others), network=network))
    tips = [tip.replace("&#10;", "\n").split("\n") for tip in re.findall('data-tip="([^"]*)"', text)]
    assert [tip[0] for tip in tips] == [f"{k}: {name}" for k, name in enumerate(network)] * 2
    for chart, at in ((tips[: len(network)], 0), (tips[len(network) :], 1)):
        assert chart[0][1:] == ["not compared"]
        for layer, tip in zip(others, chart[1:], strict=True):
            found = compared(layer)[at]
            assert tip[1] == f"{found.differing:,} of {found.elements:,} codes"
            assert len(tip) == 2 + (len(layer.causes) if at == 0 else 0)
    assert first.layer == network[0]


def test_the_table_prints_what_was_counted() -> None:
    """Every cell of the text's table and of the page's, from the report's own figures; 0 and NONE where nothing differs."""
    report = accelsim.verify("digits_cnn", arch="edge_16x16", inputs=images(3)[0])
    printed = [line.split() for line in str(report).splitlines()]
    page = report._repr_html_()
    shown = dict(zip(digits_layers(), LayerNames(digits_layers()).shown(30), strict=True))
    differing = 0
    for layer in report.layers:
        row = next(line for line in printed if line[:1] == [shown[layer.layer]])
        forced, chained = ([f"{c.differing:,}", f"{c.max_lsb}" if c.differing else "—"] for c in compared(layer))
        sqnr = "—" if layer.forced.sqnr_db is None else f"{layer.forced.sqnr_db:.1f}"
        beyond = f"{layer.beyond:,}" if layer.beyond else "—"
        expected = [shown[layer.layer], layer.operator, f"{layer.forced.elements:,}", *forced, sqnr, *chained, beyond]
        assert row == expected
        assert "".join(f">{cell}</td>" for cell in expected) in re.sub(r"<td[^>]*", "", page)
        differing += layer.forced.differing
    assert differing == report.differing > 0
    assert any(not layer.forced.differing for layer in report.layers)


def compared(layer: LayerReport) -> tuple[Comparison, Comparison]:
    return layer.forced, layer.end_to_end
