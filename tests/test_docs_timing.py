"""The table of TPUv1 counters in ``docs/validation.md`` is what the machine and the tables give now."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from docs import make_timing

    return make_timing.table()


def test_the_page_is_up_to_date(table: str) -> None:
    text = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    assert f"<!-- begin: tpu -->\n{table}<!-- end: tpu -->\n" in text, "stale: run python docs/make_timing.py"


def test_the_shares_of_the_time_add_up(table: str) -> None:
    rows = [line.strip("|").split("|") for line in table.splitlines()[2:6]]
    ours = [sum(float(row[column]) for row in rows) for column in (2, 4, 6)]
    assert ours == pytest.approx([100] * 3, abs=0.2)


def test_memory_bound_applications_run_at_the_published_rate(table: str) -> None:
    """Within what the layers that the tables leave out take; the paper's own model was off by 8 % on average.

    Its figures for MLP0 are two: 12.3 TOPS, and by its counters 12.7 % of 92, which is 11.7; of the slower one 6 % are the inputs of
    the first layer, which are fetched eight times here.
    """
    (line,) = (line for line in table.splitlines() if line.startswith("| TOPS"))
    published, ours, lstm_published, lstm_ours = (float(cell) for cell in line.strip("|").split("|")[1:5])
    assert ours / (0.127 * 92) > 0.9
    assert ours / published < 1 / (1 - 0.175)
    assert 1 <= lstm_ours / lstm_published < 1 / (1 - 0.179)


def test_shift_and_stall_are_within_ten_percent_of_the_memory_bound_applications(table: str) -> None:
    """Of the cycles that are not non-matrix, in both."""
    rows = np.array([[float(cell) for cell in line.strip("|").split("|")[1:5]] for line in table.splitlines()[2:5]])
    shares = rows[1:] / rows.sum(axis=0)
    assert shares[:, 1::2] == pytest.approx(shares[:, ::2], rel=0.1)
