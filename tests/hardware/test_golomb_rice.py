"""Golomb-Rice coded weights: a decoder in plain Python from the documented layout, lengths, and what a machine makes of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import accelsim
from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import action_energies, count_actions, layer_energy, load_table, operation_energy, table_of
from accelsim.errors import ConfigError
from accelsim.execute import WholeReader, run_program
from accelsim.graph import Boxes, Graph, MacLayer
from accelsim.hardware import Engine, coded_share, is_coded, least_code_bits, packed_tiles, passed_through_code
from accelsim.hardware.weight_coding import rice_code, rice_symbols, symbols_of
from accelsim.mapper import map_graph, search_graph
from accelsim.numerics import IntFormat
from accelsim.program import Program, check_program
from accelsim.result.summary import BLIND
from accelsim.timing import schedule
from tests.networks import conv
from tests.windows import slices

RICE = {"weight_buffer.coding": "golomb_rice"}
EDGE = load_arch("edge_16x16")
TREE = {"array.dataflow": "adder_tree", "accumulator.products_per_add": 8, "array.rows": 8}


class Bits:
    """A code read bit by bit, the least of each byte first."""

    def __init__(self, code: bytes) -> None:
        self.number, self.at = int.from_bytes(code, "little"), 0

    def field(self, bits: int) -> int:
        value = self.number >> self.at & (1 << bits) - 1
        self.at += bits
        return value

    def rice(self, parameter: int, width: int) -> int:
        quotient = 0
        while quotient < 15 and self.field(1):
            quotient += 1
        if quotient == 15:
            return self.field(width)
        return (quotient << parameter) + self.field(parameter)


def decode(code: bytes, count: int, width: int) -> tuple[list[int], int]:
    """``count`` symbols by the layout of docs/weight_formats.md, and the bits that they took."""
    bits, found = Bits(code), list[int]()
    while len(found) < count:
        end = min(len(found) + 256, count)
        parameter = bits.field(width.bit_length())
        if parameter == width:
            found += [bits.field(width) for _ in range(end - len(found))]
        elif not bits.field(1):
            found += [bits.rice(parameter, width) for _ in range(end - len(found))]
        else:
            runs = bits.field(3)
            while len(found) < end:
                found += [0] * bits.rice(runs, 9)
                if len(found) < end:
                    found.append(bits.rice(parameter, width) + 1)
    return found, bits.at


def signed(symbol: int) -> int:
    return -(symbol + 1) // 2 if symbol % 2 else symbol // 2


@st.composite
def symbols(draw: st.DrawFn) -> tuple[NDArray[np.int64], int]:
    """Of every width: even, geometric, two far apart, all the same, mostly zeros."""
    width, count = draw(st.integers(1, 34)), draw(st.integers(0, 900))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    most = 2**width - 1
    drawn = {
        "even": rng.integers(0, most, count, endpoint=True),
        "geometric": np.minimum(rng.geometric(draw(st.sampled_from([0.5, 0.05, 0.001])), count) - 1, most),
        "extreme": rng.choice([0, most], count),
        "constant": np.full(count, rng.integers(0, most, endpoint=True)),
    }[draw(st.sampled_from(["even", "geometric", "extreme", "constant"]))]
    return np.where(rng.random(count) < draw(st.sampled_from([0, 0.5, 0.97, 1])), 0, drawn).astype(np.int64), width


@given(symbols())
@settings(max_examples=300, deadline=None)
@example((np.zeros(0, np.int64), 1))
@example((np.zeros(1, np.int64), 1))
@example((np.full(600, 2**34 - 1), 34))
def test_a_code_is_read_back_by_its_layout_alone(drawn: tuple[NDArray[np.int64], int]) -> None:
    values, width = drawn
    code = rice_code(values, width)
    assert rice_symbols(code, len(values), width).tolist() == values.tolist()
    found, bits = decode(code.tobytes(), len(values), width)
    assert found == values.tolist()
    assert len(code) == -(-bits // 8)
    heads = -(-len(values) // 256) * width.bit_length()
    assert bits <= heads + len(values) * width  # no block is longer than as it is


def test_geometric_symbols_take_a_few_hundredths_of_a_bit_more_than_their_entropy() -> None:
    """Rice codes with the best parameter, Golomb's for a ratio of a half."""
    rng = np.random.default_rng(1)
    for ratio, most in ((0.5, 0.05), (0.9, 0.08), (0.99, 0.08)):
        values = rng.geometric(1 - ratio, 20_000) - 1
        entropy = -np.log2(1 - ratio) - np.log2(ratio) * ratio / (1 - ratio)
        assert 0 <= 8 * len(rice_code(values, 12)) / len(values) - entropy + 0.02 < most + 0.02


