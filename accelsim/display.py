"""How a record prints itself without knowing who draws it: the package names a view for each kind, the record asks for it."""

from __future__ import annotations

from collections.abc import Callable

View = Callable[[object], str]
_VIEWS: dict[tuple[str, str], View] = {}


def register(kind: str, *, text: View, html: View | None = None) -> None:
    """Records whose class is called ``kind`` are drawn by ``text`` and, where they are drawn as such, ``html``."""
    _VIEWS[kind, "text"] = text
    if html is not None:
        _VIEWS[kind, "html"] = html


def as_text(record: object) -> str:
    """The record as plain text."""
    return _VIEWS[type(record).__name__, "text"](record)


def as_html(record: object) -> str:
    """The record as HTML, for notebooks."""
    return _VIEWS[type(record).__name__, "html"](record)
