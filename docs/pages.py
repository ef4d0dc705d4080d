"""What the scripts of this folder share: a page's text stays, the tables between its markers are replaced."""

from __future__ import annotations

from pathlib import Path

VALIDATION = Path(__file__).resolve().parent / "validation.md"
DESIGN = Path(__file__).resolve().parent / "design.md"
MARKERS = "<!-- begin: {} -->\n", "<!-- end: {} -->\n"


def replaced(text: str, name: str, table: str) -> str:
    """``text`` with what stands between the markers of ``name`` replaced."""
    begin, end = (marker.format(name) for marker in MARKERS)
    before, rest = text.split(begin)
    return f"{before}{begin}{table}{end}{rest.split(end)[1]}"
