"""qonnx as the oracle: the same model, the same inputs, every quantized tensor compared.

qonnx and torch live in an environment of their own: ``ACCELSIM_QONNX_PYTHON`` names its python.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.graph import Graph
from tests.importers.onnx.runtime import run_graph

PYTHON = os.environ.get("ACCELSIM_QONNX_PYTHON", "")
needs_qonnx = [
    pytest.mark.oracle,
    pytest.mark.skipif(not Path(PYTHON).is_file(), reason="ACCELSIM_QONNX_PYTHON names no python with qonnx"),
]


def script(name: str, *arguments: object) -> None:
    """Run a script of this folder in the other environment."""
    command = [PYTHON, str(Path(__file__).with_name(name)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def differences(path: Path, graph: Graph, feeds: dict[str, NDArray[np.float32]]) -> tuple[dict[str, int], int]:
    """Differing real numbers per quantized tensor, and how many were compared; ``feeds`` has inferences on its first axis."""
    folder = path.parent
    np.savez(folder / "in.npz", **feeds)
    script("run_qonnx.py", path, folder / "in.npz", folder / "out.npz")
    wrong: dict[str, int] = {}
    compared = 0
    with np.load(folder / "out.npz") as theirs:
        for i in range(len(next(iter(feeds.values())))):
            ours = run_graph(graph, {name: values[i] for name, values in feeds.items()})
            for name in set(ours) & set(theirs.files):
                tensor = graph.tensors[name]
                steps = (ours[name].astype(np.int64) - tensor.zero_point).astype(np.float32)
                real = np.float32(tensor.scale) * steps
                count = int((real.reshape(-1) != theirs[name][i].reshape(-1)).sum())
                wrong[name] = wrong.get(name, 0) + count
                compared += real.size
    return {name: count for name, count in wrong.items() if count}, compared