def network(weights: NDArray[Any], bits: int = 8, zero_points: NDArray[np.int64] | None = None) -> Graph:
    """A convolution with these weights (32, 3, 3, 16)."""
    graph = conv(size=8, ic=16, oc=32, k=3)
    (layer,) = graph.layers
    changed = {"weights": weights, "weight_format": IntFormat(bits), "weight_zero_points": zero_points}
    return replace(graph, layers=(replace(layer, **changed),))  # type: ignore[arg-type]


def laplace(scale: float = 6.0, seed: int = 3, zeros: float = 0.0) -> NDArray[np.int8]:
    rng = np.random.default_rng(seed)
    drawn = np.clip(np.rint(rng.laplace(0, scale, (32, 3, 3, 16))), -127, 127)
    return np.where(rng.random(drawn.shape) < zeros, 0, drawn).astype(np.int8)


def mac_of(graph: Graph) -> MacLayer:
    (layer,) = graph.layers
    assert isinstance(layer, MacLayer)
    return layer


def asymmetric() -> Graph:
    rng = np.random.default_rng(8)
    zeros = rng.integers(90, 160, 32)
    codes = np.clip(zeros.reshape(-1, 1, 1, 1) + np.rint(rng.laplace(0, 5, (32, 3, 3, 16))), 0, 255)
    factors = (codes - zeros.reshape(-1, 1, 1, 1)).astype(np.int16)
    return network(factors, 9, zeros)


GRAPHS = {
    "laplace": network(laplace()),
    "sparse": network(laplace(zeros=0.95)),
    "levels": network((32 * np.random.default_rng(2).integers(-3, 4, (32, 3, 3, 16))).astype(np.int8)),
    "no zero": network(np.random.default_rng(2).choice([3, 40, 41], (32, 3, 3, 16)).astype(np.int8)),
    "zero points": asymmetric(),
    "zero": network(np.zeros((32, 3, 3, 16), np.int8)),
}


@pytest.mark.parametrize("name", sorted(GRAPHS))
@pytest.mark.parametrize("seed", range(5))
def test_tiles_are_as_long_as_their_codes_and_come_back(name: str, seed: int) -> None:
    layer = mac_of(GRAPHS[name])
    assert layer.weights is not None
    rng = np.random.default_rng(seed)
    ends = [sorted(rng.integers(0, n + 1, 2).tolist()) for n in layer.weights.shape]
    lo, hi = [[0] * 4, [a for a, _ in ends]], [list(layer.weights.shape), [b for _, b in ends]]
    boxes = Boxes(np.array(lo, np.int64), np.array(hi, np.int64))
    packets = packed_tiles(layer, boxes, EDGE.with_(RICE | {"dram.burst_bytes": 16}), held=boxes.volume)
    numbers, width = symbols_of(layer)
    levels = np.unique(layer.weights).tolist()
    few = len(levels) <= 32 and name != "zero points"
    at_zero = sum(level < 0 for level in levels)
    for i, (start, size) in enumerate(zip(packets.start.tolist(), packets.size.tolist(), strict=True)):
        box = slices(boxes, i)
        tile = layer.weights[box]
        code = rice_code(numbers[box].reshape(-1), width)
        found, _ = decode(code.tobytes(), tile.size, width)
        ranks = [signed(symbol) for symbol in found]
        assert ([levels[at_zero + rank] for rank in ranks] if few else ranks) == tile.reshape(-1).tolist()
        assert size == min(len(code), tile.size)
        assert start % 16 == 0
        assert np.array_equal(passed_through_code(layer, box, tile), tile)


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_no_cut_of_a_layer_is_shorter_than_the_least(name: str) -> None:
    """What the search's bounds take a layer's coded weights to need, however tiles are cut."""
    layer, arch = mac_of(GRAPHS[name]), EDGE.with_(RICE)
    assert layer.weights is not None
    for step in (1, 5, 16, 32):
        starts = np.arange(0, 32, step)
        lo = np.stack([starts, *[np.zeros_like(starts)] * 3], axis=1)
        hi = np.stack([np.minimum(starts + step, 32), *[np.full_like(starts, n) for n in (3, 3, 16)]], axis=1)
        size = int(packed_tiles(layer, Boxes(lo, hi), arch, held=Boxes(lo, hi).volume).size.sum())
        assert 8 * size >= least_code_bits(layer, slice(None), arch)
    parts = [least_code_bits(layer, slice(a, a + 8), arch) for a in range(0, 32, 8)]
    assert sum(parts) == least_code_bits(layer, slice(None), arch)
    if name == "laplace":
        assert least_code_bits(layer, slice(None), arch) > 0.7 * 8 * size


