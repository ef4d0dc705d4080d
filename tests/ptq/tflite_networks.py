"""Float .tflite networks made in memory: one operator each, and all of them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from tests.importers.flat import Op, T, tflite_bytes

Array = NDArray[np.float32]
SAME, VALID = 0, 1
NONE, RELU, RELU_N1, RELU6, TANH = 0, 1, 2, 3, 4


class TfNet:
    """Tensors and operators of one float graph; input ``x``."""

    def __init__(self, seed: int, shape: Sequence[int], kind: str = "FLOAT32") -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors = [T("x", tuple(shape), kind)]
        self.operators: list[Op] = []

    def shape(self, name: str) -> tuple[int, ...]:
        return next(tuple(t.shape) for t in self.tensors if t.name == name)

    def constant(self, values: Any, kind: str = "FLOAT32") -> str:
        values = np.asarray(values)
        self.tensors.append(T(f"c{len(self.tensors)}", values.shape, kind, data=values))
        return self.tensors[-1].name

    def normal(self, *shape: int) -> str:
        return self.constant(self.rng.normal(0, 0.4, shape))

    def op(self, op: str, inputs: Sequence[str | None], shape: Sequence[int], **options: Any) -> str:
        name = f"t{len(self.operators)}"
        self.tensors.append(T(name, tuple(shape), "FLOAT32"))
        self.operators.append(Op(op, inputs, [name], options))
        return name

    def window(self, op: str, x: str, k: Any, *, stride: int = 1, padding: int = SAME, dilation: int = 1, oc: int = 0,
               multiplier: int = 1, groups: int = 1, fused: int = NONE) -> str:  # fmt: skip
        """A convolution or a pool."""
        n, h, w, c = self.shape(x)
        extents = [(size - 1) * dilation + 1 for size in k]
        out = [
            -(-s // stride) if padding == SAME else (s - e) // stride + 1 for s, e in zip((h, w), extents, strict=True)
        ]
        options = {"Padding": padding, "StrideH": stride, "StrideW": stride, "FusedActivationFunction": fused}
        if op.endswith("POOL_2D"):
            return self.op(op, [x], (n, *out, c), FilterHeight=k[0], FilterWidth=k[1], **options)
        options |= {"DilationHFactor": dilation, "DilationWFactor": dilation}
        if op == "CONV_2D":
            inputs = [x, self.normal(oc, *k, c // groups), self.normal(oc)]
            return self.op(op, inputs, (n, *out, oc), **options)
        inputs = [x, self.normal(1, *k, c * multiplier), self.normal(c * multiplier)]
        return self.op(op, inputs, (n, *out, c * multiplier), DepthMultiplier=multiplier, **options)

    def conv(self, x: str, oc: int, k: Any = (3, 3), **options: Any) -> str:
        return self.window("CONV_2D", x, k, oc=oc, **options)

    def dense(self, x: str, units: int, shape: Sequence[int], bias: bool = True, **options: Any) -> str:
        k = int(np.prod(self.shape(x))) * units // int(np.prod(shape))
        inputs = [x, self.normal(units, k), *([self.normal(units)] if bias else [None])]
        return self.op("FULLY_CONNECTED", inputs, shape, **options)

    def ints(self, *values: Any) -> str:
        return self.constant(np.array(values), "INT32")

    def blob(self, *outputs: str) -> bytes:
        return tflite_bytes(self.tensors, self.operators, ["x"], outputs or [self.operators[-1].outputs[0]])

    def save(self, folder: Path, *outputs: str, name: str = "float.tflite") -> Path:
        path = folder / name
        path.write_bytes(self.blob(*outputs))
        return path


IMAGE, ROWS = (1, 9, 8, 6), (1, 7)
Case = tuple[Sequence[int], Callable[[TfNet], Any]]


def _binary(op: str, other: Callable[[TfNet], str], fused: int = NONE) -> Callable[[TfNet], Any]:
    return lambda n: n.op(op, [n.conv("x", 6), other(n)], IMAGE, FusedActivationFunction=fused)


def _of_two(op: str, other: Callable[[TfNet], str]) -> Callable[[TfNet], Any]:
    return lambda n: n.op(op, [n.conv("x", 6), other(n)], IMAGE)


def _alone(op: str, **options: Any) -> Callable[[TfNet], Any]:
    return lambda n: n.op(op, ["x"], n.shape("x"), **options)


def _behind_conv(op: str, **options: Any) -> Callable[[TfNet], Any]:
    return lambda n: n.op(op, [n.conv("x", 6)], IMAGE, **options)


def transposed(n: TfNet, stride: int, k: tuple[int, int], padding: int) -> str:
    x = n.conv("x", 4)
    sizes = [s * stride if padding == SAME else (s - 1) * stride + taps for s, taps in zip((9, 8), k, strict=True)]
    shape = (1, *sizes, 3)
    options = {"Padding": padding, "StrideH": stride, "StrideW": stride}
    return n.op("TRANSPOSE_CONV", [n.ints(*shape), n.normal(3, *k, 4), x, n.normal(3)], shape, **options)


def reduced(n: TfNet, op: str, axes: tuple[int, ...]) -> str:
    shape = [size for axis, size in enumerate((*IMAGE[:3], 5)) if axis not in axes]
    return n.op(op, [n.conv("x", 5), n.ints(*axes)], shape)


def joined(n: TfNet, op: str, inputs: Sequence[str], shapes: Sequence[tuple[int, ...]], axis: int = 3) -> str:
    """Several outputs, put together in the other order."""
    first = n.op(op, inputs, shapes[0], NumSplits=len(shapes))
    others = [f"{first}_{i}" for i in range(1, len(shapes))]
    n.tensors += [T(name, shape, "FLOAT32") for name, shape in zip(others, shapes[1:], strict=True)]
    n.operators[-1] = Op(op, inputs, [first, *others], n.operators[-1].options)
    whole = [sum(s[i] for s in shapes) if i == axis else size for i, size in enumerate(shapes[0])]
    return n.op("CONCATENATION", [*others[::-1], first], whole, Axis=axis)


CASES: dict[str, Case] = {
    **{
        f"conv {padding} {stride} {k}": (
            IMAGE,
            lambda n, p=padding, s=stride, k=k: n.conv("x", 5, k, padding=p, stride=s, fused=RELU),
        )
        for padding in (SAME, VALID)
        for stride in (1, 2, 3)
        for k in ((1, 1), (2, 3), (4, 2))
    },
    "conv dilated": (IMAGE, lambda n: n.conv("x", 4, dilation=2, fused=RELU6)),
    "conv grouped": (IMAGE, lambda n: n.conv("x", 4, groups=2, fused=RELU_N1)),
    "depthwise": (IMAGE, lambda n: n.window("DEPTHWISE_CONV_2D", "x", (3, 3), stride=2, fused=RELU6)),
    "depthwise multiplied": (IMAGE, lambda n: n.window("DEPTHWISE_CONV_2D", "x", (2, 3), multiplier=3)),
    "dense": (ROWS, lambda n: n.dense("x", 5, (1, 5), FusedActivationFunction=RELU)),
    "dense, no bias": (ROWS, lambda n: n.dense("x", 5, (1, 5), bias=False)),
    "dense of images": (IMAGE, lambda n: n.dense("x", 5, (1, 5))),
    "dense of convolved": (IMAGE, lambda n: n.dense(n.conv("x", 3), 5, (1, 5))),
    "dense over rows": ((1, 4, 7), lambda n: n.dense("x", 5, (1, 4, 5), KeepNumDims=True)),
    **{
        f"{op} of two": (IMAGE, _binary(op, lambda n: n.conv("x", 6, (1, 1)), fused))
        for op, fused in (("ADD", RELU), ("SUB", RELU6), ("MUL", NONE))
    },
    "ADD with the input": (IMAGE, _binary("ADD", lambda n: "x")),
    "ADD of a constant": (IMAGE, _binary("ADD", lambda n: n.normal(6))),
    "SUB of a constant": (IMAGE, _binary("SUB", lambda n: n.normal(1, 1, 1, 6), RELU)),
    "MUL broadcasting": (IMAGE, _binary("MUL", lambda n: n.conv("x", 6, (9, 8), padding=VALID))),
    **{
        f"{op} {padding}": (IMAGE, lambda n, o=op, p=padding: n.window(o, "x", (3, 2), stride=2, padding=p))
        for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D")
        for padding in (SAME, VALID)
    },
    "mean": (IMAGE, lambda n: n.op("MEAN", ["x", n.ints(1, 2)], (1, 6))),
    "mean, axes kept": (IMAGE, lambda n: n.op("MEAN", [n.conv("x", 5), n.ints(-2, 1)], (1, 1, 1, 5), KeepDims=True)),
    "reshape": (IMAGE, lambda n: n.op("RESHAPE", [n.conv("x", 5), n.ints(1, 360)], (1, 360))),
    "reshape of one pixel": (
        IMAGE,
        lambda n: n.op("RESHAPE", [n.conv("x", 5, (9, 8), padding=VALID), n.ints(1, 5)], (1, 5)),
    ),
    "squeeze": (IMAGE, lambda n: n.op("SQUEEZE", [n.conv("x", 1)], (9, 8))),
    "expand": (ROWS, lambda n: n.op("EXPAND_DIMS", ["x", n.ints(1)], (1, 1, 7))),
    "transpose": ((2, 3, 4), lambda n: n.op("TRANSPOSE", ["x", n.ints(2, 0, 1)], (4, 2, 3))),
    "transpose of images": (IMAGE, lambda n: n.op("TRANSPOSE", [n.conv("x", 5), n.ints(0, 2, 3, 1)], (1, 8, 5, 9))),
    "pad": (IMAGE, lambda n: n.op("PAD", ["x", n.ints([0, 0], [1, 2], [3, 0], [0, 1])], (1, 12, 11, 7))),
    "pad of convolved": (
        IMAGE,
        lambda n: n.op(
            "PADV2", [n.conv("x", 6), n.ints([0, 0], [1, 2], [0, 3], [0, 0]), n.constant(0.0)], (1, 12, 11, 6)
        ),
    ),
    "concatenation": (
        IMAGE,
        lambda n: n.op("RELU", [n.op("CONCATENATION", [n.conv("x", 5), "x"], (1, 9, 8, 11), Axis=-1)], (1, 9, 8, 11)),
    ),
    "concatenation of rows": (IMAGE, lambda n: n.op("CONCATENATION", ["x", n.conv("x", 6)], (1, 18, 8, 6), Axis=1)),
    "softmax": (ROWS, _alone("SOFTMAX", Beta=1.0)),
    "softmax of images": (IMAGE, _behind_conv("SOFTMAX", Beta=1.0)),
    "leaky": (IMAGE, _behind_conv("LEAKY_RELU", Alpha=0.2)),
    **{
        name.lower(): (IMAGE, _behind_conv(name)) for name in ("LOGISTIC", "TANH", "HARD_SWISH", "RELU6", "RELU_N1_TO_1")
    },
    "relu alone": (ROWS, _alone("RELU")),
    **{
        f"transposed {'valid' if padding else 'same'} {stride} {k}": (
            IMAGE,
            lambda n, p=padding, s=stride, k=k: transposed(n, s, k, p),
        )
        for padding in (SAME, VALID)
        for stride, k in ((1, (3, 3)), (2, (2, 3)), (2, (4, 2)), (3, (3, 4)))
    },
    **{
        f"{op} of {what}": (IMAGE, _of_two(op, other))
        for op in ("DIV", "MINIMUM", "MAXIMUM", "SQUARED_DIFFERENCE")
        for what, other in (
            ("two", lambda n: n.op("EXP", [n.conv("x", 6, (1, 1))], IMAGE)),
            ("a constant", lambda n: n.constant(np.linspace(1, 2, 6))),
        )
    },
    "prelu": (IMAGE, lambda n: n.op("PRELU", [n.conv("x", 6), n.normal(1, 1, 6)], IMAGE)),
    "gelu": (IMAGE, _behind_conv("GELU")),
    "gelu of tanh": (IMAGE, _behind_conv("GELU", Approximate=True)),
    **{name.lower(): (IMAGE, _behind_conv(name)) for name in ("ABS", "EXP", "NEG")},
    "sqrt": (IMAGE, lambda n: n.op("SQRT", [n.op("ABS", [n.conv("x", 6)], IMAGE)], IMAGE)),
    "rsqrt": (IMAGE, lambda n: n.op("RSQRT", [n.op("ADD", [n.op("ABS", ["x"], IMAGE), n.constant([0.5])], IMAGE)], IMAGE)),
    **{
        f"{op} {axes}": (IMAGE, lambda n, o=op, a=axes: reduced(n, o, a))
        for op in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")
        for axes in ((3,), (1, 3))
    },
    "mean of rows": ((1, 4, 7), lambda n: n.op("MEAN", ["x", n.ints(-1)], (1, 4, 1), KeepDims=True)),
    "matrices": (IMAGE, lambda n: n.op("BATCH_MATMUL", ["x", n.conv("x", 6)], (1, 9, 8, 8), AdjY=True)),
    "matrices and constants": (IMAGE, lambda n: n.op("BATCH_MATMUL", ["x", n.normal(1, 9, 5, 6)], (1, 9, 8, 5), AdjY=True)),
    "split": (IMAGE, lambda n: joined(n, "SPLIT", [n.ints(3), n.conv("x", 6)], [(1, 9, 8, 3)] * 2)),
    "split by sizes": (
        IMAGE,
        lambda n: joined(n, "SPLIT_V", ["x", n.ints(4, -1), n.ints(1)], [(1, 4, 8, 6), (1, 5, 8, 6)], axis=1),
    ),
    "slice": (IMAGE, lambda n: n.op("SLICE", [n.conv("x", 5), n.ints(0, 2, 1, 1), n.ints(1, 3, -1, 2)], (1, 3, 7, 2))),
    "strided slice": (
        IMAGE,
        lambda n: n.op(
            "STRIDED_SLICE", [n.conv("x", 5), n.ints(0, 8, 1, 0), n.ints(1, 2, 7, 0), n.ints(1, -2, 3, 1)], (3, 2, 5), BeginMask=8,
            EndMask=8, ShrinkAxisMask=1,
        ),
    ),
    "gather": (IMAGE, lambda n: n.op("GATHER", [n.conv("x", 5), n.ints(4, 0, 2)], (1, 9, 8, 3), Axis=3)),
    "tile": (IMAGE, lambda n: n.op("TILE", [n.conv("x", 5), n.ints(1, 2, 1, 3)], (1, 18, 8, 15))),
    **{
        f"resize {align} {half} {size}": (
            IMAGE,
            lambda n, a=align, h=half, s=size: n.op(
                "RESIZE_NEAREST_NEIGHBOR", [n.conv("x", 3), n.ints(*s)], (1, *s, 3), AlignCorners=a, HalfPixelCenters=h
            ),
        )
        for align, half in ((False, False), (True, False), (False, True))
        for size in ((18, 16), (5, 12))
    },
    "depth to space": (IMAGE, lambda n: n.op("DEPTH_TO_SPACE", [n.conv("x", 8)], (1, 18, 16, 2), BlockSize=2)),
    "space to depth": (
        IMAGE,
        lambda n: n.op("SPACE_TO_DEPTH", [n.conv("x", 3, (2, 1), padding=VALID)], (1, 4, 4, 12), BlockSize=2),
    ),
}  # fmt: skip


def mixture(net: TfNet) -> str:
    """Squeeze-and-excite, a branch joined again, a padded stride, a dense layer: input (1, 12, 10, 3)."""
    x = net.conv("x", 8, stride=2, fused=RELU6)
    y = net.window("DEPTHWISE_CONV_2D", x, (3, 3), fused=RELU)
    pooled = net.op("MEAN", [y, net.ints(1, 2)], (1, 1, 1, 8), KeepDims=True)
    gate = net.op("LOGISTIC", [net.conv(net.conv(pooled, 2, (1, 1), fused=RELU), 8, (1, 1))], (1, 1, 1, 8))
    y = net.op("ADD", [x, net.op("MUL", [y, gate], net.shape(y))], net.shape(y), FusedActivationFunction=RELU)
    y = net.op("PAD", [y, net.ints([0, 0], [0, 1], [0, 1], [0, 0])], (1, 7, 6, 8))
    y = net.conv(y, 5, stride=2, padding=VALID, fused=RELU)
    y = net.op("RESHAPE", [y, net.ints(1, 30)], (1, 30))
    return net.dense(y, 4, (1, 4))


CASES["mixture"] = ((1, 12, 10, 3), mixture)


def litert(path: Path | str, x: Array) -> dict[str, Array]:
    """Every output of LiteRT's reference kernels in float, inferences along a new leading axis."""
    runner = Interpreter(model_path=str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    runner.allocate_tensors()
    made: dict[str, list[Array]] = {}
    for one in x:
        runner.set_tensor(runner.get_input_details()[0]["index"], one)
        runner.invoke()
        for detail in runner.get_output_details():
            made.setdefault(detail["name"], []).append(runner.get_tensor(detail["index"]))
    return {name: np.stack(values) for name, values in made.items()}


def inputs(shape: Sequence[int], count: int, seed: int = 3) -> Array:
    """Inferences along a new leading axis."""
    return np.random.default_rng(seed).normal(0, 1, (count, *shape)).astype(np.float32)
