"""Runs in an environment of its own that holds ``qonnx``: every tensor of models, executed node by node.

    python run_qonnx.py model.onnx in.npz out.npz [model.onnx in.npz out.npz ...]

``in.npz`` holds the graph inputs with one more axis in front, one index per inference; ``out.npz`` has all tensors that way.
"""

from __future__ import annotations

import sys

import numpy as np


def run(path: str, feeds: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """All tensors of all inferences, by name."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    model = ModelWrapper(path).transform(InferShapes())
    made = [execute_onnx(model, feed, return_full_exec_context=True) for feed in feeds]
    names = {name for node in model.graph.node for name in node.output}
    return {name: np.stack([np.asarray(context[name]) for context in made]) for name in names}


def answer(model: str, inputs: str, outputs: str) -> None:
    """All tensors of the inferences in file ``inputs`` into file ``outputs``."""
    given = np.load(inputs)
    count = len(given[given.files[0]])
    np.savez(outputs, **run(model, [{name: given[name][i] for name in given.files} for i in range(count)]))


if __name__ == "__main__":
    for i in range(1, len(sys.argv), 3):
        answer(*sys.argv[i : i + 3])
