"""A Result as HTML for notebooks and pages; takes the page's own colours, so it is legible on light and dark."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.report.numbers import share
from accelsim.report.pages import Cell, html_facts, html_notes, html_table, shown
from accelsim.report.result import cells
from accelsim.report.result.energy import energy_facts
from accelsim.result import Result


def summary_html(result: Result) -> str:
    """Layer table, totals and energy split; every text from the model is escaped."""
    body = (
        f"<p><b>{shown(cells.heading(result))}</b></p>{layers_html(result)}{facts_html(result)}{closing_html(result)}"
    )
    return f'<div class="accelsim-result">{body}</div>'


def layers_html(result: Result, sentences: Mapping[int, str] | None = None) -> str:
    """The layer table; ``sentences``, by layer, stand in a column of their own."""
    columns = cells.layer_columns(result)
    said = sentences or {}
    more, empty = (("what would relieve it",), ("",)) if sentences else ((), ())
    rows = (
        [Cell(c.cell(layer), layer.name if c.title == "layer" else "") for c in columns]
        + [Cell(said[layer.index]) for _ in more]
        for layer in result.layers
    )
    return html_table(
        [*(c.title for c in columns), *more],
        rows,
        [*(c.right for c in columns), *(False for _ in more)],
        foot=[*(cells.total_cell(result, c) for c in columns), *empty],
        count=len(result.layers),
    )


def facts_html(result: Result) -> str:
    """Totals, and beside them the energy by component."""
    parts = [(name, value, share(part)) for name, value, part in cells.energy_parts(result)]
    energy = html_table(("energy by component", "", ""), parts, (False, True, True))
    facts = html_facts([*cells.total_facts(result), *energy_facts(result), *cells.value_facts(result)])
    return f'<div class="side" style="display:flex;gap:3em;flex-wrap:wrap">{facts}{energy}</div>'


def closing_html(result: Result) -> str:
    """Notes, how it was made, what is not modelled."""
    lines = "<br>".join(f"{shown(line)}." for line in cells.closing(result))
    return f"{html_notes(result.notes)}<p><small>{lines}</small></p>"
