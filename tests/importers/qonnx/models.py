"""QONNX graphs built node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"


class Net:
    """One graph under construction; tensors go by name."""

    def __init__(self, seed: int, shape: tuple[int, ...], domain: str = QONNX) -> None:
        self.rng, self.shape, self.domain = np.random.default_rng(seed), shape, domain
        self.nodes: list[Any] = []
        self.last = ""
        self.constants: list[Any] = []

    def constant(self, values: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], domain=domain, **attributes))
        return name

    def quant(
        self, x: str, scale: Any, zero: Any = 0.0, bits: Any = 8, signed: int = 1, narrow: int = 0, mode: str = "ROUND"
    ) -> str:
        parameters = [self.constant(value) for value in (scale, zero, bits)]
        own = {"signed": signed, "narrow": narrow, "rounding_mode": mode}
        return self.node("Quant", x, *parameters, domain=self.domain, **own)

    def bipolar(self, x: str, scale: Any) -> str:
        return self.node("BipolarQuant", x, self.constant(scale), domain=self.domain)

    def trunc(self, x: str, scale: float, before: int, after: int, **own: Any) -> str:
        parameters = [self.constant(value) for value in (scale, 0.0, before, after)]
        return self.node("Trunc", x, *parameters, domain=self.domain, **{"rounding_mode": "FLOOR", **own})

    def weights(self, shape: tuple[int, ...], bits: int, scale: Any = 0.125) -> str:
        return self.quant(self.constant(self.rng.normal(size=shape)), scale, bits=bits, narrow=int(bits > 1))

    def dyadic(self, *shape: int) -> NDArray[np.float32]:
        """Multiples of 1/16 that are not 0, so that float32 holds every product."""
        values = self.rng.integers(1, 24, shape) * self.rng.choice([-1, 1], shape)
        return (values / 16).astype(np.float32)

    def model(self, output: str) -> onnx.ModelProto:
        tensor = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)  # noqa: E731
        graph = helper.make_graph(self.nodes, "net", [tensor("x", self.shape)], [tensor(output, None)], self.constants)
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(self.domain, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)
