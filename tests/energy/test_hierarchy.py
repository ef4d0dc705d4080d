"""What moves, against Eyeriss: a 12 x 14 array with scratchpads, and the cost of each level relative to one MAC of 16 bits."""

from __future__ import annotations

from typing import NamedTuple

import pytest

import accelsim
from accelsim.activity import activity_energy, measure_activity
from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import (
    Costs,
    EnergyTable,
    action_charges,
    count_actions,
    layer_energy,
    load_table,
    ratio_interval,
    table_of,
)
from accelsim.errors import ConfigError
from accelsim.execute import gather_inputs
from accelsim.graph import Conv2D, Graph, HostPort, MacGeometry, Tensor
from accelsim.importers import load_graph, resolve_model, shipped_inputs
from accelsim.mapper import map_graph
from accelsim.numerics import IntFormat
from accelsim.program import Program
from accelsim.result.spread import ranges_of
from accelsim.simulation import read_inputs

LEVELS = {"scratchpad": 1.0, "element to element": 2.0, "buffer": 6.0, "DRAM": 200.0}
"""MACs per word: Chen, Emer, Sze, Eyeriss, ISCA 2016, Table IV."""
ALU, RF = (1.69, 3.58, 2.39, 1.79, 1.20, 0.60, 0.27, 0.07), (6.75, 14.33, 9.57, 7.18, 4.78, 2.42, 1.07, 0.26)
"""The same, Fig. 10: 10^9 MACs of AlexNet's layers, 16 images, and their energy in register files in units of one MAC."""
TABLES = ("eyeriss_65nm", "horowitz_45nm", "aladdin_40nm", "ihp_130nm")
KIB, WORD = 1024, 16
PADS = {f"array.{name}_scratchpad_bytes": 512 for name in ("weight", "activation", "sum")}
"""One RF of 0.5 KiB holds all three, so that each access costs what one of 512 bytes does."""
EYERISS = load_arch("edge_16x16").with_(
    {
        "array.rows": 12, "array.cols": 14, "array.weight_bits": WORD, "array.activation_bits": WORD,
        "accumulator.bits": WORD, "accumulator.count": 50 * KIB, "array.hop_um": 1414, **PADS,
        "weight_buffer.size_bytes": 8 * KIB, "activation_buffer.size_bytes": 100 * KIB, "output_buffer.size_bytes": 100 * KIB,
        "activation_buffer.resident_bytes": 0, "tech.energy_table": "eyeriss_65nm",
    }
)  # fmt: skip


class Compared(NamedTuple):
    """MACs: published, ours and the bounds that the table's ranges leave; nan where it lacks an entry."""

    published: float
    ours: float
    low: float
    high: float

    @property
    def off(self) -> float:
        return self.ours / self.published - 1


def one_conv(arch: Arch) -> Program:
    """AlexNet's third layer."""
    g = MacGeometry(n=1, ih=13, iw=13, ic=256, oh=13, ow=13, oc=384, kh=3, kw=3, pad_top=1, pad_left=1)
    code = IntFormat(WORD)
    layer = Conv2D(name="conv3", inputs=("x",), output="y", geometry=g, weights=None, weight_format=code)
    tensors = {"x": Tensor("x", g.input_shape, code), "y": Tensor("y", g.output_shape, code)}
    ports = {"inputs": (HostPort("x", "x"),), "outputs": (HostPort("y", "y"),)}
    graph = Graph(name="conv3", arithmetic="-", tensors=tensors, layers=(layer,), shape_only=True, **ports)
    return build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))


def mac(table: EnergyTable) -> dict[str, float]:
    return Costs(table).charges("pe", "mac", {"left_bits": WORD, "right_bits": WORD, "sum_bits": WORD})


def relative(first: dict[str, float] | None, table: EnergyTable, published: float) -> Compared:
    if first is None:
        return Compared(published, *[float("nan")] * 3)
    one = mac(table)
    bounds = ratio_interval(first, one, ranges_of(table, {**first, **one}))
    return Compared(published, sum(first.values()) / sum(one.values()), *bounds)


def level(name: str, table: EnergyTable) -> Compared:
    """One word of 16 bits."""
    asked = {
        "scratchpad": ("scratchpad", "read", {"bits": WORD, "capacity_bytes": 512}),
        "element to element": ("wire", "move", {"bits": WORD, "length_um": 1414}),
        "buffer": ("sram", "read", {"bits": WORD, "capacity_bytes": 108 * KIB}),
        "DRAM": ("dram", "read", {"bits": WORD}),
    }
    return relative(Costs(table).maybe(*asked[name]), table, LEVELS[name])


