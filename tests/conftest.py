"""What every test starts from: no terminal width of whoever runs the tests, and no deadline while numba compiles.

CI draws the same examples every time, so that a landing never depends on luck; runs at a desk draw new ones.
"""

from __future__ import annotations

import inspect
import os

import pytest
from click.testing import CliRunner
from hypothesis import settings

from tests.skips import explanation

settings.register_profile("accelsim", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("accelsim")

if "mix_stderr" in inspect.signature(CliRunner).parameters:  # click before 8.2 has one stream for both unless told
    CliRunner.__init__.__defaults__ = (*CliRunner.__init__.__defaults__[:-1], False)


@pytest.fixture(autouse=True)
def _no_terminal_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line why tests were skipped."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", []) if report.longrepr]
    if reasons:
        terminalreporter.write_line(explanation(reasons))
