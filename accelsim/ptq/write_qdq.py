"""A quantized network as QDQ ONNX: every tensor between QuantizeLinear and DequantizeLinear, as ONNX Runtime fuses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from accelsim.errors import ModelError
from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.numerics import IntFormat
from accelsim.ptq.network.operators import BINARY
from accelsim.ptq.network.products import is_product, per_output
from accelsim.ptq.network.proto import Names, make_model, make_node, nodes_of
from accelsim.ptq.operands import coded_operands, operand_quant
from accelsim.ptq.parameters import ActQuant, WeightQuant
from accelsim.ptq.settings import QDQ_BITS

OPSET = 21
"""The first whose QuantizeLinear makes integers of 4 and 16 bits."""


def qdq_model(
    model: OnnxModel,
    acts: Mapping[str, ActQuant],
    weights: Mapping[str, WeightQuant],
    shapes: Mapping[str, tuple[int, ...]],
) -> Any:
    """The ModelProto, operator set 21; ModelError for widths and forms that it cannot hold."""
    return _Writer(model, acts, weights, shapes).model()


class _Writer:
    """Nodes and constants made so far."""

    def __init__(
        self,
        model: OnnxModel,
        acts: Mapping[str, ActQuant],
        weights: Mapping[str, WeightQuant],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        self.source, self.acts, self.weights, self.shapes = model, acts, weights, shapes
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = dict(model.constants)
        self.names = Names(model)
        self.real = {value.name: self.names.fresh(f"{value.name}/real") for value in model.inputs}

    def model(self) -> Any:
        for name, target in self.real.items():
            self.quantize(name, name, target)
        for node in self.source.nodes:
            self.node(node)
        # From operator set 13, the first that is read, to 21 no operator that is quantized changed its meaning or its attributes.
        domains = [("", max(self.source.opset, OPSET))]
        return make_model(self.source, self.nodes, self.constants, domains=domains)

    def node(self, node: OnnxNode) -> None:
        layer = self.source.layer_name(node)
        inputs = [self.real.get(n, n) for n in node.inputs]
        if is_product(node, self.source.constants):
            inputs = [inputs[0], *self.parameters(node)]
        elif node.op in BINARY:
            inputs = [self.operand(node, name) for name in inputs]
        own = {n: self.names.fresh(f"{n}/float") for n in node.outputs if n in self.acts}
        made = self.product if node.op == "MatMul" else nodes_of
        self.nodes += made(node, layer, inputs, [own.get(n, n) for n in node.outputs])
        for name, output in own.items():
            self.quantize(output, name, name)

    def product(self, node: OnnxNode, layer: str, inputs: list[str], outputs: list[str]) -> list[Any]:
        """MatMul with a bias is Gemm where its left operand is a matrix, which is all that Gemm takes."""
        if len(inputs) < 3 or len(self.shapes[node.inputs[0]]) != 2:
            return nodes_of(node, layer, inputs, outputs)
        return [make_node("Gemm", inputs, outputs, name=layer)]

    def quantize(self, source: str, tensor: str, target: str) -> None:
        """``source`` to codes and back, as ``target``."""
        known = self.acts[tensor]
        scale = self.constant(f"{tensor}/scale", np.float32(known.scale))
        zero = self.codes(f"{tensor}/zero_point", np.asarray(known.zero_point), known.format)
        codes = self.names.fresh(f"{tensor}/codes")
        self.nodes.append(make_node("QuantizeLinear", [source, scale, zero], codes))
        self.nodes.append(make_node("DequantizeLinear", [codes, scale, zero], target))

    def operand(self, node: OnnxNode, name: str) -> str:
        """An operand of two: a constant of more numbers than a table has columns for as 8-bit codes, with a sign as the other's."""
        if name not in coded_operands(node, self.source.constants):
            return name
        signed = any(self.acts[other].format.signed for other in node.inputs if other in self.acts)
        held = operand_quant(self.source.constants[name], signed=signed)
        inputs = [
            self.codes(f"{name}/codes", held.codes, held.format),
            self.constant(f"{name}/scale", np.float32(held.scale)),
        ]
        zero = self.codes(f"{name}/zero_point", np.asarray(held.zero_point), held.format)
        return self.dequantize(f"{name}/dequantized", [*inputs, zero], {})

    def parameters(self, node: OnnxNode) -> list[str]:
        """Dequantized weights and bias of a product."""
        name, held = node.outputs[0], self.weights[node.outputs[0]]
        scales = held.scales.reshape(()) if held.axis is None else held.scales
        axis = {} if held.axis is None else {"axis": held.axis}
        holder = self.holder(held.format)
        codes = self.codes(f"{name}/weight_codes", held.stored, holder)
        zero = self.codes(f"{name}/weight_zero_point", held.stored_zero_points.reshape(scales.shape), holder)
        inputs = [codes, self.constant(f"{name}/weight_scale", scales), zero]
        made = [self.dequantize(f"{name}/weight", inputs, axis)]
        if held.bias is not None:
            unit = np.float32(self.acts[node.inputs[0]].scale) * per_output(node, scales)
            bias = self.constant(f"{name}/bias_codes", held.bias.astype(np.int32))
            inputs = [bias, self.constant(f"{name}/bias_scale", unit)]
            made.append(self.dequantize(f"{name}/bias", inputs, {} if held.axis is None else {"axis": 0}))
        return made

    def holder(self, fmt: IntFormat) -> IntFormat:
        """The next wider type of ONNX: 7-bit weights in int8 keep x86 processors without VNNI from saturating."""
        bits = next((bits for bits in QDQ_BITS if fmt.bits <= bits), fmt.bits)
        return fmt if fmt.bipolar else IntFormat(bits, signed=fmt.signed)

    def dequantize(self, base: str, inputs: list[str], attributes: dict[str, int]) -> str:
        """A constant as real numbers."""
        name = self.names.fresh(base)
        self.nodes.append(make_node("DequantizeLinear", inputs, name, attributes))
        return name

    def constant(self, base: str, values: Any) -> str:
        name = self.names.fresh(base)
        self.constants[name] = np.asarray(values)
        return name

    def codes(self, base: str, values: Any, fmt: IntFormat) -> str:
        """A constant of integers, 4-bit ones packed."""
        from onnx import TensorProto, helper

        if fmt.bits not in QDQ_BITS:
            raise ModelError(
                f"{self.source.path}: QDQ has no {fmt}; expected activations of 4, 8 or 16 bits and weights of 2 or more, or "
                "write QONNX (--format qonnx)"
            )
        if fmt.bits != 4:
            return self.constant(base, values.astype(fmt.dtype))
        name = self.names.fresh(base)
        kind = getattr(TensorProto, str(fmt).upper())
        self.constants[name] = helper.make_tensor(name, kind, values.shape, values.reshape(-1).tolist())
        return name
