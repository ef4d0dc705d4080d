"""A report as a whole HTML page: one file without anything from elsewhere, on light and dark screens and on paper."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from accelsim.report.pages.text import shown

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""What the browser is to hold the page to: nothing is fetched, from nowhere."""


@cache
def _part(name: str) -> str:
    return files(__name__.rpartition(".")[0]).joinpath(name).read_text(encoding="utf-8")


def page(title: str, body: str) -> str:
    """``body``, which is HTML, under ``title``, which is text; tables are sorted by a click, marks with ``data-tip`` say more."""
    title = shown(title)
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
    )
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{_part("page.css")}</style></head>\n'
        f"<body><h1>{title}</h1>\n{body}\n<script>{_part('page.js')}</script></body></html>\n"
    )


def section(title: str, body: str) -> str:
    """``body``, which is HTML, under a heading; nothing where it is empty."""
    return f"<h2>{shown(title)}</h2>{body}" if body else ""
