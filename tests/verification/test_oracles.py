"""Every oracle on trained networks: 0 differences with the matching arithmetic, and causes that add up with another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.importers import load_graph
from accelsim.verification import names, verify
from tests.importers.onnx.networks import cnn
from tests.importers.onnx.runtime import save
from tests.shared_models import INT8_MODELS, model_path
from tests.verification.networks import digits, images

pytestmark = pytest.mark.oracle
MATCHING = {
    "litert-ref": "litert-reference",
    "litert-xnnpack": "litert-xnnpack",
    "litert-optimized": "litert-optimized",
    "tflite-micro": "tflite-micro",
}
PACKAGES = {"tflite-micro": "tflite_micro.python.tflite_micro.runtime"}
TFLITE = pytest.mark.parametrize("oracle", MATCHING)
MODELS = pytest.mark.parametrize("name", ["digits_cnn", *INT8_MODELS])


def path_of(name: str) -> Path:
    return digits() if name == "digits_cnn" else model_path(name)


def random_inputs(path: Path, count: int = 2) -> np.ndarray:
    graph = load_graph(path)
    shape = graph.tensors[graph.inputs[0].tensor].shape
    return np.random.default_rng(0).integers(-128, 128, (count, *shape)).astype(np.int8)


def needs(oracle: str) -> None:
    pytest.importorskip(PACKAGES.get(oracle, "ai_edge_litert.interpreter"), reason=f"{oracle} is not installed")


@TFLITE
@MODELS
def test_matching_arithmetic_has_no_difference(name: str, oracle: str) -> None:
    needs(oracle)
    path = path_of(name)
    report = verify(path, arch="edge_16x16", inputs=random_inputs(path), oracle=oracle, arithmetic=MATCHING[oracle])
    assert report.matches
    assert report.complete
    assert report.elements >= 1_500
    assert (report.differing, report.differing_end_to_end, report.causes()) == (0, 0, {})


@TFLITE
@MODELS
def test_causes_add_up_with_another_arithmetic(name: str, oracle: str) -> None:
    needs(oracle)
    path = path_of(name)
    other = "litert-xnnpack" if oracle != "litert-xnnpack" else "tflite-micro"
    report = verify(path, arch="edge_16x16", inputs=random_inputs(path), oracle=oracle, arithmetic=other)
    assert sum(report.causes().values()) == report.differing
    assert names.KERNEL not in report.causes()
    for layer in report.layers:
        assert sum(cause.count for cause in layer.causes) == layer.forced.differing
        assert sum(count for _, count in layer.forced.histogram) == layer.forced.differing
    if name not in ("ad_autoencoder_int8",):
        assert report.differing > 0
        assert report.causes().get(names.ROUNDING, 0) > 0.9 * report.differing


@MODELS
def test_fake_quant_against_double_rounding(name: str) -> None:
    """float32 fake-quant differs from two roundings at the rate of the law, and else by a few codes (arithmetic.md, 4.5)."""
    path = path_of(name)
    report = verify(path, arch="edge_16x16", inputs=random_inputs(path), arithmetic="tflite-micro")
    assert report.complete
    assert sum(report.causes().values()) == report.differing
    assert set(report.causes()) <= {names.FLOAT, names.ROUNDING, names.PRODUCT, names.TIE, names.OPERATOR}
    for layer in report.layers:
        for cause in layer.causes:
            if cause.step == names.ROUNDING and cause.expected is not None and cause.expected * cause.free > 100:
                assert cause.seen == pytest.approx(cause.expected, rel=0.5)


def test_accuracy_and_effect_on_the_digits() -> None:
    x, labels = images(40)
    report = verify("digits_cnn", arch="edge_16x16", inputs=x, labels=labels)
    assert report.inferences == report.output.inferences == 40
    assert report.output.oracle_accuracy is not None
    assert report.output.machine_accuracy is not None
    assert report.output.oracle_accuracy > 0.95
    assert abs(report.output.oracle_accuracy - report.output.machine_accuracy) <= report.output.argmax_changed / 40


@pytest.mark.parametrize("qdq", [False, True], ids=["QOperator", "QDQ"])
@pytest.mark.parametrize("seed", range(2))
def test_onnx_runtime(seed: int, qdq: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    net = cnn(seed, qdq=qdq, kind="uint8", weight_kind="int8", narrow_weights=True)
    path = save(net.model(), tmp_path)
    feed = net.random_feeds()[0]
    report = verify(path, arch="edge_16x16", inputs=feed, oracle="onnxruntime", arithmetic="onnxruntime")
    assert report.complete, report.unmatched
    assert report.elements > 5_000
    assert report.differing == 0


@pytest.mark.parametrize("seed", range(3))
def test_onnx_reference_evaluator(seed: int, tmp_path: Path) -> None:
    """Its QLinear operators follow ``onnx_reference``; the matching overrides differ in nothing, another arithmetic at ties."""
    from tests.importers.onnx.test_reference_evaluator import OddNet

    net = OddNet(np.random.default_rng(seed), kind="uint8", weight_kind="int8", pot=True)
    x = net.input((1, 4, 9, 8))
    net.conv(net.conv(x, 8, 3, pads=[1, 1, 1, 1]), 6, 3, groups=2)
    path, feed = save(net.model(), tmp_path), net.random_feeds()[0]
    from accelsim.arch import load_arch

    arch = load_arch("edge_16x16").with_({"arithmetic": "onnxruntime"})
    overrides = {f"overrides.{op}": "onnx_reference" for op in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")}
    same = verify(path, arch=arch.with_(overrides), inputs=feed, oracle="onnx-ref")
    assert (same.differing, same.complete) == (0, True)
    other = verify(path, arch=arch, inputs=feed, oracle="onnx-ref")
    assert sum(other.causes().values()) == other.differing
    assert set(other.causes()) <= {names.PARITY}
