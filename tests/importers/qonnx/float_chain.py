"""The float32 chain behind a layer as plain numpy, node by node, written from the operators' definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Column = NDArray[np.float32]


def _nearest(tie: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """To the nearest integer; ``tie(x, floor)`` tells whether a tie goes up."""

    def rounded(x: Any) -> Any:
        low = np.floor(x)
        up = (x - low > 0.5) | ((x - low == 0.5) & tie(x, low))
        return low + up

    return rounded


MODES: dict[str, Callable[[Any], Any]] = {
    "ROUND": _nearest(lambda x, low: low % 2 == 1),
    "HALF_EVEN": _nearest(lambda x, low: low % 2 == 1),
    "HALF_UP": _nearest(lambda x, low: x > 0),
    "HALF_DOWN": _nearest(lambda x, low: x < 0),
    "FLOOR": np.floor,
    "CEIL": lambda x: -np.floor(-x),
    "DOWN": lambda x: np.where(x < 0, -np.floor(-x), np.floor(x)),
    "UP": lambda x: np.where(x < 0, np.floor(x), -np.floor(-x)),
}


class FloatChain:
    """From sums (C, n) of the layer that one node becomes to the codes of the Quant after it."""

    def __init__(self, model: onnx.ModelProto, node: onnx.NodeProto, scale: float) -> None:
        self.constants = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
        self.producer = {name: made for made in model.graph.node for name in made.output}
        self.reader = {name: read for read in model.graph.node for name in read.input}
        self.node, self.scale = node, scale

    def codes(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Every operator from the node's own bias to its Quant."""
        weights = self.producer[self.node.input[1]]
        unit = np.float64(self.scale) * self.constants[weights.input[1]].astype(np.float64).reshape(-1, 1)
        x: Column = (unit * sums).astype(np.float32)
        if len(self.node.input) == 3:
            x = x + self._column(self.node.input[2])
        name = self.node.output[0]
        while (node := self.reader[name]).op_type != "Quant":
            x, name = self._step(node, x), node.output[0]
        return self._quantized(node, x)

    def _column(self, name: str) -> Column:
        return self.constants[name].reshape(-1, 1)

    def _step(self, node: onnx.NodeProto, x: Column) -> Column:
        if node.op_type == "Relu":
            return np.maximum(x, np.float32(0))
        if node.op_type == "BatchNormalization":
            scale, bias, mean, variance = (self._column(name) for name in node.input[1:])
            (epsilon,) = (np.float32(a.f) for a in node.attribute if a.name == "epsilon")
            gain = scale * (np.float32(1) / np.sqrt(variance + epsilon))
            return x * gain + (bias - mean * gain)
        left, right = (self._column(name) if name in self.constants else x for name in node.input)
        return {"Mul": np.multiply, "Add": np.add, "Sub": np.subtract}[node.op_type](left, right)

    def _quantized(self, node: onnx.NodeProto, x: Column) -> NDArray[np.int64]:
        scale, zero, bits = (self.constants[name].reshape(-1)[0] for name in node.input[1:])
        own = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        count = 2 ** int(bits)
        low, high = (-count // 2, count // 2 - 1) if own["signed"] else (0, count - 1)
        if count == 2 and own["signed"]:
            return np.where(x / scale + zero >= 0, 1, -1)
        low, high = (low + own["narrow"], high) if own["signed"] else (low, high - own["narrow"])
        y = np.minimum(np.maximum(x / scale + zero, np.float32(low)), np.float32(high))
        return np.asarray(MODES[own["rounding_mode"].decode()](y)).astype(np.int64)
