"""``docs/mapper_gap.md`` has the form that its command writes, and says what the search promises."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_is_the_commands_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from benchmarks import mapper_gap

    text = mapper_gap.PAGE.read_text(encoding="utf-8")
    rows = mapper_gap.rows_of(text)
    asked = text.split("python benchmarks/mapper_gap.py ")[1].split("\n")[0]
    assert mapper_gap.page(rows, asked) == text, "edited by hand: run python benchmarks/mapper_gap.py --write"
    assert {row.objective for row in rows} == set(mapper_gap.OBJECTIVES)
    assert min(row.gap for row in rows) >= 1
