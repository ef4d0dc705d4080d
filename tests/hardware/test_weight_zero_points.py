"""Zero points of weights on the array: folds counted one by one, energies by hand, the same figures by every way to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.activity import measure_activity
from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.energy import action_energies, count_actions, layer_energy, load_table, operation_energy, table_of
from accelsim.errors import ConfigError, InputError, ProgramError
from accelsim.execute import WholeReader, run_program
from accelsim.graph import Graph, MacLayer
from accelsim.hardware import ComputeTiles, Engine, array_cost, array_of
from accelsim.mapper import map_graph, search_graph
from accelsim.numerics import IntFormat
from accelsim.program import Program, check_program
from accelsim.timing import schedule, supported
from tests.explore.test_evaluate import same
from tests.networks import conv

EDGE = load_arch("edge_16x16")
EXTRA = {"array.weight_zero_points": "extra_channel"}
TREE = {"array.dataflow": "adder_tree", "accumulator.products_per_add": 8, "array.rows": 8}
FLOWS: dict[str, dict[str, Any]] = {
    "weight_stationary": {},
    "input_stationary": {"array.dataflow": "input_stationary"},
    "output_stationary": {"array.dataflow": "output_stationary"},
    "adder_tree": TREE,
}
seeds = st.integers(0, 2**32 - 1)


def asymmetric(graph: Graph, seed: int = 1) -> Graph:
    """``graph`` with weights of 8 bits without a sign, around zero points of their channels."""
    rng = np.random.default_rng(seed)

    def turned(layer: Any) -> Any:
        if not isinstance(layer, MacLayer):
            return layer
        zeros = rng.integers(90, 160, layer.geometry.oc)
        codes = rng.integers(0, 256, layer.geometry.weight_shape)
        factors = (codes - zeros.reshape(-1, 1, 1, 1)).astype(np.int16)
        return replace(layer, weights=factors, weight_format=IntFormat(9), weight_zero_points=zeros)

    return replace(graph, layers=tuple(turned(layer) for layer in graph.layers))


@given(seeds, st.sampled_from(sorted(FLOWS)), st.booleans())
@settings(deadline=None, max_examples=60)
def test_one_element_more_in_every_fold(seed: int, flow: str, overlapped: bool) -> None:
    """Folds are walked through; every sum that leaves the array has taken a slot more of what holds the reduction."""
    rng = np.random.default_rng(seed)
    rows, cols = int(rng.integers(2, 9)), int(rng.integers(1, 9))
    edits = FLOWS[flow] | {"array.rows": rows, "array.cols": cols} | EXTRA
    edits |= {"accumulator.products_per_add": rows} if flow == "adder_tree" else {}
    edits |= {"array.weight_preload": "overlapped"} if overlapped and flow.startswith(("weight", "input")) else {}
    arch = EDGE.with_(edits)
    pixels, reduction, channels, groups = (int(n) for n in rng.integers(1, 30, 4))
    array = array_of(arch, weight_bits=8, activation_bits=8, zero_points=True)
    one = np.array([1])
    tile = ComputeTiles(
        pixels=pixels * one,
        reduction=reduction * one,
        channels=channels * one,
        groups=groups * one,
        weights_kept=one < 0,
    )
    cost = array_cost(tile, array)
    across, along = (pixels, channels) if flow == "input_stationary" else (channels, pixels)
    if flow == "output_stationary":
        blocks = [(p, c) for _ in range(groups) for p in range(0, pixels, rows) for c in range(0, channels, cols)]
        assert cost.stream_cycles == sum(reduction + 1 for _ in blocks)
        assert cost.accumulator_writes == pixels * channels * groups
        return
    folds = walked(rows, cols, reduction, across, groups, shared=flow != "adder_tree")
    assert cost.stream_cycles == folds * along
    assert cost.accumulator_writes == pixels * channels * groups * -(-reduction // (rows - 1))
    plain = array_cost(tile, array._replace(extra=0))
    assert (cost.cycles >= plain.cycles).all()
    assert cost.weight_reads == plain.weight_reads


def walked(rows: int, cols: int, reduction: int, across: int, groups: int, *, shared: bool) -> int:
    """Folds of ``groups`` products placed one after another, each part of a reduction with a row for its zero points behind it."""
    if reduction + 1 > rows or across > cols or not shared:
        return groups * len(range(0, reduction, rows - 1)) * len(range(0, across, cols))
    folds, row, col = 0, rows, cols
    for _ in range(groups):
        if row + reduction + 1 > rows or col + across > cols:
            folds, row, col = folds + 1, 0, 0
        row, col = row + reduction + 1, col + across
    return folds


def whole(graph: Graph, x: dict[str, Any]) -> Any:
    """The codes of ``y`` without any machine."""
    return WholeReader(graph).run(x)["y"]


def ran(graph: Graph, **edits: Any) -> tuple[Program, dict[str, int]]:
    """The Program and the action counts of its first layer."""
    arch = EDGE.with_(edits)
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    check_program(program)
    return program, count_actions(program).of_layer(0)


def test_a_reduction_of_as_many_elements_as_rows_takes_a_second_fold() -> None:
    """16 inputs, 16 channels, 64 pixels on 16 x 16: 15 inputs and the extra channel, then 1 and the extra channel."""
    graph = asymmetric(conv(size=8, ic=16, oc=16, k=1))
    (one, subtracted), (other, corrected) = ran(graph), ran(graph, **EXTRA)
    streams = [int(p.stream_cycles[p.of_engine(Engine.COMPUTE)].sum()) for p in (one, other)]
    assert streams == [64, 2 * 64]
    assert subtracted["array_mac"] == corrected["array_mac"] == 64 * 16 * 16
    assert (subtracted["array_correct"], subtracted["array_sum"]) == (0, 0)
    assert corrected["array_correct"] == 2 * 64 * 16
    assert corrected["array_sum"] == 64 * 16
    assert corrected["weight_buffer_read"] == subtracted["weight_buffer_read"] == 8 * 16 * 16


def test_energies_of_both_ways_by_hand() -> None:
    """Horowitz's multiplier, 0.2 pJ x bits x bits / 64, and adder, 0.006452 + 0.0028226 pJ a bit."""
    table, graph = load_table("horowitz_45nm"), asymmetric(conv(size=8, ic=16, oc=16, k=1))
    plain, subtract, extra = (
        action_energies(layer, graph=graph, arch=EDGE.with_(edits), table=table)
        for layer, edits in (
            (conv(size=8, ic=16, oc=16, k=1).layers[0], {}), (graph.layers[0], {}), (graph.layers[0], EXTRA),
        )
    )  # fmt: skip
    assert subtract["array_mac"] - plain["array_mac"] == pytest.approx(0.2 * 8 / 64)
    assert extra["array_mac"] == plain["array_mac"]
    assert extra["array_sum"] == pytest.approx(0.006452 + 0.0028226 * (8 + 4))
    adder = 0.006452 + 0.0028226 * EDGE.accumulator.bits
    assert extra["array_correct"] == pytest.approx(0.2 * 8 * (8 + 4) / 64 + adder)
    assert subtract["array_sum"] == subtract["array_correct"] == 0


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("edits", [{}, EXTRA], ids=["subtract", "extra"])
def test_rows_of_evaluate_are_runs_and_energies_of_operations_add_up(flow: str, edits: dict[str, Any]) -> None:
    graph, arch = asymmetric(conv(size=8, ic=20, oc=20)), EDGE.with_(FLOWS[flow] | edits)
    assert supported(arch)
    what_ifs: list[dict[str, Any]] = [{}, {"array.cols": 5}, {"weight_buffer.size_bytes": "4 KiB"}]
    for edit, row in zip(what_ifs, accelsim.evaluate(graph, arch=arch, edits=what_ifs), strict=True):
        same(row, graph, arch, edit)
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    table = table_of(arch)
    energy = layer_energy(program, count_actions(program), table)
    assert operation_energy(program, table).sum() == pytest.approx(sum(split.total for split in energy))


