"""Channels of consecutive layers under like ranges, without a change of what the network computes.

Cross-layer equalization (Nagel 1906.04721, section 4.1): a rectifier passes a positive factor on, ``f(s * x) = s * f(x)``, so that
what channel ``i`` of one layer is divided by, the next layer's weights of that channel can be multiplied with.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.calibrate import check_finite
from accelsim.ptq.evaluate import evaluate
from accelsim.ptq.network.float_network import fused_rectifier
from accelsim.ptq.network.operators import output_axis
from accelsim.ptq.network.parameters import with_weights
from accelsim.ptq.network.products import as_before, groups_of, is_one_matrix, is_product, products, units_first

Doubles = NDArray[np.float64]
Shapes = Mapping[str, tuple[int, ...]]

HOMOGENEOUS = ("Relu", "LeakyRelu")
"""``f(s * x) = s * f(x)`` for s > 0; a Clip from 0 is such where its upper bound is not reached, before and after."""
WINDOWS = ("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Pad")
"""So are they, and each channel stays where it is: axis 1 of images."""
RESHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
TOLERANCE = 2.0**-17
"""Rounds end when no factor is further than this from 1: less than half a step of 16-bit weights, the widest there are."""
MOST_ROUNDS = 1000
"""Rounds over all pairs; a bound on time, far above what networks need."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two products; channel ``i`` that ``first`` makes is input channel ``i`` of ``second``."""

    first: OnnxNode
    second: OnnxNode


@dataclass(eq=False)
class Reach:
    """Shapes of all activations, and the largest magnitude of every channel behind each product, over inferences.

    ``lows`` and ``highs`` are what each product's channels are between before their rectifier; ``bounds`` the upper ends of the
    Clips behind products that equalization is to pass.
    """

    model: OnnxModel
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    channels: dict[str, Doubles] = field(default_factory=dict)
    lows: dict[str, Doubles] = field(default_factory=dict)
    highs: dict[str, Doubles] = field(default_factory=dict)
    bounds: dict[str, float] = field(default_factory=dict)

    def add(self, made: Mapping[str, NDArray[np.float32]]) -> None:
        """One more inference. A rectifier fused into a product is part of it."""
        self.shapes.update({name: values.shape for name, values in made.items()})
        for node in products(self.model):
            name = node.outputs[0]
            values = made[(fused_rectifier(self.model, node) or node).outputs[0]]
            rows = np.moveaxis(values, output_axis(node.op, values.ndim), 0)
            largest = np.abs(rows.reshape(len(rows), -1).astype(np.float64)).max(axis=1)
            self.channels[name] = np.maximum(self.channels.get(name, 0.0), largest)
            sums = np.moveaxis(made[name], output_axis(node.op, made[name].ndim), 0).reshape(len(rows), -1)
            self.lows[name] = np.minimum(self.lows.get(name, np.inf), sums.min(axis=1).astype(np.float64))
            self.highs[name] = np.maximum(self.highs.get(name, -np.inf), sums.max(axis=1).astype(np.float64))

    def least_factors(self, name: str, bias: Doubles | None) -> Doubles:
        """Factors under which no channel of product ``name``, and none of its biases, comes to exceed the largest of now."""
        parts = [self.channels[name]] if bias is None else [self.channels[name], np.abs(bias)]
        least: Doubles = np.max([part / (part.max() or 1.0) for part in parts], axis=0)
        if name in self.bounds:
            least = np.maximum(least, self.highs[name] / self.bounds[name])
        return least

    def held(self, name: str) -> NDArray[np.bool_]:
        """Channels of product ``name`` that keep their scale: they reach the bound of the Clip behind it."""
        reached: NDArray[np.bool_] = self.highs[name] >= self.bounds.get(name, np.inf)
        return reached


def reach_of(model: OnnxModel, inputs: Mapping[str, NDArray[Any]], *, evaluator: str = "onnx") -> Reach:
    """Over all inferences of ``inputs``."""
    reach = Reach(model)
    for i, made in enumerate(evaluate(model, inputs, evaluator=evaluator)):
        check_finite(made, i)
        reach.add(made)
    return reach


def equalized(model: OnnxModel, reach: Reach) -> OnnxModel:
    """``model`` with factors moved between all pairs of layers until none is left to move.

    For ranges r1, r2 of channel i's weights in the two layers, ``s = sqrt(r1 * r2) / r2`` (equation 11): the first layer's weights
    and bias are divided by s, the second's weights multiplied, and both ranges become ``sqrt(r1 * r2)``. Not below
    ``reach.least_factors``: a channel of tiny weights and a large bias, as batch normalization leaves dead ones, would stretch the
    ranges of activation and bias. Through a Clip of ``reach.bounds`` a channel moves where its values stay below the bound.
    """
    return with_factors(model, reach)[0]


def with_factors(model: OnnxModel, reach: Reach, *, rounds: int = MOST_ROUNDS) -> tuple[OnnxModel, dict[str, Doubles]]:
    """As :func:`equalized`, in so many ``rounds`` over all pairs at most, with what each channel of a product was divided by, by the
    product's output."""
    pairs = pairs_of(model, reach.shapes, through=reach.bounds)
    held = _Parameters(model, pairs, reach)
    for _ in range(rounds):
        moved = [held.equalize(pair) for pair in pairs]
        if not any(moved):
            break
    return held.written(), held.factors


