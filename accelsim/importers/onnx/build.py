"""An OnnxModel becomes a Graph: every node to its lowering, conversions at the boundary to the host."""

from __future__ import annotations

from collections.abc import Callable

from accelsim.arch import Arithmetic
from accelsim.errors import ModelError, Refusals
from accelsim.graph import Graph, HostPort, Tensor
from accelsim.importers.files import name_of
from accelsim.importers.onnx.account import Lowered, account
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.file.records import FORMAT_TYPES, QONNX_OPERATORS, OnnxInput, OnnxModel
from accelsim.importers.onnx.network import Codes, HostReal, Network, Real
from accelsim.importers.onnx.registry import DYNAMIC, LOWERINGS, Lowerings
from accelsim.importers.onnx.rules import Rules
from accelsim.importers.onnx.stand_in import Turns
from accelsim.importers.refusal import RefusalError, in_file
from accelsim.numerics import IntFormat, Rounding

REMEDY = "quantize it with accelsim quantize, or onnxruntime.quantization.quantize_static (QDQ or QOperator format, int8 or uint8)"

FloatOutput = Callable[[Network, str], HostPort]
"""The host port of a graph output, by name, that is neither codes nor dequantized; RefusalError or ModelError for none."""


def not_quantized(net: Network, name: str) -> HostPort:
    """The ``float_output`` of ONNX itself, which knows none."""
    raise ModelError(
        f"{net.model.path}: graph output {name!r} is not quantized; expected integer codes, or a DequantizeLinear before it; "
        f"{REMEDY}"
    )


def build_graph(
    model: OnnxModel,
    arithmetic: Arithmetic,
    *,
    lowerings: Lowerings = LOWERINGS,
    float_output: FloatOutput = not_quantized,
) -> Graph:
    """The Graph of ``model`` under ``arithmetic``; ModelError or UnsupportedOperatorError where there is none.

    A dialect of ONNX has ``lowerings`` of its own, and may make a port of a graph output that is not quantized.
    """
    _require_quantized(model)
    net, refusals = Network(model), Refusals(model.path)
    net.values.update(model.constants)
    nodes = Turns(net, lowerings, refusals)
    for value in model.inputs:
        nodes.read(value, _read_input)
    rules, turns = Rules(arithmetic), []
    for record in model.nodes:
        node, before = NodeContext(record, net, rules), len(net.layers)
        nodes.take(node)
        turns.append(Lowered(record, tuple(layer.name for layer in net.layers[before:])))
    outputs = []
    for name in (name for name in model.outputs if name not in nodes.standing):
        with refusals.gathering():
            outputs.append(_output_port(net, name, float_output))
    refusals.check()
    net.drop_unread_turns([port.tensor for port in outputs])
    read = {name for layer in net.layers for name in layer.inputs} | {port.tensor for port in outputs}
    if not net.layers:
        raise ModelError(
            f"{model.path}: the model computes nothing on integers; expected at least one quantized operator"
        )
    with in_file(model.path):
        return Graph(
            name=name_of(model.path),
            arithmetic=arithmetic.name,
            tensors=_used(net, read),
            layers=tuple(net.layers),
            inputs=tuple(port for port in net.inputs if port.tensor in read),
            outputs=tuple(outputs),
            approximations=net.approximations,
            converted=model.converted,
            source=account(net, turns),
        )


def _require_quantized(model: OnnxModel) -> None:
    ops = {node.op for node in model.nodes}
    if any(value.type in FORMAT_TYPES for value in model.inputs):
        return
    quantizing = {"QuantizeLinear", "DequantizeLinear", *QONNX_OPERATORS, *DYNAMIC}
    if not any(op.startswith(("QLinear", "QGemm")) for op in ops) and not quantizing & ops:
        raise ModelError(
            f"{model.path}: the model is not quantized (it has no QLinear operators, no QuantizeLinear and no "
            f"DequantizeLinear); {REMEDY}",
            path=model.path,
        )


def _read_input(net: Network, value: OnnxInput) -> None:
    """A float input waits for its QuantizeLinear; an integer one is codes."""
    if value.type == "FLOAT":
        net.values[value.name] = HostReal(value.name, value.shape)
        return
    if value.type not in FORMAT_TYPES:
        raise RefusalError(f"graph input {value.name!r} is {value.type}", f"FLOAT, {', '.join(FORMAT_TYPES)}")
    fmt = IntFormat.parse(value.type.lower())
    net.values[value.name] = net.make(value.name, value.shape, fmt, None)
    net.inputs.append(HostPort(value.name, value.name, rounding=Rounding.HALF_EVEN))


def _output_port(net: Network, name: str, float_output: FloatOutput) -> HostPort:
    value = net.values[name]
    if isinstance(value, Codes):
        return HostPort(value.tensor, name)
    if not isinstance(value, Real):
        with in_file(net.model.path, "its graph outputs"):
            return float_output(net, name)
    where = f"{net.model.path}: graph output {name!r}"
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
