"""A VerificationReport as HTML, for notebooks and pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from accelsim.report.pages import Cell, html_list, html_table, section, shown
from accelsim.report.verification.text import (
    HEAD,
    RIGHT,
    cause_lines,
    finding_lines,
    first_lines,
    heading,
    layer_rows,
    output_line,
    verdict,
    width_lines,
)

if TYPE_CHECKING:
    from accelsim.verification import VerificationReport


def report_html(report: VerificationReport) -> str:
    """A fragment; every text from the model is escaped."""
    parts = [
        f"<p><b>{shown(heading(report))}</b><br>{shown(verdict(report))}</p>",
        section("Layers", layers_html(report)),
        *findings_html(report),
        f"<p>{shown(output_line(report))}</p>",
    ]
    return f'<div class="accelsim-verification">{"".join(parts)}</div>'


def layers_html(report: VerificationReport) -> str:
    """The layer table, with whole names over the short ones."""
    whole = (layer.layer for layer in report.layers)
    rows: Iterator[list[str | Cell]] = (
        [Cell(name, full), *rest] for (name, *rest), full in zip(layer_rows(report), whole, strict=True)
    )
    return html_table(HEAD, rows, RIGHT, count=len(report.layers))


def findings_html(report: VerificationReport) -> list[str]:
    """Inputs, causes, first difference, parameters and accumulator widths, each a list under its heading."""
    lists = {
        "Inputs": report.notes,
        "Causes": cause_lines(report),
        "First difference": first_lines(report),
        "Parameters that differ": finding_lines(report),
        "Accumulator width": width_lines(report),
    }
    return [section(title, html_list(lines)) for title, lines in lists.items()]
