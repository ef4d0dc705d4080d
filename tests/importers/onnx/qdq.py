"""QDQ networks of blocks that are sound or hold a node that is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SOUND, IMAGE = "sound", (1, 2, 40, 40)


class Qdq:
    """A QDQ network of ``blocks``: one after the other, or side by side from the input to outputs of their own."""

    def __init__(self, blocks: Sequence[str], *, is_chain: bool) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.outputs, self.spoilt = list[str](), list[int]()
        self.start = x = self.requantized("x")
        for block in blocks:
            x = self.block(block, x if is_chain else self.start)
            if not is_chain:
                self.outputs.append(x)
        self.outputs = self.outputs or [x]

    def constant(self, values: Any, dtype: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def requantized(self, x: str, scale: float = 0.5, zero: int = 3) -> str:
        parameters = self.constant(scale, np.float32), self.constant(zero, np.int8)
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *parameters), *parameters)

    def block(self, kind: str, x: str) -> str:
        """A spoilt node or a sound one, a rectifier that only follows, and a quantizer."""
        if kind != SOUND:
            self.spoilt.append(len(self.nodes))
        if kind == "Floor":
            y = self.node("Floor", x)
        elif kind == "reflect":
            y = self.node("Pad", x, self.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode="reflect")
        elif kind == "dilated":
            y = self.node("MaxPool", x, kernel_shape=[2, 2], dilations=[2, 2])
        else:
            y = self.node("MaxPool", x, kernel_shape=[2, 2])
        return self.requantized(self.node("Relu", y))

    def model(self, codes: str = "") -> onnx.ModelProto:
        """The model, with the tensor ``codes`` of int8 as a further output."""
        value = helper.make_tensor_value_info
        ends = [value(name, TensorProto.FLOAT, None) for name in self.outputs]
        ends += [value(codes, TensorProto.INT8, None)] if codes else []
        graph = helper.make_graph(self.nodes, "net", [value("x", TensorProto.FLOAT, IMAGE)], ends, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def save(self, folder: Path) -> Path:
        path = folder / "qdq.onnx"
        onnx.save(self.model(), path)
        return path
