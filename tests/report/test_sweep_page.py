"""The page of a sweep: bounded, well formed, and nothing in it obeyed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from accelsim.explore import overview
from accelsim.report.documents import sweep_document
from accelsim.report.numbers import figure, magnitude
from accelsim.report.pages import histogram_html
from accelsim.report.sweeps import MOST_AXES, MOST_WORKLOADS, _along, _scale, values_text
from accelsim.result import Distribution
from tests.report.test_pages import HOSTILE, Checker

ROWS = 4000


def vast(*, rows: int = ROWS, workloads: int = 40, axes: int = 60, length: int = 3000) -> Any:
    """A table as of ``read_sweep`` that has too much of everything, under names that are as long as may be."""
    rng = np.random.default_rng(0)
    name = f"{HOSTILE}{'x' * length}"
    names = [f"layers.{name}{k}.weights.bits" for k in range(axes)]
    columns: dict[str, Any] = {"point": np.arange(rows), "key": "0"}
    columns["workload"] = np.array([f"{name}{k % workloads}" for k in range(rows)], dtype=object)
    columns |= {path: rng.random(rows) for path in names[::2]}
    columns |= {path: np.array([f"{name}{k}" for k in rng.integers(0, 50, rows)], dtype=object) for path in names[1::2]}
    for column in ("latency_s", "energy_pj", "area_um2", "utilization", "accuracy"):
        columns[column] = np.exp(rng.normal(size=rows) * 3)
    errors = np.array([f"{name}{k}" if k % 7 == 0 else "" for k in range(rows)], dtype=object)
    columns |= {"objective": "edp", "error": errors, "feasible": errors == ""}
    frame = pd.DataFrame(columns)
    space = {
        "workloads": list(dict.fromkeys(columns["workload"])),
        "objective": "edp",
        "axes": {path: {"values": [f"{name}{k}" for k in range(50)]} for path in names},
        "groups": {f"{name}{k}": [name] * 5 for k in range(300)},
        "sample": ["random", rows, 0, ""],
        "constraints": ["latency_s < 1"] * 300,
    }
    frame.attrs["sweep"] = {
        "folder": name, "points": rows, "machine": {"name": name, "yaml": ""}, "axes": names, "groups": {},
        "objective": "edp", "space": space, "columns": {"latency_s": "real"},
    }  # fmt: skip
    return frame


def test_a_page_is_bounded_well_formed_and_obeys_nothing() -> None:
    text = sweep_document(overview(vast()))
    assert len(text.encode()) < 2_000_000
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    assert text.count("<script") == 1
    assert "\x1b" not in text
    assert all(tag not in ("a", "link", "iframe", "img") for tag, _ in checker.seen)
    assert f"… and {40 - MOST_WORKLOADS} more workloads" in text
    assert text.count(f"… and {60 - MOST_AXES} axes that matter less") == MOST_WORKLOADS


def test_more_rows_make_no_larger_page() -> None:
    small, large = (
        len(sweep_document(overview(vast(rows=rows, workloads=1, axes=6, length=0)))) for rows in (2000, 40_000)
    )
    assert large < 1.1 * small


def test_a_sweep_without_rows_is_a_page() -> None:
    table = vast(rows=40, workloads=2, axes=2, length=0)
    empty = table[:0]
    empty.attrs = table.attrs
    text = sweep_document(overview(empty))
    assert "failed" in text
    failed = table[table["error"] != ""]
    failed.attrs = table.attrs
    assert "rows failed" in sweep_document(overview(failed))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("latency_s", 7.71234e-3, "7.712 ms"), ("energy_pj", 4.42e9, "4.42 mJ"), ("area_um2", 971234.0, "0.9712 mm²"),
        ("dram_read_bytes", 1536, "1.5 KiB"), ("dram_read_bytes", 0, "0"), ("utilization", 0.25, "0.25"),
        ("cycles", 1234567, "1,234,567"), ("area_um2", None, "—"), ("area_um2", float("nan"), "—"),
    ],
)  # fmt: skip
def test_a_figure_has_four_digits_and_sorts_by_its_size(name: str, value: float | None, text: str) -> None:
    assert figure(name, value) == text
    if value is not None and value == value:
        scale = {"energy_pj": 1e-12}.get(name, 1.0)
        assert magnitude(text) == pytest.approx(value * scale, rel=1e-3)


def test_values_of_an_axis_are_told_in_a_line() -> None:
    assert values_text({"values": [1, None, True]}) == "1, null, True"
    assert values_text({"values": list(range(100))}) == "0, 1, 2, 3, 4, 5, 6, 7, …, 99 (100 values)"
    assert values_text({"from": 1.0, "to": 64.0, "scale": "log", "whole": True}) == "from 1 to 64, log, whole numbers"


def test_a_histogram_stays_in_its_picture_and_marks_the_median() -> None:
    found = Distribution(figure="x", least=1, median=10, most=100, edges=(1, 10, 100), counts=(3, 0), log=True)
    text = histogram_html(found, "x", str)
    assert 'd="M160.0 0V90"' in text
    assert "by ratios" in text
    assert text.count('class="bar"') == 2


@pytest.mark.parametrize(
    ("values", "by_decades"),
    [
        ([1.0, 10.0], False),
        ([1.0, 10.5], True),
        ([0.0, 100.0], False),
        ([-5.0, 100.0], False),
        ([2.0, None, 50.0], True),
    ],
)
def test_figures_stand_on_a_scale_of_decades_where_they_span_one(values: list[float | None], by_decades: bool) -> None:
    levels = [SimpleNamespace(best=[value], median=[values[0]]) for value in values]
    scale = _scale([SimpleNamespace(levels=levels)], 0)  # type: ignore[list-item]
    known = [value for value in values if value is not None]
    assert scale == (min(known), max(known), by_decades)
    places = [_along(value, scale) for value in known]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0.0, pytest.approx(1.0))
    middle = (known[0] * known[-1]) ** 0.5 if by_decades else (known[0] + known[-1]) / 2
    assert _along(middle, scale) == pytest.approx(0.5)


def test_nothing_known_has_no_scale_and_one_value_stands_in_the_middle() -> None:
    none = SimpleNamespace(levels=[SimpleNamespace(best=[None], median=[None])])
    assert _scale([none], 0) == (0.0, 0.0, False)  # type: ignore[list-item]
    assert _along(3.0, (3.0, 3.0, False)) == 0.5
