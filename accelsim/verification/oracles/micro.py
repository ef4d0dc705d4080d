"""tflite-micro."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.importers.tflite.file import read_tflite
from accelsim.verification.oracles.apart import apart
from accelsim.verification.oracles.base import Oracle, needs_suffix, package, runtime_call
from accelsim.verification.oracles.litert import TfliteInterpreter

NAME = "tflite-micro"
ARENA_BYTES = 1 << 24
"""Memory for all tensors at once; an assumption of ours, enough for MLPerf Tiny's networks."""


def micro(path: Path) -> Oracle:
    """:class:`Micro` in a process of its own, which its kernels may end."""
    needs_suffix(str(path), ".tflite", oracle=NAME)
    package("tflite_micro.python.tflite_micro.runtime", oracle=NAME, install="tflite-micro")
    graph = load_graph(path, arithmetic=NAME)
    return apart(NAME, graph, lambda: Micro(path, graph))


class Micro(TfliteInterpreter):
    """tflite-micro's."""

    name = NAME

    def __init__(self, path: Path, graph: Graph) -> None:
        runtime = package("tflite_micro.python.tflite_micro.runtime", oracle=NAME, install="tflite-micro")
        self.graph = graph
        self.model = read_tflite(path)
        keep = runtime.InterpreterConfig.kPreserveAllTensors
        with runtime_call(NAME):
            self._interpreter = runtime.Interpreter.from_file(
                str(path), arena_size=ARENA_BYTES, intrepreter_config=keep
            )

    def put(self, index: int, values: NDArray[Any]) -> None:
        """Set an input tensor of the file."""
        self._interpreter.set_input(values, self.model.inputs.index(index))

    def get(self, index: int) -> NDArray[Any]:
        """A computed tensor of the file."""
        values: NDArray[Any] = self._interpreter.GetTensor(index, 0)["tensor_data"]
        return values
