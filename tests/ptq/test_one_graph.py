"""One network, one Graph: neither the dialect of a file nor the widths of its codes change what is computed where."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim import simulate
from accelsim.arch import load_arch
from accelsim.graph import Graph, MacLayer, Outcome
from accelsim.importers import resolve_model
from accelsim.ptq import Settings, quantize_network
from tests.ptq.networks import Net

QUANTIZERS = ("Quant", "QuantizeLinear")
PRESETS = ("edge_16x16", "tpu_v1")
QDQ_WIDTHS = ((8, 8), (4, 4), (4, 8), (16, 8), (8, 16))
OTHER_WIDTHS = ((1, 1), (1, 2), (2, 4), (3, 3), (5, 6), (7, 8), (12, 8))
SHAPE = (1, 4, 6, 6)
DIGITS = Path(resolve_model("digits_float"))


def quantized(path: Path, dialect: str | None, widths: tuple[int, int], shape: tuple[int, ...] = SHAPE) -> Graph:
    """The Graph of the file, every operator of which takes the shapes that it is given, by onnx's own rules."""
    x = np.random.default_rng(1).normal(0, 1, (3, *shape)).astype(np.float32)
    chosen = Settings(weights=widths[0], acts=widths[1], per_channel=True)
    with np.errstate(all="ignore"):  # onnx's Elu and Sigmoid compute branches that they do not take
        made = quantize_network(path, {"input": x}, settings=chosen, dialect=dialect)  # type: ignore[arg-type]
    if made.dialect == "qdq":
        onnx.shape_inference.infer_shapes(made.model, strict_mode=True)
    return made.graph


def what(graph: Graph) -> list[tuple[object, ...]]:
    """Every layer: kind, operator of the network, shapes, MACs; and which layers feed it."""
    made_by = {layer.output: i for i, layer in enumerate(graph.layers)}
    return [
        (
            type(layer).__name__,
            getattr(layer, "source_operator", layer.operator),
            layer.input_shapes,
            layer.output_shape,
            layer.macs,
            [made_by.get(name) for name in layer.inputs],
        )
        for layer in graph.layers
    ]


def origins(graph: Graph) -> list[tuple[str, int]]:
    """What the float network calls the result of each operator that became layers, and their number."""
    made = [each for each in graph.source if each.operator not in QUANTIZERS and each.outcome is Outcome.LAYER]
    return [(each.output.removesuffix("/product").removesuffix("/float"), len(each.layers)) for each in made]


def cycles(graph: Graph) -> list[list[int]]:
    """Of every layer on every preset: a slot of tpu_v1's FIFO holds a tile of 8 bits a weight, of its halves one of 16 too."""
    wide = (
        max(
            layer.weight_format.bits
            for layer in graph.layers
            if isinstance(layer, MacLayer) and layer.weights is not None
        )
        > 8
    )
    edits = {"tpu_v1": {"weight_buffer.slots": 2}} if wide else {}
    archs = [load_arch(name, edits=edits.get(name)) for name in PRESETS]
    return [[layer.cycles for layer in simulate(graph, arch=arch).layers] for arch in archs]


