"""A Result as rich renderables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from accelsim.report.cells import (
    NONE,
    Column,
    energy_parts,
    fit_columns,
    heading,
    left_out,
    made_with,
    share,
    table_width,
    total_cell,
    total_facts,
    value_facts,
)
from accelsim.report.compare import RIGHT, TITLES, Comparison
from accelsim.report.energy_cells import energy_facts
from accelsim.result import LayerResult, Result

GAP = 2
_BAR = 28
_BOUND_STYLE = {
    "compute": "green",
    "fill/drain": "yellow",
    "weight load": "magenta",
    "activation load": "cyan",
    "store": "blue",
    "requantize": "yellow",
    "vector": "yellow",
    "keep": "blue",
    "recall": "cyan",
    "none": "dim",
}


def natural_width(result: Result) -> int:
    """Characters that the whole layer table takes."""
    return table_width(result, fit_columns(result, None, gap=GAP)[0], gap=GAP)


def result_table(result: Result, *, width: int | None = None) -> RenderableType:
    """Layer table, totals, energy, values, and what is not modelled; columns without room in ``width`` are named."""
    columns, hidden = fit_columns(result, width, gap=GAP)
    parts: list[RenderableType] = [Text(heading(result), style="bold"), Text(), layer_table(result, columns)]
    if hidden:
        parts.append(
            Text(f"not shown for lack of width: {', '.join(hidden)} (they are in --csv and --json)", style="dim")
        )
    totals, split = fact_table([*total_facts(result), *energy_facts(result)]), energy_table(result)
    wide = width is None or width >= 100
    parts += [Text(), _side_by_side(totals, split) if wide else Group(totals, Text(), split), Text()]
    parts += [
        fact_table(value_facts(result)),
        Text(),
        Text(made_with(result), style="dim"),
        Text(left_out(result), style="dim"),
    ]
    return Group(*parts)


def layer_table(result: Result, columns: Sequence[Column]) -> Table:
    """One row per layer and a footer with the totals."""
    table = plain_table(show_footer=True)
    for column in columns:
        justify: JustifyMethod = "right" if column.right else "left"
        table.add_column(
            column.title, Text(total_cell(result, column)), justify=justify, no_wrap=True, footer_style="bold"
        )
    for layer in result.layers:
        table.add_row(*(Text(column.cell(layer), style=_style(column, layer)) for column in columns))
    return table


def fact_table(facts: Sequence[tuple[str, str]]) -> Table:
    """Names dimmed, values beside them."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in facts:
        table.add_row(Text(name), Text(value))
    return table


def energy_table(result: Result) -> Table:
    """Each component's energy, its share and a bar of that length."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row(Text("energy by component", style="dim"))
    for name, value, part in energy_parts(result):
        table.add_row(
            Text(name), Text(value), Text(share(part)), Text("█" * round(_BAR * part) if part else "", style="cyan")
        )
    return table


def comparison_table(comparison: Comparison) -> Table:
    """One row per Result."""
    table = plain_table()
    for title, right in zip(TITLES, RIGHT, strict=True):
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    for row in comparison.cells():
        table.add_row(*map(Text, row))
    return table


def list_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, wrap_last: bool = True) -> Table:
    """A plain table of texts; the last column may wrap."""
    table = plain_table()
    for i, title in enumerate(titles):
        table.add_column(title, no_wrap=not (wrap_last and i == len(titles) - 1), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


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


def _side_by_side(left: RenderableType, right: RenderableType) -> Table:
    grid = Table.grid(padding=(0, 6))
    grid.add_row(left, right)
    return grid


def _style(column: Column, layer: LayerResult) -> str:
    if column.title == "bound":
        return _BOUND_STYLE[layer.bound]
    if column.title == "" or column.cell(layer) == NONE:
        return "dim"
    return ""
