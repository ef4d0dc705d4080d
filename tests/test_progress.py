"""What is said on the way: bars on a terminal, a line a minute elsewhere, with the rate and the time left."""

from __future__ import annotations

import io
import re
import sys

import pytest

from accelsim.cli.shared import console
from accelsim.cli.shared.console import LINE_SECONDS, progress_bar, rate_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What stands for a terminal from here on."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    return stream


def said(stream: Terminal) -> str:
    """Without what moves the cursor and colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


def test_a_bar_names_its_stage_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    with progress_bar("mapping") as advance:
        assert advance is not None
        advance("scheduling", 2, 5)
    assert "scheduling 2 of 5" in said(stream)


def test_nothing_is_shown_of_points_before_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    with rate_bar():
        pass
    assert "points" not in said(stream)


def test_a_bar_of_points_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    with rate_bar() as advance:
        advance("points", 1_200, 3_000)
        advance("points", 1_500, 3_000)
    assert "1,500 of 3,000 points" in said(stream)


def test_where_there_is_no_terminal_stages_are_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("mapping") as advance:
        assert advance is None


@pytest.mark.parametrize(
    ("rate", "left"), [(10, "10/s, 1 min 30 s left"), (2, "2/s, 7 min 30 s left"), (1, "60/min, 15 min 00 s left")]
)
def test_elsewhere_a_line_a_minute_has_the_rate_and_the_time_left(
    rate: int, left: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was done at the first call does not count for the rate: 100 of 1,000 + 60 * rate."""
    now = 0.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    with rate_bar() as advance:
        total = 100 + 60 * rate + 900
        advance("points", 100, total)
        now = LINE_SECONDS - 1
        advance("points", 100 + 59 * rate, total)
        now = LINE_SECONDS
        advance("points", 100 + 60 * rate, total)
        now = LINE_SECONDS + 1
        advance("points", 100 + 61 * rate, total)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"{100 + 60 * rate:,} of {total:,} points, {left}")


def test_no_line_where_nothing_was_done(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    with rate_bar() as advance:
        advance("points", 100, 200)
        now = 10 * LINE_SECONDS
        advance("points", 100, 200)
    assert not capsys.readouterr().err
