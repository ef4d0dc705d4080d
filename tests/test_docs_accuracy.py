"""The page of accuracies shows what was measured, in the form of its script; a column of it, measured again, is the same."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
NEAR_DB, NEAR_SHARE = 0.5, 0.01
"""What another processor's float32 may change by a rounding here and there."""


@pytest.fixture(scope="module")
def maker() -> Any:
    """The script, which imports as from the checkout's root."""
    pytest.importorskip("onnxruntime", reason="the page's scores are of ONNX Runtime's outputs")
    sys.path.insert(0, str(ROOT))
    try:
        from docs import make_accuracy
    finally:
        sys.path.remove(str(ROOT))
    return make_accuracy


@pytest.fixture(scope="module")
def measured(maker: Any) -> Any:
    return json.loads(maker.MEASURED.read_text(encoding="utf-8"))


def test_the_page_shows_what_was_measured(maker: Any, measured: Any) -> None:
    assert maker.page(measured) == maker.PAGE.read_text(encoding="utf-8"), "stale: run python docs/make_accuracy.py"
    assert maker.NETWORKS[0] in measured["networks"]
    assert set(measured["answers"]) == set(maker.recommendations.ANSWERS)


def test_every_network_has_the_same_rows(measured: Any) -> None:
    """And each column all of them, with a latency and an energy for both machines."""
    columns = [column for found in measured["networks"].values() for column in found["columns"].values()]
    assert {tuple(column["rows"]) for column in columns} == {tuple(columns[0]["rows"])}
    assert all(len(column["integers"]["costs"]) == 2 for column in columns)


def test_integers_are_what_was_fake_quantized(measured: Any) -> None:
    for found in measured["networks"].values():
        for column in found["columns"].values():
            assert abs(column["integers"]["cell"][0] - column["rows"]["`cross-entropy`"][0]) <= NEAR_DB


def test_a_column_measured_again(maker: Any, measured: Any) -> None:
    """One pipeline at 4 bits, and latency and energy of its integers on both machines."""
    title = "W4A4 channel"
    data, settings = maker.data_of(maker.NETWORKS[0]), maker.columns()[title]
    found = maker.piped(data, "krishnamoorthi", settings, iterations=1)
    column = measured["networks"][maker.NETWORKS[0]]["columns"][title]
    sqnr, met = column["rows"][maker.WHOLE["krishnamoorthi"]]
    assert abs(found.rows[-1].score.sqnr_db - sqnr) <= NEAR_DB
    assert abs(found.rows[-1].score.accuracy - met) <= NEAR_SHARE
    ends = maker.integers(data, found.quantized)
    assert abs(ends["cell"][0] - sqnr) <= NEAR_DB
    for machine, costs in column["integers"]["costs"].items():
        assert ends["costs"][machine] == pytest.approx(costs, rel=1e-9)


def test_an_answer_printed_again(maker: Any, measured: Any) -> None:
    """The steps and layers of the pipeline, whose decibels may differ by a rounding."""
    number = re.compile(r"[+-]?\d+\.\d+")
    now, then = (
        maker.recommendations.answer(maker.recommendations.ANSWERS["channels"]),
        measured["answers"]["channels"],
    )
    assert number.sub("#", now) == number.sub("#", then)
    for ours, theirs in zip(number.findall(now), number.findall(then), strict=True):
        assert abs(float(ours) - float(theirs)) <= 1


def test_lines_that_are_not_printed_are_an_error(maker: Any) -> None:
    asked = maker.recommendations.ANSWERS["channels"]
    with pytest.raises(ValueError, match="no lines from"):
        maker.recommendations.part("step  SQNR dB\n", asked)
