"""A network without what follows from constants and shapes alone: shape arithmetic, weights that are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from accelsim.arch import arithmetic_named
from accelsim.errors import Refusals
from accelsim.importers.onnx.constants.fold import fold, is_known
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.file.records import OnnxModel, OnnxNode
from accelsim.importers.onnx.network import HostReal, Network
from accelsim.importers.onnx.rules import ONNXRUNTIME, Rules

Shapes = Mapping[str, tuple[int, ...]]


def without_known(model: OnnxModel, shapes: Shapes, refusals: Refusals) -> OnnxModel:
    """``model`` with the results of such nodes among its constants; ``shapes`` of tensors by name.

    A node that cannot be computed goes to the ``refusals``, and stays out.
    """
    net, rules = Network(model), Rules(arithmetic_named(ONNXRUNTIME))
    net.values.update(model.constants)
    net.values.update({name: HostReal(name, shape) for name, shape in shapes.items() if name not in model.constants})
    left = []
    for record in model.nodes:
        node = NodeContext(record, net, rules)
        if not (set(filter(None, record.inputs)) <= net.values.keys() and is_known(node)):
            left.append(record)
            continue
        with refusals.gathering(), node.located():
            fold(node)
    made = {name: net.values[name] for name in _outputs(model.nodes) - _outputs(left) if name in net.values}
    folded = {name: value for name, value in made.items() if isinstance(value, np.ndarray)}
    return replace(model, nodes=tuple(left), constants={**model.constants, **folded})


def _outputs(nodes: tuple[OnnxNode, ...] | list[OnnxNode]) -> set[str]:
    return {name for node in nodes for name in node.outputs if name}
