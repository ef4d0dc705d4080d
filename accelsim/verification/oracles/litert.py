"""LiteRT, with the kernels of one resolver."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.importers.tflite.file import read_tflite
from accelsim.verification.oracles.apart import apart
from accelsim.verification.oracles.base import Codes, Oracle, graph_codes, needs_suffix, package, runtime_call

RESOLVERS = {
    "litert-ref": ("BUILTIN_REF", "litert-reference"),
    "litert-optimized": ("BUILTIN_WITHOUT_DEFAULT_DELEGATES", "litert-optimized"),
    "litert-xnnpack": ("AUTO", "litert-xnnpack"),
}
"""Oracle -> LiteRT's OpResolverType, and the arithmetic that those kernels follow."""


class TfliteInterpreter(ABC):
    """An interpreter of a model file that keeps every tensor; ``graph`` is the model under its arithmetic."""

    name: str
    graph: Graph
    model: Any
    _interpreter: Any

    @abstractmethod
    def put(self, index: int, values: NDArray[Any]) -> None: ...

    @abstractmethod
    def get(self, index: int) -> NDArray[Any]: ...

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Codes:
        """Every computed tensor of one inference, and what operators keep in variable tensors."""
        with runtime_call(self.name):
            for index, values in host_inputs(self.graph, self.model, inputs):
                self.put(index, values)
            self._interpreter.invoke()
        names = {i: self.model.tensors[i].name for operator in self.model.operators for i in operator.outputs}
        shown = {name: i for i, name in names.items() if name in self.graph.tensors}
        own = {tensor.name: tensor.index for tensor in self.model.tensors if tensor.is_variable}
        shown |= {each.written: own[each.read] for each in self.graph.variables if each.read in own}
        return graph_codes(self.graph, {name: self.get(i).copy() for name, i in shown.items()})


def litert(path: Path, name: str, graph: Graph | None = None) -> Oracle:
    """:class:`LiteRt` in a process of its own, which its kernels may end."""
    needs_suffix(str(path), ".tflite", oracle=name)
    package("ai_edge_litert.interpreter", oracle=name, install="ai-edge-litert")
    known = load_graph(path, arithmetic=RESOLVERS[name][1]) if graph is None else graph
    return apart(name, known, lambda: LiteRt(path, name, known))


class LiteRt(TfliteInterpreter):
    """LiteRT's, with the kernels of one resolver; ``graph`` is the file under an arithmetic, that of those kernels or another."""

    def __init__(self, path: Path, name: str, graph: Graph) -> None:
        module = package("ai_edge_litert.interpreter", oracle=name, install="ai-edge-litert")
        self.name = name
        resolver, _ = RESOLVERS[name]
        self.graph = graph
        self.model = read_tflite(path)
        self._content = path.read_bytes()  # by its bytes, since the runtime takes no name that is not UTF-8
        with warnings.catch_warnings(), runtime_call(name):
            warnings.simplefilter("ignore")  # it warns of the memory that preserved tensors take
            self._interpreter = module.Interpreter(
                model_content=self._content,
                experimental_op_resolver_type=module.OpResolverType[resolver],
                experimental_preserve_all_tensors=True,
                num_threads=1,
            )
            self._interpreter.allocate_tensors()

    def put(self, index: int, values: NDArray[Any]) -> None:
        """Set an input tensor of the file."""
        self._interpreter.set_tensor(self.model.tensors[index].index, values)

    def get(self, index: int) -> NDArray[Any]:
        """A computed tensor of the file."""
        values: NDArray[Any] = self._interpreter.get_tensor(index)
        return values


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
