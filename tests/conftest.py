"""What every test starts from: no terminal width of whoever runs the tests, and no deadline while numba compiles.

CI draws the same examples every time, so that a landing never depends on luck; runs at a desk draw new ones.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("accelsim", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("accelsim")


@pytest.fixture(autouse=True)
def _no_terminal_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)
