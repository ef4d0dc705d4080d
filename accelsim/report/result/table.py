"""A Result as rich renderables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.bar import Bar
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from accelsim.report.numbers import NONE, share
from accelsim.report.result import cells
from accelsim.report.result.energy import energy_facts
from accelsim.report.terminal import fact_table, first_rows, plain_table
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
    layers, more = first_rows(result.layers, len(result.layers), remedy="all layers are in --csv and --json")
    table = layer_table(result, layers, columns)
    parts: list[RenderableType] = [Text(cells.heading(result), style="bold"), Text(), table, *more]
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


def layer_table(result: Result, layers: Sequence[LayerResult], columns: Sequence[cells.Column]) -> Table:
    """One row for each of ``layers`` and a footer with the totals of all."""
    table = plain_table(show_footer=True)
    for column in columns:
        justify: JustifyMethod = "right" if column.right else "left"
        table.add_column(
            column.title, Text(cells.total_cell(result, column)), justify=justify, no_wrap=True, footer_style="bold"
        )
    for layer in layers:
        table.add_row(*(Text(column.cell(layer), style=_style(column, layer)) for column in columns))
    return table


def energy_table(result: Result) -> Table:
    """Each component's energy, its share and a bar of that length."""
    parts = cells.energy_parts(result)
    rows = [("energy by component", "", ""), *((name, value, share(part)) for name, value, part in parts)]
    table = Table.grid(padding=(0, 2))
    sides: tuple[JustifyMethod, ...] = "left", "right", "right"
    for side, column in zip(sides, zip(*rows, strict=True), strict=True):
        table.add_column(justify=side, no_wrap=True, min_width=max(map(len, column)))
    table.add_column(max_width=_BAR)  # on a narrow page the bars get shorter, all alike
    table.add_row(Text(rows[0][0], style="dim"))
    for row, (_, _, part) in zip(rows[1:], parts, strict=True):
        table.add_row(*map(Text, row), Bar(1.0, 0.0, part or 0.0, color="cyan"))
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
