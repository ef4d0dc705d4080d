"""Tables for the terminal, by rich: the house style, plain texts, facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Literal, TypeVar

from rich import box
from rich.table import Table
from rich.text import Text

from accelsim.display import printable

MOST_ROWS = 1000
"""Rows that a table of the layers of a network has on the terminal; rich lays out a few hundred in a second."""
Row = TypeVar("Row")


def first_rows(rows: Iterable[Row], count: int, *, remedy: str = "") -> tuple[list[Row], list[Text]]:
    """The rows of ``count`` that a table shows, and below it the line that says how many more there are; ``remedy`` says where."""
    more = count - MOST_ROWS
    line = f"… and {more:,} more{f'; {remedy}' if remedy else ''}"
    return list(islice(rows, MOST_ROWS)), [Text(line, style="dim")] if more > 0 else []


def plain_table(*, show_footer: bool = False) -> Table:
    """An empty table in the house style: a rule below the titles, nothing else."""
    return Table(
        box=box.SIMPLE,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
        show_footer=show_footer,
        header_style="bold",
    )


def text_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[bool],
    no_wrap: bool = False,
    overflow: Literal["ellipsis", "fold"] = "ellipsis",
) -> Table:
    """A plain table of texts, columns marked ``right`` aligned so."""
    table = plain_table()
    for title, is_right in zip(titles, right, strict=True):
        table.add_column(title, justify="right" if is_right else "left", no_wrap=no_wrap, overflow=overflow)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def list_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A plain table of texts; the last column may wrap."""
    table = plain_table()
    for i, title in enumerate(titles):
        table.add_column(title, no_wrap=i < len(titles) - 1, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def fact_table(facts: Sequence[tuple[str, str]]) -> Table:
    """Names dimmed, values beside them."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in facts:
        table.add_row(Text(printable(name)), Text(printable(value)))
    return table
