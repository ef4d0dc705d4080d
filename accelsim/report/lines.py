"""Tables as plain text, from cells that are text already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from accelsim.display import printable

GAP = 2
"""Spaces between columns."""


def align(rows: Sequence[Sequence[str]], *, right: Sequence[bool]) -> list[str]:
    """Lines in which each column is as wide as its widest cell."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (" " * GAP)
        .join(f"{cell:>{w}}" if r else f"{cell:<{w}}" for cell, w, r in zip(row, widths, right, strict=True))
        .rstrip()
        for row in rows
    ]


def width_of(columns: Iterable[Sequence[str]]) -> int:
    """Characters that a table of ``columns`` takes."""
    return sum(max(map(len, column)) + GAP for column in columns) - GAP


def ruled(rows: Sequence[Sequence[str]], *, right: Sequence[bool]) -> list[str]:
    """As :func:`align`, with a rule below the first row."""
    lines = align(rows, right=right)
    return [lines[0], "─" * max(map(len, lines)), *lines[1:]]
