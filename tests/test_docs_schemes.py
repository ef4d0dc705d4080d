"""``docs/schemes.md`` says what the code does, no more and no less."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from accelsim.arch import ARITHMETICS
from accelsim.arch.arithmetic import OPERATORS, SPECIAL_SCHEMES
from accelsim.numerics import ALIASES, SCHEMES

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_schemes", DOCS / "make_schemes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|\n ").split(" | ")]


def test_the_page_is_up_to_date(maker: ModuleType) -> None:
    written = (DOCS / "schemes.md").read_text(encoding="utf-8")
    assert written == maker.page(), "docs/schemes.md is stale: run python docs/make_schemes.py"


def test_every_operator_of_every_runtime_is_in_the_table(maker: ModuleType) -> None:
    lines = [cells(line) for line in maker.by_runtime().splitlines() if line.startswith("| `")]
    rows = {row[0].strip("`"): row[1:] for row in lines if row[0].strip("`") in OPERATORS}
    assert list(rows) == list(OPERATORS)
    for column, arithmetic in enumerate(ARITHMETICS.values()):
        for operator, row in rows.items():
            scheme = arithmetic.schemes.get(operator)
            assert row[column].startswith("—" if scheme is None else f"`{scheme}`")


def test_every_scheme_and_alias_is_on_the_page(maker: ModuleType) -> None:
    page = maker.page()
    shown = [name for name in SCHEMES if not maker.FAMILY.fullmatch(name)]
    assert all(f"| `{name}` |" in page for name in [*shown, *SPECIAL_SCHEMES, *ALIASES])
    assert "`single_8`" in page
    assert "`single_31`" in page


def test_tables_are_rectangular(maker: ModuleType) -> None:
    for block in maker.page().split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(cells(row)) for row in rows}) <= 1


def test_bars_and_stars_in_cells_are_escaped(maker: ModuleType) -> None:
    assert maker.table(["a"], [["|acc| < 2**s"]]).splitlines()[-1] == "| \\|acc\\| < 2\\*\\*s |"
