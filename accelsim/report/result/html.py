"""A Result as HTML for notebooks; takes the page's own colours, so it is legible on light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from accelsim.report.lines import html_row
from accelsim.report.numbers import share
from accelsim.report.result import cells
from accelsim.report.result.energy import energy_facts
from accelsim.result import Result


def summary_html(result: Result) -> str:
    """Layer table, totals and energy split; every text from the model is escaped."""
    parts = [
        f"<p><b>{escape(cells.heading(result))}</b></p>",
        _layers(result),
        '<div style="display:flex;gap:3em;flex-wrap:wrap">',
        _facts([*cells.total_facts(result), *energy_facts(result), *cells.value_facts(result)]),
        _energy(result),
        "</div>",
        *(f"<p>note: {escape(text)}</p>" for text in result.notes),
        f"<p><small>{'<br>'.join(f'{escape(line)}.' for line in cells.closing(result))}</small></p>",
    ]
    return '<div class="accelsim-result">' + "\n".join(parts) + "</div>"


def _layers(result: Result) -> str:
    columns = cells.layer_columns(result)
    right = [column.right for column in columns]
    body = "\n".join(html_row([column.cell(layer) for column in columns], right) for layer in result.layers)
    head = html_row([column.title for column in columns], right, tag="th")
    foot = html_row([cells.total_cell(result, column) for column in columns], right, tag="th")
    return f"<table><thead>{head}</thead>\n<tbody>{body}</tbody>\n<tfoot>{foot}</tfoot></table>"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return "<table>" + "".join(html_row(fact, (False, False)) for fact in facts) + "</table>"


def _energy(result: Result) -> str:
    head = html_row(("energy by component", "", ""), (False, True, True), tag="th")
    rows = "".join(
        html_row((name, value, share(part)), (False, True, True)) for name, value, part in cells.energy_parts(result)
    )
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
