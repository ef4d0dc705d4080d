"""qonnx as the oracle: the same model, the same inputs, every quantized tensor compared.

qonnx and torch live in an environment of their own: ``ACCELSIM_QONNX_PYTHON`` names its python.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Job:
    """One model file, its Graph, and feeds with inferences on their first axis."""

    path: Path
    graph: Graph
    feeds: dict[str, NDArray[np.float32]]

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """What the other environment reads and writes."""
        return self.path, self.path.with_suffix(".in.npz"), self.path.with_suffix(".out.npz")


def differences(path: Path, graph: Graph, feeds: dict[str, NDArray[np.float32]]) -> tuple[dict[str, int], int]:
    """Differing real numbers per quantized tensor, and how many were compared."""
    return all_differences([Job(path, graph, feeds)])[0]


def all_differences(jobs: list[Job]) -> list[tuple[dict[str, int], int]]:
    """As :func:`differences` for each of many networks, with one start of the other interpreter."""
    for job in jobs:
        np.savez(job.files[1], **job.feeds)  # type: ignore[arg-type]  # numpy types the keywords as one flag
    script("run_qonnx.py", *(file for job in jobs for file in job.files))
    return [_compared(job) for job in jobs]


def _compared(job: Job) -> tuple[dict[str, int], int]:
    wrong: dict[str, int] = {}
    compared = 0
    with np.load(job.files[2]) as theirs:
        for i in range(len(next(iter(job.feeds.values())))):
            ours = run_graph(job.graph, {name: values[i] for name, values in job.feeds.items()})
            for name in set(ours) & set(theirs.files):
                tensor = job.graph.tensors[name]
                steps = (ours[name].astype(np.int64) - tensor.zero_point).astype(np.float32)
                real = np.float32(tensor.scale) * steps
                count = int((real.reshape(-1) != theirs[name][i].reshape(-1)).sum())
                wrong[name] = wrong.get(name, 0) + count
                compared += real.size
    return {name: count for name, count in wrong.items() if count}, compared
