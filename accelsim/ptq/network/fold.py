"""Batch normalization, constant sums and scalars folded into the products before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ModelError, Refusals
from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.network.form import refuse, seen_whole, where
from accelsim.ptq.network.operators import CONVOLUTIONS, FOLDED
from accelsim.ptq.network.products import as_before, bias_of, is_one_matrix, is_product, spatial_axes, units_first
from accelsim.quant import fold_batch_norm

Shapes = Mapping[str, tuple[int, ...]]
Folded = dict[str, NDArray[Any]]


def with_plain_gemms(model: OnnxModel, refusals: Refusals) -> OnnxModel:
    """Gemm's alpha and beta moved into its constants, weights as (units, k)."""
    constants, nodes = dict(model.constants), list(model.nodes)
    for i, node in enumerate(nodes):
        with refusals.gathering():
            nodes[i] = _plain_gemm(model, node, constants) if node.op == "Gemm" else node
    return replace(model, nodes=tuple(nodes), constants=constants)


def _plain_gemm(model: OnnxModel, node: OnnxNode, constants: Folded) -> OnnxNode:
    with seen_whole(model, node) as form:
        if form.attribute("transA", 0):
            refuse(model, node, "its first operand is transposed", "transA 0")
        form.input(0)
        weights, bias = form.constant(1, "weights"), form.constant(2, "bias")
        alpha, beta = (np.float32(form.attribute(name, 1.0)) for name in ("alpha", "beta"))
        turned = weights if form.attribute("transB", 0) else weights.T
    edit = _Edit(constants, node)
    inputs = [node.inputs[0], edit.constant("weights", turned * alpha)]
    if bias is not None:
        if bias.ndim > 1 and bias.shape[0] != 1:
            refuse(model, node, f"its bias has shape {list(bias.shape)}", "a bias that is the same in every row")
        inputs.append(edit.constant("bias", np.broadcast_to(bias * beta, (1, len(turned))).reshape(-1)))
    return replace(node, inputs=tuple(inputs), attributes={"transB": 1})


@dataclass(frozen=True)
class _Edit:
    """New constants under names of their own."""

    constants: Folded
    node: OnnxNode

    def constant(self, what: str, values: NDArray[Any]) -> str:
        name = f"{self.node.outputs[0]}/folded_{what}"
        while name in self.constants:
            name += "_"
        self.constants[name] = np.ascontiguousarray(values, dtype=np.float32)
        return name


def folded(model: OnnxModel, shapes: Shapes, refusals: Refusals) -> OnnxModel:
    """Each batch normalization and each constant sum folded into the product before it, until none is left.

    A normalization that stands behind none is a convolution of its own, one number to one.
    """
    nodes, constants = list(model.nodes), dict(model.constants)
    position = 0
    while position < len(nodes):
        node = nodes[position]
        before = _private_product(model, nodes, node, constants)
        if node.op in FOLDED and before is not None and not _is_channelwise(before, shapes):
            before = None
        if node.op in FOLDED:
            with refusals.gathering():
                nodes[position] = _norm(model, node, before, shapes, constants)
        elif before is not None and node.op == "Add":
            nodes[position] = _sum(before, node, constants) or node
        if before is not None and nodes[position] is not node:
            nodes[nodes.index(before)] = nodes[position]
            del nodes[position]
        else:
            position += 1
    return replace(model, nodes=tuple(nodes), constants=constants)


def _private_product(model: OnnxModel, nodes: list[OnnxNode], node: OnnxNode, constants: Folded) -> OnnxNode | None:
    """The product that makes an operand of ``node`` and that nothing else reads."""
    before = next((n for n in nodes if is_product(n, constants) and n.outputs[0] in node.inputs), None)
    if before is None or before.outputs[0] in model.outputs or not is_one_matrix(before, constants):
        return None
    return before if sum(other.inputs.count(before.outputs[0]) for other in nodes) == 1 else None


def _is_channelwise(before: OnnxNode, shapes: Shapes) -> bool:
    """Whether the channels that a normalization tells apart, axis 1, are those of the product."""
    return before.op in CONVOLUTIONS or len(shapes.get(before.outputs[0], (0, 0))) == 2


def _norm(model: OnnxModel, node: OnnxNode, before: OnnxNode | None, shapes: Shapes, constants: Folded) -> OnnxNode:
    with seen_whole(model, node) as form:
        form.input(0)
        form.ignore("momentum")  # of training
        named = zip(("gamma", "beta", "mean", "variance"), range(1, len(node.inputs)), strict=True)
        given = {name: form.constant(i, name) for name, i in named} | {"epsilon": form.attribute("epsilon", 1e-5)}
    channels = given["gamma"].size
    product, weights = before, None if before is None else units_first(before, constants[before.inputs[1]])
    if product is None:
        shape = shapes.get(node.inputs[0], ())
        if len(shape) < 3:
            refuse(
                model,
                node,
                f"no product stands before it, and its input has shape {list(shape)}",
                "images, or one behind Conv, Gemm or MatMul",
            )
        attributes = {"group": channels}
        product = replace(node, op="Conv", inputs=node.inputs[:1], attributes=attributes)
        weights = np.ones((channels, 1, *(1,) * (len(shape) - 2)), np.float32)
    assert weights is not None
    bias = None if before is None else bias_of(before, constants)
    try:
        turned, total = fold_batch_norm(weights, bias, axis=0, **given)
    except ModelError as error:
        raise ModelError(f"{where(model, node)}: {error}", index=node.index) from error
    return _with(product, node, constants, as_before(product, turned), total)


def _sum(before: OnnxNode, node: OnnxNode, constants: Folded) -> OnnxNode | None:
    """A constant per output channel, added."""
    other = next((name for name in node.inputs if name in constants), None)
    if other is None:
        return None
    weights, added = constants[before.inputs[1]], constants[other]
    channels = units_first(before, weights).shape[0]
    if not _is_per_channel(added.shape, channels, trailing=spatial_axes(before, weights)):
        return None
    bias = bias_of(before, constants)
    total = np.broadcast_to(added.reshape(-1), (channels,)) + (0 if bias is None else bias)
    return _with(before, node, constants, weights, total)


def _is_per_channel(shape: tuple[int, ...], channels: int, *, trailing: int) -> bool:
    """Whether a constant differs by channel alone: one number, or one per channel before ``trailing`` axes of size 1."""
    column = (channels, *(1,) * trailing)
    return set(shape) <= {1} or (1,) * (len(shape) - len(column)) + column == shape


def _with(before: OnnxNode, node: OnnxNode, constants: Folded, weights: NDArray[Any], bias: NDArray[Any]) -> OnnxNode:
    """``before`` with new parameters, in the place of both; a MatMul keeps its bias as third input, until it is written."""
    edit = _Edit(constants, node)
    inputs = (before.inputs[0], edit.constant("weights", weights), edit.constant("bias", bias))
    return replace(before, inputs=inputs, outputs=node.outputs, name=before.name or node.name)