@pytest.mark.parametrize("flow", FLOWS)
def test_the_extra_channel_is_never_free_and_changes_no_value(flow: str) -> None:
    graph = asymmetric(conv(size=6, ic=9, oc=7))
    x = {"x": np.random.default_rng(3).integers(-128, 128, (1, 6, 6, 9)).astype(np.int8)}
    found = []
    for edits in ({}, EXTRA, EXTRA | {"weight_buffer.coding": "codebook"}):
        arch = EDGE.with_(FLOWS[flow] | edits)
        result = accelsim.simulate(graph, arch=arch)
        program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
        assert np.array_equal(run_program(program, x, timeline=schedule(program))["y"], whole(graph, x))
        found.append((result.total.cycles, result.total.energy_pj))
    assert found[1] > found[0]
    assert found[1][1] > found[0][1]


def test_codes_without_a_zero_point_cost_nothing() -> None:
    """Where memory holds what is multiplied, and where the codes have no sign and no zero point."""
    graph = conv(size=8, ic=16, oc=16, k=1)
    (layer,) = graph.layers
    assert isinstance(layer, MacLayer)
    unsigned = replace(
        layer, weights=layer.weights.astype(np.int16) + 128, weight_format=IntFormat(9),  # type: ignore[union-attr]
        weight_zero_points=np.zeros(1, np.int64),
    )  # fmt: skip
    for one in (graph, replace(graph, layers=(unsigned,))):
        (_, plain), (_, extra) = ran(one), ran(one, **EXTRA)
        assert plain == extra


