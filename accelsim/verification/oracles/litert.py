"""LiteRT, with the kernels of one resolver."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.importers.tflite.reader import read_tflite
from accelsim.verification.oracles.base import Codes, graph_codes, needs_suffix, package

RESOLVERS = {
    "litert-ref": ("BUILTIN_REF", "litert-reference"),
    "litert-optimized": ("BUILTIN_WITHOUT_DEFAULT_DELEGATES", "litert-optimized"),
    "litert-xnnpack": ("AUTO", "litert-xnnpack"),
}
"""Oracle -> LiteRT's OpResolverType, and the arithmetic that those kernels follow."""


class LiteRt:
    """One interpreter that keeps every tensor."""

    def __init__(self, path: Path, name: str) -> None:
        needs_suffix(str(path), ".tflite", oracle=name)
        module = package("ai_edge_litert.interpreter", oracle=name, install="ai-edge-litert")
        resolver, arithmetic = RESOLVERS[name]
        self._graph = load_graph(path, arithmetic=arithmetic)
        self._model = read_tflite(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of the memory that preserved tensors take
            self._interpreter = module.Interpreter(
                str(path),
                experimental_op_resolver_type=module.OpResolverType[resolver],
                experimental_preserve_all_tensors=True,
                num_threads=1,
            )
        self._interpreter.allocate_tensors()

    @property
    def graph(self) -> Graph:
        """The model under this runtime's arithmetic."""
        return self._graph

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Codes:
        """Every computed tensor of one inference."""
        tensors = self._model.tensors
        for index, values in host_inputs(self._graph, self._model, inputs):
            self._interpreter.set_tensor(tensors[index].index, values)
        self._interpreter.invoke()
        made = [i for operator in self._model.operators for i in operator.outputs]
        return graph_codes(self._graph, {tensors[i].name: self._interpreter.get_tensor(i).copy() for i in made})


def host_inputs(graph: Graph, model: Any, inputs: Mapping[str, NDArray[Any]]) -> list[tuple[int, NDArray[Any]]]:
    """(tensor index of the file, value) of each input: real where the file begins with QUANTIZE, which gives the codes back."""
    from accelsim.quant import dequantize

    by_name = {model.tensors[i].name: i for i in model.inputs}
    found = []
    for port in graph.inputs:
        values, tensor = inputs[port.tensor], graph.tensors[port.tensor]
        if port.real and tensor.scale is not None:
            values = dequantize(values, scale=tensor.scale, zero_point=tensor.zero_point)
        index = by_name[port.host_name]
        found.append((index, values.reshape(model.tensors[index].shape)))
    return found
