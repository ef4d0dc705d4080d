"""What is written runs: ONNX Runtime, onnx's reference evaluator and qonnx against the integers that accelsim computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.graph import Graph
from accelsim.ptq import RANGES, Quantized, Settings, evaluate_model, parse_layers, quantize_network
from accelsim.quant import dequantize
from tests.importers.onnx.runtime import run_graph, runtime
from tests.importers.qonnx.oracle import Job, all_differences, needs_qonnx
from tests.ptq.networks import NETWORKS, SHAPE, Net, float_model, images, save

pytestmark = pytest.mark.oracle
TEST = 8


def made(name: str, folder: Path, dialect: Any = None, layers: Sequence[str] = (), **options: Any) -> Quantized:
    path = save(float_model(name), folder)
    chosen = Settings(layers=parse_layers(layers), **options)
    return quantize_network(path, {"x": images(1)}, settings=chosen, dialect=dialect, evaluator="onnxruntime")


def integers(graph: Graph, x: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    runs = [run_graph(graph, {"x": one[None]}) for one in x]
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


QDQ = {
    "residual w8a8 pot": ("residual", {"power_of_two": True}),
    "residual w8a8 channels pot": ("residual", {"power_of_two": True, "per_channel": True, "range": "mse"}),
    "residual w4a4 pot": ("residual", {"weights": 4, "acts": 4, "power_of_two": True, "per_channel": True}),
    "branches w8a8 pot": ("branches", {"power_of_two": True}),
    "branches w4a8 pot": ("branches", {"weights": 4, "power_of_two": True, "per_channel": True}),
}


@pytest.mark.parametrize("name", QDQ)
def test_no_code_differs_from_onnxruntime_in_powers_of_two(name: str, tmp_path: Path) -> None:
    """Every float32 operation on codes under such scales is exact, so that no rounding can differ by accident."""
    network, options = QDQ[name]
    quantized = made(network, tmp_path, dialect="qdq", **options)
    x = images(2, TEST)
    ours = {
        name.removesuffix("/codes"): dequantize(codes, scale=quantized.graph.tensors[name].scale, zero_point=0)
        for name, codes in integers(quantized.graph, x).items()
        if name.endswith("/codes") and name != "x/codes"
    }
    theirs = evaluate_model(quantized.model, {"x": x[:, None]}, evaluator="onnxruntime", names=list(ours))
    wrong = {name: int((ours[name] != theirs[name]).sum()) for name in ours}
    assert {name: count for name, count in wrong.items() if count} == {}
    assert sum(values.size for values in theirs.values()) > 2900


def check_beside_the_optimized_onnxruntime(quantized: Quantized) -> None:
    """0 differing outputs, of more than 8 values."""
    x = images(3, TEST)
    session = runtime(quantized.model, int8=True)
    output = session.get_outputs()[0].name
    theirs = np.stack([session.run(None, {"x": one[None]})[0] for one in x])
    known = quantized.acts[output]
    codes = integers(quantized.graph, x)[quantized.graph.outputs[0].tensor]
    ours = dequantize(codes, scale=known.scale, zero_point=known.zero_point)
    assert int((ours != theirs).sum()) == 0
    assert len(np.unique(theirs)) > 8


@pytest.mark.parametrize("network", ["residual", "branches", "functions"])
@pytest.mark.parametrize("options", [{}, {"per_channel": True}, {"symmetric": True, "range": "percentile"}], ids=str)
def test_no_output_differs_from_the_optimized_onnxruntime(
    network: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """7-bit weights, which no x86 processor saturates; integers throughout, as its optimizer fuses them."""
    quantized = made(network, tmp_path, dialect="qdq", weights=7, **options)
    check_beside_the_optimized_onnxruntime(quantized)


@pytest.mark.parametrize("bits", [4, 8])
def test_onnx_reference_evaluator_agrees_with_onnxruntime(bits: int, tmp_path: Path) -> None:
    quantized = made("residual", tmp_path, weights=bits, acts=bits, power_of_two=True)
    assert quantized.dialect == "qdq"
    x = images(4, 3)[:, None]
    one, other = (evaluate_model(quantized.model, {"x": x}, evaluator=e) for e in ("onnx", "onnxruntime"))
    assert all(np.array_equal(one[name], other[name]) for name in one)


@needs_qonnx[0]
@needs_qonnx[1]
def test_no_element_differs_from_qonnx(tmp_path: Path) -> None:
    """Every width from 1 to 8, every network, powers of two and float scales, both granularities."""
    jobs = []
    for bits in range(1, 9):
        for i, network in enumerate(NETWORKS):
            folder = tmp_path / f"{network}{bits}"
            folder.mkdir()
            layers = ["x=a8"] if bits < 3 else []
            layers += ["t9=a8", "t10=a8"] if network == "branches" else []
            quantized = made(
                network, folder, "qonnx", layers, weights=bits, acts=bits, power_of_two=bits % 2 == 0,
                per_channel=(bits + i) % 2 == 0, symmetric=True, range="mse" if bits < 5 else "minmax",
            )  # fmt: skip
            path = save(quantized.model, folder, "quantized.onnx")
            jobs.append(Job(path, quantized.graph, {"x": images(6, 3)[:, None]}))
    results = all_differences(jobs)
    assert [(job.path.parent.name, wrong) for job, (wrong, _) in zip(jobs, results, strict=True) if wrong] == []
    assert sum(compared for _, compared in results) > 130_000


@needs_qonnx[0]
@needs_qonnx[1]
def test_fake_quant_is_qonnxs_own(tmp_path: Path) -> None:
    """Affine activations: the reference evaluator with our Quant, the integers, and qonnx."""
    quantized = made("residual", tmp_path, "qonnx", weights=3, acts=5, per_channel=True)
    path = save(quantized.model, tmp_path, "quantized.onnx")
    x = images(7, 4)[:, None]
    assert all_differences([Job(path, quantized.graph, {"x": x})])[0][0] == {}
    fake = evaluate_model(quantized.model, {"x": x})
    output = quantized.source.outputs[0]
    with np.load(path.with_suffix(".out.npz")) as theirs:
        assert np.array_equal(fake[output], theirs[output].reshape(fake[output].shape))


@pytest.mark.parametrize(("weights", "acts"), [(8, 16), (16, 8), (16, 16)])
def test_sixteen_bits_are_written_and_imported(weights: int, acts: int, tmp_path: Path) -> None:
    """ONNX Runtime convolves 16-bit codes in float32: a step apart at most in each of three layers."""
    quantized = made("shortcut", tmp_path, weights=weights, acts=acts, symmetric=True)
    assert (quantized.dialect, quantized.graph.arithmetic) == ("qdq", "onnxruntime")
    x = images(8, 3)
    exact = evaluate_model(quantized.model, {"x": x[:, None]}, evaluator="onnxruntime")
    (output,) = quantized.source.outputs
    codes = integers(quantized.graph, x)[quantized.graph.outputs[0].tensor]
    ours = dequantize(codes, scale=quantized.acts[output].scale, zero_point=0)
    assert np.abs(ours - exact[output]).max() <= 3 * quantized.acts[output].scale
    assert len(np.unique(codes)) > codes.size * 0.7


@pytest.mark.parametrize("options", [{"symmetric": True}, {"power_of_two": True}], ids=str)
def test_sums_of_wide_codes_are_the_fake_quantized_network(options: dict[str, Any], tmp_path: Path) -> None:
    """QONNX: float32 operations of 16-bit codes, quantized as qonnx does."""
    net = Net(3, SHAPE)
    both = net.node("Add", net.node("Mul", "x", "x"), net.node("Relu", net.node("Sub", net.node("Abs", "x"), "x")))
    path, chosen = save(net.model(both), tmp_path), Settings(acts=16, **options)
    made = quantize_network(path, {"x": images(8, 3)}, settings=chosen, dialect="qonnx", evaluator="onnxruntime")
    assert (made.graph.arithmetic, made.graph.approximations) == ("finn", {})
    x = images(9, 3)
    ours, (output,) = integers(made.graph, x), made.source.outputs
    known = made.acts[output]
    real = dequantize(ours[made.graph.outputs[0].tensor], scale=known.scale, zero_point=known.zero_point)
    fake = evaluate_model(made.model, {"x": x[:, None]})
    assert int((real != fake[output]).sum()) == 0


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(["residual", "functions", "shortcut"]), st.integers(0, 99), st.integers(1, 8), st.integers(2, 8),
    st.booleans(), st.sampled_from(RANGES),
)  # fmt: skip
def test_thresholds_are_the_fake_quantized_network(network, seed, weights, acts, per_channel, method):
    """QONNX in powers of two: onnx's evaluator with Quant in float32, and accelsim's integers, whatever the settings."""
    chosen = Settings(weights=weights, acts=acts, per_channel=per_channel, power_of_two=True, range=method)
    with TemporaryDirectory() as folder:
        path = save(float_model(network, seed), Path(folder))
        quantized = quantize_network(
            path, {"x": images(seed, 3)}, settings=chosen, dialect="qonnx", evaluator="onnxruntime"
        )
    x = images(seed + 1, 2)
    ours = integers(quantized.graph, x)
    names = [name for name in ours if name in quantized.acts]
    fake = evaluate_model(quantized.model, {"x": x[:, None]}, names=names)
    for name in names:
        scale = quantized.graph.tensors[name].scale
        assert np.array_equal(dequantize(ours[name], scale=scale, zero_point=0), fake[name]), name
    assert len(names) >= 4
