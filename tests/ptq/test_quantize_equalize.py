"""Cross-layer equalization: what the network computes stays, the ranges of its channels meet, per-tensor weights get better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.importers.onnx.file.records import OnnxModel
from accelsim.ptq import Settings, evaluate, quantize_network, read_float
from accelsim.ptq.equalization import Pair, Reach, _by_input, _by_output, equalized, pairs_of, reach_of
from tests.ptq.networks import SHAPE, Array, Net, float_model, images, save
from tests.ptq.test_quantize_cli import cli, docs_maker, table_rows
from tests.ptq.test_quantize_tflite import litert, noise, optimized, output, samples
from tests.shared_models import model_path


def chain(net: Net, *, spread: float = 2.0, bias: bool = True) -> str:
    """Dense, depthwise and grouped convolutions, pools, Gemm and MatMul, channels scaled apart by up to ``10^(2 * spread)``."""

    def weights(*shape: int, axis: int = 0) -> str:
        scale = 10.0 ** net.rng.uniform(-spread, spread, shape[axis])
        return net.constant(net.rng.normal(0, 0.5, shape) * scale.reshape([-1 if i == axis else 1 for i in range(len(shape))]))  # fmt: skip

    def biased(units: int) -> list[str]:
        return [net.normal(units)] if bias else []

    y = net.node("Relu", net.node("Conv", "x", weights(6, 3, 3, 3), *biased(6), pads=[1, 1, 1, 1]))
    y = net.node("Conv", y, weights(6, 1, 3, 3), *biased(6), group=6, pads=[1, 1, 1, 1])
    y = net.node("Conv", net.node("LeakyRelu", y, alpha=0.25), weights(8, 3, 1, 1), *biased(8), group=2)
    y = net.node("MaxPool", net.node("Relu", y), kernel_shape=[2, 2], strides=[2, 2])
    y = net.node("Flatten", net.node("GlobalAveragePool", net.node("Conv", y, weights(5, 8, 1, 1), *biased(5))))
    y = net.node("Relu", net.node("Gemm", y, weights(7, 5), *biased(7), transB=1))
    y = net.node("MatMul", y, weights(7, 4, axis=1))
    return net.node("Gemm", y, weights(3, 4), *biased(3), transB=1)


def network(build: Callable[[Net], str], folder: Path, seed: int = 1) -> OnnxModel:
    net = Net(seed, SHAPE)
    return read_float(save(net.model(build(net)), folder))


def results(model: OnnxModel, x: Array) -> Array:
    return np.stack([made[model.outputs[0]] for made in evaluate(model, {"x": x}, evaluator="onnxruntime")])


def unbounded(model: OnnxModel) -> Reach:
    """Shapes alone, so that the factors are the paper's."""
    reach = reach_of(model, {"x": images(2, 1)})
    reach.channels = {name: np.zeros_like(values) for name, values in reach.channels.items()}
    return reach


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 999), st.floats(0, 2.5), st.booleans())
def test_what_is_computed_stays(seed, spread, bias):
    with TemporaryDirectory() as folder:
        model = network(lambda net: chain(net, spread=spread, bias=bias), Path(folder), seed)
    x = images(seed, 6)
    before, after = results(model, x), results(equalized(model, reach_of(model, {"x": x})), x)
    assert np.abs(after - before).max() <= 2e-5 * np.abs(before).max()


def channel_ranges(pair: Pair, constants: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Largest magnitude of each channel's weights in the first and the second layer."""
    outer = _by_output(constants[pair.first.inputs[1]], pair.first)
    inner = _by_input(constants[pair.second.inputs[1]], pair.second)
    return np.abs(outer).max(axis=(1, 2)), np.abs(inner).max(axis=(1, 2))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 999), st.floats(0, 2.5))
