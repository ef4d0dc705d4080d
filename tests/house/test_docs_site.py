"""Every page of docs/ stands once in the navigation of the site, one that is new as well."""

from __future__ import annotations

import re
import runpy
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md"))
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([\w/.-]+\.md)")


def navigation(pages: list[str]) -> list[str]:
    """What the index's toctrees name, in their order."""
    text = runpy.run_path(str(DOCS / "conf.py"))["with_other_pages"]((DOCS / "index.md").read_text("utf-8"), pages)
    lines = [line for tree in TOCTREE.findall(text) for line in tree.splitlines() if line and not line.startswith(":")]
    return [page for line in lines for page in pages if fnmatchcase(page, line)]


def test_every_page_is_reachable_from_the_index_once() -> None:
    assert len(PAGES) > 20
    assert sorted(navigation(PAGES)) == [page for page in PAGES if page != "index"]


def test_a_page_that_arrives_later_is_there_without_a_line() -> None:
    later = sorted([*PAGES, "a_later_page", "tutorials/a_later_job"])
    assert set(navigation(later)) - set(navigation(PAGES)) == {"a_later_page", "tutorials/a_later_job"}


def test_pages_lead_to_pages_that_are_there() -> None:
    """Also for who reads them as files; anchors are Sphinx's to check."""
    broken = [
        f"{page}: {link}"
        for page in PAGES
        for link in LINK.findall((DOCS / f"{page}.md").read_text("utf-8"))
        if not ((DOCS / page).parent / link).exists()
    ]
    assert broken == []
