"""The table of guided searches in ``docs/pareto.md`` has the form that its command writes, and the text beside it says what it shows."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "pareto.md").read_text(encoding="utf-8")


@pytest.fixture
def guided(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from benchmarks import guided

    return guided


def medians() -> dict[str, list[float]]:
    """The first figure of every cell, by row."""
    table = TEXT.split("<!-- begin: guided -->")[1].split("<!-- end: guided -->")[0]
    rows = re.findall(r"^\| ([\w -]+?) \| (0\..*) \|$", table, re.MULTILINE)
    return {name: [float(cell.split()[0]) for cell in cells.split("|")] for name, cells in rows}


def test_every_way_has_its_row_and_more_points_find_more(guided: Any) -> None:
    found = medians()
    assert list(found) == list(guided.TITLES.values())
    for row in found.values():
        assert len(row) == len(guided.COUNTS)
        assert row == sorted(row)
        assert 0 < row[0] <= row[-1] <= 1


def test_the_text_says_what_the_table_shows(guided: Any) -> None:
    found = medians()
    assert "TPE needs a quarter of the points that chance needs" in TEXT
    assert guided.COUNTS == (50, 100, 200, 400)
    assert found["TPE"][1] >= found["random"][3]
    assert all(max(row[k] for row in found.values()) == found["TPE"][k] for k in range(4))


def test_a_coarse_grid_is_within_its_number_and_keeps_the_ends(guided: Any) -> None:
    for most in (1, 2, 50, 400, 10**6):
        axes = guided.coarse(most)
        points = np.prod([len(values) for values in axes.values()])
        assert points <= most
        for axis, values in axes.items():
            assert len(set(values)) == len(values)
            if len(values) > 1:
                assert (values[0], values[-1]) == (guided.AXES[axis][0], guided.AXES[axis][-1])
    assert guided.coarse(10**6) == {axis: list(values) for axis, values in guided.AXES.items()}


@pytest.mark.slow
def test_the_grid_is_the_one_of_the_page(guided: Any) -> None:
    """The searches take minutes; the whole grid, its front and the coarse grids are as the page says."""
    truth = guided.Truth()
    said = re.search(r"axes, ([\d,]+) points of which ([\d,]+) are machines, (\d+) of them on the", TEXT)
    assert said
    assert [int(x.replace(",", "")) for x in said.groups()] == [truth.points, truth.valid, len(truth.best)]
    assert truth.share(truth.best) == pytest.approx(1.0)
    for count, expected in zip(guided.COUNTS, medians()["coarse grid"], strict=True):
        reached = truth.share(guided.costs(guided.edits_of(guided.coarse(count))))
        assert reached == pytest.approx(expected, abs=1e-3), "stale: run python benchmarks/guided.py --write"
