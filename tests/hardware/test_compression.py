"""Zero run-length coding: an encoder and a decoder, whose lengths the closed form must give."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.energy import count_actions
from accelsim.execute import WholeReader, run_program
from accelsim.graph import Boxes, Conv2D, Graph, MacGeometry, MacLayer
from accelsim.hardware import Engine, packed_tiles
from accelsim.mapper import map_graph
from accelsim.numerics import IntFormat
from accelsim.program import Program, check_program
from accelsim.result.summary import BLIND
from accelsim.simulation import simulate
from accelsim.timing import schedule
from tests.networks import chain, conv, single
from tests.windows import slices

CODED = {"dma.weight_compression": "zero_run_length"}
EDGE = load_arch("edge_16x16")


def encode(values: list[int], *, bits: int, run_bits: int) -> str:
    """Bits of a coded tile: the flag (1: pairs), then pairs of run and two's-complement weight, or the plain weights."""
    longest, pairs, zeros = 2**run_bits - 1, "", 0
    for value in values:
        if value == 0 and zeros < longest:
            zeros += 1
        else:  # a weight, or the zero that ends the longest run
            pairs += f"{zeros:0{run_bits}b}{value % 2**bits:0{bits}b}"
            zeros = 0
    # a run that ended the tile, and zero weights that only continued it, need no pair
    while pairs and int(pairs[-bits:], 2) == 0:
        pairs = pairs[: -run_bits - bits]
    plain = "".join(f"{value % 2**bits:0{bits}b}" for value in values)
    return "1" + pairs if len(pairs) < len(plain) else "0" + plain


def decode(text: str, count: int, *, bits: int, run_bits: int) -> list[int]:
    """``count`` weights."""
    coded, text, found = text[0] == "1", text[1:], list[int]()
    step = (run_bits if coded else 0) + bits
    for at in range(0, len(text), step):
        pair = text[at : at + step]
        found += [0] * (int(pair[:run_bits], 2) if coded else 0)
        code = int(pair[-bits:], 2)
        found.append(code - 2**bits if code >= 2 ** (bits - 1) else code)
    return found + [0] * (count - len(found))


@st.composite
def tensors(draw: st.DrawFn) -> tuple[NDArray[np.int64], int, int]:
    bits, run_bits = draw(st.integers(2, 12)), draw(st.integers(1, 6))
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dense = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape)
    return np.where(rng.random(shape) < draw(st.sampled_from([0, 0.1, 0.5, 0.9, 0.99, 1])), 0, dense), bits, run_bits


def layer_of(weights: NDArray[np.int64], bits: int) -> MacLayer:
    """A convolution with these weights."""
    oc, kh, kw, ic = weights.shape
    (layer,) = single(Conv2D, MacGeometry(n=1, ih=kh, iw=kw, ic=ic, oh=1, ow=1, oc=oc, kh=kh, kw=kw)).layers
    return replace(layer, weights=weights, weight_format=IntFormat(bits))  # type: ignore[call-arg, return-value]


@given(tensors(), st.data())
@settings(max_examples=200, deadline=None)
def test_lengths_are_those_of_a_code_that_can_be_read_back(
    drawn: tuple[NDArray[np.int64], int, int], data: st.DataObject
) -> None:
    weights, bits, run_bits = drawn
    ends = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in weights.shape]
    corners = [[0, 0, 0, 0], [a for a, _ in ends]], [list(weights.shape), [b for _, b in ends]]
    boxes = Boxes(*(np.array(c + c[:1], dtype=np.int64) for c in corners))
    packets = packed_tiles(
        layer_of(weights, bits),
        boxes,
        EDGE.with_(CODED | {"dma.zero_run_bits": run_bits, "dram.burst_bytes": 16}),
        held=boxes.volume,
    )
    for i, (start, size) in enumerate(zip(packets.start.tolist(), packets.size.tolist(), strict=True)):
        values = weights[slices(boxes, i)].ravel().tolist()
        text = encode(values, bits=bits, run_bits=run_bits)
        assert decode(text, len(values), bits=bits, run_bits=run_bits) == values
        assert size == -(-len(text) // 8)
        assert size <= -(-(len(values) * bits + 1) // 8)
        assert start % 16 == 0
    assert packets.start[0] == packets.start[2]  # the same tile stands in one place
    spans = sorted({(int(s), int(s + n)) for s, n in zip(packets.start, packets.size, strict=True)})
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def sparse(graph: Graph, density: float) -> Graph:
    """``graph`` with most weights 0."""
    rng = np.random.default_rng(5)
    layers = tuple(
        replace(layer, weights=np.where(rng.random(layer.weights.shape) < density, layer.weights, 0).astype(np.int8))
        for layer in graph.layers
    )
    return replace(graph, layers=layers)


def built(graph: Graph, **edits: Any) -> Program:
    arch = EDGE.with_(edits)
    return build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))


