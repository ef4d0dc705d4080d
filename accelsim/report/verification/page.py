"""A VerificationReport as HTML, for notebooks and files."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from accelsim.report.lines import html_row
from accelsim.report.page import page
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
    body = "".join(html_row(row, RIGHT) for row in layer_rows(report))
    parts = [
        f"<p><b>{escape(heading(report))}</b><br>{escape(verdict(report))}</p>",
        '<h2>Layers</h2><div class="table">',
        f"<table><thead>{html_row(HEAD, RIGHT, tag='th')}</thead><tbody>{body}</tbody></table></div>",
        _list("Inputs", report.notes),
        _list("Causes", cause_lines(report)),
        _list("First difference", first_lines(report)),
        _list("Parameters that differ", finding_lines(report)),
        _list("Accumulator width", width_lines(report)),
        f"<p>{escape(output_line(report))}</p>",
    ]
    return f'<div class="accelsim-verification">{"".join(parts)}</div>'


def document(report: VerificationReport) -> str:
    """A whole page."""
    return page(f"{report.model}: verification", report_html(report))


def _list(title: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h2>{title}</h2><ul>{items}</ul>" if items else ""