def element(table: EnergyTable) -> Compared:
    """A MAC and the accesses of its register file, as many as Fig. 10 has on average."""
    accesses = sum(RF) / sum(ALU)
    pad = Costs(table).charges("scratchpad", "read", {"bits": WORD, "capacity_bytes": 512})
    charges = mac(table) | {key: accesses * pj for key, pj in pad.items()}
    return relative(charges, table, 1 + accesses)


def on_chip(arch: Arch) -> Compared:
    """Per MAC of a whole layer: the machine's own counts, by its table and by the published levels, which know no clock."""
    program, table = one_conv(arch), table_of(arch)
    counts = count_actions(program)
    (split,) = layer_energy(program, counts, table)
    times, macs = counts.of_layer(0), program.macs
    words = sum(
        times[f"{name}_buffer_{way}"] for name in ("weight", "activation", "output") for way in ("read", "write")
    )
    words = words / WORD + times["accumulator_read"] + times["accumulator_write"]
    pads = 5 * macs + times["array_load"] / WORD  # weight; activation and sum, in and out
    hops = 2 * macs  # activation and sum
    published = macs + pads * LEVELS["scratchpad"] + hops * LEVELS["element to element"] + words * LEVELS["buffer"]
    ours = {
        key: pj / macs for key, pj in split.entries.items() if not key.startswith(("dram", "clock", "register.tick"))
    }
    return relative(ours, table, published / macs)


def test_the_levels_of_eyeriss_come_out_of_the_table_made_of_them() -> None:
    table = load_table("eyeriss_65nm")
    for name in LEVELS:
        found = level(name, table)
        assert abs(found.off) < 0.25, name
        assert found.low <= found.published * 1.001, name
        assert found.high >= found.published * 0.999, name


def test_on_chip_energy_per_mac_is_within_a_quarter_of_the_published_levels() -> None:
    found = on_chip(EYERISS)
    assert abs(found.off) < 0.25
    assert found.low <= found.published <= found.high
    bare = on_chip(EYERISS.with_(dict.fromkeys(PADS)))
    assert bare.off < -0.25


def test_an_element_by_figures_that_are_not_eyeriss_is_within_a_quarter() -> None:
    """Horowitz' MAC and caches know nothing of the chip."""
    found = element(load_table("horowitz_45nm"))
    assert abs(found.off) < 0.25
    assert found.low <= found.published <= found.high


def charges_of(arch: Arch) -> dict[str, dict[str, float]]:
    program = one_conv(arch)
    (layer,) = program.graph.layers
    return action_charges(layer, graph=program.graph, arch=arch, costs=Costs(table_of(arch)))


@pytest.mark.parametrize(
    ("dataflow", "accesses"),
    [
        ("weight_stationary", {"weight": (1, 0, 1), "activation": (1, 1, 0), "sum": (1, 1, 0)}),
        ("input_stationary", {"weight": (1, 1, 0), "activation": (1, 0, 1), "sum": (1, 1, 0)}),
        ("output_stationary", {"weight": (1, 1, 0), "activation": (1, 1, 0), "sum": (1, 1, 0)}),
    ],
)
def test_scratchpads_follow_the_dataflow(dataflow: str, accesses: dict[str, tuple[int, int, int]]) -> None:
    """Reads and writes per product, in words of 16 bits, and writes per loaded bit."""
    found = charges_of(EYERISS.with_({"array.dataflow": dataflow}))
    bit = sum(
        Costs(load_table("eyeriss_65nm")).charges("scratchpad", "read", {"bits": 1, "capacity_bytes": 512}).values()
    )
    for name, (reads, writes, loads) in accesses.items():
        assert sum(found[f"{name}_scratchpad_read"].values()) == pytest.approx(reads * WORD * bit)
        assert sum(found[f"{name}_scratchpad_write"].values()) == pytest.approx(writes * WORD * bit)
        if name != "sum":
            assert sum(found[f"{name}_scratchpad_load"].values()) == pytest.approx(loads * bit)


def test_a_scratchpad_replaces_the_register_of_its_operand() -> None:
    """aladdin_40nm, 0.009 pJ a bit: activations and sums of 16 bits move; a weight passes half of 12 rows, the last into the pad."""
    bare = EYERISS.with_({"tech.energy_table": "aladdin_40nm", **dict.fromkeys(PADS)})
    register = {
        name: charges_of(bare.with_({f"array.{name}_scratchpad_bytes": 512}))["array_mac"]["register.write"]
        for name in ("weight", "activation", "sum")
    }
    assert register == pytest.approx({"weight": 0.009 * 32, "activation": 0.009 * 16, "sum": 0.009 * 16})
    load = charges_of(bare.with_({"array.weight_scratchpad_bytes": 512}))["array_load"]["register.write"]
    assert load == pytest.approx(0.009 * 5.5)
    assert charges_of(bare)["array_load"]["register.write"] == pytest.approx(0.009 * 6.5)


