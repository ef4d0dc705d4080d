"""docs/architecture.md names files that are there, and the floors that the contract enforces."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_every_file_is_there() -> None:
    named = re.findall(r"`(accelsim/[\w/.]+)`", PAGE)
    assert len(named) > 30
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_floors_are_those_of_the_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ][0]
    floors = [set(re.findall(r"\w+", layer)) - {"__main__"} for layer in contract["layers"]]
    told = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    order = [name for row in told for name in re.findall(r"`(\w+)`", row)]
    expected = [sorted(f) for f in floors if f]
    place = {name: i for i, names in enumerate(expected) for name in names}
    assert set(order) == set(place)
    assert [place[name] for name in order] == sorted(place[name] for name in order)
