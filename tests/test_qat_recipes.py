"""The recipes that train four bits: from training to integers, whose codes are those of qonnx and whose logits those of PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from accelsim.graph import Dense, MacLayer
from accelsim.numerics import IntFormat
from tests.importers.qonnx.oracle import needs_qonnx
from tests.qat import RECIPES, TORCH, Trained, compared, trained

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [pytest.mark.slow, *needs_qonnx]


@pytest.fixture(scope="module", params=RECIPES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    if not TORCH:
        pytest.skip("ACCELSIM_TORCH_PYTHON names no Python with torch, brevitas, onnx and scikit-learn")
    return trained(request.param, tmp_path_factory.mktemp("recipe"))


def test_every_code_is_that_of_qonnx(made: Trained) -> None:
    """None differs where float32 leaves no doubt; on the machine that made the page none differs at all."""
    counts = compared(made)
    assert counts.codes == len(made.images) * (16 * 64 + 32 * 16 + 10)
    assert counts.unexplained == 0
    assert counts.near < 1e-3 * counts.codes
    assert counts.differing < 1e-3 * counts.codes


def test_logits_and_accuracy_are_those_of_pytorch(made: Trained) -> None:
    tensors = made.simulated.tensors
    assert tensors is not None
    differ = (tensors["logits"] != made.logits).any(axis=1)
    assert differ.sum() <= 2  # behind a near tie of float32, in which PyTorch adds in an order of its own
    theirs = np.mean(made.logits.argmax(1) == made.labels)
    assert made.accuracies["fake-quantized"] == f"{theirs:.2%}"
    assert abs(made.accuracy - theirs) <= differ.sum() / len(differ)
    assert float(made.accuracies["float"].rstrip("%")) - 100 * made.accuracy < 1.5
    assert made.accuracy > 0.94


def test_four_bits_everywhere_between_image_and_logits(made: Trained) -> None:
    graph = made.simulated.graph
    assert graph.arithmetic == "finn"
    assert not graph.approximations
    layers = [layer for layer in graph.layers if isinstance(layer, MacLayer)]
    assert [layer.weight_format for layer in layers] == [IntFormat(4)] * 3
    formats = [graph.tensors[layer.output].format for layer in layers]
    assert formats == [IntFormat(4, signed=False), IntFormat(4, signed=False), IntFormat(8)]
    assert isinstance(layers[-1], Dense)


def test_the_page_names_this_accuracy(made: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other versions of PyTorch train other weights; within two points, they are the page's."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from docs import make_qat

    row = next(line for line in make_qat.rows_of_the_page() if made.model.stem in line)
    printed = float(row.split(" | ")[3].rstrip(" %"))
    assert abs(printed - 100 * made.accuracy) < 2


def test_folding_changes_no_float_result_and_gradients_are_the_papers() -> None:
    if not TORCH:
        pytest.skip("ACCELSIM_TORCH_PYTHON names no Python with torch and scikit-learn")
    command = [TORCH, str(Path(__file__).with_name("lsq_laws.py")), str(ROOT / "docs" / "recipes" / "pytorch_lsq.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    far = json.loads(done.stdout)
    assert sorted(far) == ["frozen", "inference", "input", "step", "training"]
    assert max(far.values()) < 1e-5