def test_wires_go_by_the_length_of_a_hop() -> None:
    for name in ("aladdin_40nm", "eyeriss_65nm"):
        one = charges_of(EYERISS.with_({"tech.energy_table": name, "array.hop_um": 1000}))["array_mac"]["wire.move"]
        two = charges_of(EYERISS.with_({"tech.energy_table": name, "array.hop_um": 2000}))["array_mac"]["wire.move"]
        assert one > 0
        assert two == pytest.approx(2 * one)


def test_gated_products_keep_what_moves() -> None:
    """Multiplier, adder and reads of weights fall by the share; activations, sums, registers and wires stay."""
    for name in ("aladdin_40nm", "eyeriss_65nm"):
        plain = EYERISS.with_({"tech.energy_table": name, "array.sum_scratchpad_bytes": None})
        full, gated = charges_of(plain), charges_of(plain.with_({"array.zero_gating": 0.25}))
        for key, charges in full.items():
            for entry, pj in charges.items():
                stands = key == "weight_scratchpad_read" or (
                    key == "array_mac" and entry not in ("register.write", "wire.move")
                )
                assert gated[key][entry] == pytest.approx(0.75 * pj if stands else pj)


def test_several_products_of_a_unit_share_its_sum() -> None:
    one, four = charges_of(EYERISS), charges_of(EYERISS.with_({"array.dot_products": 4}))
    for name, share in (("weight", 1), ("activation", 1), ("sum", 4)):
        key = f"{name}_scratchpad_read"
        assert sum(one[key].values()) == pytest.approx(share * sum(four[key].values()))


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"array.weight_scratchpad_bytes": 1}, "weight_scratchpad_bytes of 1 with weight_bits of 16: expected room for one operand, 2 bytes"),
        ({"array.dataflow": "adder_tree", "accumulator.products_per_add": 12}, "weight_scratchpad_bytes of 512 with dataflow adder_tree"),
        ({"array.zero_gating": 1.5}, "zero_gating"),
        ({"array.hop_um": 0}, "hop_um"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(edits: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EYERISS.with_(edits)


@pytest.mark.parametrize("dataflow", ["weight_stationary", "input_stationary", "output_stationary"])
def test_evaluate_says_what_simulate_says(dataflow: str) -> None:
    base = load_arch("edge_16x16").with_({"array.dataflow": dataflow, "tech.energy_table": "aladdin_40nm"})
    edits = [{name: size} for name, size in PADS.items()] + [{"array.hop_um": 300}, {"array.zero_gating": 0.4}]
    edits += [PADS | {"array.zero_gating": 0.4, "array.dot_products": 2}]
    rows = accelsim.evaluate("digits_cnn", arch=base, edits=edits)
    plain = accelsim.simulate("digits_cnn", arch=base)
    for row, edit in zip(rows, edits, strict=True):
        result = accelsim.simulate("digits_cnn", arch=base.with_(edit))
        assert result.total.energy_pj != pytest.approx(plain.total.energy_pj, rel=1e-6)
        assert row["cycles"] == result.total.cycles
        assert row["energy_pj"] == pytest.approx(result.total.energy_pj, rel=1e-9)
        assert result.area is not None
        assert row["area_um2"] == pytest.approx(result.area.total_um2, rel=1e-9)
        for name in ("weight", "activation", "sum"):
            part = result.total.energy_split_pj[f"{name}_scratchpad"]
            assert row[f"{name}_scratchpad_pj"] == pytest.approx(part, rel=1e-9)
            has = f"array.{name}_scratchpad_bytes" in edit
            assert bool(part) == (f"{name}_scratchpad" in result.area.parts_um2) == has


def test_the_measured_share_of_zeros_is_gated() -> None:
    """``accelsim activity`` on a gating machine: its own measure in place of the share that the machine states."""
    arch = load_arch("os_16x16").with_({"array.weight_scratchpad_bytes": 512, "array.zero_gating": 0.1})
    graph = load_graph(resolve_model("digits_cnn"), arithmetic=arch.rules())
    path = shipped_inputs("digits_cnn")
    assert path is not None
    first = {name: values[0] for name, values in gather_inputs(graph, read_inputs(path)[0]).items()}
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    activities = measure_activity(program, first, sample=2)
    for found, activity in zip(activity_energy(program, activities, table_of(arch)), activities, strict=True):
        full = found.worst_pj["weight_scratchpad"]
        part = found.table_pj["weight_scratchpad"]
        writes = (part - 0.9 * full) / 0.1  # table = writes + 0.9 reads, full = writes + reads
        assert found.data_pj["weight_scratchpad"] == pytest.approx(writes + activity.density * (full - writes))
        assert 0 < writes < full
