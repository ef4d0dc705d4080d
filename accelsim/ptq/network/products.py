"""Sums over constant weights: which nodes are such, and how their weights are laid out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.network.operators import CONVOLUTIONS, PRODUCTS

Constants = Mapping[str, NDArray[Any]]


def is_product(node: OnnxNode, constants: Constants) -> bool:
    """Whether ``node`` sums over weights that are constant; a MatMul of two activations does not."""
    return node.op in PRODUCTS and len(node.inputs) > 1 and node.inputs[1] in constants


def products(model: OnnxModel) -> tuple[OnnxNode, ...]:
    """The nodes with weights."""
    return tuple(node for node in model.nodes if is_product(node, model.constants))


def is_one_matrix(node: OnnxNode, constants: Constants) -> bool:
    """Whether what differs by output channel is one number for all: a MatMul may have a matrix for each of several."""
    return node.op != "MatMul" or constants[node.inputs[1]].ndim == 2


def bias_of(node: OnnxNode, constants: Constants) -> NDArray[np.float32] | None:
    """Its bias, which a MatMul has as third input until it is written."""
    return constants[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else None


def channel_axis(node: OnnxNode, rank: int) -> int:
    """Axis of the weights, of ``rank`` axes, that scales per channel lie along; groups of a ConvTranspose share them."""
    return {"Conv": 0, "ConvTranspose": 1, "Gemm": 0}.get(node.op, rank - 1)


def groups_of(node: OnnxNode) -> int:
    """Attribute ``group`` of a convolution."""
    groups = node.attributes.get("group", 1)
    assert isinstance(groups, int)
    return groups


def per_output(node: OnnxNode, values: NDArray[Any]) -> NDArray[Any]:
    """Scales (1,) or along :func:`channel_axis` as (1,) or one per output channel."""
    return np.tile(values, groups_of(node)) if node.op == "ConvTranspose" and values.size > 1 else values


def units_first(node: OnnxNode, weights: NDArray[Any]) -> NDArray[Any]:
    """Weights with their output channels along axis 0 and, behind it, the input channels of one group."""
    if node.op != "ConvTranspose":
        return np.moveaxis(weights, channel_axis(node, weights.ndim), 0)
    groups, (depth, units), kernel = groups_of(node), weights.shape[:2], weights.shape[2:]
    apart = weights.reshape(groups, depth // groups, units, *kernel).swapaxes(1, 2)
    return apart.reshape(groups * units, depth // groups, *kernel)


def as_before(node: OnnxNode, weights: NDArray[Any]) -> NDArray[Any]:
    """The inverse of :func:`units_first`."""
    if node.op != "ConvTranspose":
        return np.moveaxis(weights, 0, channel_axis(node, weights.ndim))
    groups, (units, depth), kernel = groups_of(node), weights.shape[:2], weights.shape[2:]
    apart = weights.reshape(groups, units // groups, depth, *kernel).swapaxes(1, 2)
    return apart.reshape(groups * depth, units // groups, *kernel)


def spatial_axes(node: OnnxNode, weights: NDArray[Any]) -> int:
    """Axes behind the channels in what a convolution makes; none of others."""
    return weights.ndim - 2 if node.op in CONVOLUTIONS else 0
