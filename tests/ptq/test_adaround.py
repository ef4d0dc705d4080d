"""AdaRound: layers as rows, errors that never grow, and how near the best of all roundings it comes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.ptq import evaluate, read_float
from accelsim.ptq.adaround import (
    AdaRound,
    Layer,
    by_group,
    from_groups,
    input_rows,
    output_places,
    output_rows,
    rounded,
)
from tests.ptq.networks import Net, save

SHAPE = (1, 6, 9, 10)
LAYERS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "plain": ("Conv", (4, 6, 3, 3), {}),
    "strides, dilations, uneven pads": (
        "Conv",
        (4, 6, 3, 2),
        {"pads": [1, 0, 2, 1], "strides": [2, 1], "dilations": [2, 1]},
    ),
    "depthwise": ("Conv", (6, 1, 3, 3), {"group": 6, "pads": [1, 1, 1, 1]}),
    "groups, same upper": ("Conv", (9, 2, 3, 3), {"group": 3, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "groups, same lower": ("Conv", (9, 2, 3, 3), {"group": 3, "auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    "transposed": (
        "ConvTranspose",
        (6, 4, 3, 2),
        {"strides": [2, 3], "pads": [1, 0, 0, 1], "dilations": [2, 1]},
    ),
    "transposed, groups": (
        "ConvTranspose",
        (6, 2, 3, 3),
        {"group": 3, "strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    ),
    "matrix": ("MatMul", (10, 7), {}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_rows_times_weights_are_the_layer(name: str, tmp_path: Path) -> None:
    """Against ONNX Runtime, at positions drawn from its output."""
    op, shape, attributes = LAYERS[name]
    net = Net(3, SHAPE)
    path = save(net.model(net.node(op, "x", net.normal(*shape), **attributes)), tmp_path)
    model, rng = read_float(path), np.random.default_rng(1)
    x = rng.normal(size=(1, *SHAPE)).astype(np.float32)
    made = next(evaluate(model, {"x": x}, evaluator="onnxruntime"))
    node = model.nodes[0]
    weights, output = model.constants[node.inputs[1]], made[node.outputs[0]]
    places = output_places(node, output.shape, 37, rng)
    rows = input_rows(node, made["x"], weights, output.shape, places)
    ours = np.matmul(rows, by_group(node, weights).swapaxes(1, 2))
    assert np.allclose(ours, output_rows(node, output, places), atol=1e-5)
    assert len(set(places.tolist())) >= 8
    assert np.array_equal(from_groups(node, by_group(node, weights), weights), weights)


def layer(seed: int, *, groups: int, units: int, taps: int, rows: int = 300, bits: int = 4, low: float = 0.0) -> Layer:
    """Inputs that go together, as those of images do, and are not negative; a rectifier."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(groups, rows, 3)) @ rng.normal(size=(groups, 3, taps))
    real = np.maximum(mixed + 0.3 * rng.normal(size=mixed.shape), 0).astype(np.float32)
    rough = np.round(real * 16).astype(np.float32) / 16
    weights = rng.normal(0, 0.4, (groups, units, taps)).astype(np.float32)
    bias = rng.normal(0, 0.1, (groups, 1, units)).astype(np.float32)
    most = 2 ** (bits - 1) - 1
    scales = np.full_like(weights, np.abs(weights).max() / most)
    target = np.maximum(np.matmul(real, weights.swapaxes(1, 2)) + bias, low)
    return Layer(rough, target, weights, bias, scales, -most - 1, most, low=low)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(1, 3), st.integers(1, 5), st.integers(1, 12), st.integers(2, 8), st.booleans())
def test_no_layer_gets_worse_than_by_the_nearest(seed, groups, units, taps, bits, rectified):
    given_layer = layer(seed, groups=groups, units=units, taps=taps, bits=bits, low=0.0 if rectified else -np.inf)
    made = rounded(given_layer, AdaRound(iterations=30))
    assert made.error <= made.nearest
    assert made.error == pytest.approx(given_layer.errors(made.codes).sum())
    assert made.nearest == pytest.approx(given_layer.errors(given_layer.nearest).sum())
    assert (given_layer.errors(made.codes) <= given_layer.errors(given_layer.nearest)).all(), "unit by unit"
    off = made.codes - given_layer.weights / given_layer.scales
    inside = (made.codes > given_layer.least) & (made.codes < given_layer.most)
    assert np.abs(off[inside]).max(initial=0) <= 1 + 1e-5, "up or down, nothing else"


def test_near_the_best_of_all_roundings() -> None:
    """Every one of the 2^8 roundings of each unit tried: rounding to the nearest has three times the least error, AdaRound half more."""
    ratios = []
    for seed in range(5, 9):
        given_layer = layer(seed, groups=1, units=6, taps=8)
        made = rounded(given_layer, AdaRound(iterations=1000))
        floor = np.floor(given_layer.weights / given_layer.scales)
        every = [
            given_layer.errors(np.clip(floor + np.array(up), given_layer.least, given_layer.most).astype(np.int64))
            for up in itertools.product((0, 1), repeat=8)
        ]
        best = float(np.min(every, axis=0).sum())
        assert made.error >= best * (1 - 1e-6)
        ratios.append((made.error / best, made.nearest / best))
    learned, nearest = np.mean(ratios, axis=0)
    assert learned < 1.7
    assert nearest > 2.5


def test_the_same_seed_gives_the_same_codes() -> None:
    given_layer = layer(7, groups=2, units=4, taps=9)
    one, other = (rounded(given_layer, AdaRound(iterations=60)) for _ in range(2))
    assert np.array_equal(one.codes, other.codes)


def test_a_layer_of_zeros_keeps_its_zeros() -> None:
    given_layer = layer(7, groups=1, units=2, taps=4)
    silent = Layer(
        given_layer.x, np.zeros_like(given_layer.target), np.zeros_like(given_layer.weights),
        np.zeros_like(given_layer.bias), given_layer.scales, given_layer.least, given_layer.most, low=0.0,
    )  # fmt: skip
    made = rounded(silent, AdaRound(iterations=20))
    assert (made.error, made.codes.any()) == (0, False)