def ran(graph: Graph, arch: Arch = EDGE, **edits: Any) -> tuple[Program, Counter[str]]:
    machine = arch.with_(edits)
    program = build_program(graph, arch=machine, mappings=map_graph(graph, arch=machine))
    check_program(program)
    return program, Counter(count_actions(program).of_layer(0))


@pytest.mark.parametrize("edits", [{}, TREE], ids=["weight_stationary", "adder_tree"])
@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_fewer_bytes_and_the_same_values(name: str, edits: dict[str, Any]) -> None:
    graph = GRAPHS[name]
    plain, before = ran(graph, **edits)
    coded = build_program(graph, arch=plain.arch.with_(RICE), mappings=plain.mappings)
    check_program(coded)
    after = Counter(count_actions(coded).of_layer(0))
    loads = coded.of_engine(Engine.LOAD_WEIGHTS)
    assert (coded.extent == plain.extent).all()
    assert (coded.amount[loads] <= plain.amount[loads]).all()
    assert after["dram_read_weights"] < before["dram_read_weights"]
    share = coded_share(mac_of(graph), coded.arch)
    for count in ("weight_buffer_read", "weight_buffer_write"):
        assert before[count] * share <= after[count] < before[count] * share + 1
    assert after["weight_decode"] * 8 == before["weight_buffer_read"]
    assert after["array_load"] == before["array_load"]
    x = {"x": np.random.default_rng(3).integers(-128, 128, (1, 8, 8, 16)).astype(np.int8)}
    assert np.array_equal(run_program(coded, x, timeline=schedule(coded))["y"], WholeReader(graph).run(x)["y"])


def test_what_its_code_makes_longer_stays() -> None:
    """Even weights: no byte, cycle or picojoule differs, and a run says so."""
    graph = conv(size=8, ic=16, oc=32, k=3)
    assert not is_coded(mac_of(graph), EDGE.with_(RICE))
    (plain, before), (coded, after) = ran(graph), ran(graph, **RICE, **{"weight_buffer.decoders": 1})
    assert before == after
    assert plain.cycles.tolist() == coded.cycles.tolist()
    notes = accelsim.simulate(graph, arch=EDGE.with_(RICE)).notes
    assert any("its code makes no layer's weights shorter" in note for note in notes)


