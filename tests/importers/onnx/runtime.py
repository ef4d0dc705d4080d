"""ONNX Runtime as the oracle: the same model, the same inputs, every tensor of codes compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from accelsim.arch import Arithmetic
from accelsim.execute import WholeReader
from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.quant import quantize
from tests.tally import tally


def save(model: onnx.ModelProto, folder: Path, name: str = "model") -> Path:
    """Write a model."""
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def runtime(model: onnx.ModelProto, *, int8: bool, optimize: bool = True) -> onnxruntime.InferenceSession:
    """One thread; with ``int8`` signed activations stay in integer operators."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if int8:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_graph(graph: Graph, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Every tensor of one inference, under its Graph name, in the host's order of axes."""
    inputs = {}
    for port in graph.inputs:
        tensor, values = graph.tensors[port.tensor], feeds[port.host_name]
        if port.real:
            values = quantize(
                values, scale=tensor.scale, zero_point=tensor.zero_point, fmt=tensor.format, rounding=port.rounding
            )
        inputs[port.tensor] = tensor.from_host(values)
    made = WholeReader(graph).run(inputs, keep="all")
    return {name: graph.tensors[name].to_host(values) for name, values in made.items()}


def differences(
    model: onnx.ModelProto,
    feeds: list[dict[str, NDArray[Any]]],
    folder: Path,
    *,
    int8: bool = False,
    optimize: bool = True,
    arithmetic: str | Arithmetic = "onnxruntime",
) -> tuple[dict[str, int], int]:
    """Differing codes per tensor, and how many were compared."""
    graph = load_graph(save(model, folder), arithmetic=arithmetic)
    session = runtime(model, int8=int8, optimize=optimize)
    names = [output.name for output in session.get_outputs() if "int" in output.type]
    ports = {port.host_name: port.tensor for port in graph.outputs}
    wrong: dict[str, int] = dict.fromkeys(names, 0)
    compared = 0
    for feed in feeds:
        ours = run_graph(graph, feed)
        for name, theirs in zip(names, session.run(names, feed), strict=True):
            got = ours[ports[name]]
            assert got.shape == theirs.shape, (name, got.shape, theirs.shape)
            tally(graph, ports[name], got, theirs, file=".onnx")
            wrong[name] += int((got.astype(np.int64) != theirs.astype(np.int64)).sum())
            compared += theirs.size
    return {name: count for name, count in wrong.items() if count}, compared
