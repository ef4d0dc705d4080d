"""A Result as HTML for notebooks; takes the page's own colours, so it is legible on light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from accelsim.report.cells import (
    energy_parts,
    heading,
    layer_columns,
    left_out,
    made_with,
    share,
    total_cell,
    total_facts,
    value_facts,
)
from accelsim.report.energy_cells import energy_facts
from accelsim.result import Result

_RIGHT = ' style="text-align:right"'
_LEFT = ' style="text-align:left"'


def summary_html(result: Result) -> str:
    """Layer table, totals and energy split; every text from the model is escaped."""
    parts = [
        f"<p><b>{escape(heading(result))}</b></p>",
        _layers(result),
        '<div style="display:flex;gap:3em;flex-wrap:wrap">',
        _facts([*total_facts(result), *energy_facts(result), *value_facts(result)]),
        _energy(result),
        "</div>",
        f"<p><small>{escape(made_with(result))}.<br>{escape(left_out(result))}.</small></p>",
    ]
    return '<div class="accelsim-result">' + "\n".join(parts) + "</div>"


def _layers(result: Result) -> str:
    columns = layer_columns()
    right = [column.right for column in columns]
    body = "\n".join(_row([column.cell(layer) for column in columns], right) for layer in result.layers)
    head = _row([column.title for column in columns], right, tag="th")
    foot = _row([total_cell(result, column) for column in columns], right, tag="th")
    return f"<table><thead>{head}</thead>\n<tbody>{body}</tbody>\n<tfoot>{foot}</tfoot></table>"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return "<table>" + "".join(_row(fact, (False, False)) for fact in facts) + "</table>"


def _energy(result: Result) -> str:
    head = _row(("energy by component", "", ""), (False, True, True), tag="th")
    rows = "".join(_row((name, value, share(part)), (False, True, True)) for name, value, part in energy_parts(result))
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _row(cells: Sequence[str], right: Sequence[bool], *, tag: str = "td") -> str:
    filled = (f"<{tag}{_RIGHT if r else _LEFT}>{escape(cell)}</{tag}>" for cell, r in zip(cells, right, strict=True))
    return f"<tr>{''.join(filled)}</tr>"
