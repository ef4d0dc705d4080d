"""Steps of several folds, groups beside each other in an adder tree, and parameters in front of weights: counted one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.energy import count_actions
from accelsim.execute import WholeReader, run_program
from accelsim.graph import DepthwiseConv2D, Graph, MacGeometry
from accelsim.hardware import ComputeTiles, Engine, array_cost, array_of
from accelsim.mapper import map_graph
from accelsim.program import check_program
from accelsim.timing import schedule, supported
from tests.networks import conv, single

EDGE = load_arch("edge_16x16")


def tree(rows: int, cols: int, **edits: Any) -> accelsim.Arch:
    changes = {
        "array.dataflow": "adder_tree",
        "array.rows": rows,
        "accumulator.products_per_add": rows,
        "array.cols": cols,
    }
    named = {f"array.{name}": value for name, value in edits.items()}
    return EDGE.with_(changes | {"array.reduction": "per_tap"} | named)


def walk(sizes: dict[str, int], rows: int, cols: int, step: int, beside: bool) -> int:
    """Cycles of a tile: for each set of columns, in steps either of channels of one tap or of taps, all its pixels."""
    chunks = len(range(0, sizes["depth"], rows))
    along_channels = [(t, c) for t in range(sizes["taps"]) for c in range(0, chunks, step)]
    along_taps = [(t, c) for t in range(0, sizes["taps"], step) for c in range(chunks)]
    steps = min(len(along_channels), len(along_taps))
    columns = 0  # sets of columns that weights of their own stand in
    if beside and sizes["channels"] <= cols:
        left = sizes["groups"]
        while left > 0:
            free = cols
            while left > 0 and free >= sizes["channels"]:
                free, left = free - sizes["channels"], left - 1
            columns += 1
    else:
        columns = sizes["groups"] * len(range(0, sizes["channels"], cols))
    return columns * steps * step * sizes["pixels"]


small = st.integers(1, 40)


@given(st.fixed_dictionaries({"pixels": small, "taps": st.integers(1, 25), "depth": small, "channels": small, "groups": st.integers(1, 9)}),
       st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 2, 3, 4]), st.booleans())  # fmt: skip
@settings(deadline=None, max_examples=300)
def test_cycles_are_those_of_a_walk(sizes: dict[str, int], rows: int, cols: int, step: int, beside: bool) -> None:
    arch = tree(rows, cols, step_folds=step, group_folds="side_by_side" if beside else "apart")
    one = {name: np.array([size]) for name, size in sizes.items() if name != "depth"}
    tiles = ComputeTiles(**one, reduction=np.array([sizes["taps"] * sizes["depth"]]), weights_kept=np.array([False]))
    cost = array_cost(tiles, array_of(arch, weight_bits=8, activation_bits=8))
    assert cost.cycles.tolist() == [walk(sizes, rows, cols, step, beside)]
    plain = array_cost(tiles, array_of(tree(rows, cols), weight_bits=8, activation_bits=8))
    for name in ("weight_reads", "activation_reads", "accumulator_writes"):
        assert getattr(cost, name).tolist() == getattr(plain, name).tolist()


def depthwise(channels: int = 24) -> Graph:
    g = MacGeometry(
        n=1, ih=6, iw=6, ic=channels, oh=6, ow=6, oc=channels, kh=3, kw=3, groups=channels, pad_top=1, pad_left=1
    )
    return single(DepthwiseConv2D, g)


@pytest.mark.parametrize(
    "edits", [{}, {"step_folds": 4}, {"group_folds": "side_by_side"}, {"step_folds": 4, "group_folds": "side_by_side"}]
)
def test_evaluate_is_simulate_and_values_stay(edits: dict[str, Any]) -> None:
    graph, arch = depthwise(), tree(8, 16, **edits)
    assert supported(arch)
    table = accelsim.evaluate(graph, arch=arch, edits=[{}])
    result = accelsim.simulate(graph, arch=arch).total
    assert (int(table["cycles"][0]), float(table["energy_pj"][0])) == (result.cycles, pytest.approx(result.energy_pj))
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    check_program(program)
    x = {"x": np.random.default_rng(3).integers(-128, 128, graph.tensors["x"].shape).astype(np.int8)}
    assert np.array_equal(run_program(program, x, timeline=schedule(program))["y"], WholeReader(graph).run(x)["y"])


def test_groups_beside_each_other_are_as_much_faster_as_they_are_many() -> None:
    """24 channels in 16 columns: two sets instead of 24; nine taps in steps of four take twelve."""
    cycles = {
        (step, folds): accelsim.simulate(depthwise(), arch=tree(8, 16, step_folds=step, group_folds=folds))
        .layers[0]
        .compute_cycles
        for step in (1, 4)
        for folds in ("apart", "side_by_side")
    }
    assert cycles[1, "apart"] >= 24 * 9 * 36
    assert 2 * 9 * 36 <= cycles[1, "side_by_side"] < 2 * 9 * 36 + 40
    assert 2 * 12 * 36 <= cycles[4, "side_by_side"] < 2 * 12 * 36 + 40


@pytest.mark.parametrize(
    "edits", [{}, {"weight_buffer.coding": "codebook"}, {"dma.whole_weight_tiles": True}, {"dram.burst_bytes": 32}]
)
def test_parameters_come_with_the_weights_that_begin_a_sum(edits: dict[str, Any]) -> None:
    graph = conv(size=8, ic=70, oc=40, k=3)
    plain = EDGE.with_(edits | {"weight_buffer.size_bytes": 1200})
    mappings = map_graph(graph, arch=plain)
    before, after = (
        build_program(graph, arch=plain.with_({"requantizer.parameter_bytes": n}), mappings=mappings) for n in (0, 10)
    )
    check_program(after)
    loads = np.flatnonzero(after.of_engine(Engine.LOAD_WEIGHTS))
    more = 0
    for i in loads.tolist():
        (channel, *inner), (end, *_) = after.box(i)
        expected = 10 * (end - channel) if inner == [0, 0, 0] else 0
        assert after.amount[i] - before.amount[i] == expected
        more += expected
    assert more >= 400  # each of 40 channels once
    assert (after.extent == before.extent).all()
    if "dram.burst_bytes" not in edits:
        found = [count_actions(program).dram_read_weights.sum() for program in (before, after)]
        assert found[1] - found[0] == 8 * more
        assert schedule(after).total_cycles >= schedule(before).total_cycles


def test_shapes_have_parameters_too_and_evaluate_knows_them() -> None:
    graph = conv(size=8, ic=16, oc=32, k=3)
    shapes = replace(
        graph,
        shape_only=True,
        layers=(replace(graph.layers[0], weights=None, bias=None, requant=None),),  # type: ignore[call-arg]
    )
    edits = {"requantizer.parameter_bytes": 10}
    base, more = accelsim.simulate(shapes, arch=EDGE).total, accelsim.simulate(shapes, arch=EDGE.with_(edits)).total
    assert more.dram_read_bytes >= base.dram_read_bytes + 320
    assert int(accelsim.evaluate(shapes, arch=EDGE, edits=[edits])["cycles"][0]) == more.cycles
