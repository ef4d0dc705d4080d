"""Recipes of docs/recipes that train four bits, run in PyTorch's environment, and the integers beside qonnx, code by code."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

import accelsim
from tests.importers.qonnx.oracle import script

FOLDER = Path(__file__).parents[1] / "docs" / "recipes"
RECIPES = {"pytorch_lsq.py": "digits_lsq", "brevitas_w4a4.py": "digits_brevitas"}
"""Files of recipes, and the name of what each exports."""
TORCH = os.environ.get("ACCELSIM_TORCH_PYTHON", "")
NEAR = 1e-5
"""Steps from a tie within which qonnx may round either way: it adds products of real numbers in float32, accelsim those of integers."""


@dataclass(frozen=True)
class Trained:
    """A recipe's exported network, its test images, PyTorch's logits, the accuracies it printed, and our integers."""

    model: Path
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    accuracies: dict[str, str]
    simulated: accelsim.Simulation

    @property
    def accuracy(self) -> float:
        """Of the integers, between 0 and 1."""
        values = self.simulated.result.values
        assert values is not None
        assert values.accuracy is not None
        return values.accuracy

    def codes(self, name: str) -> NDArray[np.int64]:
        """Our codes of the tensor ``name``, (images, elements), elements in the file's order of axes."""
        tensors = self.simulated.tensors
        assert tensors is not None
        values = tensors[name].reshape(len(self.images), -1)
        if values.dtype == np.float32:  # the output, as the host sees it
            values = np.rint(values / self.simulated.graph.tensors[name].scale)
        return values.astype(np.int64)


def trained(recipe: str, folder: Path) -> Trained:
    """Run ``recipe`` into ``folder``, and accelsim on what it exports."""
    name = RECIPES[recipe]
    command = [TORCH, str(FOLDER / recipe), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    model = folder / f"{name}.onnx"
    with np.load(folder / f"{name}.npz") as held:
        images, labels = held["image"], held["labels"]
    simulated = accelsim.run(model, arch="edge_16x16", inputs=images, labels=labels, keep="all")
    said = dict(re.findall(r"(\S+) accuracy ([\d.]+%)", done.stdout))
    return Trained(model, images, labels, np.load(folder / "fake_quantized_logits.npy"), said, simulated)


def _codes_of_qonnx(trained: Trained) -> dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """qonnx's codes of every quantized activation, (images, elements), in the file's order, and which are near a tie."""
    model, graph = onnx.load(trained.model), trained.simulated.graph
    folder, count = trained.model.parent, len(trained.images)
    host = {port.host_name for port in (*graph.inputs, *graph.outputs)}
    for value in (*model.graph.input, *model.graph.output):  # all images at once; a file may list its weights as inputs
        if value.name in host:
            value.type.tensor_type.shape.dim[0].dim_value = count
    del model.graph.value_info[:]
    onnx.save(model, folder / "batch.onnx")
    np.savez(folder / "in.npz", **{graph.inputs[0].host_name: trained.images[None]})
    script("run_qonnx.py", folder / "batch.onnx", folder / "in.npz", folder / "out.npz")
    made = {}
    with np.load(folder / "out.npz") as theirs:
        for node in model.graph.node:
            tensor = graph.tensors.get(node.output[0])
            if node.op_type != "Quant" or tensor is None or node.input[0] not in theirs:
                continue  # weights, and the image itself
            real, exact = theirs[node.output[0]][0], theirs[node.input[0]][0].astype(np.float64) / tensor.scale
            near = np.abs(exact - np.floor(exact) - 0.5) < NEAR
            made[node.output[0]] = (
                np.rint(real / tensor.scale).astype(np.int64).reshape(count, -1),
                near.reshape(count, -1),
            )
    return made


@dataclass(frozen=True)
class Compared:
    """Codes beside those of qonnx: how many, how many differ, and how many of these no near tie explains."""

    codes: int
    near: int
    differing: int
    unexplained: int


def compared(trained: Trained) -> Compared:
    """Every quantized activation of every image; what differs behind a near tie of the same image follows from it."""
    codes = ties = differing = unexplained = 0
    follows = np.zeros((len(trained.images), 1), dtype=bool)
    for name, (theirs, near) in _codes_of_qonnx(trained).items():
        differ = trained.codes(name) != theirs
        codes, ties, differing = codes + differ.size, ties + int(near.sum()), differing + int(differ.sum())
        unexplained += int((differ & ~near & ~follows).sum())
        follows |= differ.any(axis=1, keepdims=True)
    return Compared(codes, ties, differing, unexplained)
