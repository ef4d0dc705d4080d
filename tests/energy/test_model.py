"""Laws of the energy model, and counts against a count one by one of every word that moves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import (
    Costs,
    action_charges,
    action_energies,
    count_actions,
    layer_energy,
    load_table,
    operation_energy,
    peak_power_w,
    table_names,
    table_of,
)
from accelsim.energy.costs import Charges
from accelsim.energy.counts import ActionCounts
from accelsim.energy.machine import multiplier_bits, requant_charges
from accelsim.graph import Conv2D, Graph, HostPort, MacGeometry, Tensor
from accelsim.hardware import Engine
from accelsim.numerics import INT8, IntFormat, Requant
from accelsim.program import MacMapping, Program
from accelsim.result import summarize
from accelsim.timing import schedule
from tests.generate import random_program

TABLES = [name for name in table_names() if name != "dram_standards"]
EDGE = load_arch("edge_16x16")
seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


@relaxed
@given(seeds, st.sampled_from(TABLES))
def test_every_split_adds_up_and_operations_add_up_to_layers(seed: int, name: str) -> None:
    """By component, entry and tensor; over layers; and over the tile operations of each engine, counted another way."""
    program, table = random_program(seed), load_table(name)
    splits = layer_energy(program, count_actions(program), table)
    operations = operation_energy(program, table)
    for index, split in enumerate(splits):
        assert sum(split.entries.values()) == pytest.approx(split.total)
        assert sum(split.tensors.values()) == pytest.approx(split.total)
        assert operations[program.layer == index].sum() == pytest.approx(split.total)
    by_engine = [operations[program.of_engine(engine)].sum() for engine in Engine]
    assert sum(by_engine) == pytest.approx(sum(split.total for split in splits))


@relaxed
@given(seeds, st.floats(0.1, 10), st.sampled_from(TABLES))
def test_energy_is_linear_in_each_entry(seed: int, factor: float, name: str) -> None:
    program, table = random_program(seed), load_table(name)
    timeline, counts = schedule(program), count_actions(program)
    base = layer_energy(program, counts, table, cycles=timeline.layer_cycles)
    for key in base[0].entries:
        scaled = table.scaled(lambda entry, key=key: factor if entry.key == key else 1.0)
        for a, b in zip(base, layer_energy(program, counts, scaled, cycles=timeline.layer_cycles), strict=True):
            assert b.total == pytest.approx(a.total + (factor - 1) * a.entries.get(key, 0.0))


@pytest.mark.parametrize("name", TABLES)
def test_no_activity_no_dynamic_energy(name: str) -> None:
    program = random_program(5)
    nothing = np.zeros(len(program.graph.layers), dtype=np.int64)
    idle = ActionCounts(**dict.fromkeys(ActionCounts.__dataclass_fields__, nothing))
    assert [split.total for split in layer_energy(program, idle, load_table(name))] == [0.0] * len(nothing)
    leaking = layer_energy(program, idle, load_table(name), cycles=nothing + 10)
    assert all(split.total == split.components["leakage"] + split.components["clock"] for split in leaking)


@relaxed
@given(seeds)
def test_leakage_follows_the_time_and_the_size_of_the_machine(seed: int) -> None:
    program = random_program(seed)
    timeline = schedule(program)
    result = summarize(timeline, table=load_table("bitfusion_45nm"))
    array = program.arch.array
    entry = load_table("bitfusion_45nm").entry("pe", "leak")
    if array.brick_bits is None:
        watts = entry.value(left_bits=array.weight_bits, right_bits=array.activation_bits) * array.macs
        watts *= program.arch.cores.count
        seconds = timeline.total_cycles / program.arch.clock_hz
        assert result.total.energy_split_pj["leakage"] == pytest.approx(watts * seconds * 1e12)
        assert result.energy is not None
        assert result.energy.tensors_pj["idle"] == pytest.approx(result.total.energy_split_pj["leakage"])


@relaxed
@given(seeds)
def test_peak_power_is_at_least_the_average(seed: int) -> None:
    program = random_program(seed)
    result = summarize(schedule(program), table=load_table("bitfusion_45nm"))
    assert result.energy is not None
    assert result.energy.peak_power_w >= result.total.average_power_w * (1 - 1e-9)


def test_peak_power_by_hand() -> None:
    """Two operations overlap: their powers add; one after the other: the larger counts."""
    program = random_program(3)
    table = load_table("horowitz_45nm")
    power = operation_energy(program, table) / np.maximum(1, program.cycles) * program.arch.clock_hz * 1e-12
    together = np.zeros(len(program), dtype=np.int64)
    apart = np.cumsum(np.maximum(1, program.cycles)) - np.maximum(1, program.cycles)
    assert peak_power_w(program, table, start=together) == pytest.approx(power.sum())
    assert peak_power_w(program, table, start=apart) == pytest.approx(power.max())


def small_conv(arch: Arch, mapping: MacMapping) -> tuple[Conv2D, Program]:
    g = MacGeometry(n=1, ih=5, iw=4, ic=3, oh=5, ow=4, oc=5, kh=3, kw=3, pad_top=1, pad_left=1)
    layer = Conv2D(name="l", inputs=("x",), output="y", geometry=g, weights=None, weight_format=IntFormat(8))
    tensors = {"x": Tensor("x", g.input_shape, INT8), "y": Tensor("y", g.output_shape, INT8)}
    ports = {"inputs": (HostPort("x", "x"),), "outputs": (HostPort("y", "y"),)}
    graph = Graph(name="one", arithmetic="-", tensors=tensors, layers=(layer,), shape_only=True, **ports)
    return layer, build_program(graph, arch=arch, mappings=(mapping,))


def spans(size: int, tile: int) -> list[range]:
    return [range(i, min(i + tile, size)) for i in range(0, size, tile)]


@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary"])
@pytest.mark.parametrize("oc", [2, 5])
@pytest.mark.parametrize("oh", [2, 5])
@pytest.mark.parametrize("kh", [1, 3])
def test_counts_equal_a_count_one_by_one(dataflow: str, oc: int, oh: int, kh: int) -> None:
    """A 3x3 convolution on a 4x2 array, every fold, row, column and cycle walked through in plain loops."""
    rows, cols = 4, 2
    arch = EDGE.with_({"array.rows": rows, "array.cols": cols, "array.dataflow": dataflow})
    mapping = MacMapping(oh=oh, ow=4, oc=oc, ic=3, kh=kh, kw=3, groups=1, order="weights_outer")
    layer, program = small_conv(arch, mapping)
    g = layer.geometry
    macs = weights = inputs = written = loaded = 0
    seen_weights: set[tuple[int, int]] = set()
    for tile_channels, tile_rows, tile_taps in itertools.product(spans(g.oc, oc), spans(g.oh, oh), spans(g.kh, kh)):
        pixels = [(y, x) for y in tile_rows for x in range(g.ow)]
        terms = [(ky, kx, c) for ky in tile_taps for kx in range(g.kw) for c in range(g.ic)]
        macs += len(pixels) * len(terms) * len(tile_channels)
        if dataflow == "weight_stationary":
            whole = len(spans(g.kh, kh)) == 1  # then the weights of the tile stay for the next rows
            in_array = whole and len(terms) <= rows and len(tile_channels) <= cols
            for channels, held in itertools.product(spans(len(tile_channels), cols), spans(len(terms), rows)):
                fresh = not (in_array and (tile_channels.start, 0) in seen_weights)
                weights += sum(1 for _ in channels for _ in held) if fresh else 0
                inputs += sum(1 for _ in pixels for _ in held)
                written += sum(1 for _ in pixels for _ in channels)
            seen_weights.add((tile_channels.start, 0))
        else:
            for held, channels in itertools.product(spans(len(pixels), rows), spans(len(tile_channels), cols)):
                weights += len(terms) * len(channels)
                inputs += len(terms) * len(held)
                written += len(channels) * len(held)
    outputs = g.oh * g.ow * g.oc
    for tile_channels in spans(g.oc, oc):
        whole = len(spans(g.kh, kh)) == 1
        loaded += len(tile_channels) * g.kh * g.kw * g.ic * (1 if whole else len(spans(g.oh, oh)))
    counts = count_actions(program).of_layer(0)
    assert counts["array_mac"] == macs
    assert counts["weight_buffer_read"] == 8 * weights
    assert counts["activation_buffer_read"] == 8 * inputs
    assert counts["accumulator_write"] == counts["accumulator_read"] == written
    assert counts["array_load"] == (8 * weights if dataflow == "weight_stationary" else 0)
    assert counts["requantizer_requant"] == outputs
    assert counts["output_buffer_write"] == counts["output_buffer_read"] == counts["dram_write"] == 8 * outputs
    assert counts["dram_read_weights"] == counts["weight_buffer_write"] == 8 * loaded
    assert counts["dma_transfer"] == counts["dram_read"] + counts["dram_write"]


def mac_pj(arch: Arch, weight_bits: int = 8, activation_bits: int = 8) -> float:
    g = MacGeometry(n=1, ih=1, iw=1, ic=1, oh=1, ow=1, oc=1, kh=1, kw=1)
    layer = Conv2D(name="l", inputs=("x",), output="y", geometry=g, weights=None, weight_format=IntFormat(weight_bits))
    tensors = {
        "x": Tensor("x", g.input_shape, IntFormat(activation_bits)),
        "y": Tensor("y", g.output_shape, INT8),
    }
    ports = {"inputs": (HostPort("x", "x"),), "outputs": (HostPort("y", "y"),)}
    graph = Graph(name="one", arithmetic="-", tensors=tensors, layers=(layer,), shape_only=True, **ports)
    return action_energies(layer, graph=graph, arch=arch, table=table_of(arch))["array_mac"]


def test_a_product_is_a_multiply_and_an_add() -> None:
    adder = load_table("horowitz_45nm").entry("adder", "add").value(bits=32)
    assert mac_pj(EDGE) == pytest.approx(0.2 + adder)
    assert mac_pj(EDGE, 4, 4) == pytest.approx(0.05 + adder)
    assert mac_pj(EDGE.with_({"accumulator.word_per_slice": False}), 16, 8) == pytest.approx(2 * (0.2 + adder))


def test_composable_macs_share_a_cycle_at_2_31_times_the_energy() -> None:
    fixed, bricks = EDGE, EDGE.with_({"array.brick_bits": 2})
    assert mac_pj(bricks) == pytest.approx(2.31 * mac_pj(fixed))
    assert mac_pj(bricks, 4, 4) == pytest.approx(mac_pj(bricks) / 4)
    assert mac_pj(bricks, 2, 2) == pytest.approx(mac_pj(bricks) / 16)
    measured = bricks.with_({"tech.energy_table": "bitfusion_45nm"})
    assert mac_pj(measured) == pytest.approx(0.4698)


@pytest.mark.parametrize(
    ("dataflow", "bits"), [("weight_stationary", 8 + 32), ("input_stationary", 8 + 32), ("output_stationary", 16 + 32)]
)
def test_operand_registers_follow_the_dataflow(dataflow: str, bits: int) -> None:
    """0.009 pJ for every bit of a register that a product writes (aladdin_40nm), beside multiplier, adder and wires."""
    arch = EDGE.with_({"tech.energy_table": "aladdin_40nm", "array.dataflow": dataflow})
    program = small_conv(arch, MacMapping(oh=5, ow=4, oc=5, ic=3, kh=3, kw=3, groups=1, order="weights_outer"))[1]
    (layer,) = program.graph.layers
    charges = action_charges(layer, graph=program.graph, arch=arch, costs=Costs(table_of(arch)))
    assert charges["array_mac"]["register.write"] == pytest.approx(0.009 * bits)
    assert charges["array_mac"]["wire.move"] > 0
    assert charges["array_load"]["register.write"] == pytest.approx(0.009 * 17 / 2)


def test_an_adder_tree_shares_one_wide_addition() -> None:
    """Rows 4: products of 16 bits, two adders of 16 and one of 17 bits, one 32-bit sum behind them, for four products."""
    tree = EDGE.with_({"array.dataflow": "adder_tree", "array.rows": 4, "accumulator.products_per_add": 4})
    add = load_table("horowitz_45nm").entry("adder", "add")
    adders = 2 * add.value(bits=16) + add.value(bits=17) + add.value(bits=32)
    assert mac_pj(tree) == pytest.approx(0.2 + adders / 4)
    assert mac_pj(tree) < mac_pj(EDGE)
    single = tree.with_({"array.rows": 1, "accumulator.products_per_add": 1})
    assert mac_pj(single) == pytest.approx(mac_pj(EDGE))


def requant_of(rule: Requant | None) -> Charges:
    program = small_conv(EDGE, MacMapping(oh=5, ow=4, oc=5, ic=3, kh=3, kw=3, groups=1, order="weights_outer"))[1]
    (layer,) = program.graph.layers
    object.__setattr__(layer, "requant", rule)
    return requant_charges(layer, graph=program.graph, arch=EDGE, costs=Costs(load_table("horowitz_45nm")))


def rule(scheme: str, multiplier: object, shift: int) -> Requant:
    return Requant(
        scheme=scheme, multiplier=np.array([multiplier]), shift=np.array([shift], np.int32), zero_point=0, clamp_min=-128,
        clamp_max=127,
    )  # fmt: skip


def test_requantization_follows_its_multiplier() -> None:
    """32 x 32 bits for TFLite, N x 32 for narrow multipliers, 24 x 32 in float32, none for shifts."""
    wide = requant_of(rule("tflite_double", np.int32(2**30), 0))["multiplier.multiply"]
    assert wide == pytest.approx(0.2 * 16)
    assert requant_of(None)["multiplier.multiply"] == wide
    narrow = rule("single_8", np.int32(100), 10)
    assert multiplier_bits(narrow) == 8
    assert requant_of(narrow)["multiplier.multiply"] == pytest.approx(wide / 4)
    assert requant_of(rule("float32_half_even", np.float32(0.5), 0))["multiplier.multiply"] == pytest.approx(
        wide * 24 / 32
    )
    assert "multiplier.multiply" not in requant_of(rule("shift_half_up", np.int32(1), 4))


def test_a_user_adds_a_component_in_yaml(tmp_path) -> None:
    """A table whose element is a lookup, whose clock tree ticks, and whose DMA engine costs: all reach the result."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        """
