"""The tables of ``docs/search_bits.md`` have the form that their command writes, and the text beside them says what they show."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "search_bits.md").read_text(encoding="utf-8")
TABLES, PIPED, UNIFORM = (
    TEXT.split(f"<!-- begin: {name} -->")[1].split(f"<!-- end: {name} -->")[0]
    for name in ("measured", "piped", "uniform")
)


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


def test_rows_by_a_pipeline_have_the_form_of_the_others(bench: Any) -> None:
    rows, volumes, ranks = (
        [line for line in table.split("\n") if line.startswith("| `")] for table in PIPED.strip().split("\n\n")
    )
    assert {line.count("|") for line in rows} == {10}
    assert all("least of all points" in "".join(line for line in rows if name in line) for name in names_of(volumes))
    assert len(ranks) == 4 * len(volumes)
    assert set(names_of(volumes)) <= {network.partition("@")[0] for network in bench.NETWORKS}


def test_less_bits_take_less_energy() -> None:
    """Whole networks at one width, from W8A8 on down."""
    rows = re.findall(r"^\| `(\w+)` \| W(\d+)A(\d+) \| ([\d.]+)% ", UNIFORM, re.MULTILINE)
    for name in {row[0] for row in rows}:
        shares = {(int(w), int(a)): float(share) for own, w, a, share in rows if own == name}
        assert shares[8, 8] == 100
        assert all(
            shares[one] > shares[other]
            for one in shares
            for other in shares
            if one != other and one[0] >= other[0] and one[1] >= other[1]
        )


def names_of(volumes: list[str]) -> list[str]:
    return [re.match(r"\| `(\w+)`", line)[1] for line in volumes]  # type: ignore[index]


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
