"""A Result as plain text, for ``repr`` and for pages without colour."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.report.lines import align, ruled
from accelsim.report.numbers import share
from accelsim.report.result import cells
from accelsim.report.result.energy import energy_facts
from accelsim.result import Result


def summary_text(result: Result, *, width: int | None = None) -> str:
    """The layer table, totals, energy, values and what is not modelled; ``width`` in characters (None: as needed)."""
    columns, hidden = cells.fit_columns(result, width)
    lines = [cells.heading(result), "", *layer_lines(result, columns)]
    if hidden:
        lines.append(f"(not shown for lack of width: {', '.join(hidden)})")
    lines += [
        "",
        *fact_lines([*cells.total_facts(result), *energy_facts(result)]),
        "",
        *energy_lines(result),
        "",
        *fact_lines(cells.value_facts(result)),
        "",
    ]
    return "\n".join([*lines, *cells.closing(result), *(f"note: {text}" for text in result.notes)])


def layer_lines(result: Result, columns: Sequence[cells.Column]) -> list[str]:
    """The layer table: title, rule, one line per layer, rule, total."""
    body = [[column.cell(layer) for column in columns] for layer in result.layers]
    rows = [[c.title for c in columns], *body, [cells.total_cell(result, c) for c in columns]]
    title, rule, *rest, total = ruled(rows, right=[c.right for c in columns])
    return [title, rule, *rest, rule, total]


def fact_lines(facts: Sequence[tuple[str, str]]) -> list[str]:
    """Names in one column, values in the next."""
    return align(facts, right=[False, False])


def energy_lines(result: Result) -> list[str]:
    """The energy split, largest part first."""
    rows = [
        ("energy by component", "", ""),
        *((name, value, share(part)) for name, value, part in cells.energy_parts(result)),
    ]
    return align(rows, right=[False, True, True])