name: mine
version: 1
source: a test
node_nm: 45
voltage_v: 0.9
entries:
  - {component: lookup, action: read, value: 0.07 pJ, law: linear, at: {bits: 8}, uncertainty: null, source: made up}
  - {component: clock, action: tick, value: 3 pJ, law: constant, uncertainty: null, source: made up}
  - {component: dma, action: transfer, value: 0.5 pJ, law: linear, at: {bits: 1}, uncertainty: null, source: made up}
compounds:
  - component: pe
    action: mac
    parts: [{component: lookup, action: read, times: 2, size: {bits: left_bits + right_bits}}]
fill:
  - {component: multiplier, from: horowitz_45nm, rule: same_node}
  - {component: adder, from: horowitz_45nm, rule: same_node}
  - {component: sram, from: horowitz_45nm, rule: same_node}
  - {component: dram, from: horowitz_45nm, rule: off_chip}
"""
    )
    arch = EDGE.with_({"tech.energy_table": str(path)})
    assert mac_pj(arch) == pytest.approx(2 * 0.07 * 2)
    program = random_program(1)
    program = program.replace(arch=program.arch.with_({"tech.energy_table": str(path)}))
    result = summarize(schedule(program), table=table_of(arch))
    moved = sum(layer.counts["dma_transfer"] for layer in result.layers)
    assert result.total.energy_split_pj["clock"] == pytest.approx(3 * result.total.cycles * program.arch.cores.count)
    assert result.total.energy_split_pj["dma"] == pytest.approx(0.5 * moved)
    assert "clock tree" not in result.not_modelled
    assert "DMA engines" not in result.not_modelled
