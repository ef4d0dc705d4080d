"""Memories outside the buffers other than the DRAM: what weights and activations cost there, in every place that says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import Costs, idle_energy, table_of
from accelsim.errors import ConfigError
from accelsim.explore import evaluate
from accelsim.mapper import search_network
from accelsim.result import EnergySummary, Result, summarize
from accelsim.timing import schedule

MODEL = "digits_cnn"
EDGE = load_arch("edge_16x16").with_({"activation_buffer.resident_bytes": 0})
LPDDR4, DDR3, STATED = 8.0, 70.0, 12.5
"""Picojoules per bit: accelergy-cacti's, and one of ours."""


def of(weights: dict[str, Any] | None = None, activations: dict[str, Any] | None = None, **edits: Any) -> Arch:
    """The machine with these memories."""
    found = {name.replace("__", "."): value for name, value in edits.items()}
    for name, memory in (("weights", weights or {}), ("activations", activations or {})):
        found |= {f"streams.{name}.{key}": value for key, value in memory.items()}
    return EDGE.with_(found)


def summary(result: Result) -> EnergySummary:
    """Of the energy, which every run has."""
    assert result.energy is not None
    return result.energy


def ran(arch: Arch) -> Result:
    """With the tiles of the plain machine, so that only prices differ."""
    program = build_program(PLAIN.program.graph, arch=arch, mappings=PLAIN.program.mappings)
    return summarize(schedule(program), table=table_of(arch))


PLAIN = accelsim.run(MODEL, arch=EDGE)


def moved(result: Result) -> tuple[int, int, int]:
    """Bits of weights, of inputs and of outputs outside the buffers."""
    counts = {name: sum(layer.counts[name] for layer in result.layers) for name in result.layers[0].counts}
    weights = counts["dram_read_weights"] + counts["weight_memory_read"]
    inputs = counts["dram_read"] - counts["dram_read_weights"] + counts["activation_memory_read"]
    return weights, inputs, counts["dram_write"] + counts["activation_memory_write"]


@pytest.mark.parametrize("own", ["weights", "activations", "both"])
def test_each_memory_costs_its_own_bits(own: str) -> None:
    weights = {"memory": "lpddr4"} if own != "activations" else {}
    activations = {"energy_pj_per_bit": STATED} if own != "weights" else {}
    result, (w, i, o) = ran(of(weights, activations, tech__dram="ddr3")), moved(PLAIN.result)
    assert moved(result) == (w, i, o)
    split, tensors, before = result.total.energy_split_pj, summary(result).tensors_pj, summary(PLAIN.result).tensors_pj
    outside = [(w, LPDDR4 if weights else DDR3), *((bits, STATED if activations else DDR3) for bits in (i, o))]
    in_dram = [
        bits * pj for (bits, pj), apart in zip(outside, (weights, activations, activations), strict=True) if not apart
    ]
    assert split["dram"] == pytest.approx(sum(in_dram))
    assert split["weight_memory"] == pytest.approx(w * LPDDR4 if weights else 0.0)
    assert split["activation_memory"] == pytest.approx((i + o) * STATED if activations else 0.0)
    table = table_of(EDGE).entry("dram", "read").value(bits=1)
    for tensor, (bits, pj) in zip(("weights", "inputs", "outputs"), outside, strict=True):
        assert tensors[tensor] == pytest.approx(before[tensor] + bits * (pj - table))
    assert sum(summary(result).entries_pj.values()) == pytest.approx(result.total.energy_pj)


def test_memories_that_cost_what_the_dram_costs_change_nothing() -> None:
    plain = ran(of(tech__dram="hbm2"))
    apart = ran(of({"memory": "hbm2"}, {"memory": "hbm2"}, tech__dram="hbm2"))
    assert apart.total.cycles == plain.total.cycles
    assert apart.total.energy_pj == pytest.approx(plain.total.energy_pj, rel=1e-12)
    assert summary(apart).peak_power_w == pytest.approx(summary(plain).peak_power_w, rel=1e-12)
    assert "tech.dram of hbm2 changes nothing" in " ".join(apart.notes)


