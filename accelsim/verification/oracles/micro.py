"""tflite-micro."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.importers.tflite.reader import read_tflite
from accelsim.verification.oracles.base import Codes, graph_codes, needs_suffix, package
from accelsim.verification.oracles.litert import host_inputs

NAME = "tflite-micro"
ARENA_BYTES = 1 << 24
"""Memory for all tensors at once; an assumption of ours, enough for MLPerf Tiny's networks."""


class Micro:
    """One interpreter that keeps every tensor."""

    def __init__(self, path: Path) -> None:
        needs_suffix(str(path), ".tflite", oracle=NAME)
        runtime = package("tflite_micro.python.tflite_micro.runtime", oracle=NAME, install="tflite-micro")
        self._graph = load_graph(path, arithmetic=NAME)
        self._model = read_tflite(path)
        keep = runtime.InterpreterConfig.kPreserveAllTensors
        self._interpreter = runtime.Interpreter.from_file(str(path), arena_size=ARENA_BYTES, intrepreter_config=keep)

    @property
    def graph(self) -> Graph:
        """The model under this runtime's arithmetic."""
        return self._graph

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Codes:
        """Every computed tensor of one inference."""
        tensors = self._model.tensors
        for index, values in host_inputs(self._graph, self._model, inputs):
            self._interpreter.set_input(values, self._model.inputs.index(index))
        self._interpreter.invoke()
        made = [i for operator in self._model.operators for i in operator.outputs]
        theirs = {tensors[i].name: self._interpreter.GetTensor(i, 0)["tensor_data"].copy() for i in made}
        return graph_codes(self._graph, theirs)
