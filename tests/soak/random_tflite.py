"""Random .tflite networks of a dozen operators, each on what one before it made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.importers.flat import Op, T, tflite_bytes
from tests.oracles.one_op import Case, Rng, act, bias, bias_type, out_scale, scale, weights, window_out, zero

LONGEST = 12
"""Operators of a network at most."""
BYTE_FUNCTIONS = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "HARD_SWISH": None, "ABS": None}
"""Functions of one code, and the scale and zero point that their results must have."""
WORD_FUNCTIONS = {"LOGISTIC": (1 / 32768, 0), "TANH": (1 / 32768, 0)}


@dataclass
class Chain:
    """A network under construction; ``made`` are its activations, the last one first in line for the next operator."""

    rng: Rng
    kind: str
    tensors: list[T] = field(default_factory=list)
    operators: list[Op] = field(default_factory=list)
    made: list[T] = field(default_factory=list)

    def pick(self, *options: Any) -> Any:
        """One of them."""
        return options[int(self.rng.integers(len(options)))]

    def fresh(self, shape: tuple[int, ...], *, s: float | None = None, z: int | None = None) -> T:
        """A new activation."""
        return act(self.rng, f"t{len(self.made)}", shape, self.kind, s, z)

    def like(self, x: T, shape: tuple[int, ...]) -> T:
        """A new activation of the scale and zero point of ``x``."""
        return self.fresh(shape, s=x.scale, z=x.zero)

    def near(self, natural: float) -> float:
        """A scale within a factor of two of ``natural``."""
        return float(np.float32(natural * 2.0 ** self.rng.uniform(-1, 1)))

    def held(self, tensor: T) -> T:
        """A constant under a name of its own."""
        tensor.name = f"c{len(self.tensors)}"
        self.tensors.append(tensor)
        return tensor

    def whole(self, values: Any) -> T:
        """A constant of int32."""
        array = np.asarray(values)
        return self.held(T("", array.shape, "INT32", data=array))

    def add(self, name: str, inputs: list[T], y: T, **options: Any) -> None:
        """One operator."""
        self.operators.append(Op(name, [tensor.name for tensor in inputs], [y.name], options))
        self.made.append(y)


def _weighted(net: Chain, x: T, w: T, shape: tuple[int, ...], reduction: int) -> tuple[list[T], T]:
    b = net.held(bias(net.rng, x, net.held(w), shape[-1], bias_type(net.kind)))
    return [x, w, b], net.fresh(shape, s=out_scale(x, w, reduction))


def _window(net: Chain, x: T) -> tuple[dict[str, Any], int, tuple[int, int]]:
    """Options, kernel and output size of a window."""
    k, stride, padding = net.pick(1, 2, 3), net.pick(1, 2), net.pick(0, 1)
    k = min(k, *x.shape[1:3])
    size = window_out(padding, x.shape[1], k, stride), window_out(padding, x.shape[2], k, stride)
    return (
        {"Padding": padding, "StrideH": stride, "StrideW": stride, "FusedActivationFunction": net.pick(0, 1, 2, 3)},
        k,
        size,
    )


def _conv(net: Chain, x: T) -> None:
    options, k, size = _window(net, x)
    oc = net.pick(1, 3, 4, 8)
    w = weights(net.rng, (oc, k, k, x.shape[3]), 0, net.pick(True, False))
    inputs, y = _weighted(net, x, w, (x.shape[0], *size, oc), k * k * x.shape[3])
    net.add("CONV_2D", inputs, y, **options)


def _depthwise(net: Chain, x: T) -> None:
    options, k, size = _window(net, x)
    multiplier = net.pick(1, 2)
    oc = x.shape[3] * multiplier
    inputs, y = _weighted(net, x, weights(net.rng, (1, k, k, oc), 3, True), (x.shape[0], *size, oc), k * k)
    net.add("DEPTHWISE_CONV_2D", inputs, y, **options, DepthMultiplier=multiplier)


def _dense(net: Chain, x: T) -> None:
    units = net.pick(1, 5, 10)
    inputs, y = _weighted(
        net, x, weights(net.rng, (units, x.shape[1]), 0, net.pick(True, False)), (x.shape[0], units), x.shape[1]
    )
    net.add("FULLY_CONNECTED", inputs, y, FusedActivationFunction=net.pick(0, 1, 3))


def _binary(net: Chain, x: T) -> None:
    name = net.pick("ADD", "SUB", "MUL")
    other = net.pick(*[t for t in net.made if t.shape == x.shape])
    if net.pick(True, False, False):
        info, shape = np.iinfo(net.kind.lower()), net.pick((), (x.shape[-1],))
        other = act(net.rng, "", shape, net.kind)
        other.data = net.rng.integers(info.min, info.max + 1, shape)
        net.held(other)
    natural = (
        x.scale * other.scale * (90 if net.kind == "INT8" else 20000) if name == "MUL" else max(x.scale, other.scale)
    )
    options = {"FusedActivationFunction": net.pick(0, 1, 2, 3)} | ({} if name == "MUL" else {"PotScaleInt16": False})
    net.add(name, net.pick([x, other], [other, x]), net.fresh(x.shape, s=net.near(natural)), **options)


def _pool(net: Chain, x: T) -> None:
    options, k, size = _window(net, x)
    y = net.like(x, (x.shape[0], *size, x.shape[3]))
    net.add(net.pick("AVERAGE_POOL_2D", "MAX_POOL_2D"), [x], y, FilterHeight=k, FilterWidth=k, **options)


def _mean(net: Chain, x: T) -> None:
    y = net.fresh((x.shape[0], x.shape[3]), s=net.near(x.scale / 2))
    net.add("MEAN", [x, net.whole([1, 2])], y, KeepDims=False)


def _pad(net: Chain, x: T) -> None:
    amounts = np.zeros((4, 2), int)
    amounts[1:3] = net.rng.integers(0, 3, (2, 2))
    shape = tuple(int(d + p.sum()) for d, p in zip(x.shape, amounts, strict=True))
    net.add("PAD", [x, net.whole(amounts)], net.like(x, shape))


def _resize(net: Chain, x: T) -> None:
    size = [int(i) for i in net.rng.integers(1, 12, 2)]
    align, half = net.pick((False, False), (True, False), (False, True))
    y = net.like(x, (x.shape[0], *size, x.shape[3]))
    net.add("RESIZE_NEAREST_NEIGHBOR", [x, net.whole(size)], y, AlignCorners=align, HalfPixelCenters=half)


def _slice(net: Chain, x: T) -> None:
    begin = [int(net.rng.integers(0, (d + 1) // 2)) for d in x.shape]
    size = [int(net.rng.integers(1, d - b + 1)) for d, b in zip(x.shape, begin, strict=True)]
    net.add("SLICE", [x, net.whole(begin), net.whole(size)], net.like(x, tuple(size)))


def _concat(net: Chain, x: T) -> None:
    axis = int(net.rng.integers(len(x.shape)))
    shape = tuple(2 * d if i == axis else d for i, d in enumerate(x.shape))
    net.add("CONCATENATION", [x, x], net.like(x, shape), Axis=axis)


def _transpose(net: Chain, x: T) -> None:
    order = net.rng.permutation(len(x.shape))
    net.add("TRANSPOSE", [x, net.whole(order)], net.like(x, tuple(x.shape[i] for i in order)))


def _flatten(net: Chain, x: T) -> None:
    shape = (x.shape[0], int(np.prod(x.shape[1:])))
    net.add("RESHAPE", [x, net.whole(shape)], net.like(x, shape))


def _rectifier(net: Chain, x: T) -> None:
    name = net.pick("RELU", "RELU6", "LEAKY_RELU")
    options = {"Alpha": float(np.float32(net.rng.uniform(0.05, 0.5)))} if name == "LEAKY_RELU" else {}
    net.add(name, [x], net.fresh(x.shape, s=net.near(x.scale)), **options)


def _function(net: Chain, x: T) -> None:
    functions: dict[str, Any] = BYTE_FUNCTIONS if net.kind == "INT8" else WORD_FUNCTIONS
    name = net.pick(*functions)
    s, z = functions[name] or (net.near(x.scale), zero(net.rng, net.kind))
    net.add(name, [x], net.fresh(x.shape, s=s, z=z))


def _rescale(net: Chain, x: T) -> None:
    net.add("QUANTIZE", [x], net.fresh(x.shape, s=net.near(x.scale)))


def _softmax(net: Chain, x: T) -> None:
    s, z = (1 / 256, -128) if net.kind == "INT8" else (1 / 32768, 0)
    net.add("SOFTMAX", [x], net.fresh(x.shape, s=s, z=z), Beta=1.0)


def _extreme(net: Chain, x: T) -> None:
    """Of all codes and one number."""
    info = np.iinfo(net.kind.lower())
    number = net.held(
        T("", (), net.kind, scale=x.scale, zero=x.zero, data=net.rng.integers(info.min, info.max + 1, ()))
    )
    net.add(net.pick("MINIMUM", "MAXIMUM"), net.pick([x, number], [number, x]), net.like(x, x.shape))


def _reduced(net: Chain, x: T) -> None:
    shape = (*x.shape[:-1], 1)
    net.add(net.pick("REDUCE_MAX", "REDUCE_MIN"), [x, net.whole([len(shape) - 1])], net.like(x, shape), KeepDims=True)


def _upsampled(net: Chain, x: T) -> None:
    """A transposed convolution."""
    k, stride, padding, oc = net.pick(2, 3), net.pick(1, 2), net.pick(0, 1), net.pick(1, 4)
    size = [d * stride if padding == 0 else (d - 1) * stride + k for d in x.shape[1:3]]
    w = net.held(weights(net.rng, (oc, k, k, x.shape[3]), 0, net.pick(True, False)))
    y = net.fresh((x.shape[0], *size, oc), s=out_scale(x, w, k * k * x.shape[3]))
    inputs = [net.whole(y.shape), w, x, net.held(bias(net.rng, x, w, oc, bias_type(net.kind)))]
    net.add("TRANSPOSE_CONV", inputs, y, Padding=padding, StrideH=stride, StrideW=stride)


def _product(net: Chain, x: T) -> None:
    """Of a matrix and its transpose."""
    y = net.fresh(
        (x.shape[0], x.shape[0]),
        s=net.near(x.scale * x.scale * (74 if net.kind == "INT8" else 18000) * x.shape[1] ** 0.5),
    )
    net.add("BATCH_MATMUL", [x, x], y, AdjX=False, AdjY=True)


def _slopes(net: Chain, x: T) -> None:
    alpha = act(net.rng, "", x.shape[-1:], net.kind, scale(net.rng, -9, -6))
    alpha.data = net.rng.integers(-128, 128, x.shape[-1:])
    net.add("PRELU", [x, net.held(alpha)], net.fresh(x.shape, s=net.near(x.scale)))


Step = Callable[[Chain, T], None]
ANY: tuple[Step, ...] = (
    _binary,
    _concat,
    _rectifier,
    _function,
    _rescale,
    _slice,
    _transpose,
    _extreme,
    _reduced,
    _slopes,
)
IMAGES: tuple[Step, ...] = (*ANY, _conv, _conv, _depthwise, _upsampled, _pool, _mean, _pad, _resize, _flatten)
ROWS: tuple[Step, ...] = (*ANY, _dense, _dense, _softmax, _product)
MOST_CODES = 3000
"""Of a tensor that the next operator may take; larger ones are pooled."""


def random_network(seed: int) -> Case:
    """The network of a seed: three in four of 8-bit codes, the others of 16-bit codes."""
    rng = np.random.default_rng([seed, 1])
    net = Chain(rng, "INT16" if seed % 4 == 3 else "INT8")
    shape = (1, *(int(i) for i in rng.integers(3, 10, 2)), net.pick(1, 3, 4))
    x = act(rng, "x", shape, net.kind, s=scale(rng, -7, -3))
    net.made.append(x)
    for _ in range(int(rng.integers(2, LONGEST + 1))):
        last = net.made[-1]
        step = net.pick(*(IMAGES if len(last.shape) == 4 else ROWS))
        (_pool if len(last.shape) == 4 and np.prod(last.shape) > MOST_CODES else step)(net, last)
    blob = tflite_bytes([*net.tensors, *net.made], net.operators, ["x"], [net.made[-1].name])
    return Case(blob, {"x": (shape, net.kind.lower())})
