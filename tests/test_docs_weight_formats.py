"""The table of ``docs/weight_formats.md`` is what the command and the machine give now."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def rows() -> list[list[str]]:
    """Cells."""
    text = (ROOT / "docs" / "weight_formats.md").read_text(encoding="utf-8")
    table = text.split("<!-- begin: formats -->\n")[1].split("<!-- end: formats -->\n")[0].splitlines()[2:]
    return [line.strip("| ").split(" | ") for line in table]


def test_rows_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from docs import make_weight_formats as maker

    found = rows()
    assert [" | ".join(row[:2]) for row in found] == [case.title for case in maker.CASES]
    for index in (3, 9):
        again = maker.row(maker.CASES[index]).strip("| ").split(" | ")
        assert again == found[index], "stale: run python docs/make_weight_formats.py"


def test_no_logit_differs_and_the_term_of_the_data_is_not_free() -> None:
    found = rows()
    assert {row[3] for row in found} == {"0 of 4,500"}
    plain, ignored, subtract, extra = ((int(row[5].replace(",", "")), float(row[6])) for row in found[:4])
    assert plain == ignored
    assert plain[0] == subtract[0] < extra[0]
    assert plain[1] < subtract[1] < extra[1]


def test_on_larger_networks_too() -> None:
    """No output differs; the extra channel takes cycles and energy, a codebook of 4 bits saves energy."""
    text = (ROOT / "docs" / "weight_formats.md").read_text(encoding="utf-8")
    table = text.split("<!-- begin: networks -->\n")[1].split("<!-- end: networks -->\n")[0].splitlines()[2:]
    cells = [line.strip("| ").split(" | ") for line in table]
    assert all(row[3].startswith("0 of ") for row in cells)
    costs = [(int(row[4].replace(",", "")), float(row[5])) for row in cells]
    for plain, subtract, extra, *coded in (costs[:5], costs[5:]):
        assert plain[0] == subtract[0] < extra[0]
        assert plain[1] < subtract[1] < extra[1]
        assert all(energy < plain[1] for _, energy in coded)