@pytest.mark.parametrize("table", ["horowitz_45nm", "ihp_130nm"])
def test_an_sram_has_the_price_the_area_and_the_leakage_of_its_size(table: str) -> None:
    size, other = 2**21, 2**18
    arch = of(
        {"memory": "sram", "memory_bytes": size}, {"memory": "sram", "memory_bytes": other}, tech__energy_table=table
    )
    plain, result, (w, i, o) = ran(of(tech__energy_table=table)), ran(arch), moved(PLAIN.result)
    costs = Costs(table_of(arch))

    def price(action: str, capacity: int) -> float:
        return sum(costs.charges("sram", action, {"bits": 1.0, "capacity_bytes": float(capacity)}).values())

    assert result.area is not None
    assert plain.area is not None
    split = result.total.energy_split_pj
    assert split["weight_memory"] == pytest.approx(w * price("read", size))
    assert split["activation_memory"] == pytest.approx(i * price("read", other) + o * price("write", other))
    assert split["dram"] == 0
    areas = result.area.parts_um2
    assert areas["weight_memory"] > areas["activation_memory"] > 0
    assert result.area.total_um2 - plain.area.total_um2 == pytest.approx(
        areas["weight_memory"] + areas["activation_memory"]
    )
    leaks = sum(
        (costs.maybe("sram", "leak", {"capacity_bytes": float(x)}) or {}).get("sram.leak", 0.0) for x in (size, other)
    )
    assert idle_energy(arch, costs) - idle_energy(EDGE, costs) == pytest.approx(leaks * 1e12 / arch.clock_hz)
    assert (leaks > 0) == (table == "ihp_130nm")


def parts(result: Result) -> dict[str, float]:
    """Square micrometres."""
    assert result.area is not None
    return dict(result.area.parts_um2)


def test_one_sram_of_both_counts_once_and_however_many_cores_share_it() -> None:
    memory = {"memory": "sram", "memory_bytes": 2**20}
    one, two = ran(of(memory, memory)), ran(of({**memory, "port": "own"}, memory))
    assert "weight_memory" not in parts(one)
    assert parts(two)["weight_memory"] == parts(one)["activation_memory"]
    several = parts(accelsim.simulate(MODEL, arch=of(memory, memory, cores__count=2)))
    assert several["activation_memory"] == parts(one)["activation_memory"]
    assert several["weight_buffer"] == 2 * parts(one)["weight_buffer"]


def test_node_and_voltage_scale_what_is_on_the_chip_alone() -> None:
    sram = {"memory": "sram", "memory_bytes": 2**20}
    at_45, at_22 = (ran(of(sram, {"memory": "lpddr4"}, tech__node_nm=node)) for node in (45, 22))
    split = at_45.total.energy_split_pj, at_22.total.energy_split_pj
    assert split[1]["weight_memory"] < 0.8 * split[0]["weight_memory"]
    assert split[1]["activation_memory"] == split[0]["activation_memory"] > 0


EDITS: list[dict[str, object]] = [
    {},
    {"streams.weights.memory": "lpddr4"},
    {"streams.activations.energy_pj_per_bit": 3.0, "array.rows": 7},
    {"streams.weights.memory": "sram", "streams.weights.memory_bytes": 2**20, "streams.activations.memory": "hbm2"},
    {
        f"streams.{name}.{key}": value
        for name in ("weights", "activations")
        for key, value in (("memory", "sram"), ("memory_bytes", 2**19))
    },
    {"streams.weights.energy_pj_per_bit": 400.0, "mapping.objective": "energy"},
]


def test_evaluate_says_what_simulate_says_in_one_batch() -> None:
    rows = evaluate(MODEL, arch=EDGE, edits=EDITS)
    assert (rows["error"] == "").all()
    for row, edit in zip(rows, EDITS, strict=True):
        objective = edit.get("mapping.objective", "edp")
        machine = EDGE.with_({path: value for path, value in edit.items() if path != "mapping.objective"})
        result = accelsim.simulate(MODEL, arch=machine, objective=objective)
        assert row["cycles"] == result.total.cycles
        assert row["dram_read_bytes"] == result.total.dram_read_bytes
        assert row["energy_pj"] == pytest.approx(result.total.energy_pj, rel=1e-12)
        assert row["area_um2"] == pytest.approx(result.area_um2, rel=1e-12)
        for component, pj in result.total.energy_split_pj.items():
            assert row[f"{component}_pj"] == pytest.approx(pj, rel=1e-12, abs=1e-9)


