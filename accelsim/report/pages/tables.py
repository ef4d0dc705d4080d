"""Tables as HTML, from cells that are text already; a number carries its size, by which a page sorts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from accelsim.report.numbers import magnitude
from accelsim.report.pages.text import shown

MOST_ROWS = 1000
"""Rows of a table on a page: the first ones, as on the terminal."""
SENTENCE = 60
"""Characters beyond which a text wraps."""


class Cell(NamedTuple):
    """A text, and what it stands for, to be seen over it; ``span``: beside it a line from there to there, of 0 to 1, a dot at its beginning."""

    text: str
    whole: str = ""
    span: tuple[float, float] | None = None


def html_row(cells: Iterable[str | Cell], right: Sequence[bool], *, tag: str = "td") -> str:
    """One row of a table; every text is escaped."""
    filled = (_cell(c, is_right, tag) for c, is_right in zip(cells, right, strict=True))
    return f"<tr>{''.join(filled)}</tr>"


def _cell(cell: str | Cell, right: bool, tag: str) -> str:
    text, whole, span = cell if isinstance(cell, Cell) else (cell, "", None)
    about = ' class="r" style="text-align:right"' if right else ' class="say"' if len(text) > SENTENCE else ""
    size = magnitude(text) if right and tag == "td" else None
    about += "" if size is None else f' data-v="{size:.9g}"'
    about += f' title="{shown(whole)}"' if whole and whole != text else ""
    return f"<{tag}{about}>{shown(text)}{'' if span is None else _span(*span)}</{tag}>"


def _span(start: float, end: float) -> str:
    a, b = 4 + start * 62, 4 + end * 62
    return (
        f'<svg class="span" viewBox="0 0 70 8"><path class="grid" d="M4 4h62"/><path d="M{a:.1f} 4H{b:.1f}"/>'
        f'<circle cx="{a:.1f}" cy="4" r="3"/></svg>'
    )


def html_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str | Cell]],
    right: Sequence[bool],
    *,
    foot: Sequence[str] | None = None,
    count: int | None = None,
) -> str:
    """A table under ``titles``, which scrolls in itself where the page is narrow; ``foot`` stays below.

    Of ``rows`` the first :data:`MOST_ROWS`; how many more of ``count`` there are is said below.
    """
    few = [html_row(row, right) for row in islice(rows, MOST_ROWS)]
    more = (count or 0) - len(few)
    head, last = html_row(titles, right, tag="th"), "" if foot is None else html_row(foot, right, tag="th")
    table = f"<table><thead>{head}</thead>\n<tbody>{''.join(few)}</tbody>\n{f'<tfoot>{last}</tfoot>' if last else ''}</table>"
    note = f'<p class="note">… and {more:,} more; all are in the JSON and CSV files</p>' if more > 0 else ""
    return f'<div class="table">{table}</div>{note}'


def html_facts(facts: Iterable[tuple[str, str]]) -> str:
    """Names with values beside them."""
    rows = "".join(html_row(fact, (False, False)) for fact in facts)
    return f'<div class="table"><table class="facts"><tbody>{rows}</tbody></table></div>'


def html_notes(notes: Iterable[str]) -> str:
    """A paragraph for each note."""
    return "".join(f"<p>note: {shown(text)}</p>" for text in notes)


def html_list(lines: Iterable[str]) -> str:
    """A list of ``lines``; nothing where there are none."""
    few = list(lines)
    items = "".join(f"<li>{shown(line)}</li>" for line in few[:MOST_ROWS])
    more = f"<li>… and {len(few) - MOST_ROWS:,} more</li>" if len(few) > MOST_ROWS else ""
    return f"<ul>{items}{more}</ul>" if items else ""
