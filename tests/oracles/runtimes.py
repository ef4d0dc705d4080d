"""The runtimes nobody here wrote, each as one function: model bytes and inputs in, every tensor out."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.execute import WholeReader
from accelsim.graph import Outcome
from accelsim.importers import load_graph
from accelsim.importers.tflite.file import TfliteModel, read_tflite
from tests.tally import tally

Tensors = dict[str, NDArray[Any]]
Feeds = Mapping[str, NDArray[Any]]
Runtime = Callable[[Path], Callable[[Feeds], Tensors]]

MICRO_ARENA_BYTES = 1 << 23


def _computed(model: TfliteModel) -> set[int]:
    """The tensors that a model writes codes to, variable ones too; a handle of a variable has none that could be asked for."""
    made = {i for operator in model.operators for i in operator.outputs}
    made |= {tensor.index for tensor in model.tensors if tensor.is_variable}
    return {i for i in made if model.tensors[i].type != "RESOURCE"}


def litert(path: Path, resolver: str) -> Callable[[Feeds], Tensors]:
    """LiteRT with the kernels of ``resolver``; every tensor by its name in our reader."""
    interpreter_module = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
    model = read_tflite(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the memory that preserved tensors take
        interpreter = interpreter_module.Interpreter(
            str(path),
            experimental_op_resolver_type=interpreter_module.OpResolverType[resolver],
            experimental_preserve_all_tensors=True,
            num_threads=1,
        )
    interpreter.allocate_tensors()
    by_name = {t.name: t for t in model.tensors}
    made = _computed(model)

    def run(feeds: Feeds) -> Tensors:
        for name, value in feeds.items():
            interpreter.set_tensor(by_name[name].index, value)
        interpreter.invoke()
        return {model.tensors[i].name: interpreter.get_tensor(i).copy() for i in made}

    return run


def micro(path: Path) -> Callable[[Feeds], Tensors]:
    """tflite-micro; every tensor by its name in our reader."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="tflite-micro is not installed")
    model = read_tflite(path)
    interpreter = runtime.Interpreter.from_file(
        str(path), arena_size=MICRO_ARENA_BYTES, intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors
    )
    made = _computed(model)

    def run(feeds: Feeds) -> Tensors:
        for position, index in enumerate(model.inputs):
            if model.tensors[index].name in feeds:
                interpreter.set_input(feeds[model.tensors[index].name], position)
        interpreter.invoke()
        return {model.tensors[i].name: interpreter.GetTensor(i, 0)["tensor_data"].copy() for i in made}

    return run


RUNTIMES: dict[str, Runtime] = {
    "tflite-micro": micro,
    "litert-reference": lambda path: litert(path, "BUILTIN_REF"),
    "litert-optimized": lambda path: litert(path, "BUILTIN_WITHOUT_DEFAULT_DELEGATES"),
    "litert-xnnpack": lambda path: litert(path, "AUTO"),
}
"""Arithmetic -> the runtime that has it."""


def differences(path: Path, arithmetic: str, feeds: Sequence[Feeds]) -> dict[str, int]:
    """Differing elements of every computed tensor and of what operators keep, summed over ``feeds``, which come one after another.

    A tensor that one side lacks is an error.
    """
    graph = load_graph(path, arithmetic=arithmetic)
    reader, reference = WholeReader(graph), RUNTIMES[arithmetic](path)
    made = [operator.output for operator in graph.source if operator.outcome is Outcome.LAYER]
    own = {variable.read: variable.written for variable in graph.variables if variable.read == variable.name}
    result = dict.fromkeys([*made, *own], 0)
    state: Tensors = {}
    for feed in feeds:
        ours = reader.run({**{port.tensor: feed[port.tensor] for port in graph.inputs}, **state}, keep="all")
        theirs, state = reference(feed), graph.carried(ours)
        for name, written in own.items():
            result[name] += int(np.count_nonzero(ours[written] != theirs[name]))
        for name in made:
            assert ours[name].shape == theirs[name].shape, f"{name}: {ours[name].shape} against {theirs[name].shape}"
            assert ours[name].dtype == theirs[name].dtype
            tally(graph, name, ours[name], theirs[name], file=".tflite")
            result[name] += int(np.count_nonzero(ours[name] != theirs[name]))
    return result


@contextlib.contextmanager
def as_file(blob: bytes) -> Any:
    """``blob`` in a temporary .tflite file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(blob)
        yield path