def test_ranges_of_every_pair_meet(seed, spread):
    """Section 4.1: without biases and bounds, ``r1 = r2`` for every channel of every pair at once."""
    with TemporaryDirectory() as folder:
        model = network(lambda net: chain(net, spread=spread, bias=False), Path(folder), seed)
    reach = unbounded(model)
    pairs = pairs_of(model, reach.shapes)
    assert len(pairs) == 6
    made = equalized(model, reach)
    for pair in pairs_of(made, reach.shapes):
        first, second = channel_ranges(pair, made.constants)
        assert np.allclose(first, second, rtol=1e-3)
    assert np.ptp(np.log(np.concatenate(channel_ranges(pairs[0], model.constants)))) > spread / 4


@pytest.mark.parametrize(
    ("bias", "second"),
    [([0, 0, 0], 3), ([8, 3, 0], 8 / 3)],
    ids=["ranges (4, 1) and (1, 9) become (2, 3)", "a bias of 3 becomes 8, the largest, and no more"],
)
def test_one_pair_by_hand(bias: list[float], second: float, tmp_path: Path) -> None:
    """Equation 11: s = (2, 1/3), or 3/8 where the bias bounds it; a channel that nothing reads keeps its weights."""

    def build(net: Net) -> str:
        first = np.zeros((3, 192), np.float32)
        first[[0, 1, 2], [3, 5, 7]] = -4, 1, 6
        dense = net.node("Gemm", net.node("Flatten", "x"), net.constant(first), net.constant(bias), transB=1)
        return net.node("Gemm", net.node("Relu", dense), net.constant([[1.0, 2, 0], [0.5, -9, 0]]), transB=1)

    model = network(build, tmp_path)
    made = equalized(model, unbounded(model))
    one, other = (made.constants[node.inputs[1]] for node in made.nodes if node.op == "Gemm")
    assert one[[0, 1, 2], [3, 5, 7]] == pytest.approx([-2, second, 6])
    assert other == pytest.approx(np.array([[2, 2 / second, 0], [1, -9 / second, 0]]))


def test_no_channel_and_no_bias_comes_to_exceed_the_largest(tmp_path: Path) -> None:
    """A dead channel: hardly any weights, a bias, as batch normalization leaves them."""

    def build(net: Net) -> str:
        weights = net.rng.normal(0, 0.5, (4, 3, 1, 1))
        weights[2] *= 1e-9
        y = net.node("Relu", net.node("Conv", "x", net.constant(weights), net.constant([0.1, -0.2, 0.3, 0.4])))
        return net.node("Conv", y, net.normal(3, 4, 1, 1))

    model, x = network(build, tmp_path), images(1, 8)
    reach = reach_of(model, {"x": x})
    made = equalized(model, reach)
    after = reach_of(made, {"x": x})
    for name in reach.channels:
        assert after.channels[name].max() <= reach.channels[name].max() * (1 + 1e-6)
    biases = [np.abs(m.constants[next(n for n in m.nodes if n.op == "Conv").inputs[2]]).max() for m in (model, made)]
    assert biases[1] <= biases[0] * (1 + 1e-6)
    assert np.allclose(results(made, x), results(model, x), rtol=1e-4, atol=1e-6)


def _two(net: Net, between: Callable[[Net, str], str], first: int = 4) -> str:
    return net.node("Conv", between(net, net.node("Conv", "x", net.normal(first, 3, 1, 1))), net.normal(5, 4, 1, 1))


