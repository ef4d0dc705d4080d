"""Which formats the tape takes, which it leaves to single layers, and that the codes are those of plain integers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.execute import WholeReader
from accelsim.execute.tape import TapeWriter
from accelsim.graph import Graph
from accelsim.mapper import map_graph
from accelsim.numerics import BIPOLAR, INT8, IntFormat, Thresholds
from accelsim.simulation import run
from tests.mixed_formats import codes_of, mixed_input, sign, values_by_definition
from tests.networks import conv, dense

EDGE = load_arch("edge_16x16")
SIGN = sign(8, np.random.default_rng(3), 40)


def graph_of(weights: IntFormat, activations: IntFormat, *, requant: Thresholds | None = None) -> Graph:
    """A convolution with padding-free geometry; its output is int8, or bipolar behind thresholds."""
    graph = conv(size=6, ic=3, oc=8)
    layer = graph.layers[0]
    codes = codes_of(np.random.default_rng(5), layer.geometry.weight_shape, weights)
    layer = replace(layer, weights=codes, weight_format=weights, requant=requant or layer.requant)
    formats = {"x": activations, "y": INT8 if requant is None else BIPOLAR}
    tensors = {name: replace(tensor, format=formats[name]) for name, tensor in graph.tensors.items()}
    return replace(graph, layers=(layer,), tensors=tensors)


@pytest.mark.parametrize(
    ("weights", "activations", "taped"),
    [
        (BIPOLAR, BIPOLAR, True),
        (BIPOLAR, INT8, True),
        (IntFormat(2), IntFormat(1, signed=False), True),
        (IntFormat(1), IntFormat(15, signed=False), True),
        (IntFormat(9), IntFormat(16), True),
        (IntFormat(16), IntFormat(16), False),  # sums leave 32 bits
        (IntFormat(16, signed=False), IntFormat(3), False),  # weights leave int16
        (IntFormat(3), IntFormat(16, signed=False), False),  # codes leave int16
    ],
    ids=str,
)
def test_formats_on_the_tape_and_beside_it(weights: IntFormat, activations: IntFormat, taped: bool) -> None:
    graph = graph_of(weights, activations)
    record = TapeWriter(graph, dict.fromkeys(graph.tensors, 0), None).record(graph.layers[0])
    assert (record is not None) == taped
    if (weights.bits, activations.bits) == (16, 16):
        return  # this requantization takes 32-bit sums only
    check(graph)


def check(graph: Graph) -> None:
    """Both readers against plain integers."""
    program = build_program(graph, arch=EDGE, mappings=map_graph(graph, arch=EDGE))
    for seed in range(3):
        inputs = mixed_input(np.random.default_rng(seed), graph)
        expected = values_by_definition(program, inputs)["y"]
        np.testing.assert_array_equal(WholeReader(graph).run(inputs)["y"], expected)
        simulated = run(graph, arch=EDGE, inputs={"x": inputs["x"]}).tensors["y"]
        np.testing.assert_array_equal(simulated, expected)


def test_thresholds_to_signs_run_on_the_tape() -> None:
    graph = graph_of(BIPOLAR, BIPOLAR, requant=SIGN)
    assert TapeWriter(graph, dict.fromkeys(graph.tensors, 0), None).record(graph.layers[0]) is not None
    check(graph)


@pytest.mark.parametrize(("policy", "least"), [("saturate", -2048), ("saturate_symmetric", -2047), ("wrap", None)])
def test_a_policy_in_yaml_reaches_the_sums(tmp_path: Path, policy: str, least: int | None) -> None:
    """All products are -127 * 127; the lowest sum of a 12-bit accumulator shows in the code, sum / 2^4."""
    text = EDGE.with_({"accumulator.bits": 12, "accumulator.overflow": policy}).to_yaml()
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    graph = dense(k=16, units=4)
    layer = graph.layers[0]
    levels = np.arange(-2047, -2039)[None]  # code: how far above -2048
    requant = Thresholds(levels=levels, start=np.array([0]), step=np.array([1]))
    weights = np.full_like(layer.weights, -127)
    graph = replace(graph, layers=(replace(layer, weights=weights, bias=None, requant=requant),))
    x = np.full(graph.tensors["x"].shape, 127, np.int8)
    made = run(graph, arch=tmp_path / "m.yaml", inputs={"x": x}).tensors["y"]
    wrapped = (-127 * 127 * 16 + 2048) % 4096 - 2048
    assert set(made.ravel().tolist()) == {min(8, max(0, (wrapped if least is None else least) + 2048))}