class Drawn:
    """A small network, operator after operator; ``wide`` where it holds none that codes of 16 bits are refused for."""

    def __init__(self, draw: Callable[..., Any]) -> None:
        self.net, self.draw = Net(draw(st.integers(0, 99)), SHAPE), draw
        self.channels, self.wide = SHAPE[1], True

    def conv(self, x: str) -> str:
        oc, k = self.draw(st.integers(1, 6)), self.draw(st.sampled_from([1, 3]))
        y = self.net.node("Conv", x, self.net.normal(oc, self.channels, k, k), self.net.normal(oc), pads=[k // 2] * 4)
        self.channels = oc
        return y

    def depthwise(self, x: str) -> str:
        weights = self.net.normal(self.channels, 1, 3, 3)
        return self.net.node("Conv", x, weights, pads=[1] * 4, group=self.channels)

    def average(self, x: str) -> str:
        include = self.draw(st.integers(0, 1))
        return self.net.node("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=include)

    def maximum(self, x: str) -> str:
        return self.net.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4)

    def relu(self, x: str) -> str:
        return self.net.node("Relu", x)

    def clip(self, x: str) -> str:
        return self.net.node("Clip", x, self.net.constant(0), self.net.constant(1.5))

    def function(self, x: str) -> str:
        return self.net.node(self.draw(st.sampled_from(["Sigmoid", "Tanh", "Elu", "LeakyRelu"])), x)

    def branch(self, x: str) -> str:
        """The network and one step beside it, joined."""
        op, same = (
            self.draw(st.sampled_from(["Add", "Mul", "Sub"])),
            self.net.normal(self.channels, self.channels, 1, 1),
        )
        self.wide = self.wide and op != "Sub"
        return self.net.node(op, self.net.node("Conv", x, same), x)

    def concat(self, x: str) -> str:
        other = self.net.node("Conv", x, self.net.normal(2, self.channels, 1, 1))
        self.channels += 2
        return self.net.node("Concat", x, other, axis=1)

    def gate(self, x: str) -> str:
        return self.net.node("Mul", x, self.net.node("Sigmoid", self.net.node("GlobalAveragePool", x)))

    def head(self, x: str, kind: str) -> str:
        node, net, c = self.net.node, self.net, self.channels
        if kind == "rows":
            rows = node("Reshape", x, net.constant([1, 6 * c, 6], np.int64))
            return node("Add", node("MatMul", rows, net.normal(6, 5)), net.normal(5))
        if kind == "mean":
            return node("MatMul", node("ReduceMean", x, axes=[2, 3], keepdims=0), net.normal(c, 3))
        if kind == "flat":
            return node("Gemm", node("Flatten", x), net.normal(36 * c, 3, size=0.05))
        mean = node("Flatten", node("GlobalAveragePool", x))
        if kind == "none":
            return mean
        if kind == "gemm":
            return node("Gemm", mean, net.normal(5, c), net.normal(5), transB=1)
        return node("Add", node("MatMul", mean, net.normal(c, 5)), net.normal(5))


HEADS = ("gemm", "matmul", "mean", "rows", "flat", "none")
STEPS = ("conv", "depthwise", "average", "maximum", "relu", "clip", "function", "branch", "concat", "gate")


@st.composite
def networks(draw: Callable[..., Any]) -> tuple[onnx.ModelProto, bool]:
    drawn = Drawn(draw)
    x = drawn.conv("x")
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=4)):
        x = getattr(drawn, step)(x)
    return drawn.net.model(drawn.head(x, draw(st.sampled_from(HEADS)))), drawn.wide


@given(network=networks(), qdq=st.sampled_from(QDQ_WIDTHS), other=st.sampled_from(OTHER_WIDTHS))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_dialect_and_widths_change_no_layer(
    network: tuple[onnx.ModelProto, bool], qdq: tuple[int, int], other: tuple[int, int], tmp_path: Path
) -> None:
    model, wide = network
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    if not wide:
        qdq = qdq[0], min(qdq[1], 8)
    first, second = (quantized(path, dialect, qdq) for dialect in ("qdq", "qonnx"))
    assert what(first) == what(second)
    assert origins(first) == origins(second)
    assert cycles(first) == cycles(second)
    assert places(quantized(path, None, other)) == places(first)


@pytest.mark.parametrize("head", HEADS)
def test_every_end_of_a_network_is_one_graph(head: str, tmp_path: Path) -> None:
    drawn, path = Drawn(lambda _: 1), tmp_path / "net.onnx"
    onnx.save(drawn.net.model(drawn.head(drawn.conv("x"), head)), path)
    first, second = (quantized(path, dialect, (8, 8)) for dialect in ("qdq", "qonnx"))
    assert what(first) == what(second)
    assert origins(first) == origins(second)


def places(graph: Graph) -> list[tuple[object, ...]]:
    """What no width changes: a sum or product of two tensors is a table up to 8 bits, and integers above."""
    return [tuple(part for i, part in enumerate(layer) if i) for layer in what(graph)]


@cache
def digits(dialect: str | None, widths: tuple[int, int]) -> Graph:
    return quantized(DIGITS, dialect, widths, (1, 1, 8, 8))


@pytest.mark.parametrize("widths", QDQ_WIDTHS, ids=str)
def test_the_digits_network_is_one_graph(widths: tuple[int, int]) -> None:
    first, second = digits("qdq", widths), digits("qonnx", widths)
    assert what(first) == what(second)
    assert origins(first) == origins(second)
    assert cycles(first) == cycles(second)


def test_a_sweep_over_widths_keeps_every_layer() -> None:
    """``auto`` changes the dialect among these widths, and nothing else."""
    graphs = [digits(None, widths) for widths in ((8, 8), *OTHER_WIDTHS, (4, 4))]
    assert {graph.arithmetic for graph in graphs} == {"onnxruntime", "finn"}
    assert all(what(graph) == what(graphs[0]) for graph in graphs)
    assert {graph.layers[-1].macs for graph in graphs} == {320}
    assert sum(layer.macs for layer in graphs[0].layers) == 198_976
