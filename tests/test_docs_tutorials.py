"""What the tutorials' Python prints stands below it, as it is now."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import make_tutorials


@pytest.mark.slow
@pytest.mark.parametrize("page", make_tutorials.PAGES, ids=lambda page: page.stem)
def test_snippets_print_what_stands_below_them(page: Path) -> None:
    found = make_tutorials.PRINTED.findall(page.read_text(encoding="utf-8"))
    assert found
    for snippet, expected in found:
        assert make_tutorials.printed(snippet) == expected, "stale: run python docs/make_tutorials.py"
