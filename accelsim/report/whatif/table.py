"""Variants as rich renderables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from accelsim.display import printable
from accelsim.report.numbers import share
from accelsim.report.result.cells import heading
from accelsim.report.terminal import text_table
from accelsim.report.whatif.cells import MOST_MOVED, Grid, Moved
from accelsim.report.whatif.record import Variants

_FILES = "they are in --csv and --json"


def variants_table(found: Variants, *, width: int | None = None) -> RenderableType:
    """Totals, then for each variant the layers that moved; columns without room in ``width`` are named."""
    parts: list[RenderableType] = [_line(heading(found.base), "bold"), Text(), *grid_table(found.totals(), width)]
    for one in found.moved(most=MOST_MOVED):
        parts += [
            Text(),
            _line(found.title(one.name), "bold"),
            _line(one.differs),
            *_moved(one, found.threshold, width),
        ]
    return Group(*parts)


def _moved(one: Moved, threshold: float, width: int | None) -> Iterator[RenderableType]:
    least = share(threshold)
    if one.layers.rows:
        yield from grid_table(one.layers, width)
    else:
        yield _line(f"no layer moved the latency or the energy by more than {least}")
    if one.more:
        yield _line(f"… and {one.more} more that moved by more than {least}; {_FILES}")
    yield _line(one.bounds)


def grid_table(grid: Grid, width: int | None) -> Iterator[RenderableType]:
    """A table, and below it which columns it has no room for."""
    shown, left_out = grid.within(width)
    yield _table(shown)
    if left_out:
        yield _line(f"not shown for lack of width: {', '.join(left_out)} ({_FILES})")


def _table(grid: Grid) -> Table:
    return text_table(grid.titles, grid.rows, right=grid.right, no_wrap=True)


def _line(text: str, style: str = "dim") -> Text:
    return Text(printable(text), style=style)