APART: dict[str, Callable[[Net], Any]] = {
    "a bound": lambda n: _two(n, lambda n, y: n.node("Clip", y, n.constant(0), n.constant(6))),
    "a function": lambda n: _two(n, lambda n, y: n.node("Sigmoid", y)),
    "a sum": lambda n: _two(n, lambda n, y: n.node("Add", y, y)),
    "two readers": lambda n: _two(n, lambda n, y: n.node("Concat", y, n.node("Relu", y), axis=1), 2),
    "channels moved": lambda n: _two(n, lambda n, y: n.node("Reshape", y, n.constant([1, 4, 16, 4], np.int64))),
    "channels turned": lambda n: n.node(
        "Gemm",
        n.node("Flatten", n.node("Transpose", n.node("Conv", "x", n.normal(4, 3, 1, 1)), perm=[0, 2, 1, 3])),
        n.normal(256, 2),
    ),
    "pixels as channels": lambda n: n.node("Gemm", n.node("Flatten", n.node("Conv", "x", n.normal(4, 3, 1, 1))), n.normal(256, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_what_is_no_pair(name: str, tmp_path: Path) -> None:
    model = network(APART[name], tmp_path)
    assert pairs_of(model, reach_of(model, {"x": images(1, 1)}).shapes) == ()


def test_a_graph_output_keeps_its_numbers(tmp_path: Path) -> None:
    net = Net(1, SHAPE)
    y = net.node("Relu", net.node("Conv", "x", net.normal(4, 3, 1, 1)))
    path = save(net.model(y, net.node("Conv", y, net.normal(4, 4, 1, 1))), tmp_path)
    model = read_float(path)
    assert pairs_of(model, reach_of(model, {"x": images(1, 1)}).shapes) == ()


def test_a_shared_constant_is_not_changed_for_others(tmp_path: Path) -> None:
    """One constant as the weights of both layers of a pair."""

    def build(net: Net) -> str:
        shared = net.normal(3, 3, 1, 1)
        return net.node("Conv", net.node("Relu", net.node("Conv", "x", shared)), shared)

    model, x = network(build, tmp_path), images(1, 3)
    made = equalized(model, reach_of(model, {"x": x}))
    assert np.allclose(results(made, x), results(model, x), rtol=1e-4, atol=1e-5)


def test_per_tensor_weights_get_better_and_integers_stay_exact(tmp_path: Path) -> None:
    """Channels a factor of 1,000 apart; 7-bit weights, which no x86 processor saturates."""
    net = Net(4, SHAPE)
    path, x = save(net.model(chain(net, spread=1.5)), tmp_path), images(3, 24)
    found = {}
    for equalize in (False, True):
        chosen = Settings(weights=7, equalize=equalize)
        made = quantize_network(path, {"x": x}, settings=chosen, dialect="qdq", evaluator="onnxruntime")
        given = x[:, None]
        ours = output(made, given)
        assert int((ours != optimized(made, given)).sum()) == 0
        found[equalize] = noise(ours, results(read_float(path), x))
    assert found[True] < found[False] / 30, "15 dB"


@pytest.mark.slow
@pytest.mark.oracle
def test_a_trained_depthwise_network_gets_better() -> None:
    """MobileNet, weights per tensor: 7 dB at 8 bits, 8 dB at 6 when this was written."""
    path, x = model_path("vww_mobilenetv1_fp32"), samples("vww", 40)
    real = next(iter(litert(path, x[:12]).values()))
    found = {}
    for equalize in (False, True):
        chosen = Settings(weights=7, equalize=equalize)
        made = quantize_network(path, {"input": x}, settings=chosen, dialect="qdq", evaluator="onnxruntime")
        ours = output(made, x[:12])
        assert int((ours != optimized(made, x[:12])).sum()) == 0
        found[equalize] = noise(ours, real)
    assert found[True] < found[False] / 2


@pytest.mark.slow
@pytest.mark.oracle
def test_a_row_of_the_docs_is_what_is_measured() -> None:
    """By the script that wrote it; less than a decibel where another processor sums in another order."""
    model_path("vww_mobilenetv1_fp32")
    bits, *written = next(cells for cells in table_rows("equalized") if cells[0] == "6")
    assert docs_maker().equalized_row(int(bits)) == pytest.approx([float(cell) for cell in written], abs=1)


def test_the_docs_show_a_gain_at_every_width() -> None:
    rows = [[float(cell) for cell in row] for row in table_rows("equalized")]
    assert [row[0] for row in rows] == [8, 6, 5, 4]
    for _, plain, equalize, *_ in rows:
        assert equalize > plain + 5


def test_from_the_command_line(tmp_path: Path) -> None:
    path, calib = save(float_model("residual"), tmp_path), tmp_path / "calib.npz"
    np.savez(calib, x=images(1, 4))
    out = tmp_path / "q.onnx"
    assert cli("quantize", path, "--calib", calib, "--equalize", "-o", out).exit_code == 0
    assert cli("import", out).exit_code == 0
