"""Trained networks as they come, of open sizes and opsets 11 and 12: PP-OCRv4's detection, recognition and direction of a text line."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from accelsim import verify
from accelsim.cli import main
from accelsim.importers import load_graph
from tests.importers.onnx.static import quantize_static
from tests.wheels import extracted

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
PACKAGE = "rapidocr-onnxruntime"
NARROW = {"activation": "QUInt8", "weight": "QInt8", "reduce_range": True}
CHANNELS = {"activation": "QInt8", "weight": "QInt8", "per_channel": True}


class Network(NamedTuple):
    """A file of the wheel, sizes for what it leaves open, and how many codes are compared at least."""

    file: str
    shape: tuple[int, ...]
    codes: int


NETWORKS = {
    "detection": Network("ch_PP-OCRv4_det_infer.onnx", (1, 3, 64, 64), 1_000_000),
    "recognition": Network("ch_PP-OCRv4_rec_infer.onnx", (1, 3, 48, 80), 7_000_000),
    "direction": Network("ch_ppocr_mobile_v2.0_cls_infer.onnx", (1, 3, 48, 96), 600_000),
}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of the wheel, or skip where it cannot be had."""
    return extracted(PACKAGE, ".onnx", tmp_path_factory.mktemp("ocr")) / "rapidocr_onnxruntime" / "models"


def with_sizes(source: Path, target: Path, shape: tuple[int, ...], opset: int | None) -> Path:
    """The file with a fixed input, in ``opset`` where one is given."""
    model = onnx.load(source)
    for size, dim in zip(shape, model.graph.input[0].type.tensor_type.shape.dim, strict=True):
        dim.dim_value = size
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    onnx.save(onnx.version_converter.convert_version(model, opset) if opset else model, target)
    return target


def images(network: Network, count: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1, (count, *network.shape[1:])).astype(np.float32)


def hold(path: Path, network: Network) -> None:
    """No code differs from ONNX Runtime's."""
    assert load_graph(path).arithmetic == "onnxruntime"
    report = verify(path, oracle="onnxruntime", inputs={"x": images(network, 1)})
    assert report.complete, report.unmatched
    assert (report.differing, report.elements >= network.codes) == (0, True)


@pytest.mark.parametrize(
    ("name", "opset", "form"),
    [
        ("detection", None, NARROW),
        ("detection", 17, CHANNELS),
        ("recognition", 17, NARROW),
        ("direction", None, NARROW),
    ],
    ids=str,
)
def test_no_code_of_what_onnxruntime_quantizes_differs(
    name: str, opset: int | None, form: dict[str, str | bool], models: Path, tmp_path: Path
) -> None:
    """In its own opset, batch normalization behind a transposed convolution included, or in one that has LayerNormalization."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    network = NETWORKS[name]
    fixed = with_sizes(models / network.file, tmp_path / "fixed.onnx", network.shape, opset)
    prepared, quantized = tmp_path / "prepared.onnx", tmp_path / "quantized.onnx"
    quant_pre_process(str(fixed), str(prepared), skip_symbolic_shape=True)
    hold(quantize_static(prepared, quantized, network.shape, count=1, **form), network)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_code_of_what_accelsim_quantizes_differs(name: str, models: Path, tmp_path: Path) -> None:
    """From the file as it comes, by the command."""
    network, calibration, made = NETWORKS[name], tmp_path / "calibration.npz", tmp_path / "quantized.onnx"
    np.savez(calibration, x=images(network, 2))
    shape = "x=" + "x".join(map(str, network.shape))
    options = ["--shape", shape, "--calib", calibration, "--per-channel", "--evaluator", "onnxruntime", "-o", made]
    done = CliRunner().invoke(main, [str(a) for a in ["quantize", models / network.file, *options]])
    assert done.exit_code == 0, done.output
    hold(made, network)
    done = CliRunner().invoke(main, ["run", str(made), "--arch", "edge_16x16", "--input", str(calibration)])
    assert done.exit_code == 0, done.output
