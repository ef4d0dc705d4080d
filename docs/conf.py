"""How Sphinx builds the site: sphinx-build -W docs build/site."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the package beside these pages, installed or not

project = "accelsim"
author = "the accelsim authors"
project_copyright = "the accelsim authors, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click", "sphinx_copybutton"]

html_theme = "furo"
html_title = "accelsim"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
smartquotes = False  # which makes one dash of the two before an option

myst_heading_anchors = 4  # as GitHub makes them, so that a link with an anchor is checked and works in both places
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_here_doc_delimiter = "EOF"

autodoc_default_options = {"members": True, "undoc-members": True, "exclude-members": "model_config"}
autodoc_member_order = "groupwise"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 160

nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!accelsim\.\w+$).*")]  # docstrings and types name what is not public, too

OTHERS = "% every other page"


def with_other_pages(index: str, pages: list[str]) -> str:
    """The text of the index with the ``pages`` that it names in no toctree in the place of ``OTHERS``, one a line."""
    named = set(re.findall(r"^[\w/-]+$", index, re.MULTILINE))
    others = [page for page in sorted(pages) if page not in named and "/" not in page and page != "index"]
    return index.replace(OTHERS, "\n".join(others))


def _fill_index(app: Any, page: str, source: list[str]) -> None:
    if page == "index":
        app.env.note_reread()
        source[0] = with_other_pages(source[0], list(app.env.found_docs))


def _readable(
    _app: Any, _what: str, _name: str, value: Any, _options: Any, signature: str | None, returns: str | None
) -> Any:
    """None for a pydantic model, a page of validators (its fields stand in ``machine.md``); defaults that are Python elsewhere."""
    if hasattr(value, "model_fields"):
        return "", returns
    return signature and signature.replace("<factory>", "..."), returns


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _fill_index)
    app.connect("autodoc-process-signature", _readable)
