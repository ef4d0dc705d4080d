"""Functions that exporters write in several operators, as the one operator that they are: one quantizer instead of five."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from accelsim.importers.onnx.file import Attribute, OnnxModel, OnnxNode

GELU_OPSET, LAYER_NORM_OPSET, HARD_SWISH_OPSET = 20, 17, 14
CLOSE = 1e-4
"""Relative error of a constant that is still meant: exporters write 1/sqrt(2) with 5 digits and more."""


@dataclass(frozen=True)
class _Found:
    """An operator in the place of the nodes that made its result; ``inside`` are the tensors that only they read."""

    op: str
    inputs: tuple[str, ...]
    inside: frozenset[str]
    opset: int
    attributes: tuple[tuple[str, Attribute], ...] = ()


def with_functions(model: OnnxModel) -> OnnxModel:
    """The erf form of Gelu, HardSwish and LayerNormalization written out, as one operator each."""
    graph = _Graph(model)
    found: dict[str, _Found] = {}
    for node in model.nodes:
        for pattern in (graph.gelu, graph.hard_swish, graph.layer_norm):
            match = pattern(node)
            if match is not None and graph.is_private(match, node):
                found[node.outputs[0]] = match
                break
    gone = {name for match in found.values() for name in match.inside}
    nodes = []
    for node in model.nodes:
        match = found.get(node.outputs[0])
        if match is not None:
            attributes = dict(match.attributes)
            nodes.append(replace(node, op=match.op, inputs=match.inputs, attributes=attributes, domain=""))
        elif node.outputs[0] not in gone:
            nodes.append(node)
    return replace(
        model, nodes=tuple(nodes), opset=max(model.opset, *(match.opset for match in found.values()), 0),
        constants=dict(model.constants),
    )  # fmt: skip


class _Graph:
    """A network, asked what made a tensor."""

    def __init__(self, model: OnnxModel) -> None:
        self.model = model

    def is_private(self, found: _Found, end: OnnxNode) -> bool:
        """Whether nothing outside of what is replaced reads its inner results."""
        if found.inside & set(self.model.outputs):
            return False
        own = {*found.inside, end.outputs[0]}
        return all(node.outputs[0] in own for name in found.inside for node in self.model.consumers(name))

    def made(self, name: str, *ops: str) -> OnnxNode | None:
        """The node that makes ``name``, where it is one of ``ops``."""
        node = self.model.producer(name)
        return node if node is not None and node.op in ops and len(node.outputs) == 1 else None

    def number(self, name: str) -> float | None:
        """A constant that is one number."""
        values = self.model.constants.get(name)
        return float(values.reshape(-1)[0]) if values is not None and values.size == 1 else None

    def scaled(self, node: OnnxNode | None) -> tuple[str, float] | None:
        """The operand and the factor of a product with, or a quotient by, a number."""
        if node is None or len(node.inputs) != 2 or node.op not in ("Mul", "Div"):
            return None
        for x, c in ((0, 1), (1, 0)):
            value = self.number(node.inputs[c])
            if value and (node.op == "Mul" or c == 1) and node.inputs[x] not in self.model.constants:
                return node.inputs[x], value if node.op == "Mul" else 1 / value
        return None

    def plus(self, node: OnnxNode | None, wanted: float) -> str | None:
        """The operand of a sum with the number ``wanted``."""
        if node is None or node.op != "Add":
            return None
        for x, c in ((0, 1), (1, 0)):
            value = self.number(node.inputs[c])
            if value is not None and math.isclose(value, wanted, rel_tol=CLOSE):
                return node.inputs[x]
        return None

    def gelu(self, end: OnnxNode) -> _Found | None:
        """``x * (1 + erf(x / sqrt 2)) / 2`` with its two products in any order."""
        for x, half, inside in self._factors(end, 0.5):
            one = self.made(half, "Add")
            inner = self.plus(one, 1.0)
            erf = self.made(inner, "Erf") if inner else None
            scaled = self.scaled(self.made(erf.inputs[0], "Mul", "Div")) if erf else None
            if erf and scaled and scaled[0] == x and math.isclose(scaled[1], math.sqrt(0.5), rel_tol=CLOSE):
                names = frozenset({*inside, half, inner or "", erf.inputs[0]})
                return _Found("Gelu", (x,), names, GELU_OPSET)
        return None

    def hard_swish(self, end: OnnxNode) -> _Found | None:
        """``x * clip(x + 3, 0, 6) / 6`` with its two products in any order, or ``x * hard_sigmoid(x)`` of the slope 1/6."""
        for x, gate, inside in self._factors(end, 1 / 6):
            clip = self.made(gate, "Clip")
            if clip and self._bounds(clip) == (0.0, 6.0) and self.plus(self.made(clip.inputs[0], "Add"), 3.0) == x:
                return _Found("HardSwish", (x,), frozenset({*inside, gate, clip.inputs[0]}), HARD_SWISH_OPSET)
        for x, gate in self._pairs(end, "Mul"):
            node = self.made(gate, "HardSigmoid")
            if node and node.inputs[0] == x:
                slope, offset = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
                assert isinstance(slope, float)
                if math.isclose(slope, 1 / 6, rel_tol=CLOSE) and offset == 0.5:
                    return _Found("HardSwish", (x,), frozenset({gate}), HARD_SWISH_OPSET)
        return None

    def _bounds(self, clip: OnnxNode) -> tuple[float | None, float | None]:
        names = (*clip.inputs[1:], "", "")[:2]
        return self.number(names[0]), self.number(names[1])

    def _pairs(self, node: OnnxNode | None, op: str) -> list[tuple[str, str]]:
        if node is None or node.op != op or len(node.inputs) != 2:
            return []
        return [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])]

    def _factors(self, end: OnnxNode, factor: float) -> list[tuple[str, str, tuple[str, ...]]]:
        """Each way in which ``end`` is ``factor * a * b``: a, b and the tensor between the two products."""
        ways: list[tuple[str, str, tuple[str, ...]]] = []
        outer = self.scaled(end)
        if outer and math.isclose(outer[1], factor, rel_tol=CLOSE):
            ways += [(a, b, (outer[0],)) for a, b in self._pairs(self.made(outer[0], "Mul"), "Mul")]
        for a, b in self._pairs(end, "Mul"):
            for first, second in ((a, b), (b, a)):
                inner = self.scaled(self.made(first, "Mul", "Div"))
                if inner and math.isclose(inner[1], factor, rel_tol=CLOSE):
                    ways += [(inner[0], second, (first,)), (second, inner[0], (first,))]
        return ways

    def layer_norm(self, end: OnnxNode) -> _Found | None:
        """``(x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias`` over the last axis."""
        for scaled, bias in self._pairs(end, "Add"):
            for normal, scale in self._pairs(self.made(scaled, "Mul"), "Mul"):
                if self._is_vector(bias) and self._is_vector(scale):
                    found = self._normalized(normal)
                    if found is not None:
                        x, epsilon, inside = found
                        attributes = (("axis", -1), ("epsilon", epsilon))
                        names = frozenset({*inside, scaled, normal})
                        return _Found("LayerNormalization", (x, scale, bias), names, LAYER_NORM_OPSET, attributes)
        return None

    def _is_vector(self, name: str) -> bool:
        values = self.model.constants.get(name)
        return values is not None and values.ndim == 1 and values.dtype == np.float32

    def _normalized(self, name: str) -> tuple[str, float, set[str]] | None:
        """x, epsilon and the tensors inside of what makes ``name``."""
        quotient = self.made(name, "Div")
        root = self.made(quotient.inputs[1], "Sqrt") if quotient else None
        summed = self.made(root.inputs[0], "Add") if root else None
        if quotient is None or root is None or summed is None:
            return None
        for square_mean, added in self._pairs(summed, "Add"):
            epsilon, mean = self.number(added), self._mean_of(square_mean)
            square = self.made(mean, "Pow", "Mul") if mean else None
            if (
                epsilon is None
                or square is None
                or square.inputs[0] != quotient.inputs[0]
                or not self._is_square(square)
            ):
                continue
            centred = self.made(square.inputs[0], "Sub")
            if centred is not None and self._mean_of(centred.inputs[1]) == centred.inputs[0]:
                inside = {quotient.inputs[0], quotient.inputs[1], root.inputs[0], square_mean, square.outputs[0]}
                return centred.inputs[0], epsilon, {*inside, centred.inputs[1]}
        return None

    def _is_square(self, node: OnnxNode) -> bool:
        return node.inputs[0] == node.inputs[1] if node.op == "Mul" else self.number(node.inputs[1]) == 2

    def _mean_of(self, name: str) -> str | None:
        """What ``name`` is the mean of over the last axis, which is kept."""
        node = self.made(name, "ReduceMean")
        if node is None or not node.attributes.get("keepdims", 1) or node.attributes.get("noop_with_empty_axes", 0):
            return None
        axes = self.model.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
        return node.inputs[0] if axes is not None and axes.reshape(-1).tolist() == [-1] else None