def test_an_array_of_one_row_has_none_for_the_extra_channel() -> None:
    with pytest.raises(ConfigError, match="extra_channel with rows of 1 .*: expected 2 rows or more"):
        EDGE.with_({**EXTRA, "array.rows": 1})
    EDGE.with_({**EXTRA, "array.rows": 1, "array.dataflow": "output_stationary"})


def coded(count: int) -> Graph:
    """A convolution whose weights take ``count`` values."""
    graph = conv(size=8, ic=16, oc=32, k=3)
    (layer,) = graph.layers
    assert isinstance(layer, MacLayer)
    values = np.linspace(-127, 127, count).astype(np.int8)
    which = np.random.default_rng(2).integers(0, count, layer.geometry.weight_shape)
    which.reshape(-1)[:count] = np.arange(count)
    return replace(graph, layers=(replace(layer, weights=values[which]),))


BOOK = {"weight_buffer.coding": "codebook"}


@pytest.mark.parametrize(
    ("count", "bits"), [(2, 1), (3, 2), (4, 2), (5, 3), (16, 4), (17, 5), (128, 7), (129, 8), (200, 8)]
)
def test_weights_take_as_many_bits_as_tell_their_values_apart(count: int, bits: int) -> None:
    """In DRAM, on the bus and in the buffer; each is looked up once on its way into the array."""
    (_, plain), (program, found) = ran(coded(count)), ran(coded(count), **BOOK)
    elements = 32 * 9 * 16
    reads = plain["weight_buffer_read"] // 8
    assert plain["dram_read_weights"] == 8 * elements
    assert found["dram_read_weights"] == bits * elements
    assert found["weight_buffer_read"] == bits * reads
    assert found["weight_decode"] == (reads if bits < 8 else 0)
    assert plain["array_load"] == found["array_load"]
    x = {"x": np.random.default_rng(3).integers(-128, 128, (1, 8, 8, 16)).astype(np.int8)}
    assert np.array_equal(run_program(program, x, timeline=schedule(program))["y"], whole(coded(count), x))


def test_a_look_up_costs_a_read_of_a_memory_as_large_as_the_table() -> None:
    """16 values of 8 bits: 10.178 pJ x 8 / 64 x (16 / 8192)^0.4746 by Horowitz's law."""
    graph, table = coded(16), load_table("horowitz_45nm")
    energies = action_energies(graph.layers[0], graph=graph, arch=EDGE.with_(BOOK), table=table)
    assert energies["weight_decode"] == pytest.approx(10.178 * 8 / 64 * (16 / 8192) ** 0.4746)
    assert action_energies(graph.layers[0], graph=graph, arch=EDGE, table=table)["weight_decode"] == 0


def test_decoders_bound_what_enters_the_array() -> None:
    """A tile holds the array at least as long as its weights take to be looked up."""
    slow, _ = ran(coded(16), **BOOK, **{"weight_buffer.decoders": 1})
    mine = slow.of_engine(Engine.COMPUTE)
    assert (slow.cycles[mine] >= slow.weight_reads[mine]).all()
    free, _ = ran(coded(16), **BOOK)
    assert (slow.cycles[mine].sum()) > free.cycles[free.of_engine(Engine.COMPUTE)].sum()
    plain, _ = ran(coded(200), **BOOK, **{"weight_buffer.decoders": 1})
    same_cycles, _ = ran(coded(200))
    assert plain.cycles.tolist() == same_cycles.cycles.tolist()


def test_runs_of_zeros_are_of_indices() -> None:
    """Both codings at once: pairs of a run and an index."""
    graph = coded(3)
    (_, book), (_, both) = ran(graph, **BOOK), ran(graph, **BOOK, **{"dma.weight_compression": "zero_run_length"})
    assert both["dram_read_weights"] <= book["dram_read_weights"] + 8 * 64


