"""An OnnxModel becomes a Graph: every node to its lowering, conversions at the boundary to the host."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelsim.arch import Arithmetic
from accelsim.errors import ConfigError, GraphError, InputError, ModelError, UnsupportedOperatorError
from accelsim.graph import Graph, HostPort, Tensor
from accelsim.importers.onnx.account import Turn, account
from accelsim.importers.onnx.file.records import FORMAT_TYPES, OnnxModel, OnnxNode
from accelsim.importers.onnx.network import Codes, HostReal, Network, Real
from accelsim.importers.onnx.refusal import RefusalError
from accelsim.importers.onnx.registry import LOWERINGS, REFUSED
from accelsim.importers.onnx.rules import Rules
from accelsim.importers.onnx.site import Site
from accelsim.importers.qonnx.outputs import sums_port
from accelsim.importers.qonnx.registry import QONNX_LOWERINGS
from accelsim.numerics import IntFormat, Rounding

REMEDY = "quantize it with accelsim quantize, or onnxruntime.quantization.quantize_static (QDQ or QOperator format, int8 or uint8)"


def build_graph(model: OnnxModel, arithmetic: Arithmetic) -> Graph:
    """The Graph of ``model`` under ``arithmetic``; ModelError or UnsupportedOperatorError where there is none."""
    _require_quantized(model)
    net = Network(model)
    net.values.update(model.constants)
    with _refused(model, "its graph inputs"):
        _read_inputs(net)
    rules = Rules(arithmetic)
    turns = []
    for node in model.nodes:
        with _located(model, node):
            before = len(net.layers)
            _lower(Site(node, net, rules))
            turns.append(Turn(node, tuple(layer.name for layer in net.layers[before:])))
    outputs = [_output_port(net, name) for name in model.outputs]
    read = {name for layer in net.layers for name in layer.inputs} | {port.tensor for port in outputs}
    if not net.layers:
        raise ModelError(
            f"{model.path}: the model computes nothing on integers; expected at least one quantized operator"
        )
    with _refused(model, "its graph"):
        return Graph(
            name=Path(model.path).stem,
            arithmetic=arithmetic.name,
            tensors=_used(net, read),
            layers=tuple(net.layers),
            inputs=tuple(port for port in net.inputs if port.tensor in read),
            outputs=tuple(outputs),
            approximations=net.approximations,
            source=account(net, turns),
        )


def _require_quantized(model: OnnxModel) -> None:
    ops = {node.op for node in model.nodes}
    if model.is_qonnx or any(value.type in FORMAT_TYPES for value in model.inputs):
        return
    quantizing = {"QuantizeLinear", "DequantizeLinear", *REFUSED}
    if not any(op.startswith(("QLinear", "QGemm")) for op in ops) and not quantizing & ops:
        raise ModelError(
            f"{model.path}: the model is not quantized (it has no QLinear operators, no QuantizeLinear and no "
            f"DequantizeLinear); {REMEDY}",
            path=model.path,
        )


def _read_inputs(net: Network) -> None:
    """Float inputs wait for their QuantizeLinear; integer ones are codes."""
    for value in net.model.inputs:
        if value.type == "FLOAT":
            net.values[value.name] = HostReal(value.name, value.shape)
            continue
        if value.type not in FORMAT_TYPES:
            raise RefusalError(f"graph input {value.name!r} is {value.type}", f"FLOAT, {', '.join(FORMAT_TYPES)}")
        fmt = IntFormat.parse(value.type.lower())
        net.values[value.name] = net.make(value.name, value.shape, fmt, None)
        net.inputs.append(HostPort(value.name, value.name))


def _lower(site: Site) -> None:
    lowerings = QONNX_LOWERINGS if site.net.model.is_qonnx else LOWERINGS
    lowering = lowerings.get(site.node.op)
    if lowering is None and site.node.op in REFUSED:
        raise RefusalError(*REFUSED[site.node.op])
    if lowering is None:
        near = difflib.get_close_matches(site.node.op, lowerings, n=1)
        raise RefusalError(
            "the operator is not supported", ", ".join(lowerings) + (f" (nearest: {near[0]})" if near else "")
        )
    lowering.function(site)


def _output_port(net: Network, name: str) -> HostPort:
    value = net.values[name]
    if isinstance(value, Codes):
        return HostPort(value.tensor, name)
    if net.model.is_qonnx and not isinstance(value, Real):
        with _refused(net.model, "its graph outputs"):
            return sums_port(net, name)
    where = f"{net.model.path}: graph output {name!r}"
    if not isinstance(value, Real):
        raise ModelError(f"{where} is not quantized; expected integer codes, or a DequantizeLinear before it; {REMEDY}")
    known, label = value.codes.known, net.tensors[value.codes.tensor]
    if (known.scale, known.zero_point) != (label.scale, label.zero_point):
        raise ModelError(
            f"{where} dequantizes with scale {known.scale} and zero point {known.zero_point} what was quantized with "
            f"{label.scale} and {label.zero_point}; expected the same"
        )
    return HostPort(value.codes.tensor, name, real=True, rounding=Rounding.HALF_EVEN)


def _used(net: Network, read: set[str]) -> dict[str, Tensor]:
    used = read | {layer.output for layer in net.layers}
    return {name: tensor for name, tensor in net.tensors.items() if name in used}


@contextmanager
def _located(model: OnnxModel, node: OnnxNode) -> Iterator[None]:
    """Every error about a node names the file, the node, its index and its output."""
    where = f"{model.path}: node {node.index} {node.op} (output {node.outputs[0]!r})"
    try:
        yield
    except RefusalError as refusal:
        raise UnsupportedOperatorError(
            f"{where}: {refusal.reason}; accepted: {refusal.accepted}",
            operator=node.op,
            index=node.index,
            output=node.outputs[0],
        ) from refusal
    except UnsupportedOperatorError:
        raise
    except (ModelError, GraphError, ConfigError, InputError) as error:
        raise ModelError(f"{where}: {error}", operator=node.op, index=node.index) from error


@contextmanager
def _refused(model: OnnxModel, what: str) -> Iterator[None]:
    try:
        yield
    except RefusalError as refusal:
        raise ModelError(f"{model.path}: {what}: {refusal.reason}; accepted: {refusal.accepted}") from refusal
    except GraphError as error:
        raise ModelError(f"{model.path}: {error}", path=model.path) from error
