"""Where the quantizers of a network stand: the weights of every product, and every group of activations under one scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.network.float_network import fused_rectifier
from accelsim.ptq.network.operators import MOVING
from accelsim.ptq.network.products import is_product
from accelsim.ptq.operands import coded_operands
from accelsim.ptq.plan import Group, Plan

Kind = Literal["weights", "activations"]


@dataclass(frozen=True)
class QuantizerId:
    """One quantizer: ``kind``, the ``layer`` whose weights or output it quantizes, and the ``tensors`` under it.

    Of weights, ``tensors`` holds the output of their node; constants of Add, Mul and their like that get codes are weights, of 8 bits
    in QDQ whatever is asked, and real numbers in QONNX. A rectifier fused into a product belongs to the product's layer; a graph
    input is a layer of its own. Activations under one scale (what only moves numbers, the operands of a Concat) are one quantizer,
    of the layer that makes the first of them.
    """

    kind: Kind
    layer: str
    tensors: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.layer} {self.kind}"


def places(model: OnnxModel, plan: Plan) -> dict[QuantizerId, Group | OnnxNode]:
    """Every quantizer in the order of execution, each with its group of the plan or its node."""
    return dict(_places(model, plan))


def _places(model: OnnxModel, plan: Plan) -> Iterator[tuple[QuantizerId, Group | OnnxNode]]:
    made_by = {name: node for node in model.nodes for name in node.outputs}
    groups = {group.tensors[0]: group for group in plan.groups}
    for value in model.inputs:
        if value.name in groups:
            yield _of_group(model, groups[value.name], made_by), groups[value.name]
    for node in model.nodes:
        if is_product(node, model.constants) or coded_operands(node, model.constants):
            yield QuantizerId("weights", model.layer_name(node), (node.outputs[0],)), node
        for name in node.outputs:
            if name in groups:
                yield _of_group(model, groups[name], made_by), groups[name]


def _of_group(model: OnnxModel, group: Group, made_by: dict[str, OnnxNode]) -> QuantizerId:
    name = group.measured[0]
    layer = model.layer_name(_first(model, made_by[name], made_by)) if name in made_by else name
    return QuantizerId("activations", layer, group.tensors)


def _first(model: OnnxModel, node: OnnxNode, made_by: dict[str, OnnxNode]) -> OnnxNode:
    """The node into which ``node``, and all between, are fused."""
    before = made_by.get(node.inputs[0])
    while before is not None and fused_rectifier(model, before) is node:
        node, before = before, made_by.get(before.inputs[0])
    return node


def quantized_tensors(model: OnnxModel, group: Group) -> tuple[str, ...]:
    """Tensors of ``group`` that are quantized where they are made: what is moved from one of them has codes already."""
    moved = {name for node in model.nodes if node.op in MOVING for name in node.outputs}
    return tuple(name for name in group.tensors if name not in moved)
