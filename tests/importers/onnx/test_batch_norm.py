"""Batch normalization behind the sums of a quantized layer, as PyTorch exports its ConvBn2d, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from accelsim.errors import UnsupportedOperatorError
from accelsim.graph import Conv2D, Dense, DepthwiseConv2D, Layer
from accelsim.importers import load_graph
from accelsim.verification import names, verify
from tests.importers.onnx.qdq import IMAGE, Qdq
from tests.importers.onnx.runtime import differences, save

pytestmark = pytest.mark.oracle
CHANNELS = 6


class NormNet(Qdq):
    """A layer of random weights, the operators behind its sums, and a quantizer."""

    def __init__(self, seed: int) -> None:
        super().__init__([], is_chain=True)
        self.rng = np.random.default_rng(seed)

    def random(self, *shape: int, low: float = 0.5) -> str:
        return self.constant(self.rng.uniform(low, 2, shape), np.float32)

    def weights(self, *shape: int) -> str:
        """Codes per output channel; their scales are powers of two, so that float32 holds every sum."""
        scales = 2.0 ** self.rng.integers(-9, -6, shape[0])
        codes = self.constant(self.rng.integers(-64, 64, shape), np.int8)
        parameters = self.constant(scales, np.float32), self.constant(np.zeros(shape[0]), np.int8)
        return self.node("DequantizeLinear", codes, *parameters, axis=0)

    def norm(self, x: str) -> str:
        return self.node("BatchNormalization", x, *(self.random(CHANNELS) for _ in range(4)))

    def scaled(self, x: str, *trailing: int) -> str:
        """Divided by the scale that the weights were multiplied with, then a bias."""
        shape = (1, CHANNELS, *trailing)
        return self.node("Add", self.node("Div", x, self.random(*shape)), self.random(*shape, low=-1))


def conv(net: NormNet) -> str:
    return net.norm(net.scaled(net.node("Conv", net.start, net.weights(CHANNELS, 2, 3, 3)), 1, 1))


def depthwise(net: NormNet) -> str:
    weights, bias = net.weights(CHANNELS, 1, 5, 5), net.random(CHANNELS, low=-1)
    return net.norm(net.node("Conv", net.start, weights, bias, group=2))


def gemm(net: NormNet) -> str:
    rows = net.node("Flatten", net.node("MaxPool", net.start, kernel_shape=[8, 8], strides=[8, 8]))
    rows = net.requantized(rows)
    return net.norm(net.scaled(net.node("Gemm", rows, net.weights(CHANNELS, 50), net.random(CHANNELS), transB=1)))


def matmul(net: NormNet) -> str:
    rows = net.requantized(net.node("Flatten", net.node("GlobalMaxPool", net.start)))
    codes = net.constant(net.rng.integers(-64, 64, (2, CHANNELS)), np.int8)
    weights = net.node("DequantizeLinear", codes, net.constant(0.25, np.float32), net.constant(0, np.int8))
    return net.norm(net.node("MatMul", rows, weights))


BUILDS: dict[Callable[[NormNet], str], type[Layer]] = {
    conv: Conv2D,
    depthwise: DepthwiseConv2D,
    gemm: Dense,
    matmul: Dense,
}


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_codes_are_those_of_onnx_runtime(build: Callable[[NormNet], str], tmp_path: Path) -> None:
    """Exact with thresholds (finn); as one multiplier and a bias in whole sums, some codes are off, and the import says so."""
    net = NormNet(len(build.__name__))
    net.outputs = [net.requantized(net.node("Relu", build(net)), 0.03, -90)]
    model = net.model(codes=net.nodes[-2].output[0])
    feeds = [{"x": net.rng.uniform(-70, 60, IMAGE).astype(np.float32)} for _ in range(8)]
    graph = load_graph(save(model, tmp_path))
    (layer,) = (layer for layer in graph.layers if isinstance(layer, BUILDS[build]))
    assert any("folded into one multiplier and a bias" in text for text in graph.approximations[layer.name])
    wrong, compared = differences(model, feeds, tmp_path, optimize=False, arithmetic="finn")
    assert (wrong, compared > 40) == ({}, True)
    wrong, compared = differences(model, feeds, tmp_path, optimize=False)
    assert sum(wrong.values()) <= 0.02 * compared


def test_verify_tells_the_cause(tmp_path: Path) -> None:
    """What is off is off by the rounding of the bias, and by nothing else."""
    net = NormNet(4)
    net.outputs = [net.requantized(net.node("Relu", conv(net)), 0.03, -90)]
    feeds = {"x": net.rng.uniform(-70, 60, (4, *IMAGE[1:])).astype(np.float32)}
    report = verify(net.save(tmp_path), arch="edge_16x16", inputs=feeds, oracle="onnxruntime")
    assert set(report.causes()) == {names.BIAS_ROUNDING}


def test_what_stands_between_must_be_constant(tmp_path: Path) -> None:
    """A sum of two activations before the normalization is no scale and shift of one layer's sums."""
    net = NormNet(1)
    sums = net.node("Conv", net.start, net.weights(CHANNELS, 2, 1, 1))
    net.outputs = [net.requantized(net.norm(net.node("Add", sums, net.start)))]
    with pytest.raises(UnsupportedOperatorError, match="Add .*is the float result of a Conv, not quantized"):
        load_graph(net.save(tmp_path))


@pytest.mark.parametrize("channels", [1, 5, 320])
def test_behind_a_quantizer_it_is_a_table_for_each_channel(channels: int, tmp_path: Path) -> None:
    """As ONNX Runtime's quantizer leaves it where nothing stands before it that it could be folded into; more channels than codes too."""
    net = NormNet(channels)
    turned = net.node("Reshape", net.start, net.constant([1, channels, -1, 2], np.int64))
    parameters = [net.random(channels) for _ in range(4)]
    codes = net.constant(net.rng.integers(1, 128, channels), np.int8)
    parameters[0] = net.node("DequantizeLinear", codes, net.constant(0.01, np.float32), net.constant(0, np.int8))
    y = net.node("BatchNormalization", net.requantized(turned), *parameters, epsilon=1e-3)
    net.outputs = [net.requantized(net.node("Relu", y) if channels == 5 else y, 0.21, -7)]
    model = net.model(codes=net.nodes[-2].output[0])
    feeds = [{"x": net.rng.uniform(-70, 60, IMAGE).astype(np.float32)} for _ in range(2)]
    wrong, compared = differences(model, feeds, tmp_path)
    assert (wrong, compared) == ({}, 2 * 3200)
