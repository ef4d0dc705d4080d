"""Networks of every operator, built by hand, against qonnx: all scales powers of two, no element may differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from accelsim.importers import load_graph
from tests.importers.onnx.runtime import save
from tests.importers.qonnx.models import Net
from tests.importers.qonnx.oracle import differences, needs_qonnx

pytestmark = needs_qonnx
IMAGE = (1, 4, 9, 8)


def convolutions(net: Net) -> str:
    """Bias, rectifier, per-channel scales, batch normalization with both signs of gain."""
    x = net.quant("x", 0.0625, bits=8, narrow=1)
    scales = np.array([0.125, 0.25, 0.5, 0.125, 0.0625, 1.0]).reshape(6, 1, 1, 1)
    bias = net.quant(net.constant(net.dyadic(6)), 2.0**-7, bits=8)
    y = net.node("Conv", x, net.weights((6, 4, 3, 3), 4, scales), bias, pads=[1, 1, 1, 1])
    x = net.quant(net.node("Relu", y), 0.25, bits=3, signed=0)
    y = net.node("Conv", x, net.weights((6, 1, 3, 3), 2), group=6, strides=[2, 2])
    parameters = [net.dyadic(6), net.dyadic(6), net.dyadic(6), np.abs(net.dyadic(6))]
    y = net.node("BatchNormalization", y, *map(net.constant, parameters))
    x = net.quant(y, 0.125, bits=5)
    return net.quant(net.node("Conv", x, net.weights((5, 6, 1, 1), 8)), 0.25, bits=11)


def chains(net: Net) -> str:
    """Constants by channel and for all, in every operator."""
    x = net.quant("x", 0.125, zero=3.0, bits=6, signed=0)
    y = net.node("Conv", x, net.weights((5, 4, 2, 2), 3, 0.25))
    y = net.node("Mul", y, net.constant(net.dyadic(1, 5, 1, 1)))
    y = net.node("Sub", net.constant(net.dyadic(5, 1, 1)), y)
    y = net.node("Div", net.node("Add", y, net.constant(0.375)), net.constant(4.0))
    y = net.node("Clip", y, net.constant(-1.5), net.constant(2.0))
    x = net.quant(y, 0.125, bits=5, narrow=1, mode="HALF_UP")
    y = net.node("Mul", x, net.constant(net.dyadic(1, 5, 1, 1)))
    return net.quant(net.node("Add", y, net.constant(0.25)), 0.5, zero=1.0, bits=4, mode="FLOOR")


def elementwise(net: Net) -> str:
    """Sum and product of two tensors, concatenation, a pool, a table."""
    x = net.quant("x", 0.125, bits=6)
    a = net.quant(net.node("Conv", x, net.weights((4, 4, 1, 1), 4)), 0.25, bits=4)
    b = net.quant(net.node("Add", a, x), 0.25, bits=5, mode="CEIL")
    c = net.quant(net.node("Relu", net.node("Mul", a, b)), 0.5, bits=4, signed=0)
    d = net.quant(net.node("Relu", x), 0.5, bits=4, signed=0)
    both = net.node("Concat", c, d, axis=1)
    return net.node("MaxPool", both, kernel_shape=[2, 2], strides=[2, 2])


def binary(net: Net) -> str:
    """Weights and activations of -1 and +1."""
    x = net.quant("x", 0.125, bits=8)
    weights = net.bipolar(net.constant(net.dyadic(8, 4, 3, 3)), 0.5)
    x = net.bipolar(net.node("Conv", x, weights), 1.0)
    flat = net.node("Flatten", x, axis=1)
    matrix = net.node("Transpose", net.bipolar(net.constant(net.dyadic(10, 8 * 7 * 6)), 0.25), perm=[1, 0])
    return net.quant(net.node("MatMul", flat, matrix), 1.0, bits=8)


def pools(net: Net) -> str:
    """Means, truncated and quantized, then a dense layer with 16-bit results."""
    x = net.quant("x", 0.125, bits=4, signed=0)
    y = net.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    y = net.trunc(net.node("Mul", y, net.constant(4.0)), 0.125, 6, 4)
    y = net.quant(net.node("AveragePool", y, kernel_shape=[2, 2]), 0.25, bits=4, signed=0)
    y = net.quant(net.node("GlobalAveragePool", y), 0.0625, bits=8, signed=0)
    y = net.node("Gemm", net.node("Flatten", y), net.weights((7, 4), 5), net.constant(net.dyadic(7)), transB=1)
    return net.quant(y, 2.0**-8, bits=16)


@pytest.mark.parametrize("build", [convolutions, chains, elementwise, binary, pools])
def test_no_element_differs(build: Callable[[Net], str], tmp_path: Path) -> None:
    net = Net(3, IMAGE)
    path = save(net.model(build(net)), tmp_path)
    graph = load_graph(path)
    images = np.random.default_rng(4).normal(0, 2, (12, *IMAGE)).astype(np.float32)
    wrong, compared = differences(path, graph, {"x": images})
    assert not wrong, (wrong, compared)
    assert compared > 2_000
