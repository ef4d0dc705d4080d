"""What differs between two files: float biases, reduced ranges, other weights, rewritten graphs, each by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.graph import Dense, Graph, Lut
from accelsim.numerics import UINT8, Requant
from accelsim.verification import VerificationReport, names, verify
from accelsim.verification.steps.saturation import pair_saturation
from accelsim.verification.steps.step import same
from accelsim.verification.structure import findings, paired
from tests.importers.onnx.models import Act, Net
from tests.importers.onnx.runtime import save
from tests.verification.networks import chain


class FloatBiasNet(Net):
    """Biases are float constants, off the multiples of s_in * s_w by up to half of one."""

    def real_bias(self, x: Act, scales: NDArray[Any], values: NDArray[Any], y: Act, per_channel: bool) -> str:
        unit = np.float32(x.scale) * scales
        off = self.rng.uniform(-0.5, 0.5, len(values))
        return self.const(((values + off) * unit).astype(np.float32), np.float32)


def test_bias_rounding_is_a_cause_of_its_own(tmp_path: Path) -> None:
    """With a multiplier that rounds once, nothing but the bias and a float sum's own rounding is left."""
    found = 0
    for seed in range(4):
        net = FloatBiasNet(np.random.default_rng(seed), qdq=True, kind="uint8", weight_kind="int8")
        x = net.input((1, 8, 24, 24))
        net.conv(x, 32, 3, per_channel=True)
        path = save(net.model(), tmp_path)
        report = verify(path, arch="edge_16x16", inputs=net.random_feeds()[0], arithmetic="onnxruntime")
        assert report.complete
        causes = report.causes()
        assert sum(causes.values()) == report.differing
        assert causes.get(names.BIAS_ROUNDING, 0) >= report.differing - 2
        found += causes.get(names.BIAS_ROUNDING, 0)
    assert found > 0


def base() -> Graph:
    return chain(("tflite_double", "tflite_double"), scale=0.0021, rows=60, zero_point=-3)


def codes() -> NDArray[Any]:
    return np.random.default_rng(0).integers(-128, 128, (1, 1, 60, 1, 32)).astype(np.int8)


def compared(mine: Graph) -> VerificationReport:
    return verify(mine, arch="edge_16x16", inputs=codes(), arithmetic="tflite-micro", reference=base())


def second(graph: Graph, **changes: Any) -> Graph:
    return replace(graph, layers=(graph.layers[0], replace(graph.layers[1], **changes)))


def dense_of(graph: Graph) -> tuple[Dense, Requant]:
    layer = graph.layers[1]
    assert isinstance(layer, Dense)
    assert isinstance(layer.requant, Requant)
    return layer, layer.requant


def test_reduced_range_is_seen_at_saturated_codes() -> None:
    """A clamp at 63, as reduce_range leaves it: codes above it differ, by up to 64."""
    _, requant = dense_of(base())
    report = compared(second(base(), requant=replace(requant, clamp_max=63)))
    assert report.causes()[names.CLAMP] > 50
    assert [(f.layer, f.kind) for f in report.findings] == [("dense_1", names.RANGE)]
    assert report.layer("dense_0").forced.differing == report.layer("dense_0").end_to_end.differing
    assert report.layer("dense_1").forced.max_lsb == 64


def test_other_weights_and_zero_points() -> None:
    layer, requant = dense_of(base())
    assert layer.weights is not None
    weights = layer.weights.copy()
    weights[3] -= np.where(weights[3] > 0, 1, -1).astype(np.int8)
    one = compared(second(base(), weights=weights))
    assert [(f.layer, f.kind) for f in one.findings] == [("dense_1", names.WEIGHTS)]
    assert "32 of 1,024 integer weights differ, by at most 1" in one.findings[0].text
    assert one.causes()[names.WEIGHTS] > 10
    two = compared(second(base(), input_zero_point=-2))
    assert names.INPUT_ZERO in two.causes()
    three = compared(second(base(), requant=replace(requant, zero_point=-2)))
    assert three.causes()[names.OUTPUT_ZERO] > 1000


def test_scale_of_an_export() -> None:
    """Weight scales and multipliers that are 1 % apart: named with their ratio, and the codes are theirs."""
    other = chain(("tflite_double", "tflite_double"), scale=0.0021 * 1.01, rows=60, zero_point=-3)
    report = compared(other)
    assert {f.kind for f in report.findings} == {names.SCALE, names.MULTIPLIER}
    assert "weight scale: machine / reference = 1.01" in report.findings[0].text
    assert report.causes()[names.SCALE] > 0.9 * report.differing > 0


def test_rewritten_graph_is_named() -> None:
    reference = base()
    first, last = reference.layers
    table = Lut(
        name="table", inputs=("t1",), output="t1b", shapes=((1, 60, 1, 32),), shape=(1, 60, 1, 32),
        table=np.arange(-128, 128),
    )  # fmt: skip
    tensors = {**reference.tensors, "t1b": replace(reference.tensors["t1"], name="t1b")}
    mine = replace(reference, layers=(first, table, replace(last, inputs=("t1b",))), tensors=tensors)
    pairs = paired(reference, mine)
    assert set(pairs) == {"dense_0", "dense_1"}
    found = list(findings(reference, mine, pairs))
    assert [f.kind for f in found] == [names.REWRITING]
    assert "machine ['LUT', 'FULLY_CONNECTED']" in found[0].text
    report = compared(mine)
    assert report.unmatched == ("table",)
    assert not report.complete


@pytest.mark.parametrize(
    ("ratios", "words"),
    [([256 / 255, 254 / 255], "254/255 and 256/255"), ([255 / 256], "255/256"), ([1.5], "1.5"), ([1.0, 2.0], "1 to 2")],
)
def test_ratios_have_names(ratios: list[float], words: str) -> None:
    text = names.ratio_text(ratios)
    assert text.startswith(words)
    assert ("PyTorch" in text) == ("/" in words)


def test_tosa_tolerance_admits_float32_requantization_and_not_double_rounding() -> None:
    """EXT-INEXACTROUND is made for float32 requantizers; two roundings leave it."""
    x = codes()
    double = verify(base(), arch="edge_16x16", inputs=x, arithmetic="tflite-micro", tolerance="tosa")
    single = chain(("float32_half_even",) * 2, scale=0.0021, rows=60, zero_point=-3)
    inexact = verify(single, arch="edge_16x16", inputs=x, arithmetic="tflite-micro", tolerance="tosa")
    assert inexact.matches
    assert not double.matches


def test_kernels_that_may_saturate_are_remarked_on() -> None:
    """Only ONNX Runtime, only unsigned 8-bit codes, only weights beyond 64 (2 * 255 * 65 > 32767)."""
    graph = base()
    layer, _ = dense_of(graph)
    assert layer.weights is not None
    unsigned = {name: replace(tensor, format=UINT8) for name, tensor in graph.tensors.items()}
    assert "without VNNI" in pair_saturation("onnxruntime", layer, unsigned)
    assert pair_saturation("litert-xnnpack", layer, unsigned) == ""
    assert pair_saturation("onnxruntime", layer, graph.tensors) == ""
    for reach, remark in ((64, False), (65, True)):
        weights = np.clip(layer.weights, -reach, reach)
        assert bool(pair_saturation("onnxruntime", replace(layer, weights=weights), unsigned)) is remark


def test_an_array_is_the_same_as_an_equal_one_alone() -> None:
    array = np.zeros(3)
    assert same(array, np.zeros(3))
    for other in (None, 0, np.zeros(2), np.ones(3)):
        assert not same(array, other)
        assert not same(other, array)