def test_mappers_weigh_weights_by_their_own_memory() -> None:
    """Dear weights are loaded less often than dear activations allow, by the default mapper and by the search, whose bound holds."""
    small = {
        "weight_buffer.size_bytes": 1024,
        "activation_buffer.size_bytes": 512,
        "output_buffer.size_bytes": 512,
        "accumulator.count": 128,
    }
    dear, cheap = 1000.0, 0.1
    taken = []
    for prices in ((dear, cheap), (cheap, dear)):
        edits = dict(
            zip((f"streams.{name}.energy_pj_per_bit" for name in ("weights", "activations")), prices, strict=True)
        )
        arch = EDGE.with_(small | edits)
        result = accelsim.simulate(MODEL, arch=arch, objective="energy")
        found = search_network(PLAIN.program.graph, arch=arch, objective="energy")
        assert found.bound <= found.value * (1 + 1e-9)
        assert found.value <= result.total.energy_pj * (1 + 1e-9)
        taken.append(moved(result))
    (w, i, _), (more, fewer, _) = taken
    assert w < more
    assert i > fewer


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ({"streams.weights.memory": "flash"}, "streams.weights.memory: no DRAM 'flash'; expected one of ddr3"),
        ({"streams.activations.memory": "sram"}, "streams.activations: memory_bytes: missing beside memory of sram"),
        ({"streams.weights.memory_bytes": 4096}, "streams.weights: memory_bytes of 4096 beside memory of null"),
        (
            {"streams.weights.memory": "hbm2", "streams.weights.energy_pj_per_bit": 1.0},
            "streams.weights: energy_pj_per_bit of 1 beside memory of hbm2",
        ),
        ({"streams.weights.energy_pj_per_bit": -1.0}, "streams.weights.energy_pj_per_bit"),
    ],
)
def test_what_is_no_memory_is_refused_by_its_path(edits: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        accelsim.simulate(MODEL, arch=EDGE.with_(edits))
    assert told in str(error.value)


def test_a_memory_that_is_too_small_is_said() -> None:
    small = {"memory": "sram", "memory_bytes": 64}
    (note,) = (note for note in ran(of(small, small)).notes if "memory_bytes" in note)
    weights = PLAIN.program.graph.weight_bytes
    largest = max(
        PLAIN.program.graph.tensors[name].bytes for x in PLAIN.program.graph.layers for name in (*x.inputs, x.output)
    )
    assert f"streams.weights.memory_bytes of 64 are fewer than the {weights} of the weights" in note
    assert f"streams.activations.memory_bytes of 64 are fewer than the {largest} of tensor" in note


def test_a_stated_energy_is_listed_with_its_source() -> None:
    table = table_of(of({"energy_pj_per_bit": "40 pJ"}))
    entry = table.entry("weight_memory", "read")
    assert (entry.value(bits=8), entry.source) == (320.0, "streams.weights.energy_pj_per_bit")
    assert table.find("weight_memory", "write") is None
    notes = summary(ran(of({"energy_pj_per_bit": "40 pJ"}))).notes
    assert any("taken as exact" in note and "weight_memory.read" in note for note in notes)
    assert np.isclose(
        ran(of({"memory": "eyeriss"})).total.energy_split_pj["weight_memory"] / moved(PLAIN.result)[0], 460 / 16
    )


def test_ethos_u55_reads_activations_at_the_price_of_its_sram() -> None:
    """Its buffers stand for the 4 MiB, area and leakage included; weights come from flash, of which no figure has a source."""
    arch = load_arch("ethos_u55_128")
    sram = Costs(table_of(arch)).charges("sram", "read", {"bits": 1.0, "capacity_bytes": 2.0**22})
    stated = arch.streams.activations.energy_pj_per_bit
    assert stated == pytest.approx(sum(sram.values()), rel=1e-3)
    assert arch.streams.apart == (False, True)
