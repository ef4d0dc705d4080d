"""What every test starts from: no terminal width of whoever runs the tests, and no deadline while numba compiles."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("accelsim", deadline=None)
settings.load_profile("accelsim")


@pytest.fixture(autouse=True)
def _no_terminal_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)
