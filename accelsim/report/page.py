"""A report as a whole HTML page: one file without anything from elsewhere, on light and dark screens and on paper."""

from __future__ import annotations

from html import escape

_STYLE = """
:root { color-scheme: light dark; --rule: #8884; --head: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--rule); white-space: nowrap; vertical-align: top; }
thead th { background: var(--head); }
li { overflow-wrap: anywhere; }
@media print { body { max-width: none; margin: 0; font-size: 9pt; } .table { overflow: visible; } td, th { white-space: normal; }
  thead { display: table-header-group; } tr { break-inside: avoid; } }
"""


def page(title: str, body: str) -> str:
    """``body``, which is HTML, under ``title``, which is text."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>\n{body}</body></html>\n"
    )
