"""Whole networks as they come: PyTorch's exporter, ONNX Runtime's quantizer, and every tensor of codes is ONNX Runtime's or named."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from accelsim.importers import load_graph
from accelsim.verification import verify
from tests.importers.onnx.static import quantize_static

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
SCRIPT = Path(__file__).with_name("torch_networks.py")
TORCH = "ACCELSIM_TORCH_PYTHON"
CODES = {
    "mobilenet_v2": 400_000, "mobilenet_v3_small": 250_000, "efficientnet_b0": 3_000_000, "resnet50": 2_000_000, "unet": 500_000,
    "yolo_head": 200_000, "bert_block": 20_000, "vit_block": 20_000,
}  # fmt: skip
"""The networks, and how many codes are compared at least."""
FORMS: dict[str, dict[str, Any]] = {
    # Without VNNI the runtime's products of uint8 and int8 saturate in pairs, unless weights have 7 bits.
    "u8s8": {"activation": "QUInt8", "weight": "QInt8", "reduce_range": True},
    "channels": {"activation": "QInt8", "weight": "QInt8", "per_channel": True},
}


def exported(name: str, folder: Path) -> Path:
    """The float network, in a file of its own; exported once for all processes of a run."""
    shared = folder.parents[1] if "PYTEST_XDIST_WORKER" in os.environ else folder.parent
    path, kept = folder / "float.onnx", shared / f"{name}.onnx"
    if not kept.is_file():
        _export(name, path)
        shutil.copyfile(path, made := folder / "kept.onnx")
        made.replace(kept)
    shutil.copyfile(kept, path)
    return path


def _export(name: str, path: Path) -> None:
    python = os.environ.get(TORCH)
    if not python:
        pytest.skip(f"{TORCH} names no Python with torch and torchvision")
    if subprocess.run([python, "-c", "import torchvision, onnxscript"], capture_output=True, check=False).returncode:
        pytest.skip(f"{TORCH} names no Python with torch and torchvision")
    subprocess.run([python, SCRIPT, name, path], check=True, capture_output=True)


def quantized(source: Path, form: str) -> tuple[Path, tuple[int, ...]]:
    """What ``quantize_static`` makes of it after its own preparation, and the shape of its input."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    given = onnx.load(source).graph.input[0].type.tensor_type.shape.dim
    shape = tuple(size.dim_value for size in given)
    prepared, target = source.with_name("prepared.onnx"), source.with_name(f"{form}.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    return quantize_static(prepared, target, shape, count=3, **FORMS[form]), shape


@pytest.mark.parametrize("name", CODES)
def test_no_code_of_a_network_differs(name: str, tmp_path: Path) -> None:
    source = exported(name, tmp_path)
    for form in FORMS:
        path, shape = quantized(source, form)
        x = np.random.default_rng(3).normal(0, 1, (2, *shape[1:])).astype(np.float32)
        report = verify(path, arithmetic="onnxruntime", oracle="onnxruntime", inputs={"x": x})
        assert report.complete, report.unmatched
        assert report.elements >= CODES[name]
        named = load_graph(path, arithmetic="onnxruntime").approximations
        differing = {layer.layer: layer.forced.differing for layer in report.layers if layer.forced.differing}
        assert {layer: count for layer, count in differing.items() if layer not in named} == {}
        assert sum(differing.values()) <= report.elements / 10_000
