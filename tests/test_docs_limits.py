"""What ``docs/limits.md`` says of its sweep is so, and the command that it ends with is that of the front's knee."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import accelsim
from accelsim.explore import pareto

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "limits.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_says_what_the_sweep_finds(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    space = re.search(r"<<'EOF'\n(.*?)^EOF$", PAGE, re.MULTILINE | re.DOTALL)
    assert space
    (tmp_path / "limits.yaml").write_text(space[1], encoding="utf-8")
    done = accelsim.sweep(tmp_path / "limits.yaml", out=tmp_path / "out")
    table = accelsim.read_sweep(tmp_path / "out")
    assert (done.points, done.feasible) == (288, 12)
    assert "All 288 machines" in PAGE
    assert "twelve machines keep both limits, none of them with 3.2 GB/s" in PAGE
    assert set(table[table["feasible"]]["dram.bandwidth_bytes_per_s"]) == {6_400_000_000}
    (front,) = pareto(table, ("latency_s", "energy_pj", "weights.bits"), maximise=("weights.bits",))
    narrow, wide = ([row for row in front.rows if row["weights.bits"] == bits] for bits in (4, 8))
    assert (len(wide), len(narrow)) == (2, 4)
    assert "Two of 8 bits are on it and four of 4 bits" in PAGE
    saved = 1 - min(row["energy_pj"] for row in narrow) / min(row["energy_pj"] for row in wide)
    assert saved == pytest.approx(1 / 7, abs=0.01)
    assert f"$ {front.rows[front.knee or 0]['command']} --html" in PAGE
