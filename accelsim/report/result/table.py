"""A Result as rich renderables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from accelsim.report.numbers import NONE, share
from accelsim.report.result import cells
from accelsim.report.result.energy import energy_facts
from accelsim.report.terminal import fact_table, plain_table
from accelsim.result import LayerResult, Result

_BAR = 28
_BOUND_STYLE = {
    "compute": "green", "fill/drain": "yellow", "weight load": "magenta", "activation load": "cyan", "store": "blue",
    "requantize": "yellow", "vector": "yellow", "keep": "blue", "recall": "cyan", "none": "dim",
}  # fmt: skip


def natural_width(result: Result) -> int:
    """Characters that the whole layer table takes."""
    return cells.table_width(result, cells.fit_columns(result, None)[0])


def result_table(result: Result, *, width: int | None = None) -> RenderableType:
    """Layer table, totals, energy, values, and what is not modelled; columns without room in ``width`` are named."""
    columns, hidden = cells.fit_columns(result, width)
    parts: list[RenderableType] = [Text(cells.heading(result), style="bold"), Text(), layer_table(result, columns)]
    if hidden:
        parts.append(
            Text(f"not shown for lack of width: {', '.join(hidden)} (they are in --csv and --json)", style="dim")
        )
    totals, split = fact_table([*cells.total_facts(result), *energy_facts(result)]), energy_table(result)
    wide = width is None or width >= 100
    parts += [Text(), _side_by_side(totals, split) if wide else Group(totals, Text(), split), Text()]
    parts += [
        fact_table(cells.value_facts(result)),
        Text(),
        *(Text(line, style="dim") for line in cells.closing(result)),
    ]
    return Group(*parts)


def layer_table(result: Result, columns: Sequence[cells.Column]) -> Table:
    """One row per layer and a footer with the totals."""
    table = plain_table(show_footer=True)
    for column in columns:
        justify: JustifyMethod = "right" if column.right else "left"
        table.add_column(
            column.title, Text(cells.total_cell(result, column)), justify=justify, no_wrap=True, footer_style="bold"
        )
    for layer in result.layers:
        table.add_row(*(Text(column.cell(layer), style=_style(column, layer)) for column in columns))
    return table


def energy_table(result: Result) -> Table:
    """Each component's energy, its share and a bar of that length."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row(Text("energy by component", style="dim"))
    for name, value, part in cells.energy_parts(result):
        table.add_row(
            Text(name), Text(value), Text(share(part)), Text("█" * round(_BAR * part) if part else "", style="cyan")
        )
    return table


def _side_by_side(left: RenderableType, right: RenderableType) -> Table:
    grid = Table.grid(padding=(0, 6))
    grid.add_row(left, right)
    return grid


def _style(column: cells.Column, layer: LayerResult) -> str:
    if column.title == "bound":
        return _BOUND_STYLE[layer.bound]
    if column.title == "" or column.cell(layer) == NONE:
        return "dim"
    return ""
