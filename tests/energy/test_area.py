"""The area of a machine: a total with an interval for every packaged table, gaps filled by a rule that says so."""

from __future__ import annotations

import itertools
import re

import pytest
from click.testing import CliRunner

import accelsim
from accelsim.arch import load_arch, preset_names
from accelsim.cli import main
from accelsim.energy import SPREAD, Costs, EnergyTable, area_um2, load_table, table_names, table_of, with_areas
from accelsim.energy.table.scaling import area_factor
from accelsim.numerics import SCHEMES
from accelsim.result.area import area_summary
from accelsim.result.record import AreaSummary

TABLES = [name for name in table_names() if name != "dram_standards"]
UNITS = (
    ("multiplier", {"left_bits": 8, "right_bits": 8}), ("multiplier", {"left_bits": 32, "right_bits": 32}),
    ("adder", {"bits": 8}), ("adder", {"bits": 32}), ("register", {"bits": 1}),
)  # fmt: skip


def area_of(preset: str, **edits: object) -> AreaSummary:
    arch = load_arch(preset).with_({f"tech.{name}": value for name, value in edits.items()})
    found = area_summary(arch, table_of(arch))
    assert found is not None
    return found


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("preset", preset_names())
def test_every_machine_has_an_area_by_every_table(preset: str, table: str) -> None:
    """Every part included; the total is inside its draws, and within 25 % of their median where a rule fills all of it."""
    found = area_of(preset, energy_table=table)
    assert all(um2 > 0 for um2 in found.parts_um2.values())
    shared = load_arch(preset).shared_buffer.size_bytes is not None
    buffers = {"shared_buffer"} if shared else {"weight_buffer", "activation_buffer"}
    assert buffers | {"output_buffer", "accumulator"} < set(found.parts_um2)
    for parts in (found.parts_um2, found.entries_um2):
        assert sum(parts.values()) == pytest.approx(found.total_um2)
    spread = found.percentiles_um2
    assert found.low_um2 <= spread["p5"] < found.total_um2 < spread["p95"] <= found.high_um2
    assert found.total_um2 == pytest.approx(spread["p50"], rel=0.25)


@pytest.mark.parametrize("table", TABLES)
def test_what_the_table_holds_stays_and_the_rest_says_where_it_comes_from(table: str) -> None:
    own, whole = load_table(table), with_areas(load_table(table))
    assert whole.entries[: len(own.entries)] == own.entries
    for entry in whole.entries[len(own.entries) :]:
        assert re.match(r"from \w+ v\d+ by rule area_gap, \d+ nm to \d+ nm, x[\d.]+, within a factor of 4", entry.fill)
        assert entry.action == "area"
        assert entry.range[0] <= 1 / SPREAD
        assert entry.range[1] >= SPREAD
    held = area_um2(load_arch("edge_16x16"), Costs(own))
    found = area_of("edge_16x16", energy_table=table)
    assert set(found.filled) == {f"{e.component}.area" for e in whole.entries[len(own.entries) :]} & set(
        found.entries_um2
    )
    assert all(found.parts_um2[part] >= um2 * (1 - 1e-9) for part, um2 in held.items() if um2 is not None)


def test_the_rule_follows_the_node() -> None:
    """Of a table that holds no area: everything by Stillmaker & Baas' factor, 16 to 45 nm."""
    fine, coarse = (area_of("edge_16x16", energy_table="qkeras_45nm", node_nm=node).total_um2 for node in (16, 45))
    assert fine / coarse == pytest.approx(area_factor(16) / area_factor(45))


@pytest.mark.parametrize(("component", "sizes"), UNITS)
def test_the_spread_covers_what_packaged_tables_say_of_one_unit(component: str, sizes: dict[str, float]) -> None:
    """Scaled to 45 nm; 32-bit multipliers differ most, 3.1 times."""
    tables = [t for t in map(load_table, TABLES) if (e := t.find(component, "area")) and not e.fill]
    found = [t.entry(component, "area").value(**sizes) / area_factor(t.node_nm or 45) for t in tables]
    assert len(found) >= 2
    assert all(a / b <= SPREAD for a, b in itertools.permutations(found, 2))


def test_the_memories_of_tpu_v1_lie_in_the_spread() -> None:
    """28 nm, at most 331 mm2 of die: 29 % unified buffer, 24 % matrix unit, 6 % accumulators (Jouppi et al., ISCA 2017, Fig. 2)."""
    found, die = area_of("tpu_v1", node_nm=28), 331e6
    buffers = found.parts_um2["activation_buffer"] + found.parts_um2["output_buffer"]
    assert 0.29 * die / buffers == pytest.approx(2.4, abs=0.05)
    assert 0.06 * die / found.parts_um2["accumulator"] == pytest.approx(3.0, abs=0.05)
    assert found.low_um2 < (0.29 + 0.24 + 0.06) * die < found.high_um2


@pytest.mark.parametrize("scheme", ["single_8", "shift_half_up", next(iter(SCHEMES))])
def test_requantizers_of_all_kinds_have_an_area(scheme: str) -> None:
    arch = load_arch("edge_16x16").with_({"overrides.CONV_2D": scheme})
    for machine in (arch, load_arch("edge_16x16").with_({"arithmetic": "finn"})):
        found = area_summary(machine, table_of(machine))
        assert found is not None
        assert found.parts_um2["requantizer"] > 0


def test_cores_multiply_the_area() -> None:
    edge = load_arch("edge_16x16")
    one, three = (area_summary(a, table_of(a)) for a in (edge, edge.with_({"cores.count": 3})))
    assert one is not None
    assert three is not None
    assert three.total_um2 == pytest.approx(3 * one.total_um2)


@pytest.mark.parametrize("node", [None, 180])
def test_a_table_without_a_node_in_reach_leaves_the_area_out(node: float | None) -> None:
    edge = load_arch("edge_16x16")
    bare = EnergyTable(name="bare", version=1, source="-", node_nm=node, voltage_v=None, entries=())
    assert area_summary(edge, bare) is None


def test_a_result_prints_its_area_with_interval_and_what_was_filled() -> None:
    result = accelsim.simulate("digits_cnn", arch="edge_16x16")
    assert result.area is not None
    assert result.area_um2 == result.area.total_um2
    assert accelsim.Result.from_json(result.to_json()) == result
    texts = [
        "mm²",
        "area range",
        "area filled by rule",
        "sram.area, shifter.area from ihp_130nm v2 by rule area_gap, 130 nm to 45 nm",
    ]
    report = CliRunner().invoke(main, ["energy", "report", "digits_cnn", "--arch", "edge_16x16"])
    run = CliRunner().invoke(main, ["run", "digits_cnn", "--arch", "edge_16x16"], env={"COLUMNS": "400"})
    for shown in (str(result), report.output, run.output):
        assert not [text for text in texts if text not in shown]
    assert f"{result.area.total_um2:,.0f} µm²" in report.output
    old = result.model_copy(update={"area": None})
    assert old.area_um2 is None
    assert "without weight buffer" in str(old)
