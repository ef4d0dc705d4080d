"""Other nodes and voltages: Stillmaker & Baas' factors, V^2, the alpha-power law, and the machine's knobs for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim.arch import load_arch
from accelsim.energy import check_clock, load_table, table_of, technology_notes
from accelsim.energy.table.scaling import (
    ENERGY_COEFFICIENTS,
    area_factor,
    clock_scale,
    dynamic_scale,
    energy_factor,
    scale_of,
)
from accelsim.errors import ConfigError

EDGE = load_arch("edge_16x16")


@pytest.mark.parametrize(
    ("node", "voltage", "factor"),
    [(65, 1.0, 1.332), (45, 1.0, 1.0177), (32, 1.0, 0.6446), (16, 0.8, 0.12027), (7, 0.7, 0.04782)],
)
def test_energy_factors_of_stillmaker_and_baas(node: int, voltage: float, factor: float) -> None:
    """a V^2 + b V + c, worked by hand from the paper's coefficients."""
    assert energy_factor(node, voltage) == pytest.approx(factor, rel=1e-3)


def test_areas_of_stillmaker_and_baas() -> None:
    """45 to 7 nm: 0.059; 65 to 45 nm: 0.66 (the paper's table, two digits)."""
    assert area_factor(7) / area_factor(45) == pytest.approx(0.059)
    assert area_factor(45) / area_factor(65) == pytest.approx(0.66, abs=0.01)


@given(st.floats(7, 130))
def test_nodes_between_lie_between(node: float) -> None:
    known = sorted(ENERGY_COEFFICIENTS)
    below, above = max(n for n in known if n <= node), min(n for n in known if n >= node)
    ends = sorted((energy_factor(below, 1.0), energy_factor(above, 1.0)))
    assert ends[0] * (1 - 1e-9) <= energy_factor(node, 1.0) <= ends[1] * (1 + 1e-9)


@given(st.floats(0.3, 1.5), st.floats(0.3, 1.5))
def test_voltage_alone_is_squared(a: float, b: float) -> None:
    assert dynamic_scale(node_from=45, voltage_from=a, node_to=45, voltage_to=b) == pytest.approx((b / a) ** 2)


def test_nodes_out_of_reach() -> None:
    with pytest.raises(ConfigError, match=r"node of 5 nm: .* from 7 to 130 nm"):
        energy_factor(5, 0.7)


@given(st.floats(0.4, 1.2), st.floats(0.4, 1.2))
def test_the_attainable_clock_rises_with_the_voltage(a: float, b: float) -> None:
    scale = clock_scale(alpha=1.3, threshold_v=0.33, voltage_from=a, voltage_to=b)
    assert (scale > 1) == (b > a) or scale == pytest.approx(1, abs=1e-6)


def test_an_area_goes_by_the_node_a_leakage_by_the_voltage_an_energy_by_both() -> None:
    lent = load_table("bitfusion_45nm")
    entries = {entry.action: entry for entry in lent.entries}
    change = {"node_from": 45, "voltage_from": 0.9, "node_to": 22, "voltage_to": 0.6}
    factors = {action: scale_of(entry, **change) for action, entry in entries.items()}
    energies = {*factors} - {"leak", "area"}
    assert factors["leak"] == pytest.approx(0.6 / 0.9)
    assert factors["area"] == pytest.approx(area_factor(22) / area_factor(45))
    assert energies
    assert all(factors[action] == pytest.approx(dynamic_scale(**change)) for action in energies)
    assert len({*factors.values()}) == 3


def test_half_voltage_takes_a_quarter_of_the_energy_but_dram_stays() -> None:
    half = table_of(EDGE.with_({"tech.voltage_v": 0.45}))
    whole = load_table("horowitz_45nm")
    for component, action, size in (
        ("adder", "add", {"bits": 8.0}),
        ("sram", "read", {"bits": 8.0, "capacity_bytes": 1024.0}),
    ):
        assert half.entry(component, action).value(**size) == pytest.approx(
            whole.entry(component, action).value(**size) / 4
        )
    assert half.entry("dram", "read").value(bits=8) == whole.entry("dram", "read").value(bits=8)
    (note,) = technology_notes(EDGE.with_({"tech.voltage_v": 0.45}))
    assert "scaled from 45 nm 0.9 V to 45 nm 0.45 V" in note
    assert "attainable clock x0.2" in note


def test_dvfs_what_if_slower_and_lower_saves_energy_and_power() -> None:
    fast = accelsim.simulate("digits_cnn", arch=EDGE.with_({"tech.dram": "hbm2"}))
    slow = accelsim.simulate(
        "digits_cnn", arch=EDGE.with_({"tech.dram": "hbm2", "tech.voltage_v": 0.6, "clock_hz": "250 MHz"})
    )
    assert fast.energy is not None
    assert slow.energy is not None
    assert slow.total.energy_pj < fast.total.energy_pj
    assert slow.total.average_power_w < fast.total.average_power_w
    assert slow.total.latency_s > fast.total.latency_s
    assert any("tech.dram asks" in note for note in slow.energy.notes)


@given(st.floats(0.4, 0.89), st.integers(10**6, 2 * 10**9))
def test_a_clock_that_the_voltage_does_not_reach_is_refused(voltage: float, clock: int) -> None:
    """With the clock that is reached, which is what the alpha-power law makes of the table's; at that clock the machine is taken."""
    reached = 10**9 * clock_scale(alpha=1.3, threshold_v=0.33, voltage_from=0.9, voltage_to=voltage)
    machine = EDGE.with_({"tech.voltage_v": voltage, "clock_hz": clock})
    if clock <= int(reached):
        check_clock(machine)
        return
    with pytest.raises(
        ConfigError, match=r"clock_hz of .*: at tech\.voltage_v of .* the clock reaches .* lower clock_hz"
    ) as refused:
        check_clock(machine)
    check_clock(machine.with_({"clock_hz": refused.value.data["reached_hz"]}))
    assert refused.value.data["reached_hz"] == pytest.approx(reached, abs=1)


@pytest.mark.parametrize(
    "edits", [{}, {"clock_hz": "5 GHz"}, {"tech.voltage_v": 0.9, "clock_hz": "5 GHz"},
              {"tech.voltage_v": 0.45, "tech.node_nm": 16, "clock_hz": "1 GHz"}],
)  # fmt: skip
def test_a_clock_at_the_tables_own_voltage_or_another_node_is_taken_at_its_word(edits: dict[str, object]) -> None:
    check_clock(EDGE.with_(edits))


def test_a_run_is_refused_before_it_begins() -> None:
    with pytest.raises(ConfigError, match="the clock reaches 264 MHz"):
        accelsim.simulate("no_such_model", arch=EDGE.with_({"tech.voltage_v": 0.45}))


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"tech.voltage_v": 0.3}, "alpha-power law ends at the threshold of 0.33 V"),
        ({"tech.energy_table": "bitfusion_45nm", "tech.voltage_v": 0.8}, r"tech\.voltage_v: energy table 'bitfusion_45nm' states no voltage"),
        ({"tech.dram": "sdram"}, r"tech\.dram: no DRAM 'sdram'; expected one of ddr3"),
        ({"tech.energy_table": "dram_standards"}, r"has no entry (sram|multiplier)\.\w+; add one"),
    ],
)  # fmt: skip
def test_what_cannot_be_scaled_is_refused(edits: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        accelsim.simulate("digits_cnn", arch=EDGE.with_(edits))