def test_decoders_bound_what_enters_the_array() -> None:
    """A tile holds the array at least as long as its weights take to be decoded; energies of operations add up to the layer's."""
    graph = GRAPHS["laplace"]
    slow, _ = ran(graph, **RICE, **{"weight_buffer.decoders": 1})
    mine = slow.of_engine(Engine.COMPUTE)
    assert (slow.cycles[mine] >= slow.weight_reads[mine]).all()
    free, _ = ran(graph, **RICE)
    assert slow.cycles[mine].sum() > free.cycles[free.of_engine(Engine.COMPUTE)].sum()
    table = table_of(slow.arch)
    timeline = schedule(slow)
    whole = layer_energy(slow, count_actions(slow), table, cycles=timeline.layer_cycles)[0]
    parts = operation_energy(slow, table)
    idle = sum(whole.components.get(name, 0.0) for name in ("clock", "leakage"))
    assert parts.sum() == pytest.approx(whole.total - idle)


def test_a_decoded_weight_costs_the_rows_of_a_shifter() -> None:
    """Codes of at most 15 + 8 bits: five rows of 23 full adders, by Horowitz's law of an adder; nothing where nothing is decoded."""
    graph, table = GRAPHS["laplace"], load_table("horowitz_45nm")
    width = symbols_of(mac_of(graph)).width
    assert width < 9
    energies = action_energies(graph.layers[0], graph=graph, arch=EDGE.with_(RICE), table=table)
    assert energies["weight_decode"] == pytest.approx(5 * (0.006452 + 0.0028226 * (15 + width)))
    assert action_energies(graph.layers[0], graph=graph, arch=EDGE, table=table)["weight_decode"] == 0


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=10)
def test_the_search_and_the_mapper_see_the_same_machine(seed: int) -> None:
    """The best tiling that is found of a layer is no worse than the mapper's, and ``evaluate`` sees its Program's cycles and energy."""
    rng = np.random.default_rng(seed)
    oc, ic = int(rng.integers(1, 20)), int(rng.integers(1, 20))
    graph = conv(size=int(rng.integers(3, 7)), ic=ic, oc=oc, k=3)
    (layer,) = graph.layers
    weights = np.clip(np.rint(rng.laplace(0, rng.choice([0.3, 4, 20]), (oc, 3, 3, ic))), -127, 127).astype(np.int8)
    graph = replace(graph, layers=(replace(layer, weights=weights),))  # type: ignore[call-arg]
    edits = RICE | {"dram.bandwidth_bytes_per_s": int(rng.choice([10**8, 10**9]))}
    edits |= {} if rng.random() < 0.5 else {"weight_buffer.decoders": int(rng.integers(1, 9))}
    arch = EDGE.with_(edits)
    table = accelsim.evaluate(graph, arch=EDGE, edits=[edits], objective="cycles")
    result = accelsim.simulate(graph, arch=arch, objective="cycles").total
    assert (int(table["cycles"][0]), float(table["energy_pj"][0])) == (result.cycles, pytest.approx(result.energy_pj))
    for objective in ("cycles", "energy"):
        found = search_graph(graph, arch=arch, objective=objective)
        chosen = map_graph(graph, arch=arch, objective=objective)
        programs = [build_program(graph, arch=arch, mappings=mappings) for mappings in (found, chosen)]
        times = [schedule(program).total_cycles for program in programs]
        spent = [
            layer_energy(p, count_actions(p), table_of(arch), cycles=schedule(p).layer_cycles)[0].total
            for p in programs
        ]
        best, default = times if objective == "cycles" else spent
        assert best <= default * (1 + 1e-12)


def test_two_codes_of_zeros_are_refused_and_so_is_padding() -> None:
    for edit in ({"dma.weight_compression": "zero_run_length"}, {"dma.whole_weight_tiles": True}):
        with pytest.raises(ConfigError, match=r"with weight_buffer\.coding of golomb_rice: expected"):
            EDGE.with_(RICE | edit)


def test_shapes_alone_stay_as_they_are_and_the_result_says_so() -> None:
    graph = conv(size=8, ic=16, oc=32, k=3)
    shapes = replace(
        graph,
        shape_only=True,
        layers=(replace(graph.layers[0], weights=None, bias=None, requant=None),),  # type: ignore[call-arg]
    )
    assert (ran(shapes)[0].amount == ran(shapes, **RICE)[0].amount).all()
    assert BLIND in accelsim.simulate(shapes, arch=EDGE.with_(RICE)).not_modelled
