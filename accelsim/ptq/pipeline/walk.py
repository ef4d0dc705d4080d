"""A network run piece by piece over all inferences, holding only what later pieces read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxInput, OnnxModel, OnnxNode
from accelsim.ptq.evaluate import evaluate_model
from accelsim.ptq.network.proto import float_proto

Floats = NDArray[np.float32]
Batches = Mapping[str, Floats]


class Walk:
    """Tensors of ``model`` over the inferences of ``inputs``, made as far as was asked for.

    Constants of what did not run yet may be changed on the way (:meth:`change`).
    """

    def __init__(self, model: OnnxModel, inputs: Batches, *, evaluator: str) -> None:
        self.model, self.evaluator = model, evaluator
        self.live: dict[str, Floats] = dict(inputs)
        self.done = 0

    def until(self, name: str) -> Floats:
        """Tensor ``name``, inferences along a new leading axis; asked for in the order of the nodes that read them."""
        if name not in self.live:
            end = 1 + max(i for i, node in enumerate(self.model.nodes) if name in node.outputs)
            self._run(self.model.nodes[self.done : end], name)
            self.done = end
        return self.live[name]

    def change(self, node: OnnxNode, changed: OnnxNode, constants: Mapping[str, NDArray[Any]]) -> None:
        """Let ``changed`` stand for ``node``, which did not run yet."""
        nodes = tuple(changed if own.outputs == node.outputs else own for own in self.model.nodes)
        self.model = replace(self.model, nodes=nodes, constants={**self.model.constants, **constants})

    def _run(self, nodes: tuple[OnnxNode, ...], wanted: str) -> None:
        later = {name for node in self.model.nodes[self.done + len(nodes) :] for name in node.inputs}
        made = {name for node in nodes for name in node.outputs if name}
        kept = [name for name in made if name in later or name == wanted]
        tensors = run_nodes(self.model, nodes, self.live, kept, evaluator=self.evaluator)
        held = {*later, wanted}
        self.live = {name: values for name, values in {**self.live, **tensors}.items() if name in held}


def run_nodes(
    model: OnnxModel, nodes: tuple[OnnxNode, ...], tensors: Batches, wanted: list[str], *, evaluator: str
) -> dict[str, Floats]:
    """``wanted`` of what ``nodes`` make of ``tensors``, over all their inferences."""
    read = {name for node in nodes for name in node.inputs}
    own = {name for node in nodes for name in node.outputs}
    given = {name: tensors[name] for name in tensors if name in read and name not in own}
    ports = tuple(OnnxInput(name=name, shape=values.shape[1:], type="FLOAT") for name, values in given.items())
    part = replace(model, nodes=nodes, inputs=ports, outputs=tuple(wanted))
    return evaluate_model(float_proto(part), given, evaluator=evaluator, names=wanted)
