"""ONNX Runtime and the onnx package's reference evaluator, with every tensor of codes made an output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arithmetic, arithmetic_named
from accelsim.errors import AccelsimError
from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.quant import dequantize
from accelsim.verification.oracles.base import Codes, graph_codes, needs_suffix, package, runtime_call
from accelsim.verification.oracles.rewriting import CUT_TYPES, cut_model, optimized_model, rewriting

RUNTIME = "onnxruntime"
REFERENCE = "onnx-ref"
SETTINGS: Mapping[str, str] = MappingProxyType(
    {"session.qdqisint8allowed": "1", "session.qdq_matmulnbits_accuracy_level": "1"}
)
"""Integer operators for signed activations too; products of 16-bit codes and constants in float32.

ONNX Runtime 1.32 otherwise puts MatMulNBits in the place of the latter, which quantizes their activations anew, to 8 bits in blocks:
results are hundreds of codes off what the file says.
"""
_DOUBLES = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def reference_rules() -> Arithmetic:
    """The evaluator's QLinear operators multiply in double precision and add the zero point before rounding."""
    return arithmetic_named(RUNTIME).with_overrides(dict.fromkeys(_DOUBLES, "onnx_reference"))


class _Evaluator:
    """``session`` runs the model file with every tensor of codes among its outputs; ``graph`` is that model under its rules."""

    name: str

    def __init__(self, graph: Graph, blob: bytes, names: list[str], start: Callable[[bytes], Any]) -> None:
        self.graph = graph
        self._names = names
        with runtime_call(self.name):
            self._session = start(blob)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Codes:
        """Every tensor of codes of one inference."""
        with runtime_call(self.name):
            theirs = self._session.run(self._names, host_feeds(self.graph, inputs))
        return graph_codes(self.graph, dict(zip(self._names, theirs, strict=True)))


class OnnxRuntime(_Evaluator):
    """One session on the CPU as it comes, one thread, but for :data:`SETTINGS`.

    Tensors that its optimizer does away with are not shown: to ask for them would keep it from doing so. A file that it
    refuses once it is optimized runs at the highest level of optimization at which it loads.
    """

    name = RUNTIME

    def __init__(self, path: Path) -> None:
        needs_suffix(str(path), ".onnx", oracle=RUNTIME)
        self._module = package("onnxruntime", oracle=RUNTIME, install="onnxruntime")
        onnx = package("onnx", oracle=RUNTIME, install="onnx")
        graph, model = load_graph(path, arithmetic=RUNTIME), onnx.load(str(path))
        self.level = ""
        self._load_at_highest(lambda level: self._load(onnx, graph, model, level))
        self._cut, self._made = cut_model(onnx, model, self._types())

    def _load_at_highest(self, load: Callable[[Any], None]) -> None:
        """``load`` at the first level of optimization, from the highest down, that is not refused; else the first refusal."""
        highest, *lower = sorted(self._module.GraphOptimizationLevel.__members__.values(), key=int, reverse=True)
        try:
            load(highest)
        except AccelsimError as refusal:
            for level in lower:
                with suppress(AccelsimError):
                    load(level)
                    self.level = (
                        f"{_level_name(level)}, the highest at which it loads; at {_level_name(highest)} {RUNTIME} refuses the file: "
                        f"{refusal.data['reason']}"
                    )
                    return
            raise

    def _load(self, onnx: Any, graph: Graph, model: Any, level: Any) -> None:
        codes = code_names(model, graph)
        # The graph that runs, before operators and tensors get the names of layouts for this CPU.
        shown = min(level, self._module.GraphOptimizationLevel.ORT_ENABLE_EXTENDED, key=int)
        with runtime_call(RUNTIME):
            optimized = optimized_model(onnx, partial(self._write, shown), model.SerializeToString())
        self._rewriting = rewriting(model, optimized, codes)
        blob, names = exposed(model, [name for name in codes if name not in self._rewriting.vanished])
        super().__init__(graph, blob, names, lambda blob: _session(self._module, blob, level))

    @property
    def rewriting(self) -> str:
        """What the optimizer puts in whose place; nothing where it leaves the model alone."""
        return str(self._rewriting) if self._rewriting.is_one else ""

    def rewriting_of(self, tensor: str) -> str:
        """Operators of the file and of the graph that runs, behind one tensor."""
        return self._rewriting.of(tensor)

    def plain(self, inputs: Mapping[str, NDArray[Any]], codes: Codes) -> Codes:
        """Each tensor as the file says it, without any optimization, from the ``codes`` before it; none where some are missing."""
        if not self._made or not codes.keys() >= self._made.keys():
            return {}
        feeds = {name: self.graph.tensors[name].to_host(codes[name]) for name in self._made}
        with runtime_call(RUNTIME):
            theirs = self._unoptimized.run(list(self._made.values()), {**host_feeds(self.graph, inputs), **feeds})
        return graph_codes(self.graph, dict(zip(self._made, theirs, strict=True)))

    @cached_property
    def _unoptimized(self) -> Any:
        return _session(self._module, self._cut, self._module.GraphOptimizationLevel.ORT_DISABLE_ALL)

    def _types(self) -> dict[str, tuple[str, Any]]:
        """Element type and shape of each tensor that :meth:`run` gives and that numpy can hold as it is."""
        shown = {
            o.name: (o.type.removeprefix("tensor(").removesuffix(")").upper(), o.shape)
            for o in self._session.get_outputs()
        }
        return {name: shown[name] for name in self._names if shown[name][0] in CUT_TYPES}

    def _write(self, level: Any, blob: bytes, path: str) -> None:
        _session(self._module, blob, level, written=path)


