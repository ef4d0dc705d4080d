"""Bit-serial and composable arrays: cycles by width, against a walk over folds and the authors' own equation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import count_actions, layer_energy, load_table
from accelsim.graph import Conv2D, DepthwiseConv2D, Graph, MacGeometry
from accelsim.hardware import accumulator_bits, accumulator_words
from accelsim.hardware.array import ComputeTiles, array_cost, array_of
from accelsim.mapper import map_graph
from accelsim.numerics import BIPOLAR, IntFormat
from accelsim.program import MacMapping
from accelsim.report.pictures.roofline import roofline_points, roofs
from accelsim.result import LayerResult, Result, summarize
from accelsim.timing import schedule
from tests.networks import conv, dense, single

FUSION, SERIAL = load_arch("bit_fusion_16x16"), load_arch("bit_serial_16x16")
sizes = st.integers(1, 40)
powers = st.sampled_from([2, 4, 8, 16])


def in_format(graph: Graph, weights: IntFormat, activations: IntFormat) -> Graph:
    """The same shapes with other operands."""
    tensors = {name: replace(tensor, format=activations) for name, tensor in graph.tensors.items()}
    layers = tuple(replace(layer, weight_format=weights) for layer in graph.layers)
    return replace(graph, tensors=tensors, layers=layers)


def simulated(graph: Graph, arch: Arch) -> Result:
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    return summarize(schedule(program), table=load_table("horowitz_45nm"))


def layer_of(weights: int, activations: int, arch: Arch) -> LayerResult:
    """A layer that the array bounds, whatever its rate."""
    graph = dense(rows=64, k=1024, units=64, shape_only=True)
    fast = arch.with_({"dram.bandwidth_bytes_per_s": 10**12, "dram.latency_ns": 0.0})
    return simulated(in_format(graph, IntFormat(weights), IntFormat(activations)), fast).layers[0]


def walk(t: dict[str, int], rows: int, cols: int, products: int, dataflow: str) -> int:
    """Cycles fold by fold, each MAC of the array taking up to ``products`` elements of the reduction at once."""
    total, elements = 0, list(range(t["reduction"]))
    macs = [elements[i : i + products] for i in range(0, len(elements), products)]
    down = len(macs) if dataflow == "weight_stationary" else t["pixels"]
    for _ in range(0, down, rows):
        for _ in range(0, t["channels"], cols):
            if dataflow == "weight_stationary":
                total += rows + t["pixels"] + rows + cols - 2
            else:
                total += len(macs) + rows + cols - 2
    return total


@given(
    st.fixed_dictionaries({"pixels": sizes, "reduction": sizes, "channels": sizes}), sizes, sizes, powers, st.booleans()
)
def test_composed_products_equal_a_walk_over_folds(
    t: dict[str, int], rows: int, cols: int, products: int, weight_stationary: bool
) -> None:
    dataflow = "weight_stationary" if weight_stationary else "output_stationary"
    arch = FUSION.with_({"array.rows": rows, "array.cols": cols, "array.dataflow": dataflow})
    one = np.ones(1, dtype=np.int64)
    tiles = ComputeTiles(
        **{key: value * one for key, value in t.items()},
        groups=one,
        weights_kept=np.zeros(1, dtype=bool),
    )
    cost = array_cost(tiles, array_of(arch, weight_bits=8, activation_bits=8)._replace(products=products))
    assert cost.cycles[0] == walk(t, rows, cols, products, dataflow)
    assert cost.stream_cycles[0] * rows * cols * products >= t["pixels"] * t["reduction"] * t["channels"]
    assert cost.weight_reads[0] >= t["reduction"] * t["channels"]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 200), st.integers(1, 60), st.integers(1, 3), st.integers(1, 6), powers, powers)
def test_stream_cycles_follow_the_equation_of_the_authors_simulator(
    ic: int, oc: int, k: int, out: int, weights: int, activations: int
) -> None:
    """``ceil(oc/M) * ow * oh * kw * kh * ceil(ic / (N * perf))``, perf = (8 / bits) * (8 / bits); hsharma35/bitfusion."""
    geometry = MacGeometry(n=1, ih=out + k - 1, iw=out + k - 1, ic=ic, oh=out, ow=out, oc=oc, kh=k, kw=k)
    narrow = min(weights, 8), min(activations, 8)
    graph = in_format(single(Conv2D, geometry, shape_only=True), *map(IntFormat, narrow))
    tap_by_tap = MacMapping(oh=out, ow=out, oc=oc, ic=ic, kh=1, kw=1)
    program = build_program(graph, arch=FUSION, mappings=(tap_by_tap,))
    perf = (8 // narrow[0]) * (8 // narrow[1])
    assert program.stream_cycles.sum() == -(-oc // 16) * out * out * k * k * -(-ic // (16 * perf))


@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary", "input_stationary"])
def test_fusion_units_share_out_their_bricks(dataflow: str) -> None:
    arch = FUSION.with_({"array.dataflow": dataflow})
    full = layer_of(8, 8, arch).stream_cycles
    rates = {(2, 2): 16, (1, 2): 16, (4, 4): 4, (3, 4): 4, (2, 8): 4, (8, 2): 4, (8, 4): 2, (5, 8): 1}
    assert {widths: full / layer_of(*widths, arch).stream_cycles for widths in rates} == rates
    assert layer_of(16, 8, arch).stream_cycles == 2 * full
    assert layer_of(16, 16, arch).stream_cycles == 4 * full


@pytest.mark.parametrize("bits", range(1, 17))
def test_a_serial_array_takes_a_cycle_per_activation_bit(bits: int) -> None:
    one = layer_of(8, 1, SERIAL).stream_cycles
    assert layer_of(8, bits, SERIAL).stream_cycles == layer_of(16, bits, SERIAL).stream_cycles == bits * one
    loom = SERIAL.with_({"array.weight_bits": 1})
    assert layer_of(3, bits, loom).stream_cycles == 3 * bits * one


def test_bricks_do_not_change_arrays_of_full_width() -> None:
    for graph in (conv(), dense(k=100), conv(size=16, ic=16, oc=32)):
        plain, composed = (simulated(graph, FUSION.with_({"array.brick_bits": bricks})) for bricks in (None, 2))
        for one, other in zip(plain.layers, composed.layers, strict=True):
            same = one.model_dump(), other.model_dump()
            paid = [{key: value for key, value in layer.items() if not key.startswith("energy")} for layer in same]
            assert paid[0] == paid[1]
            assert one.energy_pj < other.energy_pj  # a MAC that can be composed costs more than a fixed one


def test_groups_do_not_share_a_fusion_unit() -> None:
    """Depthwise 3x3 of 2x2 bits: 9 elements fit one unit, so that 16 groups fill the diagonal instead of one."""
    geometry = MacGeometry(n=1, ih=18, iw=18, ic=64, oh=16, ow=16, oc=64, kh=3, kw=3, groups=64)
    graph = in_format(single(DepthwiseConv2D, geometry, shape_only=True), IntFormat(2), IntFormat(2))
    whole = MacMapping(oh=16, ow=16, oc=1, ic=1, kh=3, kw=3, groups=64)
    streams = [
        build_program(graph, arch=FUSION.with_({"array.brick_bits": bricks}), mappings=(whole,)).stream_cycles.sum()
        for bricks in (None, 2)
    ]
    assert streams == [64 * 256, 4 * 256]


def test_words_per_sum_follow_the_slices_or_not() -> None:
    serial, sliced = SERIAL, SERIAL.with_({"accumulator.word_per_slice": True, "accumulator.bits": 24})
    assert (accumulator_words(8, serial), accumulator_bits(8, serial)) == (1, 32)
    assert (accumulator_words(2, sliced), accumulator_bits(2, sliced)) == (2, 48)
    assert (accumulator_words(16, FUSION), accumulator_bits(16, FUSION)) == (1, 32)


@pytest.mark.parametrize("arch", [FUSION, SERIAL], ids=lambda arch: arch.name)
@pytest.mark.parametrize("widths", [(1, 1), (2, 2), (3, 5), (8, 8), (16, 16)])
def test_layers_stay_under_the_roof_of_their_own_widths(arch: Arch, widths: tuple[int, int]) -> None:
    result = simulated(in_format(dense(rows=512, k=512, units=256, shape_only=True), *map(IntFormat, widths)), arch)
    point = roofline_points(result)[0]
    assert point.roof == pytest.approx(arch.macs_per_cycle(*widths))
    assert point.rate <= min(point.roof, roofs(arch)[1] * point.intensity) * (1 + 1e-9)
    layer = result.layers[0]
    assert 0.1 < layer.compute_utilization <= 1
    assert layer.utilization == pytest.approx(layer.macs / layer.cycles / point.roof)


def test_a_binary_product_costs_a_brick() -> None:
    table = load_table("horowitz_45nm")
    spent = {}
    for fmt in (BIPOLAR, IntFormat(1), IntFormat(8)):
        graph = in_format(dense(rows=4, k=64, units=16, shape_only=True), fmt, fmt)
        program = build_program(graph, arch=FUSION, mappings=map_graph(graph, arch=FUSION))
        spent[fmt] = layer_energy(program, count_actions(program), table)[0]
    assert spent[BIPOLAR] == spent[IntFormat(1)]
    one, eight = spent[BIPOLAR].components, spent[IntFormat(8)].components
    assert one["array"] * 16 == pytest.approx(eight["array"])  # a full MAC makes 16 products of 2x2 bits
    assert one["dram"] * 7.9 < eight["dram"] <= one["dram"] * 8