def test_sparse_weights_take_less_of_the_port_and_fill_the_buffer_as_before() -> None:
    graph = sparse(chain(), 0.1)
    slow = {"dram.bandwidth_bytes_per_s": 500_000_000}
    plain = built(graph, **slow)
    coded = build_program(graph, arch=plain.arch.with_(CODED), mappings=plain.mappings)
    check_program(coded)
    weights = coded.of_engine(Engine.LOAD_WEIGHTS)
    assert (coded.extent == plain.extent).all()
    assert (coded.amount[weights] < plain.amount[weights]).all()
    assert (coded.amount[~weights] == plain.amount[~weights]).all()
    assert schedule(coded).total_cycles < schedule(plain).total_cycles
    before, after = count_actions(plain), count_actions(coded)
    assert (before.weight_buffer_write == after.weight_buffer_write).all()
    assert (before.dram_read > after.dram_read).all()


def test_the_mapper_knows_the_size_of_coded_weights() -> None:
    """At a slow port its tiles of a sparse layer take fewer cycles than those that it chooses for a dense one."""
    graph = sparse(conv(size=14, ic=64, oc=128, k=3), 0.05)
    arch = EDGE.with_({"dram.bandwidth_bytes_per_s": 10**9, **CODED})
    plain = arch.with_({"dma.weight_compression": None})
    own, others = (
        schedule(build_program(graph, arch=arch, mappings=map_graph(graph, arch=machine, objective="cycles")))
        for machine in (arch, plain)
    )
    assert own.total_cycles < 0.97 * others.total_cycles


def test_the_width_of_a_run_matters_where_weights_are_sparse() -> None:
    """Law 7 for ``dma.zero_run_bits``."""
    graph = sparse(chain(), 0.1)
    sizes = [count_actions(built(graph, **CODED, **{"dma.zero_run_bits": n})).dram_read.sum() for n in (1, 4, 16)]
    assert len(set(sizes)) == 3
    assert min(sizes) == sizes[1]


def test_values_do_not_change() -> None:
    graph = sparse(chain(), 0.2)
    inputs = {
        p.tensor: np.arange(graph.tensors[p.tensor].elements, dtype=np.int8).reshape(graph.tensors[p.tensor].shape)
        for p in graph.inputs
    }
    program = built(graph, **CODED)
    values = run_program(program, inputs)
    want = WholeReader(graph).run(inputs)
    assert all((values[p.tensor] == want[p.tensor]).all() for p in graph.outputs)


def test_shapes_alone_stay_as_they_are_and_the_result_says_so() -> None:
    graph = chain()
    shapes = replace(
        graph,
        shape_only=True,
        layers=tuple(replace(layer, weights=None, bias=None, requant=None) for layer in graph.layers),
    )
    plain, coded = built(shapes), built(shapes, **CODED)
    assert (plain.amount == coded.amount).all()
    assert BLIND in simulate(shapes, arch=EDGE.with_(CODED)).not_modelled
    assert BLIND not in simulate(graph, arch=EDGE.with_(CODED)).not_modelled
