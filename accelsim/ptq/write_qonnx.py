"""A quantized network as QONNX: fake quantization of any width by the operators Quant and BipolarQuant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from accelsim.importers.onnx.file import QONNX_DOMAIN, OnnxModel, OnnxNode
from accelsim.numerics import IntFormat
from accelsim.ptq.network.operators import MOVING
from accelsim.ptq.network.products import is_product, per_output
from accelsim.ptq.network.proto import Names, make_model, make_node, nodes_of
from accelsim.ptq.parameters import ActQuant, WeightQuant, along


def qonnx_model(model: OnnxModel, acts: Mapping[str, ActQuant], weights: Mapping[str, WeightQuant]) -> Any:
    """The ModelProto, in the operator set of the float file (Pappalardo 2206.07527).

    Weights are stored as the real numbers that their codes stand for, under a Quant that makes those codes again; biases as
    multiples of s_in * s_w in float32.
    """
    return _Writer(model, acts, weights).model()


class _Writer:
    """Nodes and constants made so far."""

    def __init__(self, model: OnnxModel, acts: Mapping[str, ActQuant], weights: Mapping[str, WeightQuant]) -> None:
        self.source, self.acts, self.weights = model, acts, weights
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = dict(model.constants)
        self.names = Names(model)
        self.quantized = {value.name: self.names.fresh(f"{value.name}/quantized") for value in model.inputs}

    def model(self) -> Any:
        for name, target in self.quantized.items():
            self.act(name, name, target)
        for node in self.source.nodes:
            self.node(node)
        domains = [("", self.source.opset), (QONNX_DOMAIN, 1)]
        return make_model(self.source, self.nodes, self.constants, domains=domains)

    def node(self, node: OnnxNode) -> None:
        inputs = [self.quantized.get(n, n) for n in node.inputs]
        if is_product(node, self.source.constants):
            inputs = [inputs[0], *self.parameters(node)]
        own = {n: self.names.fresh(f"{n}/float") for n in node.outputs if n in self.acts and node.op not in MOVING}
        self.nodes += nodes_of(node, self.source.layer_name(node), inputs, [own.get(n, n) for n in node.outputs])
        for name, output in own.items():
            self.act(output, name, name)

    def act(self, source: str, tensor: str, target: str) -> None:
        """``source``, quantized, as ``target``."""
        known = self.acts[tensor]
        self.quant(source, target, np.float32(known.scale), known.zero_point, known.format)

    def quant(self, source: str, target: str, scale: Any, zero_point: Any, fmt: IntFormat) -> None:
        names = [self.constant(f"{target}/scale", scale)]
        if fmt.bipolar:
            self.nodes.append(make_node("BipolarQuant", [source, *names], target, domain=QONNX_DOMAIN))
            return
        names += [self.constant(f"{target}/{what}", v) for what, v in (("zeropt", zero_point), ("bits", fmt.bits))]
        attributes = {"signed": int(fmt.signed), "narrow": 0, "rounding_mode": "ROUND"}
        self.nodes.append(make_node("Quant", [source, *names], target, attributes, domain=QONNX_DOMAIN))

    def parameters(self, node: OnnxNode) -> list[str]:
        """Quantized weights, and the bias, of a product."""
        name, held = node.outputs[0], self.weights[node.outputs[0]]
        column, zeros = (along(values, held.axis, held.codes.ndim) for values in (held.scales, held.stored_zero_points))
        weight = self.names.fresh(f"{name}/weight")
        self.quant(self.constant(f"{name}/weight_values", held.real), weight, column, zeros, held.format)
        if held.bias is None:
            return [weight]
        unit = np.float64(self.acts[node.inputs[0]].scale) * per_output(node, held.scales).astype(np.float64)
        return [weight, self.constant(f"{name}/bias", held.bias * unit)]

    def constant(self, base: str, values: Any) -> str:
        name = self.names.fresh(base)
        self.constants[name] = np.asarray(values, np.float32)
        return name
