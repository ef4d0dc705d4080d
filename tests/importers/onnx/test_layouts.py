"""Images of one row, and images with their channels last, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.graph import Transpose
from accelsim.importers import load_graph
from tests.importers.onnx.building import Building, differing
from tests.importers.onnx.runtime import save

WINDOWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "strided": {"strides": [2], "pads": [2, 1]},
    "dilated": {"dilations": [2], "pads": [1, 3]},
    "same": {"auto_pad": "SAME_LOWER", "strides": [2]},
}


def qlinear_conv(
    b: Building, x: str, of: tuple[str, str], w: np.ndarray, to: tuple[str, str], **attributes: Any
) -> str:
    scales, zeros = (
        b.constant(b.rng.uniform(0.002, 0.01, len(w)).astype(np.float32)),
        b.constant(np.zeros(len(w), w.dtype)),
    )
    bias = b.constant(b.rng.integers(-2000, 2000, len(w)).astype(np.int32))
    return b.node("QLinearConv", x, *of, b.constant(w), scales, zeros, *to, bias, **attributes)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolutions_of_one_row_in_qdq(window: str, groups: int, tmp_path: Path) -> None:
    b = Building(np.random.default_rng(groups))
    x = b.real(2, 4, 17)
    y = b.node("Conv", x, b.weights(8, 4 // groups, 3, axis=0), group=groups, **WINDOWS[window])
    y = b.requantized(b.node("Relu", y), 0.05)
    y = b.requantized(b.node("Conv", y, b.weights(4, 8, 2)), 0.08)
    y = b.requantized(b.node("MaxPool", y, kernel_shape=[3], **WINDOWS["strided"]))
    b.requantized(
        b.node("ConvTranspose", y, b.weights(4, 3, 3), strides=[2], output_padding=[1], kernel_shape=[3]), 0.03
    )
    b.requantized(b.node("GlobalMaxPool", y))
    b.requantized(b.node("GlobalAveragePool", y))
    b.requantized(b.node("AveragePool", y, kernel_shape=[2], pads=[1, 1], count_include_pad=1, ceil_mode=1))
    wrong, worst = differing(b.model(), tmp_path)
    assert worst <= 1  # ONNX Runtime's transposed convolution is a float one, as `import` says
    assert wrong <= 2
    b.outputs.pop(3)
    assert differing(b.model(), tmp_path) == (0, 0)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("shape", [(2, 6, 7, 5), (1, 4, 9)])
@pytest.mark.parametrize("kind", ["uint8", "int8"])
def test_quantized_operators_of_channels_last(shape: tuple[int, ...], last: int, kind: str, tmp_path: Path) -> None:
    b = Building(np.random.default_rng(5), kind)
    x, of = b.input(*shape)
    channels, rank = shape[-1] if last else shape[1], len(shape) - 2
    to, ends = b.parameters(0.1), b.parameters()
    y = qlinear_conv(b, x, of, b.codes(6, channels, *(3,) * rank), to, channels_last=last, pads=[1] * 2 * rank, ms=True)
    pool = {"kernel_shape": [2] * rank, "strides": [2] * rank, "channels_last": last, "ms": True}
    b.outputs += [
        y,
        b.node("QLinearAveragePool", y, *to, *ends, **pool),
        b.node("QLinearGlobalAveragePool", y, *to, *ends, channels_last=last, ms=True),
    ]
    assert differing(b.model(), tmp_path) == (0, 0)


def test_a_chain_of_one_row_is_turned_once(tmp_path: Path) -> None:
    b = Building(np.random.default_rng(2))
    x = b.real(1, 4, 16)
    for _ in range(3):
        x = b.requantized(b.node("Conv", x, b.weights(4, 4, 3), pads=[1, 1]), 0.05)
    b.requantized(b.node("GlobalAveragePool", x))
    b.outputs = b.outputs[-1:]
    graph = load_graph(save(b.model(), tmp_path))
    assert [type(layer).__name__ for layer in graph.layers] == ["Transpose", "Conv2D", "Conv2D", "Conv2D", "Mean"]
    assert not any(isinstance(layer, Transpose) for layer in graph.layers[1:])
