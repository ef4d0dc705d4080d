"""The tables of ``docs/whatif.md`` are what the machine gives now."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", ["bandwidth", "bits"])
def test_the_page_is_up_to_date(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from docs import make_whatif

    page = make_whatif.PAGE.read_text(encoding="utf-8")
    (what_if,) = (one for one in make_whatif.WHAT_IFS if one.name == name)
    table = page.split(f"<!-- begin: {name} -->\n")[1].split(f"<!-- end: {name} -->\n")[0]
    assert make_whatif.table(what_if, make_whatif.ask(what_if)) == table, "stale: run python docs/make_whatif.py"
    assert (make_whatif.PLOTS / f"{name}.svg").is_file()


def test_the_product_falls_with_bandwidth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from docs import make_whatif

    rows = make_whatif.ask(make_whatif.WHAT_IFS[0])["least edp"]
    products = rows["cycles"] * rows["energy_pj"]
    assert (products[1:] < products[:-1]).all()
