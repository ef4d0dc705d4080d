"""ONNX Runtime and the onnx package's reference evaluator, with every tensor of codes made an output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arithmetic, arithmetic_named
from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.quant import dequantize
from accelsim.verification.oracles.base import Codes, graph_codes, needs_suffix, package

RUNTIME = "onnxruntime"
REFERENCE = "onnx-ref"
_DOUBLES = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def reference_rules() -> Arithmetic:
    """The evaluator's QLinear operators multiply in double precision and add the zero point before rounding."""
    return arithmetic_named(RUNTIME).with_overrides(dict.fromkeys(_DOUBLES, "onnx_reference"))


class _Evaluator:
    """``session`` runs the model file with every tensor of codes among its outputs; ``graph`` is that model under its rules."""

    def __init__(self, path: Path, graph: Graph, start: Callable[[bytes], Any]) -> None:
        self.graph = graph
        blob, self._names = exposed(path, graph)
        self._session = start(blob)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Codes:
        """Every tensor of codes of one inference."""
        theirs = self._session.run(self._names, host_feeds(self.graph, inputs))
        return graph_codes(self.graph, dict(zip(self._names, theirs, strict=True)))


class OnnxRuntime(_Evaluator):
    """One session on the CPU, one thread, integer operators for signed activations too."""

    def __init__(self, path: Path) -> None:
        needs_suffix(str(path), ".onnx", oracle=RUNTIME)
        module = package("onnxruntime", oracle=RUNTIME, install="onnxruntime")
        graph = load_graph(path, arithmetic=RUNTIME)
        options = module.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.qdqisint8allowed", "1")
        providers = ["CPUExecutionProvider"]
        super().__init__(path, graph, lambda blob: module.InferenceSession(blob, options, providers=providers))


class OnnxReference(_Evaluator):
    """onnx.reference.ReferenceEvaluator."""

    def __init__(self, path: Path) -> None:
        needs_suffix(str(path), ".onnx", oracle=REFERENCE)
        module = package("onnx.reference", oracle=REFERENCE, install="onnx")
        onnx = package("onnx", oracle=REFERENCE, install="onnx")
        model = onnx.load(str(path))
        qlinear = any(node.op_type.startswith("QLinear") for node in model.graph.node)
        graph = load_graph(path, arithmetic=reference_rules() if qlinear else arithmetic_named(RUNTIME))
        super().__init__(path, graph, lambda blob: module.ReferenceEvaluator(onnx.load_from_string(blob)))


def exposed(path: Path, graph: Graph) -> tuple[bytes, list[str]]:
    """The model with each of the Graph's computed tensors that it names among its outputs, and their names."""
    onnx = package("onnx", oracle=RUNTIME, install="onnx")
    model = onnx.load(str(path))
    made = {name for node in model.graph.node for name in node.output}
    wanted = [layer.output for layer in graph.layers if layer.output in made]
    outputs = {output.name for output in model.graph.output}
    for name in wanted:
        if name not in outputs:
            # Type and shape are left to inference.
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    inferred = onnx.shape_inference.infer_shapes(model)
    types = {info.name: info for info in inferred.graph.value_info}
    for output in model.graph.output:
        if output.name in types:
            output.CopyFrom(types[output.name])
    return model.SerializeToString(), wanted


def host_feeds(graph: Graph, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Inputs as the model file wants them: axes in the host's order, real where it begins with a float tensor."""
    feeds = {}
    for port in graph.inputs:
        tensor = graph.tensors[port.tensor]
        values = tensor.to_host(np.asarray(inputs[port.tensor]))
        if port.real and tensor.scale is not None:
            values = dequantize(values, scale=tensor.scale, zero_point=tensor.zero_point)
        feeds[port.host_name] = values
    return feeds
