"""The front of the README's space is the one that its page shows."""

from __future__ import annotations

from pathlib import Path

from docs import make_front
from docs.pages import replaced


def test_the_front_is_current(tmp_path: Path) -> None:
    page = make_front.PAGE.read_text(encoding="utf-8")
    assert replaced(page, "front", make_front.table(make_front.swept(tmp_path))) == page, (
        "stale: run python docs/make_front.py"
    )
    assert make_front.PLOT.is_file()
