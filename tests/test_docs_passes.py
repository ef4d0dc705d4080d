"""The table in ``docs/passes.md`` is what mapper and machine give now."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def rows() -> list[str]:
    text = (ROOT / "docs" / "passes.md").read_text(encoding="utf-8")
    return text.split("<!-- begin: passes -->\n")[1].split("<!-- end: passes -->\n")[0].splitlines()[2:]


def test_the_page_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from docs import make_passes

    found = rows()
    assert [line.split(" | ")[0].strip("| ") for line in found] == list(make_passes.NETWORKS)
    for network in ("digits_cnn", "resnet18"):
        assert make_passes.row(network) in found, "stale: run python docs/make_passes.py"


def test_passes_save_traffic_time_and_energy() -> None:
    for row in rows():
        traffic, cycles, energy = (float(cell.split("%")[0]) for cell in row.strip("| ").split(" | ")[4:])
        assert max(traffic, cycles, energy) <= 0