@given(seeds)
@settings(deadline=None, max_examples=15)
def test_the_search_and_the_mapper_see_the_same_machine(seed: int) -> None:
    """The best tiling that is found of a layer is no worse than the mapper's, and its cost is that of its Program."""
    rng = np.random.default_rng(seed)
    graph = asymmetric(
        conv(size=int(rng.integers(3, 7)), ic=int(rng.integers(1, 20)), oc=int(rng.integers(1, 20))), seed
    )
    edits = EXTRA | ({} if rng.random() < 0.5 else BOOK | {"weight_buffer.decoders": int(rng.integers(1, 9))})
    arch = EDGE.with_(edits)
    found = search_graph(graph, arch=arch, objective="cycles")
    chosen = map_graph(graph, arch=arch, objective="cycles")
    programs = [build_program(graph, arch=arch, mappings=mappings) for mappings in (found, chosen)]
    best, default = (schedule(program).total_cycles for program in programs)
    assert best <= default
    table = accelsim.evaluate(graph, arch=arch, edits=[{}], objective="cycles")
    assert int(table["cycles"][0]) == default


SHIFTS = {"array.mac": "shift_add"}


def powers(seed: int = 4) -> Graph:
    """A convolution whose weights are 0 or powers of two with a sign."""
    graph = conv(size=8, ic=16, oc=32, k=3)
    (layer,) = graph.layers
    assert isinstance(layer, MacLayer)
    rng = np.random.default_rng(seed)
    shape = layer.geometry.weight_shape
    weights = (rng.choice([-1, 0, 1], shape) << rng.integers(0, 7, shape)).astype(np.int8)
    return replace(graph, layers=(replace(layer, weights=weights),))


def test_a_shift_takes_three_rows_and_one_addition_for_8_bits() -> None:
    """Three rows of 15 full adders above the shifter of 0 to 6 places, and the sum's adder, by Horowitz; only the array differs."""
    graph, table = powers(), load_table("horowitz_45nm")
    product, shift = (
        action_energies(graph.layers[0], graph=graph, arch=EDGE.with_(edits), table=table) for edits in ({}, SHIFTS)
    )
    adder = 0.006452 + 0.0028226 * EDGE.accumulator.bits
    assert product["array_mac"] == pytest.approx(0.2 + adder)
    assert shift["array_mac"] == pytest.approx(3 * (0.006452 + 0.0028226 * 15) + adder)
    assert {name: pj for name, pj in shift.items() if pj != product[name]}.keys() == {"array_mac"}
    whole_machine, shifting = (accelsim.simulate(graph, arch=EDGE.with_(edits)) for edits in ({}, SHIFTS))
    assert shifting.total.cycles == whole_machine.total.cycles
    assert shifting.total.energy_pj < whole_machine.total.energy_pj
    same(accelsim.evaluate(graph, arch=EDGE, edits=[SHIFTS])[0], graph, EDGE, SHIFTS)


def test_shifters_with_a_codebook_keep_the_values() -> None:
    graph = powers()
    x = {"x": np.random.default_rng(3).integers(-128, 128, (1, 8, 8, 16)).astype(np.int8)}
    program, found = ran(graph, **SHIFTS, **BOOK)
    assert found["dram_read_weights"] == 4 * 32 * 9 * 16
    assert np.array_equal(run_program(program, x, timeline=schedule(program))["y"], whole(graph, x))


def test_weights_that_are_no_powers_of_two_are_refused_by_name() -> None:
    graph = conv()
    with pytest.raises(
        ProgramError,
        match=r"layer 'layer': array.mac of shift_add .* a weight of output channel 0 is -?[0-9]+; quantize",
    ):
        accelsim.simulate(graph, arch=EDGE.with_(SHIFTS))
    row = accelsim.evaluate(graph, arch=EDGE, edits=[SHIFTS])[0]
    assert "array.mac of shift_add" in row["error"]
    shapes = conv(shape_only=True)
    assert accelsim.simulate(shapes, arch=EDGE.with_(SHIFTS)).total.cycles > 0


@pytest.mark.parametrize("edits", [{"array.brick_bits": 2}, TREE], ids=["bricks", "tree"])
def test_only_plain_systolic_macs_shift(edits: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="mac of shift_add with .*: expected a systolic array of plain MACs"):
        EDGE.with_({**edits, **SHIFTS})


def test_activity_is_not_counted_where_codes_are_multiplied() -> None:
    graph = asymmetric(conv(size=6, ic=4, oc=4))
    x = {"x": np.random.default_rng(3).integers(-128, 128, (1, 6, 6, 4)).astype(np.int8)}
    program, _ = ran(graph, **EXTRA)
    with pytest.raises(
        InputError, match="extra_channel multiplies codes of the weights of layer 'layer'.*choose subtract"
    ):
        measure_activity(program, x)
    (measured,) = measure_activity(ran(graph)[0], x)
    assert measured.layer == "layer"
