"""Elasticities are differences of rows of ``evaluate``, taken apart here by hand; and what is one-sided says so."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import accelsim
from accelsim.arch import load_arch
from accelsim.energy.table.read import tables_dir
from accelsim.errors import AccelsimError, ConfigError, ModelFileError
from accelsim.mapper import OBJECTIVES, Objective
from accelsim.result import FIGURES, Knob, Sensitivity

from .test_evaluate import network_and_machine, seeds

NETWORK = "digits_cnn"
MACHINES = ("edge_16x16", "nvdla_small", "bit_fusion_16x16", "mcu_npu")


@pytest.fixture(scope="module", params=MACHINES)
def study(request: pytest.FixtureRequest) -> tuple[str, Sensitivity]:
    return request.param, accelsim.sensitivity(NETWORK, arch=request.param)


def knob(found: Sensitivity, path: str) -> Knob:
    return next(knob for knob in found.knobs if knob.path == path)


def figures(row: Any, objective: Objective) -> dict[str, float]:
    latency, energy = float(row["latency_s"]), float(row["energy_pj"])
    return {name: float(row[name]) for name in FIGURES} | {
        "objective": {"cycles": latency, "energy": energy, "edp": latency * energy}[objective]
    }


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_elasticity_is_the_difference_of_two_rows(objective: Objective) -> None:
    """Of a knob by 10 % to either side, whole numbers and fractions, by the definition."""
    found = accelsim.sensitivity(NETWORK, objective=objective)
    for path, low, high in (
        ("array.rows", 15, 18), ("dram.bandwidth_bytes_per_s", 2_909_090_909, 3_520_000_000),
        ("dram.latency_ns", 100 / 1.1, 100 * 1.1), ("activation_buffer.size_bytes", 59_578, 72_090),
    ):  # fmt: skip
        rows = accelsim.evaluate(NETWORK, arch="edge_16x16", edits=[{path: low}, {path: high}], objective=objective)
        below, above = (figures(row, objective) for row in rows)
        wanted = {name: math.log(above[name] / below[name]) / math.log(high / low) for name in below}
        assert knob(found, path).elasticity == pytest.approx(wanted, abs=1e-9)


def test_every_point_is_a_row_of_its_own(study: tuple[str, Sensitivity]) -> None:
    """All knobs of machines of several kinds: systolic, adder trees, bricks, a divided memory."""
    name, found = study
    base = accelsim.evaluate(NETWORK, arch=name, edits=[{}])[0]
    assert found.base.cycles == base["cycles"]
    for one in found.knobs:
        sides = [point for point in (one.below, one.above) if point]
        edits = [dict.fromkeys((one.path, *one.tied), whole(point.value)) for point in sides]
        rows = accelsim.evaluate(NETWORK, arch=name, edits=edits)
        assert [point.cycles for point in sides] == rows["cycles"].tolist()
        assert [point.energy_pj for point in sides] == pytest.approx(rows["energy_pj"].tolist(), rel=1e-12)
        ends = [figures(row, "edp") for row in rows]
        ends = ends if len(ends) == 2 else [figures(base, "edp"), *ends] if one.above else [*ends, figures(base, "edp")]
        moved = {key: math.log(ends[1][key] / ends[0][key]) for key in ends[0]}
        if not one.value:
            assert one.change == pytest.approx(moved, abs=1e-9)
            assert not one.elasticity
            continue
        span = math.log((one.above.value if one.above else one.value) / (one.below.value if one.below else one.value))
        assert one.elasticity == pytest.approx({key: value / span for key, value in moved.items()}, abs=1e-8)


@settings(deadline=None, max_examples=6, suppress_health_check=list(HealthCheck))
@given(seeds)
def test_any_machine_is_studied_or_refused_as_a_row_of_it_is(seed: int) -> None:
    graph, arch = network_and_machine(np.random.default_rng(seed), quick=True)
    base = accelsim.evaluate(graph, arch=arch, edits=[{}])[0]
    if base["error"]:
        with pytest.raises(AccelsimError) as caught:
            accelsim.sensitivity(graph, arch=arch)
        assert str(caught.value) == base["error"]
        return
    found = accelsim.sensitivity(graph, arch=arch)
    for one in found.knobs:
        for point in filter(None, (one.below, one.above)):
            edit = dict.fromkeys((one.path, *one.tied), whole(point.value))
            assert accelsim.evaluate(graph, arch=arch, edits=[edit])[0]["cycles"] == point.cycles
        assert one.below or one.above
        assert bool(one.note) == (one.below is None or one.above is None)
        assert bool(one.elasticity) == bool(one.value) != bool(one.change)


def whole(value: float) -> float:
    return int(value) if value.is_integer() else value


def test_every_number_of_the_machine_is_studied_or_said_to_be_fixed(study: tuple[str, Sensitivity]) -> None:
    name, found = study
    arch = load_arch(name)
    numbers = {p for p in arch.paths() if isinstance(arch.get(p), int | float) and not isinstance(arch.get(p), bool)}
    numbers |= {"tech.node_nm", "tech.voltage_v"}  # the table's own
    seen = {path for one in found.knobs for path in (one.path, *one.tied)} | set(found.fixed)
    assert numbers - seen == {"array.first_cycle"} | ({"array.brick_bits"} & numbers)
    assert (*found.effective, *found.idle) == found.knobs


def test_the_largest_effect_on_the_objective_stands_first(study: tuple[str, Sensitivity]) -> None:
    _, found = study
    effects = [abs(one.elasticity["objective"] or 0) for one in found.effective if one.elasticity]
    assert effects == sorted(effects, reverse=True)
    assert found.knobs[: len(found.effective)] == found.effective
    assert all(any(one.effect.values()) for one in found.effective)
    assert not any(any(one.effect.values()) for one in found.idle)


def test_what_has_one_side_says_which_and_why() -> None:
    found = accelsim.sensitivity(NETWORK)
    cores, ports = knob(found, "cores.count"), knob(found, "weight_buffer.ports")
    assert (cores.below, cores.note) == (None, "no less: cores.count: expected at least 1, got 0")
    assert (ports.above, ports.note) == (None, "no more: weight_buffer.ports: expected at most 2, got 3")
    assert cores.elasticity["area_um2"] == pytest.approx(1.0)  # all but the DRAM twice
    one_cycle = accelsim.sensitivity(NETWORK, arch=load_arch("edge_16x16").with_({"dma.setup_cycles": 1}))
    assert knob(one_cycle, "dma.setup_cycles").note == "no less: 0 has no logarithm"
    setup = knob(found, "dma.setup_cycles")
    assert (setup.value, setup.below, setup.elasticity) == (0, None, {})
    assert setup.above is not None
    assert setup.above.value == 1
    assert "it is 0" in setup.note


def test_steps_are_the_nearest_that_are_legal() -> None:
    bricks = accelsim.sensitivity("digits_w4a4", arch="bit_fusion_16x16")
    burst = accelsim.sensitivity(NETWORK, arch=load_arch("edge_16x16").with_({"dram.burst_bytes": 32}))
    for found, path, low, high in ((bricks, "array.weight_bits", 4, 16), (burst, "dram.burst_bytes", 16, 64)):
        one = knob(found, path)
        assert one.below is not None
        assert one.above is not None
        assert (one.below.value, one.above.value) == (low, high)
    tree = knob(accelsim.sensitivity(NETWORK, arch="nvdla_small"), "array.rows")
    assert tree.tied == ("accumulator.products_per_add",)
    larger = accelsim.sensitivity(NETWORK, step=2)
    rows = knob(larger, "array.rows")
    assert rows.below is not None
    assert rows.below.value == 8


def test_a_side_that_the_network_does_not_fit_is_left_out() -> None:
    """The clock is as fast as the supply allows; a little less of that is refused."""
    found = accelsim.sensitivity(NETWORK, arch=load_arch("nvdla_small"))
    supply = knob(found, "tech.voltage_v")
    assert supply.below is None
    assert supply.note.startswith("no less: clock_hz of 1 GHz")


def test_a_machine_that_no_step_changes_is_fixed() -> None:
    arch = load_arch("edge_16x16").with_({"activation_buffer.resident_bytes": 1024})
    found = accelsim.sensitivity(NETWORK, arch=arch)
    assert found.fixed.keys() == {"cores.count"}
    assert "expected 0" in found.fixed["cores.count"]


def test_areas_that_the_table_does_not_state_have_no_elasticity(tmp_path: Path) -> None:
    """Without a node to size parts at; nor are node and supply knobs then."""
    text = (tables_dir() / "horowitz_45nm.yaml").read_text(encoding="utf-8")
    table = tmp_path / "nowhere.yaml"
    table.write_text(text.replace("node_nm: 45\nvoltage_v: 0.9", "node_nm: null\nvoltage_v: null"), encoding="utf-8")
    found = accelsim.sensitivity(NETWORK, arch=load_arch("edge_16x16").with_({"tech.energy_table": str(table)}))
    assert found.base.area_um2 is None
    assert {one.elasticity["area_um2"] for one in found.knobs if one.elasticity} == {None}
    assert not {one.path for one in found.knobs} & {"tech.node_nm", "tech.voltage_v"}
    assert "—" in str(found)


@pytest.mark.parametrize("step", [1.0, 0.5, 0.0, -2.0, 10.5, math.inf, math.nan])
def test_a_step_that_is_none_is_refused(step: float) -> None:
    with pytest.raises(ConfigError, match="step: expected a factor above 1, at most 10, got"):
        accelsim.sensitivity(NETWORK, step=step)


def test_what_cannot_be_studied_raises_as_a_run() -> None:
    with pytest.raises(ModelFileError, match="nowhere"):
        accelsim.sensitivity("nowhere")
    with pytest.raises(ConfigError, match="objective: expected"):
        accelsim.sensitivity(NETWORK, objective="speed")  # type: ignore[arg-type]
    tiny = load_arch("edge_16x16").with_({"activation_buffer.size_bytes": 2})
    with pytest.raises(AccelsimError, match="activation buffer"):
        accelsim.sensitivity(NETWORK, arch=tiny)


def test_progress_counts_machines() -> None:
    calls: list[tuple[str, int, int]] = []
    accelsim.sensitivity(NETWORK, progress=lambda *call: calls.append(call))
    assert calls[-1][1] == calls[-1][2] == 1 + 2 * len(accelsim.sensitivity(NETWORK).knobs)
    assert [done for _, done, _ in calls] == sorted({done for _, done, _ in calls})


def test_json_holds_all_of_it() -> None:
    found = accelsim.sensitivity(NETWORK)
    assert Sensitivity.model_validate_json(found.to_json()) == found
    data = json.loads(found.to_json())
    assert data["schema_version"] == 1
    assert [one["path"] for one in data["knobs"]] == [one.path for one in found.knobs]
    rows = found.rows()
    assert rows[0]["knob"] == found.knobs[0].path
    assert rows[0]["elasticity_objective"] == found.knobs[0].elasticity["objective"]
    assert {key for row in rows for key in row} == set(rows[0])
