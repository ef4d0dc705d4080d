"""The tables of ``docs/search_bits.md`` have the form that their command writes, and the text beside them says what they show."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "search_bits.md").read_text(encoding="utf-8")
TABLES = TEXT.split("<!-- begin: measured -->")[1].split("<!-- end: measured -->")[0]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from benchmarks import search_bits

    return search_bits


def test_every_network_has_its_rows(bench: Any) -> None:
    rows, volumes, ranks = (
        [line for line in table.split("\n") if line.startswith("| `")] for table in TABLES.strip().split("\n\n")
    )
    names = [re.match(r"\| `(\w+)`", line)[1] for line in volumes]  # type: ignore[index]
    assert set(names) <= {network.partition("@")[0] for network in bench.NETWORKS}
    assert {line.count("|") for line in rows} == {10}
    assert 2 * len(names) <= len(rows) <= 4 * len(names)
    assert [line.count("|") for line in volumes] == [5] * len(names)
    assert len(ranks) == 4 * len(names)


def test_sums_of_rows_with_narrow_accumulators_are_proved() -> None:
    held = [line for line in TABLES.split("\n") if "-bit accumulators" in line and "none" not in line]
    assert held
    assert all(re.search(r"\d+ bits, all \d+ proved", line) for line in held)


def test_proxies_rank_as_the_integers_do() -> None:
    """Costs nearly always, noise mostly: the text says so."""
    rows = re.findall(r"^\| `\w+` on `\w+` \| (\w+) \| ([\w ]+) \| (-?[\d.]+) \|", TABLES, re.MULTILINE)
    figures = {
        kind: [float(rho) for proxy, truth, rho in rows if proxy == truth.split()[0] == kind]
        for kind in ("noise", "energy", "latency")
    }
    assert all(figures.values())
    assert min(figures["energy"] + figures["latency"]) > 0.9
    assert min(figures["noise"]) > 0.6
