"""The mean over rows and columns, which exporters also write as ReduceMean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.network.operators import KEEPING_RANK

IMAGE_RANK = 4
SPATIAL = {2, 3}


def without_reduce_mean(model: OnnxModel) -> OnnxModel:
    """Each ReduceMean over rows and columns of images as GlobalAveragePool, with Flatten behind it where axes are dropped."""
    nodes: list[OnnxNode] = []
    for node in model.nodes:
        nodes += _pools(model, node) if node.op == "ReduceMean" else [node]
    return replace(model, nodes=tuple(nodes))


def _pools(model: OnnxModel, node: OnnxNode) -> list[OnnxNode]:
    given = model.constants.get(node.inputs[1]) if len(node.inputs) > 1 else node.attributes.get("axes")
    axes = {int(axis) % IMAGE_RANK for axis in np.ravel(np.asarray(given))} if given is not None else set()
    if axes != SPATIAL or not _is_image(model, node.inputs[0]):
        return [node]
    pool = replace(node, op="GlobalAveragePool", inputs=node.inputs[:1], attributes={})
    if node.attributes.get("keepdims", 1):
        return [pool]
    inner = f"{node.outputs[0]}/mean"
    flat = replace(node, op="Flatten", inputs=(inner,), attributes={"axis": 1}, name="")
    return [replace(pool, outputs=(inner,)), flat]


def _is_image(model: OnnxModel, name: str) -> bool:
    """Whether tensor ``name`` has 4 axes: a graph input's own, a convolution's, or kept from one."""
    made_by = {node.outputs[0]: node for node in model.nodes}
    while name in made_by and made_by[name].op in KEEPING_RANK:
        name = made_by[name].inputs[0]
    if name in made_by:
        node = made_by[name]
        weights = model.constants.get(node.inputs[1]) if node.op == "Conv" else None
        return weights is not None and weights.ndim == IMAGE_RANK
    return any(value.name == name and len(value.shape) == IMAGE_RANK for value in model.inputs)
