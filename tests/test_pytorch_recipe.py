"""The documented way from PyTorch to a simulated machine, walked by a PyTorch that lives in another environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from accelsim import verify
from accelsim.cli import main
from accelsim.importers import load_graph

FLOWS = Path(__file__).parents[1] / "docs" / "recipes" / "pytorch_flows.py"
RECIPE = Path(__file__).parents[1] / "docs" / "recipes" / "pytorch_qat.py"
TORCH = os.environ.get("ACCELSIM_TORCH_PYTHON", "")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not TORCH:
        pytest.skip("ACCELSIM_TORCH_PYTHON names no Python with torch, onnx and scikit-learn")
    folder = tmp_path_factory.mktemp("recipe")
    done = subprocess.run([TORCH, str(RECIPE), str(folder)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.oracle
@pytest.mark.slow
def test_integer_logits_are_pytorchs_fake_quantized_ones(exported: Path) -> None:
    """Codes differ where the rounded bias moves a sum across a rounding edge: by one, and seldom."""
    result, tensors = exported / "result.json", exported / "tensors.npz"
    model, images = exported / "digits_qat.onnx", exported / "digits_qat.npz"
    options = ["--arch", "edge_16x16", "--arithmetic", "onnxruntime", "--input", images]
    outputs = ["--json", result, "--tensors", tensors]
    done = CliRunner().invoke(main, [str(a) for a in ["run", model, *options, *outputs]])
    assert done.exit_code == 0, done.output
    expected = np.load(exported / "fake_quantized_logits.npy")
    with np.load(tensors) as held:
        logits = next(
            held[name] for name in held if held[name].shape == expected.shape and held[name].dtype == np.float32
        )
    scale = np.diff(np.unique(expected)).min()
    difference = np.rint((logits - expected) / scale)
    assert np.abs(difference).max() <= 1
    assert np.count_nonzero(difference) <= 0.01 * difference.size
    labels = np.load(images)["labels"]
    accuracy = json.loads(result.read_text())["values"]["accuracy"]
    assert abs(accuracy - np.mean(expected.argmax(1) == labels)) <= 0.01
    assert accuracy > 0.9


@pytest.mark.oracle
@pytest.mark.slow
def test_import_names_the_float_biases(exported: Path) -> None:
    done = CliRunner().invoke(main, ["import", str(exported / "digits_qat.onnx")])
    assert done.exit_code == 0, done.output
    assert done.stdout.count("floating-point bias is rounded") == 3


@pytest.mark.oracle
@pytest.mark.slow
def test_verify_names_the_rounded_biases(exported: Path) -> None:
    """Against the float reading with PyTorch's own float biases, nothing but their rounding moves a code."""
    model, images = exported / "digits_qat.onnx", exported / "digits_qat.npz"
    options = [
        "--arch",
        "edge_16x16",
        "--arithmetic",
        "onnxruntime",
        "--inputs",
        images,
        "--count",
        "60",
        "--json",
        "-",
    ]
    done = CliRunner().invoke(main, [str(a) for a in ["verify", model, *options]])
    assert done.exit_code in (0, 1), done.output
    held = json.loads(done.stdout)
    assert held["complete"]
    assert held["differing"] == sum(held["causes"].values())
    assert held["causes"].get("bias rounding", 0) >= held["differing"] - 3
    assert held["differing"] < 0.001 * held["elements"]
    assert held["output"]["machine_accuracy"] > 0.9


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize(("flow", "arithmetic"), [("eager", "onnxruntime"), ("brevitas", "finn")])
def test_other_flows_run(flow: str, arithmetic: str, tmp_path: Path) -> None:
    """As they are exported; eager mode's batch normalization, that was not folded, is exact."""
    if not TORCH:
        pytest.skip("ACCELSIM_TORCH_PYTHON names no Python with torch, onnx and brevitas")
    path = tmp_path / f"{flow}.onnx"
    done = subprocess.run(
        [TORCH, str(FLOWS), flow, str(path)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made = CliRunner().invoke(main, ["run", str(path), "--arch", "edge_16x16"])
    assert made.exit_code == 0, made.output
    graph = load_graph(path)
    assert graph.arithmetic == arithmetic
    if flow == "eager":
        (norm,) = (layer for layer in graph.layers if "norm" in layer.name.lower())
        assert norm.name not in graph.approximations
        x = np.random.default_rng(0).normal(0, 1, (20, 3, 8, 8)).astype(np.float32)
        report = verify(path, oracle="onnxruntime", inputs={"x": x})
        assert {layer.layer for layer in report.layers if layer.forced.differing} <= graph.approximations.keys()