class OnnxReference(_Evaluator):
    """onnx.reference.ReferenceEvaluator of a file; without its ``graph`` that file is read under the evaluator's own rules."""

    name = REFERENCE

    def __init__(self, path: Path, graph: Graph | None = None) -> None:
        needs_suffix(str(path), ".onnx", oracle=REFERENCE)
        module = package("onnx.reference", oracle=REFERENCE, install="onnx")
        onnx = package("onnx", oracle=REFERENCE, install="onnx")
        model = onnx.load(str(path))
        if graph is None:
            qlinear = any(node.op_type.startswith("QLinear") for node in model.graph.node)
            graph = load_graph(path, arithmetic=reference_rules() if qlinear else arithmetic_named(RUNTIME))
        blob, names = exposed(model, code_names(model, graph))
        super().__init__(graph, blob, names, lambda blob: module.ReferenceEvaluator(onnx.load_from_string(blob)))


class OnnxUnoptimized(_Evaluator):
    """ONNX Runtime with every operator of the file as it stands: ``graph`` is that file's."""

    name = RUNTIME

    def __init__(self, path: Path, graph: Graph) -> None:
        module = package("onnxruntime", oracle=RUNTIME, install="onnxruntime")
        onnx, level = package("onnx", oracle=RUNTIME, install="onnx"), module.GraphOptimizationLevel.ORT_DISABLE_ALL
        model = onnx.load(str(path))
        blob, names = exposed(model, code_names(model, graph))
        super().__init__(graph, blob, names, lambda blob: _session(module, blob, level))


def _session(module: Any, blob: bytes, level: Any, *, written: str = "") -> Any:
    """One thread, :data:`SETTINGS`; the graph that runs goes to the file ``written``."""
    options = module.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    for entry in SETTINGS.items():
        options.add_session_config_entry(*entry)
    if written:
        options.optimized_model_filepath = written
    return module.InferenceSession(blob, options, providers=["CPUExecutionProvider"])


def _level_name(level: Any) -> str:
    """``basic`` of ``ORT_ENABLE_BASIC``, ``disable_all`` of ``ORT_DISABLE_ALL``."""
    return str(level.name).removeprefix("ORT_").removeprefix("ENABLE_").lower()


def code_names(model: Any, graph: Graph) -> list[str]:
    """Tensors of the file that layers of the Graph compute."""
    made = {name for node in model.graph.node for name in node.output}
    return [layer.output for layer in graph.layers if layer.output in made]


def exposed(model: Any, wanted: list[str]) -> tuple[bytes, list[str]]:
    """The model with each tensor of ``wanted`` among its outputs, and their names."""
    onnx = package("onnx", oracle=RUNTIME, install="onnx")
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    outputs = {output.name for output in shown.graph.output}
    for name in wanted:
        if name not in outputs:
            # Type and shape are left to inference.
            shown.graph.output.append(onnx.ValueInfoProto(name=name))
    inferred = onnx.shape_inference.infer_shapes(shown)
    types = {info.name: info for info in inferred.graph.value_info}
    for output in shown.graph.output:
        if output.name in types:
            output.CopyFrom(types[output.name])
    return shown.SerializeToString(), wanted


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
