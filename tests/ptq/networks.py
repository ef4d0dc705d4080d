"""Float networks of every operator that is quantized, with seeded weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float32]


class Net:
    """Nodes and constants of one float graph; input ``x``."""

    def __init__(self, seed: int, shape: tuple[int, ...], opset: int = 17) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape, self.opset = shape, opset
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def normal(self, *shape: int, size: float = 0.4) -> str:
        return self.constant(self.rng.normal(0, size, shape))

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op, list(inputs), [name], name=f"{op.lower()}_{len(self.nodes)}", **attributes)
        )
        return name

    def norm(self, x: str, channels: int) -> str:
        parts = [self.normal(channels), self.normal(channels), self.normal(channels)]
        return self.node(
            "BatchNormalization", x, *parts, self.constant(self.rng.uniform(0.2, 2, channels)), epsilon=1e-3
        )

    def model(self, *outputs: str, batch: int | str = 1) -> onnx.ModelProto:
        value = helper.make_tensor_value_info
        ports = [value("x", TensorProto.FLOAT, [batch, *self.shape[1:]])]
        ends = [value(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "g", ports, ends, self.constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        made.ir_version = 8
        return made


def residual(net: Net) -> str:
    """Batch normalization with and without bias before it, depthwise, a clip, a shortcut, pools, a dense layer."""
    x = net.node("Relu", net.norm(net.node("Conv", "x", net.normal(8, 3, 3, 3), pads=[1, 1, 1, 1]), 8))
    y = net.norm(net.node("Conv", x, net.normal(8, 1, 3, 3), net.normal(8), group=8, pads=[1, 1, 1, 1]), 8)
    y = net.node("Clip", y, net.constant(0), net.constant(2.5))
    y = net.node("Relu", net.node("Add", x, net.node("Conv", y, net.normal(8, 8, 1, 1))))
    y = net.node("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = net.node("Flatten", net.node("GlobalAveragePool", y))
    return net.node("Gemm", y, net.normal(10, 8), net.normal(10), transB=1)


def branches(net: Net) -> str:
    """Concatenation, max pool, reshape, an untransposed Gemm with alpha and beta, dropout, softmax."""
    x = net.node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2])
    a = net.node("Relu", net.node("Conv", x, net.normal(4, 3, 1, 1)))
    b = net.node("Conv", net.node("Identity", x), net.normal(5, 3, 3, 3), pads=[1, 1, 1, 1])
    y = net.node("GlobalAveragePool", net.node("Concat", a, b, axis=1))
    y = net.node("Reshape", net.node("Dropout", y), net.constant([1, 9], np.int64))
    y = net.node("Gemm", y, net.normal(9, 6), net.normal(6), alpha=0.5, beta=2.0)
    return net.node("Softmax", y)


def functions(net: Net) -> str:
    """Tables of sigmoid, tanh and others, a product of two activations, MatMul and a constant sum, a rectifier of its own."""
    y = net.node("Conv", "x", net.normal(6, 3, 3, 3), net.normal(6))
    y = net.node("Mul", y, net.node("Sigmoid", y))
    y = net.node("Add", net.node("Tanh", y), net.node("Relu", y))
    y = net.node("HardSwish", net.node("LeakyRelu", y, alpha=0.125))
    y = net.node("ReduceMean", y, axes=[-1, 2], keepdims=0)
    y = net.node("Add", net.constant(net.rng.normal(0, 1, (1, 5))), net.node("MatMul", y, net.normal(6, 5)))
    return net.node("MatMul", net.node("Relu", y), net.normal(5, 4))


def shortcut(net: Net) -> str:
    """What 16-bit activations are accepted for: convolutions, a sum, a dense layer."""
    x = net.node("Relu", net.node("Conv", "x", net.normal(4, 3, 3, 3), net.normal(4), pads=[1, 1, 1, 1]))
    y = net.node("Relu", net.node("Add", x, net.node("Conv", x, net.normal(4, 4, 1, 1), net.normal(4))))
    return net.node("Gemm", net.node("Flatten", y), net.normal(256, 6, size=0.1), net.normal(6))


NETWORKS: dict[str, Callable[[Net], str]] = {f.__name__: f for f in (residual, branches, functions, shortcut)}
SHAPE = (1, 3, 8, 8)
IMAGES = 24


def float_model(name: str, seed: int = 5, batch: int | str = 1) -> onnx.ModelProto:
    """One of :data:`NETWORKS`."""
    net = Net(seed, SHAPE)
    return net.model(NETWORKS[name](net), batch=batch)


def images(seed: int, count: int = IMAGES) -> Array:
    """Calibration and test inputs, (count, 3, 8, 8)."""
    return np.random.default_rng(seed).normal(0, 1, (count, *SHAPE[1:])).astype(np.float32)


def save(model: onnx.ModelProto, folder: Path, name: str = "float.onnx") -> Path:
    """Write a model."""
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path
