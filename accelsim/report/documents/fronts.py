"""Fronts of a sweep as a page."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.report.documents.common import picture
from accelsim.report.fronts import front_html
from accelsim.report.pages import page, section
from accelsim.report.pictures import fronts_plot, svg_of
from accelsim.result import Front


def fronts_document(fronts: Sequence[Front]) -> str:
    """Every front with its rows, and all points as a picture."""
    drawn = picture(svg_of(fronts_plot(fronts))) if any(front.rows for front in fronts) else ""
    body = f"{section('Points', drawn)}{''.join(map(front_html, fronts))}"
    return page(f"Front: {', '.join(fronts[0].objectives)}", body)
