"""A float network with other weights and biases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.network.proto import Names


def with_weights(model: OnnxModel, held: Mapping[str, tuple[NDArray[Any], NDArray[Any] | None]]) -> OnnxModel:
    """``model`` with other weights and biases, by the output of their layer, under names of their own: a constant may have other consumers."""
    names, constants = Names(model), dict(model.constants)

    def constant(name: str, values: NDArray[Any]) -> str:
        fresh = names.fresh(name)
        constants[fresh] = np.ascontiguousarray(values, np.float32)
        return fresh

    def edited(node: OnnxNode) -> OnnxNode:
        name = node.outputs[0]
        if name not in held:
            return node
        weights, bias = held[name]
        inputs = [node.inputs[0], constant(f"{name}/weights_now", weights)]
        if bias is not None:
            inputs.append(constant(f"{name}/bias_now", bias.reshape(-1)))
        return replace(node, inputs=tuple(inputs))

    return replace(model, nodes=tuple(edited(node) for node in model.nodes), constants=constants)
