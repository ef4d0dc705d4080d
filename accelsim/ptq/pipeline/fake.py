"""The quantized network in float, by operators that every evaluator has: what any width does to the output, and fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.network.operators import MOVING
from accelsim.ptq.network.products import per_output
from accelsim.ptq.network.proto import Names
from accelsim.ptq.operands import coded_operands, operand_quant
from accelsim.ptq.parameters import ActQuant, WeightQuant
from accelsim.ptq.settings import QDQ_BITS


def real_parameters(
    node: OnnxNode, weights: WeightQuant, acts: Mapping[str, ActQuant]
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The real numbers that codes of a layer's weights and bias stand for."""
    if weights.bias is None:
        return weights.real, None
    unit = np.float64(acts[node.inputs[0]].scale) * per_output(node, weights.scales).astype(np.float64)
    return weights.real, weights.bias * unit


def with_quantizers(model: OnnxModel, acts: Mapping[str, ActQuant]) -> OnnxModel:
    """``model`` with each tensor of ``acts`` rounded to its codes: Div, Round, Clip, Mul."""
    return _Writer(model, acts).model()


class _Writer:
    """Nodes so far; each gets an index of its own, by which layers are told apart."""

    def __init__(self, model: OnnxModel, acts: Mapping[str, ActQuant]) -> None:
        self.source, self.acts = model, acts
        self.names, self.constants = Names(model), dict(model.constants)
        self.nodes: list[OnnxNode] = []

    def model(self) -> OnnxModel:
        now = {}
        for value in self.source.inputs:
            if value.name in self.acts:
                now[value.name] = self.names.fresh(f"{value.name}/quantized")
                self.quantize(value.name, self.acts[value.name], now[value.name])
        for node in self.source.nodes:
            self.node(node, tuple(now.get(name, name) for name in node.inputs))
        return replace(self.source, nodes=tuple(self.nodes), constants=self.constants)

    def node(self, node: OnnxNode, inputs: tuple[str, ...]) -> None:
        inputs = tuple(
            self.operand(node, name) if name in coded_operands(node, self.constants) else name for name in inputs
        )
        if node.op in MOVING or node.outputs[0] not in self.acts:
            self.add(replace(node, inputs=inputs))
            return
        name = node.outputs[0]
        own = self.names.fresh(f"{name}/float")
        self.add(replace(node, inputs=inputs, outputs=(own, *node.outputs[1:])))
        self.quantize(own, self.acts[name], name)

    def operand(self, node: OnnxNode, name: str) -> str:
        """A constant operand of many numbers, which QDQ holds in codes."""
        if not {known.format.bits for known in self.acts.values()} <= {*QDQ_BITS}:
            return name
        signed = any(self.acts[other].format.signed for other in node.inputs if other in self.acts)
        fresh = self.names.fresh(f"{name}/rounded")
        self.constants[fresh] = operand_quant(self.constants[name], signed=signed).real
        return fresh

    def quantize(self, source: str, known: ActQuant, target: str) -> None:
        scale = self.constant(f"{target}/scale", known.scale)
        least, most = (known.format.min - known.zero_point, known.format.max - known.zero_point)
        bounds = [self.constant(f"{target}/{what}", value) for what, value in (("least", least), ("most", most))]
        steps: tuple[tuple[str, list[str]], ...] = (("Div", [scale]), ("Round", []), ("Clip", bounds), ("Mul", [scale]))
        for i, (op, others) in enumerate(steps):
            made = target if i + 1 == len(steps) else self.names.fresh(f"{target}/{op}")
            self.add(OnnxNode(index=0, op=op, inputs=(source, *others), outputs=(made,), attributes={}))
            source = made

    def add(self, node: OnnxNode) -> None:
        self.nodes.append(replace(node, index=len(self.nodes)))

    def constant(self, base: str, value: float) -> str:
        name = self.names.fresh(base)
        self.constants[name] = np.asarray(value, np.float32)
        return name
