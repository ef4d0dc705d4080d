"""What ONNX Runtime's optimizer makes of a model file: which operators it puts in whose place, which tensors are gone.

Its passes run when a session is made (onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html); the
session can write the graph it ends with to a file, and it can be made without any of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

OUTPUT_SCALE = {
    "QuantizeLinear": 1, "QLinearConv": 6, "QLinearMatMul": 6, "QLinearAdd": 6, "QLinearMul": 6, "QGemm": 7, "QLinearConcat": 0,
    "QLinearSigmoid": 3, "QLinearLeakyRelu": 3, "QLinearAveragePool": 3, "QLinearGlobalAveragePool": 3, "QLinearSoftmax": 3,
}  # fmt: skip
"""Which input is the output's scale; the zero point is the one after it (ONNX and com.microsoft operator specifications)."""
CUT_TYPES = ("UINT8", "INT8", "UINT16", "INT16", "INT32")
"""Element types of tensors that can be fed from numpy as they are."""


@dataclass(frozen=True, eq=False)
class Rewriting:
    """Operators behind each tensor of codes, up to the codes before it, in the file and in the graph that runs.

    ``vanished``: tensors of codes that are not in that graph any more, or that stand there with another scale or zero point.
    """

    before: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]
    file: tuple[str, ...]
    runs: tuple[str, ...]
    vanished: tuple[str, ...]

    def of(self, tensor: str) -> str:
        """``2 DequantizeLinear, Add, QuantizeLinear -> QLinearAdd``, of one tensor."""
        return f"{counted(self.before.get(tensor, ()))} -> {counted(self.after.get(tensor, ()))}"

    def __str__(self) -> str:
        gone, new = Counter(self.file), Counter(self.runs)
        text = f"{counted((gone - new).elements())} -> {counted((new - gone).elements())}"
        return f"{text}; tensors that vanish: {', '.join(self.vanished)}" if self.vanished else text

    @property
    def is_one(self) -> bool:
        """Whether anything was rewritten."""
        return Counter(self.file) != Counter(self.runs) or bool(self.vanished)


def counted(operators: Iterable[str]) -> str:
    """``2 DequantizeLinear, Add``; ``nothing``."""
    found = Counter(operators)
    return ", ".join(f"{n} {op}" if n > 1 else op for op, n in found.items()) or "nothing"


def rewriting(model: Any, optimized: Any, codes: Sequence[str]) -> Rewriting:
    """``model`` against ``optimized``; ``codes`` are the tensors that tell its layers apart."""
    before, after = _parameters(model), _parameters(optimized)
    made = {name for node in optimized.graph.node for name in node.output}
    rescaled = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    kept = [name for name in codes if name in made and name not in rescaled]
    return Rewriting(
        before={name: tuple(_behind(model, name, frozenset(kept))) for name in kept},
        after={name: tuple(_behind(optimized, name, frozenset(kept))) for name in kept},
        file=tuple(node.op_type for node in model.graph.node),
        runs=tuple(node.op_type for node in optimized.graph.node),
        vanished=tuple(name for name in codes if name not in kept),
    )


def _parameters(model: Any) -> dict[str, tuple[bytes, ...]]:
    """Bytes of scale and zero point of each tensor whose operator names them."""
    from onnx import numpy_helper

    constants = {each.name: each for each in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        place = OUTPUT_SCALE.get(node.op_type)
        given = () if place is None else tuple(node.input[place : place + 2])
        if given and all(name in constants for name in given):
            found[node.output[0]] = tuple(numpy_helper.to_array(constants[name]).tobytes() for name in given)
    return found


def _behind(model: Any, name: str, stops: frozenset[str]) -> Iterator[str]:
    """Operators from ``stops`` to ``name``, in the file's order."""
    producer = {output: i for i, node in enumerate(model.graph.node) for output in node.output}
    wanted, left = set(), [name]
    while left:
        index = producer.get(left.pop())
        if index is not None and index not in wanted:
            wanted.add(index)
            left += [i for i in model.graph.node[index].input if i not in stops]
    return (model.graph.node[index].op_type for index in sorted(wanted))


def optimized_model(onnx: Any, start: Any, model: bytes) -> Any:
    """The graph that a session of ``model`` runs; ``start(blob, optimized_model_filepath)`` makes the session."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        start(model, str(path))
        return onnx.load(str(path))


def cut_model(onnx: Any, model: Any, types: Mapping[str, tuple[str, Sequence[Any]]]) -> tuple[bytes, dict[str, str]]:
    """``model`` with each tensor of ``types`` (element type, shape) an input; what made it writes one of the given new names."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    taken = {name for node in cut.graph.node for name in chain(node.input, node.output)}
    renamed = {name: next(n for i in count() if (n := f"{name}/made{i or ''}") not in taken) for name in types}
    for node in cut.graph.node:
        for i, name in enumerate(node.output):
            node.output[i] = renamed.get(name, name)
    del cut.graph.output[:]
    del cut.graph.value_info[:]
    for name, (kind, shape) in types.items():
        code = onnx.TensorProto.DataType.Value(kind)
        cut.graph.input.append(onnx.helper.make_tensor_value_info(name, code, shape))
        cut.graph.output.append(onnx.helper.make_tensor_value_info(renamed[name], code, shape))
    return cut.SerializeToString(), renamed
