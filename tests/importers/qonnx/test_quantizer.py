"""Quant by its definition, in every rounding mode, and what is said of malformed nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from accelsim.errors import ModelError
from accelsim.graph import MacLayer
from accelsim.importers import load_graph
from accelsim.numerics import BIPOLAR, IntFormat, Thresholds
from tests.importers.onnx.runtime import run_graph, save
from tests.importers.qonnx.models import Net

HALF = Fraction(1, 2)
DEFINITIONS: dict[str, Callable[[Fraction], int]] = {
    "ROUND": round,
    "HALF_EVEN": round,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
    "UP": lambda x: math.ceil(x) if x > 0 else math.floor(x),
    "DOWN": math.trunc,
    "HALF_UP": lambda x: math.floor(x + HALF) if x > 0 else math.ceil(x - HALF),
    "HALF_DOWN": lambda x: math.ceil(x - HALF) if x > 0 else math.floor(x + HALF),
}


@pytest.mark.parametrize("mode", DEFINITIONS)
@pytest.mark.parametrize(("bits", "signed", "narrow"), [(3, 1, 0), (3, 1, 1), (4, 0, 0), (4, 0, 1)])
def test_every_rounding_mode_is_its_definition(mode: str, bits: int, signed: int, narrow: int, tmp_path: Path) -> None:
    net = Net(1, (1, 256))
    x = net.quant("x", 0.125, bits=8)
    path = save(net.model(net.quant(x, 0.5, zero=1.0, bits=bits, signed=signed, narrow=narrow, mode=mode)), tmp_path)
    real = np.arange(-128, 128, dtype=np.float32)[None] / 8
    low = -(2 ** (bits - 1)) + narrow if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    codes = [DEFINITIONS[mode](min(max(Fraction(float(v)) * 2 + 1, low), high)) for v in real[0]]
    graph = load_graph(path)
    made = run_graph(graph, {"x": real})[graph.outputs[0].tensor]
    assert made[0].tolist() == codes


def small(**given: object) -> Net:
    net = Net(2, (1, 8))
    x = net.quant("x", 0.125)
    net.last = net.quant(x, **{"scale": 0.5, "bits": 4, **given})
    return net


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bits": 3.5}, "bitwidth is 3.5"),
        ({"bits": 17}, "bitwidth is 17"),
        ({"bits": [4, 4]}, "bitwidth has shape"),
        ({"scale": 0.0}, "positive scales"),
        ({"scale": [0.5, 0.25]}, r"scale has shape \[2\]"),
        ({"scale": np.linspace(1, 2, 8)}, "8 scales differ by channel"),
        ({"scale": np.nan}, "finite numbers"),
        ({"zero": 0.5}, "whole numbers"),
        ({"zero": 100.0}, "is no int4"),
        ({"mode": "NEAREST"}, "rounding_mode is 'NEAREST'"),
        ({"signed": 2}, "signed is 2"),
    ],
)
def test_malformed_parameters_are_refused(given: dict[str, object], message: str, tmp_path: Path) -> None:
    net = small(**given)
    with pytest.raises(ModelError, match=message) as caught:
        load_graph(save(net.model(net.last), tmp_path))
    assert "node" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("first", "codes"),
    [
        (lambda net: net.quant("x", 0.5, mode="HALF_DOWN"), "int8 with rounding HALF_DOWN"),
        (lambda net: net.bipolar("x", 0.5), "bipolar"),
    ],
)
def test_a_graph_input_that_no_host_quantizes_is_refused(
    first: Callable[[Net], str], codes: str, tmp_path: Path
) -> None:
    net = Net(2, (1, 8))
    path = save(net.model(net.quant(first(net), 1.0)), tmp_path)
    with pytest.raises(ModelError, match=f"it quantizes a graph input to {codes}.*; accepted: two or more levels"):
        load_graph(path)


def test_a_quant_without_bitwidth_is_refused(tmp_path: Path) -> None:
    net = Net(2, (1, 8))
    scale, zero = net.constant(1.0), net.constant(0.0)
    path = save(net.model(net.node("Quant", "x", scale, zero, domain=net.domain)), tmp_path)
    with pytest.raises(ModelError, match="it has 3 inputs; accepted: x, scale, zeropt, bitwidth"):
        load_graph(path)


@pytest.mark.parametrize("domain", ["qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"])
def test_every_domain_is_read(domain: str, tmp_path: Path) -> None:
    net = Net(2, (1, 8), domain)
    path = save(net.model(net.bipolar(net.node("MatMul", net.quant("x", 1.0), net.weights((8, 5), 3)), 0.5)), tmp_path)
    graph = load_graph(path)
    (layer,) = (layer for layer in graph.layers if isinstance(layer, MacLayer))
    assert isinstance(layer.requant, Thresholds)
    assert layer.weight_format == IntFormat(3)
    assert graph.tensors[layer.output].format == BIPOLAR


def test_another_arithmetic_names_its_approximations(tmp_path: Path) -> None:
    net = Net(2, (1, 8))
    y = net.node("MatMul", net.quant("x", 0.25), net.weights((8, 5), 4))
    y = net.node("Add", net.node("Mul", y, net.constant([0.3, 0.5, 0.7, 1.1, 1.3])), net.constant(0.1))
    path = save(net.model(net.quant(net.node("Relu", y), 0.25, bits=8)), tmp_path)
    exact, near = load_graph(path), load_graph(path, arithmetic="tflite-micro")
    assert not exact.approximations
    said = " ".join(text for texts in near.approximations.values() for text in texts)
    assert "bias is rounded" in said
    assert "folded into one multiplier" in said
    rng = np.random.default_rng(3)
    for _ in range(20):
        x = rng.normal(0, 4, (1, 8)).astype(np.float32)
        a, b = (run_graph(graph, {"x": x})[graph.outputs[0].tensor].astype(int) for graph in (exact, near))
        assert np.abs(a - b).max() <= 1


def test_a_float_operand_of_a_sum_is_refused(tmp_path: Path) -> None:
    net = Net(2, (1, 8))
    x = net.quant("x", 0.25)
    y = net.node("MatMul", x, net.weights((8, 8), 4))
    with pytest.raises(ModelError, match="a Quant after each of its operands"):
        load_graph(save(net.model(net.quant(net.node("Add", x, y), 0.5)), tmp_path))
