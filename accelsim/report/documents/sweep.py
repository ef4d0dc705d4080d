"""A sweep as a page."""

from __future__ import annotations

from accelsim.report.pages import page
from accelsim.report.sweeps import cut, kept_html, space_html, workloads_html
from accelsim.result import Overview


def sweep_document(found: Overview) -> str:
    """What was swept, what came of it, what each axis does, and the best points; under 2 MB, however large the sweep."""
    names = found.about["workloads"]
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    body = f"{space_html(found)}{kept_html(found)}{workloads_html(found)}"
    return page(f"{cut(names[0])}{more}: sweep of {found.points:,} points", body)
