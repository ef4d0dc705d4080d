"""The recipes that train four bits: from training to integers, and the integers are those of qonnx and the logits those of PyTorch."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import accelsim
from accelsim.graph import Dense, MacLayer
from accelsim.numerics import IntFormat
from tests.importers.qonnx.oracle import needs_qonnx, script

RECIPES = Path(__file__).parents[1] / "docs" / "recipes"
TORCH = os.environ.get("ACCELSIM_TORCH_PYTHON", "")
pytestmark = [pytest.mark.slow, *needs_qonnx]


@dataclass(frozen=True)
class Trained:
    """A recipe's exported network, its test images, and what PyTorch said of them."""

    model: Path
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    accuracies: dict[str, str]
    simulated: accelsim.Simulation


@pytest.fixture(scope="module", params=[("pytorch_lsq.py", "digits_lsq"), ("brevitas_w4a4.py", "digits_brevitas")])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    if not TORCH:
        pytest.skip("ACCELSIM_TORCH_PYTHON names no Python with torch, brevitas, onnx and scikit-learn")
    recipe, name = request.param
    folder = tmp_path_factory.mktemp(name)
    command = [TORCH, str(RECIPES / recipe), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    model = folder / f"{name}.onnx"
    with np.load(folder / f"{name}.npz") as held:
        images, labels = held["image"], held["labels"]
    simulated = accelsim.run(model, arch="edge_16x16", inputs=images, labels=labels, keep="all")
    logits = np.load(folder / "fake_quantized_logits.npy")
    said = dict(re.findall(r"(\S+) accuracy ([\d.]+%)", done.stdout))
    return Trained(model, images, labels, logits, said, simulated)


def codes_of_qonnx(trained: Trained, folder: Path) -> dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Codes of every quantized activation, in the file's order, and which of them float32 may round either way.

    Those are within 1e-5 of a step of a tie: qonnx adds the products of real numbers in float32, accelsim those of integers.
    """
    model = onnx.load(trained.model)
    for value in (*model.graph.input, *model.graph.output):  # all images at once
        value.type.tensor_type.shape.dim[0].dim_value = len(trained.images)
    del model.graph.value_info[:]
    onnx.save(model, folder / "batch.onnx")
    np.savez(folder / "in.npz", **{model.graph.input[0].name: trained.images[None]})
    script("run_qonnx.py", folder / "batch.onnx", folder / "in.npz", folder / "out.npz")
    made = {}
    with np.load(folder / "out.npz") as theirs:
        for node in model.graph.node:
            tensor = trained.simulated.graph.tensors.get(node.output[0])
            if node.op_type != "Quant" or tensor is None or node.input[0] not in theirs:
                continue  # weights, and the image itself
            exact = theirs[node.input[0]][0].astype(np.float64) / tensor.scale
            near = np.abs(exact - np.floor(exact) - 0.5) < 1e-5
            made[node.output[0]] = np.rint(theirs[node.output[0]][0] / tensor.scale).astype(np.int64), near
    return made


def our_codes(trained: Trained, name: str) -> NDArray[np.int64]:
    """Codes of the tensor ``name`` for all images, in the file's order of axes."""
    tensor, tensors = trained.simulated.graph.tensors[name], trained.simulated.tensors
    assert tensors is not None
    values = tensors[name]
    if values.dtype == np.float32:  # the output, as the host sees it
        return np.rint(values / tensor.scale).astype(np.int64)
    return np.stack([tensor.to_host(one) for one in values]).astype(np.int64)


def test_every_code_is_that_of_qonnx(trained: Trained, tmp_path: Path) -> None:
    """No code differs but at a near tie of float32; what follows from one in the same image is not counted again."""
    compared, aside = 0, np.zeros(len(trained.images), dtype=bool)
    for name, (theirs, near) in codes_of_qonnx(trained, tmp_path).items():
        ours = our_codes(trained, name)
        differ = (ours.reshape(len(ours), -1) != theirs.reshape(len(ours), -1)) & ~aside[:, None]
        assert not (differ & ~near.reshape(differ.shape)).any(), name
        assert near.mean() < 1e-4
        aside |= differ.any(axis=1)
        compared += differ.size
    assert compared == len(trained.images) * (16 * 64 + 32 * 16 + 10)
    assert aside.sum() <= 2


def test_logits_and_accuracy_are_those_of_pytorch(trained: Trained) -> None:
    values, tensors = trained.simulated.result.values, trained.simulated.tensors
    assert values is not None
    assert tensors is not None
    differ = (tensors["logits"] != trained.logits).any(axis=1)
    assert differ.sum() <= 2  # a near tie of float32, as above
    assert set(trained.accuracies) == {"float", "fake-quantized"}
    assert trained.accuracies["fake-quantized"] == f"{np.mean(trained.logits.argmax(1) == trained.labels):.2%}"
    if not differ.any():
        assert f"{values.accuracy:.2%}" == trained.accuracies["fake-quantized"]
    assert float(trained.accuracies["float"].rstrip("%")) - 100 * (values.accuracy or 0) < 1
    assert (values.accuracy or 0) > 0.94


def test_four_bits_everywhere_between_image_and_logits(trained: Trained) -> None:
    graph = trained.simulated.graph
    assert graph.arithmetic == "finn"
    assert not graph.approximations
    layers = [layer for layer in graph.layers if isinstance(layer, MacLayer)]
    assert [layer.weight_format for layer in layers] == [IntFormat(4)] * 3
    formats = [graph.tensors[layer.output].format for layer in layers]
    assert formats == [IntFormat(4, signed=False), IntFormat(4, signed=False), IntFormat(8)]
    assert isinstance(layers[-1], Dense)
