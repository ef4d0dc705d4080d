"""Text in HTML: whoever wrote it, it is shown and not obeyed."""

from __future__ import annotations

from html import escape

from accelsim.display import printable, printable_lines


def shown(text: str) -> str:
    """``text`` on one line, escaped."""
    return escape(printable(text))


def shown_lines(text: str) -> str:
    """As :func:`shown`, line ends left alone."""
    return escape(printable_lines(text))
