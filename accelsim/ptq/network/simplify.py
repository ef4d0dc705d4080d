"""A float network in the operators and the form of a later operator set, without what does nothing at inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from accelsim.errors import Refusals
from accelsim.importers import fresh_name
from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.network.form import refuse, seen_whole
from accelsim.ptq.network.operators import DROPPED

Shapes = Mapping[str, tuple[int, ...]]
REDUCTIONS = ("ReduceMean", "ReduceMax", "ReduceMin")
FORM_OPSET = 18
"""From which on axes of reductions are an input, and an even Split says its number of parts."""
IMAGE_RANK = 4
SPATIAL = {2, 3}


def without_idle(model: OnnxModel, refusals: Refusals) -> OnnxModel:
    """Without the operators that do nothing; what makes a graph output through one makes it under that name."""
    same: dict[str, str] = {}
    nodes: list[OnnxNode] = []
    for node in model.nodes:
        moved = replace(node, inputs=tuple(same.get(name, name) for name in node.inputs))
        if node.op not in DROPPED:
            nodes.append(moved)
            continue
        with refusals.gathering():
            _need_idle(model, node)
        same[node.outputs[0]] = moved.inputs[0]
        if node.outputs[0] in model.outputs:
            nodes, same = _renamed(model, nodes, same, node), {**same, node.outputs[0]: node.outputs[0]}
    return replace(model, nodes=tuple(nodes))


def _need_idle(model: OnnxModel, node: OnnxNode) -> None:
    with seen_whole(model, node) as form:
        form.input(0)
        if node.op == "Dropout":
            form.ignore("seed")
            form.input(1)  # the ratio, of training
            training = form.constant(2, "training mode")
            if training is not None and training.any():
                refuse(
                    model, node, "it is in training mode", "training_mode false: export the network in evaluation mode"
                )
    if any(node.outputs[1:]):
        refuse(model, node, "its mask is an output", "the first output alone")


def _renamed(model: OnnxModel, nodes: list[OnnxNode], same: Mapping[str, str], node: OnnxNode) -> list[OnnxNode]:
    """``nodes``, of which the one that makes what ``node`` passes on makes ``node``'s output."""
    source, target = same[node.outputs[0]], node.outputs[0]
    made = {name for each in nodes for name in each.outputs}
    if source in model.outputs or source not in made:
        refuse(
            model,
            node,
            "it makes a graph output of a graph input, a constant or another output",
            "an output of its own",
        )
    names = {source: target}
    return [
        replace(
            each,
            inputs=tuple(names.get(name, name) for name in each.inputs),
            outputs=tuple(names.get(name, name) for name in each.outputs),
        )
        for each in nodes
    ]


def in_later_form(model: OnnxModel) -> OnnxModel:
    """Axes of reductions as an input, and the number of parts of an even Split, as opset 18 has them."""
    constants, nodes = dict(model.constants), []
    taken = {*constants, *(name for node in model.nodes for name in (*node.inputs, *node.outputs))}
    for node in model.nodes:
        moved = node
        if node.op in REDUCTIONS and "axes" in node.attributes:
            axes = fresh_name(f"{node.outputs[0]}/axes", taken)
            constants[axes] = np.array(node.attributes["axes"], np.int64).reshape(-1)
            others = {name: value for name, value in node.attributes.items() if name != "axes"}
            moved = replace(node, inputs=(node.inputs[0], axes), attributes=others)
        if node.op == "Split" and len([name for name in node.inputs if name]) == 1 and model.opset < FORM_OPSET:
            moved = replace(node, attributes={**node.attributes, "num_outputs": len(node.outputs)})
        nodes.append(moved)
    is_changed = any(a is not b for a, b in zip(nodes, model.nodes, strict=True))
    is_late = is_changed or any(node.op in REDUCTIONS and len(node.inputs) > 1 for node in nodes)
    return replace(model, nodes=tuple(nodes), constants=constants, opset=max(model.opset, FORM_OPSET if is_late else 0))


def with_pools(model: OnnxModel, shapes: Shapes) -> OnnxModel:
    """Each ReduceMean over rows and columns of images as GlobalAveragePool, with Flatten behind it where axes are dropped."""
    nodes: list[OnnxNode] = []
    for node in model.nodes:
        rank = len(shapes.get(node.inputs[0], ())) if node.op == "ReduceMean" else 0
        nodes += _pools(model, node) if rank == IMAGE_RANK else [node]
    return replace(model, nodes=tuple(nodes))


def _pools(model: OnnxModel, node: OnnxNode) -> list[OnnxNode]:
    with seen_whole(model, node) as form:
        form.input(0)
        given = form.constant(1, "axes")
        form.ignore("noop_with_empty_axes")  # axes are given
        kept = form.attribute("keepdims", 1)
        if given is None or {int(axis) % IMAGE_RANK for axis in given.reshape(-1)} != SPATIAL:
            return [node]
    pool = replace(node, op="GlobalAveragePool", inputs=node.inputs[:1], attributes={})
    if kept:
        return [pool]
    inner = f"{node.outputs[0]}/mean"
    flat = replace(node, op="Flatten", inputs=(inner,), attributes={"axis": 1}, name="")
    return [replace(pool, outputs=(inner,)), flat]
