"""Energy tables: Horowitz's anchor figures, laws, and clear refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.energy import load_table
from accelsim.errors import ConfigError

TABLE = load_table("horowitz_45nm")


@pytest.mark.parametrize(
    ("component", "action", "size", "published_pj", "tolerance"),
    [
        ("multiplier", "multiply", {"left_bits": 8, "right_bits": 8}, 0.2, 0),
        ("multiplier", "multiply", {"left_bits": 32, "right_bits": 32}, 3.1, 0.05),
        ("adder", "add", {"bits": 32}, 0.1, 0),
        ("adder", "add", {"bits": 16}, 0.05, 0.01),
        ("sram", "read", {"bits": 64, "capacity_bytes": 8 * 1024}, 10, 0),
        ("sram", "read", {"bits": 64, "capacity_bytes": 32 * 1024}, 20, 0.01),
        ("sram", "read", {"bits": 64, "capacity_bytes": 1024 * 1024}, 100, 0.14),
        ("dram", "read", {"bits": 64}, 1300, 0),
    ],
)
def test_anchor_figures_of_horowitz(
    component: str, action: str, size: dict[str, int], published_pj: float, tolerance: float
) -> None:
    assert TABLE.entry(component, action).energy_pj(**size) == pytest.approx(published_pj, rel=tolerance or 1e-12)


def test_every_entry_names_its_source() -> None:
    assert all("Horowitz 2014" in entry.source for entry in TABLE.entries)
    assert (TABLE.node_nm, TABLE.voltage_v) == (45, 0.9)


ENTRY = """name: t
version: 1
node_nm: 45
voltage_v: 0.9
entries:
  - {component: adder, action: add, value_pj: 0.1, reference: {bits: 32}, law: linear, source: somewhere}
"""


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "table.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_is_a_table_too(tmp_path: Path) -> None:
    assert load_table(write(tmp_path, ENTRY)).entry("adder", "add").energy_pj(bits=64) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value_pj: 0.1", "value_pj: -1.0", "entries.0.value_pj"),
        ("law: linear", "law: cubic", "entries.0.law"),
        ("source: somewhere", 'source: ""', "entries.0.source"),
        ("reference: {bits: 32}", "reference: {bytes: 32}", "law linear needs a positive reference of bits"),
        ("node_nm: 45", "node: 45", "node"),
        ("name: t", "name: [", "not a YAML file"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_table(write(tmp_path, ENTRY.replace(old, new)))


def test_an_entry_twice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"adder\.add stands twice"):
        load_table(write(tmp_path, ENTRY + ENTRY.splitlines()[-1] + "\n"))


def test_unknown_names() -> None:
    with pytest.raises(ConfigError, match=r"no table 'nowhere'; packaged tables are \['horowitz_45nm'\]"):
        load_table("nowhere")
    with pytest.raises(ConfigError, match=r"no entry adder\.subtract"):
        TABLE.entry("adder", "subtract")
