"""How a record prints itself: arrays by type and shape alone, and whole pages without knowing who draws them.

The package names a view for each kind of page, the record asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

View = Callable[[object], str]
_VIEWS: dict[tuple[str, str], View] = {}


def register(kind: str, *, text: View, html: View | None = None) -> None:
    """Records whose class is called ``kind`` are drawn by ``text`` and, where they are drawn as such, ``html``."""
    _VIEWS[kind, "text"] = text
    if html is not None:
        _VIEWS[kind, "html"] = html


def as_text(record: object) -> str:
    """The record as plain text, fit for a terminal."""
    return printable_lines(_VIEWS[type(record).__name__, "text"](record))


def as_html(record: object) -> str:
    """The record as HTML, for notebooks."""
    return _VIEWS[type(record).__name__, "html"](record)


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0, C1 and DEL, which terminals obey; marks that turn the direction of text; halves of characters, as in names not of UTF-8."""


def printable(text: str) -> str:
    """``text`` on one line with ``?`` for each control character: names come from files, whoever wrote them."""
    return _CONTROL.sub("?", text)


def printable_lines(text: str) -> str:
    """As :func:`printable`, line ends left alone."""
    return "\n".join(map(printable, text.split("\n")))


class Brief:
    """A dataclass that prints arrays as ``int8[16, 3, 3, 3]``, and leaves out what is at its default."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__repr__" not in vars(cls):  # dataclass() writes one of its own where a class itself has none
            cls.__repr__ = _brief  # type: ignore[method-assign]


def _brief(record: Any) -> str:
    from dataclasses import fields  # which takes as long to import as all the rest of ``import accelsim``

    given = ((field, getattr(record, field.name)) for field in fields(record) if field.repr)
    texts = [f"{field.name}={_text(value)}" for field, value in given if _is_array(value) or value != field.default]
    return f"{type(record).__name__}({', '.join(texts)})"


def _is_array(value: Any) -> bool:
    return bool(getattr(value, "shape", ())) and hasattr(value, "dtype")


def _text(value: Any) -> str:
    if _is_array(value):
        return f"{value.dtype}{list(value.shape)}"
    if hasattr(value, "__dataclass_fields__") and "__str__" in vars(type(value)):
        return str(value)
    return getattr(value, "__name__", type(value).__name__) if callable(value) else repr(value)
