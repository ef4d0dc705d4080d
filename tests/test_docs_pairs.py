"""The table of fused pairs in ``docs/design.md`` is what the mapper and the machine give now."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from docs import make_pairs

    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = text.split("<!-- begin: pairs -->\n")[1].split("<!-- end: pairs -->\n")[0].splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in table[2:]] == list(make_pairs.NETWORKS)
    for network in ("mobilenet_v1", "resnet18"):
        assert make_pairs.row(network) in table, "stale: run python docs/make_pairs.py"


def test_pairs_save_traffic_and_cost_no_time_to_speak_of() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = text.split("<!-- begin: pairs -->\n")[1].split("<!-- end: pairs -->\n")[0].splitlines()[2:]
    for row in rows:
        traffic, cycles, energy = (float(cell.split("%")[0]) for cell in row.strip("| ").split(" | ")[3:])
        assert traffic <= 0.1
        assert cycles < 2
        assert (1 + cycles / 100) * (1 + energy / 100) < 1