def pairs_of(model: OnnxModel, shapes: Shapes, through: Collection[str] = ()) -> tuple[Pair, ...]:
    """Products with nothing but homogeneous operators between them, each the only consumer of what is before it.

    The Clip behind a product of ``through`` counts as homogeneous.
    """
    found = (
        (node, _next(model, node, shapes, node.outputs[0] in through))
        for node in products(model)
        if is_one_matrix(node, model.constants)
    )
    return tuple(Pair(first, second) for first, second in found if second is not None)


def _next(model: OnnxModel, node: OnnxNode, shapes: Shapes, clipped: bool) -> OnnxNode | None:
    """The product that reads the channels of ``node``, and nobody else does."""
    name = node.outputs[0]
    axis = output_axis(node.op, len(shapes[name]))
    while True:
        consumers, source = model.consumers(name), shapes[name]
        if len(consumers) != 1 or name in model.outputs:
            return None
        consumer = consumers[0]
        if consumer.inputs[0] != name or name in consumer.inputs[1:]:
            return None
        if is_product(consumer, model.constants):
            same = axis == output_axis(consumer.op, len(source))
            return consumer if same and is_one_matrix(consumer, model.constants) else None
        passed = clipped and consumer.op == "Clip" and name == node.outputs[0]
        moved = axis if passed else _axis_after(consumer, axis, source, shapes[consumer.outputs[0]])
        if moved is None:
            return None
        name, axis = consumer.outputs[0], moved


def _axis_after(node: OnnxNode, axis: int, source: tuple[int, ...], target: tuple[int, ...]) -> int | None:
    """Where the channels are behind ``node``; None where a factor per channel does not pass."""
    if node.op in HOMOGENEOUS:
        return axis
    if node.op in WINDOWS:
        return axis if axis == 1 and len(source) in (3, 4) and source[1] == target[1] else None
    channels = source[axis]
    if node.op in RESHAPES and math.prod(source) == channels and channels in target:
        return target.index(channels)
    return None


def _by_output(weights: NDArray[Any], node: OnnxNode) -> NDArray[Any]:
    """(Output channels, 1, others)."""
    rows = units_first(node, weights)
    return rows.reshape(len(rows), 1, -1)


def _by_input(weights: NDArray[Any], node: OnnxNode) -> NDArray[Any]:
    """(Input channels, outputs that read them, others): a convolution's groups read channels of their own."""
    rows, groups = units_first(node, weights), groups_of(node)
    units, depth = rows.shape[:2]
    kernels = rows.reshape(groups, units // groups, depth, -1).transpose(0, 2, 1, 3)
    return kernels.reshape(groups * depth, units // groups, -1)


class _Parameters:
    """Weights and biases of the layers that take part, in float64."""

    def __init__(self, model: OnnxModel, pairs: tuple[Pair, ...], reach: Reach) -> None:
        self.model = model
        nodes = {node.outputs[0]: node for pair in pairs for node in (pair.first, pair.second)}
        self.nodes = nodes
        self.weights = {name: self._constant(node, 1) for name, node in nodes.items()}
        self.biases = {name: self._constant(n, 2) for name, n in nodes.items() if len(n.inputs) > 2 and n.inputs[2]}
        firsts = [pair.first.outputs[0] for pair in pairs]
        self.least = {name: reach.least_factors(name, self.biases.get(name)) for name in firsts}
        self.held = {name: reach.held(name) for name in firsts}
        self.factors = {name: np.ones(len(self.held[name])) for name in firsts}

    def _constant(self, node: OnnxNode, position: int) -> Doubles:
        return self.model.constants[node.inputs[position]].astype(np.float64)

    def equalize(self, pair: Pair) -> bool:
        """Whether a factor was moved. Channels that one of the two does not use keep theirs."""
        first, second = pair.first.outputs[0], pair.second.outputs[0]
        r1 = np.abs(_by_output(self.weights[first], pair.first)).max(axis=(1, 2))
        r2 = np.abs(_by_input(self.weights[second], pair.second)).max(axis=(1, 2))
        used = (r1 > 0) & (r2 > 0) & ~self.held[first]
        s = np.ones_like(r1)
        s[used] = np.maximum(np.sqrt(r1[used] * r2[used]) / r2[used], self.least[first][used])
        self.least[first], self.factors[first] = self.least[first] / s, self.factors[first] * s
        self.weights[first] = self.weights[first] / _output_factors(s, self.weights[first], pair.first)
        if first in self.biases:
            self.biases[first] = self.biases[first] / s
        self.weights[second] = self.weights[second] * _input_factors(s, self.weights[second], pair.second)
        return bool(np.abs(s - 1).max() > TOLERANCE)

    def written(self) -> OnnxModel:
        """The network with these parameters."""
        return with_weights(self.model, {name: (self.weights[name], self.biases.get(name)) for name in self.nodes})


def _output_factors(s: Doubles, weights: Doubles, node: OnnxNode) -> Doubles:
    """``s`` per output channel in the shape of the weights."""
    rows = units_first(node, weights)
    return as_before(node, np.broadcast_to(s.reshape(-1, *(1,) * (rows.ndim - 1)), rows.shape))


def _input_factors(s: Doubles, weights: Doubles, node: OnnxNode) -> Doubles:
    """``s`` per input channel in the shape of the weights."""
    rows, groups = units_first(node, weights), groups_of(node)
    units, depth = rows.shape[:2]
    factors = np.repeat(s.reshape(groups, depth), units // groups, axis=0)
    return as_before(node, np.broadcast_to(factors.reshape(units, depth, *(1,) * (rows.ndim - 2)), rows.shape))
