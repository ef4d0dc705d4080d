"""Models of one operator with random scales, for every operator the importer accepts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tflite.TensorType import TensorType

from tests.importers.flat import Op, T, tflite_bytes

Rng = np.random.Generator
NONE, RELU, RELU_N1, RELU6 = 0, 1, 2, 3
SAME, VALID = 0, 1


@dataclass(frozen=True)
class Case:
    """A model and the shape and type of each input."""

    blob: bytes
    inputs: dict[str, tuple[tuple[int, ...], str]]

    def feeds(self, rng: Rng, count: int = 2) -> Iterator[dict[str, NDArray[Any]]]:
        """Random codes; the first one holds the extremes too."""
        for k in range(count):
            feed = {}
            for name, (shape, kind) in self.inputs.items():
                info = np.iinfo(kind)
                x = rng.integers(info.min, info.max + 1, shape).astype(kind)
                if k == 0 and kind != "int32":
                    x.reshape(-1)[:: max(x.size // 5, 1)] = info.min
                if kind == "int32":
                    x = rng.integers(-(2**24), 2**24, shape).astype(kind)
                feed[name] = x
            yield feed


def scale(rng: Rng, low: float = -9, high: float = 1) -> float:
    """A float32 scale between 2**low and 2**high, log-uniform."""
    return float(np.float32(2.0 ** rng.uniform(low, high)))


def zero(rng: Rng, kind: str) -> int:
    """A zero point; 16-bit tensors have none."""
    return int(rng.integers(-128, 128)) if kind == "INT8" else 0


def act(rng: Rng, name: str, shape: tuple[int, ...], kind: str, s: float | None = None, z: int | None = None) -> T:
    """An activation tensor."""
    return T(name, shape, kind, scale=scale(rng, -6, 0) if s is None else s, zero=zero(rng, kind) if z is None else z)


def case(tensors: list[T], op: Op, inputs: list[str], outputs: Sequence[str] = ("y",)) -> Case:
    """The finished case; the first output is always ``y``."""
    by_name = {t.name: t for t in tensors}
    blob = tflite_bytes(tensors, [op], inputs, outputs)
    return Case(blob, {n: (tuple(by_name[n].shape), by_name[n].type.lower()) for n in inputs})


def window_out(padding: int, size: int, k: int, stride: int, dilation: int = 1) -> int:
    """Output size of a window."""
    extent = (k - 1) * dilation + 1
    return -(-size // stride) if padding == SAME else (size - extent) // stride + 1


def weights(rng: Rng, shape: tuple[int, ...], axis: int, per_channel: bool) -> T:
    """int8 weights, per channel or per tensor."""
    scales = [scale(rng, -9, -5) for _ in range(shape[axis] if per_channel else 1)]
    data = rng.integers(-127, 128, shape).astype(np.int8)
    return T("w", shape, "INT8", scale=scales, axis=axis if per_channel else 0, data=data)


def bias(rng: Rng, x: T, w: T, channels: int, kind: str) -> T:
    """A bias with scale s_in * s_w."""
    scales = np.float32(x.scale) * np.asarray(w.scale, np.float32)
    return T("b", (channels,), kind, scale=scales, data=rng.integers(-2000, 2000, channels))


def out_scale(x: T, w: T, reduction: int) -> float:
    """A scale that neither saturates nor empties most outputs."""
    spread = 74.0 if x.type == "INT8" else 18000.0
    target = 60.0 if x.type == "INT8" else 12000.0
    return float(np.float32(x.scale * np.median(w.scale) * spread * 73 * np.sqrt(reduction) / target))


def bias_type(kind: str) -> str:
    """Bias type that goes with an activation type."""
    return "INT32" if kind == "INT8" else "INT64"


def conv(
    rng: Rng, kind: str, *, groups: int = 1, dilation: int = 1, with_bias: bool = True, bias_kind: str | None = None
) -> Case:
    """A convolution with random stride, padding, activation, per-tensor or per-channel weights."""
    k, stride = int(rng.integers(1, 4)), int(rng.integers(1, 3)) if dilation == 1 else 1
    padding, fused = int(rng.integers(0, 2)), int(rng.integers(0, 4))
    n, h, w_, ic, oc = int(rng.integers(1, 3)), 9, 8, 4 * groups, 6 * groups
    x = act(rng, "x", (n, h, w_, ic), kind)
    w = weights(rng, (oc, k, k, ic // groups), 0, bool(rng.integers(0, 2)))
    shape = (n, window_out(padding, h, k, stride, dilation), window_out(padding, w_, k, stride, dilation), oc)
    y = act(rng, "y", shape, kind, s=out_scale(x, w, k * k * ic // groups))
    tensors, names = [x, w, y], ["x", "w"]
    if with_bias:
        tensors.append(bias(rng, x, w, oc, bias_kind or bias_type(kind)))
        names.append("b")
    options = {
        "Padding": padding, "StrideH": stride, "StrideW": stride, "DilationHFactor": dilation, "DilationWFactor": dilation,
        "FusedActivationFunction": fused,
    }  # fmt: skip
    if bias_kind:
        options["QuantizedBiasType"] = getattr(TensorType, bias_kind)
    return case(tensors, Op("CONV_2D", names, ["y"], options), ["x"])


def depthwise(rng: Rng, kind: str) -> Case:
    """A depthwise convolution with multiplier 1 or 2."""
    k, stride, multiplier = int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(1, 3))
    padding, fused, ic = int(rng.integers(0, 2)), int(rng.integers(0, 4)), 5
    x = act(rng, "x", (1, 9, 8, ic), kind)
    oc = ic * multiplier
    # LiteRT wants per-channel scales here; the converter always writes them.
    w = weights(rng, (1, k, k, oc), 3, True)
    shape = (1, window_out(padding, 9, k, stride), window_out(padding, 8, k, stride), oc)
    y = act(rng, "y", shape, kind, s=out_scale(x, w, k * k))
    options = {
        "Padding": padding,
        "StrideH": stride,
        "StrideW": stride,
        "FusedActivationFunction": fused,
        "DepthMultiplier": multiplier,
    }
    return case(
        [x, w, bias(rng, x, w, oc, bias_type(kind)), y], Op("DEPTHWISE_CONV_2D", ["x", "w", "b"], ["y"], options), ["x"]
    )


def dense(rng: Rng, kind: str, *, per_channel: bool = False, with_bias: bool = True) -> Case:
    """A dense layer over several rows."""
    rows, k, units = int(rng.integers(1, 5)), 37, 21
    x = act(rng, "x", (rows, k), kind)
    w = weights(rng, (units, k), 0, per_channel)
    y = act(rng, "y", (rows, units), kind, s=out_scale(x, w, k))
    tensors, names = [x, w, y], ["x", "w", "b" if with_bias else None]
    if with_bias:
        tensors.append(bias(rng, x, w, units, bias_type(kind)))
    options = {"FusedActivationFunction": int(rng.integers(0, 4))}
    return case(tensors, Op("FULLY_CONNECTED", names, ["y"], options), ["x"])


def dense_keep(rng: Rng, kind: str) -> Case:
    """A dense layer with keep_num_dims."""
    x = act(rng, "x", (2, 3, 16), kind)
    w = weights(rng, (5, 16), 0, False)
    y = act(rng, "y", (2, 3, 5), kind, s=out_scale(x, w, 16))
    op = Op("FULLY_CONNECTED", ["x", "w", "b"], ["y"], {"KeepNumDims": True})
    return case([x, w, bias(rng, x, w, 5, bias_type(kind)), y], op, ["x"])


PRODUCTS = [
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (2, 3)),
    ((1, 4), (1, 4)),
    ((2, 3), ()),
    ((3,), (1,)),
    ((2, 3), (1, 3)),
    ((1, 3), (2, 1)),
]
"""Leading axes of both operands."""


def batch_matmul(rng: Rng, kind: str, *, symmetric: bool = False, constant: bool = False) -> Case:
    """A product of two tensors, either turned or not; ``symmetric`` right codes have zero point 0."""
    left, right = PRODUCTS[int(rng.integers(0, len(PRODUCTS)))]
    (adj_x, adj_y), (m, k, n) = (bool(i) for i in rng.integers(0, 2, 2)), (int(i) for i in rng.integers(1, 20, 3))
    a = act(rng, "a", (*left, *((k, m) if adj_x else (m, k))), kind)
    b = act(rng, "b", (*right, *((n, k) if adj_y else (k, n))), kind, z=0 if symmetric else None)
    if constant:
        b.data = rng.integers(-128, 128, b.shape)
    y = act(
        rng,
        "y",
        (*np.broadcast_shapes(left, right), m, n),
        kind,
        s=out_scale(a, b, k) * (1.5 if kind == "INT8" else 250),
    )
    options = {"AdjX": adj_x, "AdjY": adj_y}
    return case([a, b, y], Op("BATCH_MATMUL", ["a", "b"], ["y"], options), ["a"] if constant else ["a", "b"])


def transpose_conv(rng: Rng, kind: str, *, with_bias: bool = True) -> Case:
    """A transposed convolution."""
    k, stride, padding = int(rng.integers(2, 5)), int(rng.integers(1, 3)), int(rng.integers(0, 2))
    ih, iw, ic, oc = 4, 5, 3, 6
    oh, ow = [(size * stride if padding == SAME else (size - 1) * stride + k) for size in (ih, iw)]
    x = act(rng, "x", (1, ih, iw, ic), kind)
    w = weights(rng, (oc, k, k, ic), 0, bool(rng.integers(0, 2)))
    y = act(rng, "y", (1, oh, ow, oc), kind, s=out_scale(x, w, k * k * ic))
    size = T("size", (4,), "INT32", data=[1, oh, ow, oc])
    tensors, names = [size, w, x, y], ["size", "w", "x"]
    if with_bias:
        tensors.append(bias(rng, x, w, oc, bias_type(kind)))
        names.append("b")
    return case(
        tensors, Op("TRANSPOSE_CONV", names, ["y"], {"Padding": padding, "StrideH": stride, "StrideW": stride}), ["x"]
    )


BROADCASTS = [
    ((1, 3, 4, 5), (1, 3, 4, 5)),
    ((2, 3, 4, 5), (5,)),
    ((1, 1, 1, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (2, 1, 1, 5)),
    ((7, 9), (7, 9)),
]


def binary(rng: Rng, kind: str, name: str) -> Case:
    """ADD, SUB or MUL with one of several broadcasts."""
    left, right = BROADCASTS[int(rng.integers(0, len(BROADCASTS)))]
    a, b = act(rng, "a", left, kind), act(rng, "b", right, kind)
    ratio = 2.0 ** rng.uniform(-1, 1)
    natural = a.scale * b.scale * (90 if kind == "INT8" else 20000) if name == "MUL" else max(a.scale, b.scale)
    y = act(rng, "y", tuple(np.broadcast_shapes(left, right)), kind, s=float(np.float32(natural * ratio)))
    options = {"FusedActivationFunction": int(rng.integers(0, 4))}
    if name != "MUL":
        options["PotScaleInt16"] = False
    return case([a, b, y], Op(name, ["a", "b"], ["y"], options), ["a", "b"])


def constant_operand(rng: Rng, kind: str, name: str) -> Case:
    """ADD, SUB or MUL with a constant on either side: a vector of channels or one number."""
    right = [(5,), (1,), (), (3, 4, 5)][int(rng.integers(0, 4))]
    info = np.iinfo(kind.lower())
    a = act(rng, "a", (2, 3, 4, 5), kind)
    b = act(rng, "b", right, kind)
    b.data = rng.integers(info.min, info.max + 1, right)
    natural = a.scale * b.scale * (90 if kind == "INT8" else 20000) if name == "MUL" else max(a.scale, b.scale)
    y = act(rng, "y", (2, 3, 4, 5), kind, s=float(np.float32(natural * 2.0 ** rng.uniform(-1, 1))))
    order = ["a", "b"] if rng.integers(0, 2) else ["b", "a"]
    options = {} if name == "MUL" else {"PotScaleInt16": False}
    return case([a, b, y], Op(name, order, ["y"], options), ["a"])


def pool(rng: Rng, kind: str, name: str) -> Case:
    """A pool with random window."""
    kernel, stride, padding = (
        (int(rng.integers(1, 4)), int(rng.integers(1, 5))),
        int(rng.integers(1, 3)),
        int(rng.integers(0, 2)),
    )
    x = act(rng, "x", (2, 9, 8, 5), kind)
    shape = (2, window_out(padding, 9, kernel[0], stride), window_out(padding, 8, kernel[1], stride), 5)
    y = act(rng, "y", shape, kind, s=x.scale, z=x.zero)
    options = {
        "Padding": padding, "StrideH": stride, "StrideW": stride, "FilterHeight": kernel[0], "FilterWidth": kernel[1],
        "FusedActivationFunction": int(rng.integers(0, 4)),
    }  # fmt: skip
    return case([x, y], Op(name, ["x"], ["y"], options), ["x"])


def mean(rng: Rng, kind: str, *, same_scale: bool = False) -> Case:
    """A mean over random axes, kept or dropped."""
    shape = (2, 7, 5, 6)
    axes = [[1, 2], [-2, 1], [3], [1, 2, 3], [-1, 0], [2]][int(rng.integers(0, 6))]
    keep = bool(rng.integers(0, 2))
    resolved = {axis % 4 for axis in axes}
    out = tuple(1 if i in resolved else d for i, d in enumerate(shape) if keep or i not in resolved)
    x = act(rng, "x", shape, kind)
    y = (
        act(rng, "y", out, kind, s=x.scale, z=x.zero)
        if same_scale
        else act(rng, "y", out, kind, s=float(np.float32(x.scale * 2.0 ** rng.uniform(-2, 0))))
    )
    return case(
        [x, T("axes", (len(axes),), "INT32", data=axes), y], Op("MEAN", ["x", "axes"], ["y"], {"KeepDims": keep}), ["x"]
    )


def pad(rng: Rng, kind: str, name: str) -> Case:
    """Random paddings of four axes."""
    shape = (1, 4, 3, 5)
    amounts = rng.integers(0, 3, (4, 2))
    x = act(rng, "x", shape, kind)
    y = act(rng, "y", tuple(int(d + p.sum()) for d, p in zip(shape, amounts, strict=True)), kind, s=x.scale, z=x.zero)
    tensors, names = [x, T("p", (4, 2), "INT32", data=amounts), y], ["x", "p"]
    if name == "PADV2":
        tensors.append(T("v", (1,), kind, scale=x.scale, zero=x.zero, data=[int(rng.integers(-100, 100))]))
        names.append("v")
    return case(tensors, Op(name, names, ["y"]), ["x"])


def transpose(rng: Rng, kind: str) -> Case:
    """A random permutation."""
    shape, permutation = (2, 3, 4, 5), rng.permutation(4)
    x = act(rng, "x", shape, kind)
    y = act(rng, "y", tuple(shape[i] for i in permutation), kind, s=x.scale, z=x.zero)
    return case([x, T("p", (4,), "INT32", data=permutation), y], Op("TRANSPOSE", ["x", "p"], ["y"]), ["x"])


def concatenation(rng: Rng, kind: str) -> Case:
    """Three inputs along a random axis, counted from either end."""
    axis, sizes = int(rng.integers(0, 4)), (2, 1, 3)
    base = (2, 3, 4, 5)
    shapes = [tuple(s if i == axis else d for i, d in enumerate(base)) for s in sizes]
    first = act(rng, "x0", shapes[0], kind)
    rest = [act(rng, f"x{i}", shapes[i], kind, s=first.scale, z=first.zero) for i in (1, 2)]
    y = act(rng, "y", tuple(6 if i == axis else d for i, d in enumerate(base)), kind, s=first.scale, z=first.zero)
    names = ["x0", "x1", "x2"]
    return case(
        [first, *rest, y], Op("CONCATENATION", names, ["y"], {"Axis": axis - 4 * int(rng.integers(0, 2))}), names
    )


def strided_slice(rng: Rng, kind: str) -> Case:
    """Random bounds, masks and strides of both signs."""
    shape = (3, 6, 5, 4)
    while True:
        begin, end = rng.integers(-6, 7, 4), rng.integers(-7, 8, 4)
        strides = rng.choice([1, 1, 2, -1, -2], 4)
        begin_mask, end_mask, shrink = (int(rng.integers(0, 16)) for _ in range(3))
        shrink &= int(rng.integers(0, 16))
        strides = np.where([(shrink >> i) & 1 for i in range(4)], 1, strides)
        picks: list[Any] = []
        for i in range(4):
            if shrink >> i & 1:
                begin_mask &= ~(1 << i)
                begin[i] = int(rng.integers(-shape[i], shape[i]))
                picks.append(int(begin[i]))
            else:
                picks.append(
                    slice(
                        None if begin_mask >> i & 1 else int(begin[i]),
                        None if end_mask >> i & 1 else int(end[i]),
                        int(strides[i]),
                    )
                )
        out = np.empty(shape)[tuple(picks)].shape
        if out and min(out) > 0:
            break
    x = act(rng, "x", shape, kind)
    y = act(rng, "y", out, kind, s=x.scale, z=x.zero)
    bounds = [T(n, (4,), "INT32", data=v) for n, v in (("begin", begin), ("end", end), ("strides", strides))]
    options = {"BeginMask": begin_mask, "EndMask": end_mask, "ShrinkAxisMask": shrink}
    return case([x, *bounds, y], Op("STRIDED_SLICE", ["x", "begin", "end", "strides"], ["y"], options), ["x"])


def resize(rng: Rng, kind: str, name: str) -> Case:
    """Up or down; corners aligned, pixels centred, or neither."""
    x = act(rng, "x", (2, int(rng.integers(1, 12)), int(rng.integers(1, 12)), 3), kind)
    size = [int(i) for i in rng.integers(1, 25, 2)]
    y = act(rng, "y", (2, *size, 3), kind, s=x.scale, z=x.zero)
    align, half = ((False, False), (True, False), (False, True))[int(rng.integers(0, 3))]
    options = {"AlignCorners": align, "HalfPixelCenters": half}
    return case([x, T("s", (2,), "INT32", data=size), y], Op(name, ["x", "s"], ["y"], options), ["x"])


def reshape(rng: Rng, kind: str) -> Case:
    """Another shape for the same codes."""
    x = act(rng, "x", (2, 3, 4, 5), kind)
    y = act(rng, "y", (6, 20), kind, s=x.scale, z=x.zero)
    return case([x, T("s", (2,), "INT32", data=[6, 20]), y], Op("RESHAPE", ["x", "s"], ["y"]), ["x"])


def softmax(rng: Rng, kind: str) -> Case:
    """Rows of classes."""
    classes = int(rng.choice([2, 5, 10, 12, 100]))
    x = act(rng, "x", (4, classes), kind, s=scale(rng, -7, 0) if kind == "INT8" else scale(rng, -15, -9))
    y = T("y", (4, classes), kind, scale=1 / 256 if kind == "INT8" else 1 / 32768, zero=-128 if kind == "INT8" else 0)
    return case([x, y], Op("SOFTMAX", ["x"], ["y"], {"Beta": float(rng.choice([1.0, 0.5]))}), ["x"])


def unary(rng: Rng, kind: str, name: str) -> Case:
    """LOGISTIC, TANH, HARD_SWISH over all 256 codes, or many 16-bit ones."""
    shape = (1, 16, 16, 1) if kind == "INT8" else (1, 40, 40, 1)
    x = act(rng, "x", shape, kind, s=scale(rng, -8, -1) if kind == "INT8" else scale(rng, -15, -9))
    fixed = {
        ("LOGISTIC", "INT8"): (1 / 256, -128), ("LOGISTIC", "INT16"): (1 / 32768, 0),
        ("TANH", "INT8"): (1 / 128, 0), ("TANH", "INT16"): (1 / 32768, 0),
    }  # fmt: skip
    s, z = fixed.get((name, kind), (float(np.float32(x.scale * 2.0 ** rng.uniform(-1, 1))), zero(rng, kind)))
    return case([x, T("y", shape, kind, scale=s, zero=z)], Op(name, ["x"], ["y"]), ["x"])


def rectifier(rng: Rng, kind: str, name: str, *, same_scale: bool = False) -> Case:
    """RELU, RELU6, RELU_N1_TO_1, LEAKY_RELU."""
    shape = (1, 16, 16, 1)
    x = act(rng, "x", shape, kind, s=scale(rng, -6, -3) if kind == "INT8" else scale(rng, -14, -11))
    s = x.scale if same_scale else float(np.float32(x.scale * 2.0 ** rng.uniform(-1, 1)))
    y = act(rng, "y", shape, kind, s=s, z=x.zero if same_scale else None)
    options = {"Alpha": float(np.float32(rng.uniform(0.01, 0.5)))} if name == "LEAKY_RELU" else {}
    return case([x, y], Op(name, ["x"], ["y"], options), ["x"])


def quantize(rng: Rng, kind: str, target: str) -> Case:
    """Between integer formats."""
    shape = (1, 16, 16, 1)
    x = act(rng, "x", shape, kind)
    bits = {"INT8": 8, "INT16": 16, "INT32": 32}
    natural = x.scale * 2.0 ** (min(bits[kind], 25) - bits[target])
    y = act(rng, "y", shape, target, s=float(np.float32(natural * 2.0 ** rng.uniform(-1, 1))))
    return case([x, y], Op("QUANTIZE", ["x"], ["y"]), ["x"])


def dense_int4(rng: Rng, kind: str) -> Case:
    """A dense layer with 4-bit weights, two to an octet."""
    x = act(rng, "x", (3, 18), kind)
    codes = rng.integers(-7, 8, (11, 18))
    nibbles = (codes.reshape(-1) & 15).reshape(-1, 2)
    w = T("w", (11, 18), "INT4", scale=scale(rng, -5, -3), data=nibbles[:, 0] | nibbles[:, 1] << 4)
    y = act(rng, "y", (3, 11), kind, s=float(np.float32(x.scale * w.scale * 18)))
    b = T("b", (11,), "INT32", scale=np.float32(x.scale) * np.float32(w.scale), data=rng.integers(-2000, 2000, 11))
    return case([x, w, b, y], Op("FULLY_CONNECTED", ["x", "w", "b"], ["y"]), ["x"])


def quantize_uint8(rng: Rng, kind: str) -> Case:
    """Unsigned input codes, as converters put before a network that is fed with octets."""
    x = T("x", (1, 16, 16, 1), "UINT8", scale=scale(rng), zero=int(rng.integers(0, 256)))
    y = T("y", (1, 16, 16, 1), "INT8", scale=x.scale, zero=x.zero - 128)
    return case([x, y], Op("QUANTIZE", ["x"], ["y"]), ["x"])


Make = Callable[[Rng, str], Case]
CASES: dict[str, Make] = {
    "conv": conv,
    "conv-grouped": lambda rng, kind: conv(rng, kind, groups=3),
    "conv-dilated": lambda rng, kind: conv(rng, kind, dilation=2),
    "conv-no-bias": lambda rng, kind: conv(rng, kind, with_bias=False),
    "conv-int32-bias": lambda rng, kind: conv(rng, kind, bias_kind="INT32"),
    "depthwise": depthwise,
    "dense": dense,
    "dense-per-channel": lambda rng, kind: dense(rng, kind, per_channel=True),
    "dense-no-bias": lambda rng, kind: dense(rng, kind, with_bias=False),
    "dense-keep-dims": dense_keep,
    "dense-int4": dense_int4,
    "batch-matmul": batch_matmul,
    "batch-matmul-symmetric": lambda rng, kind: batch_matmul(rng, kind, symmetric=True),
    "batch-matmul-constant": lambda rng, kind: batch_matmul(rng, kind, constant=True),
    "transpose-conv": transpose_conv,
    "transpose-conv-no-bias": lambda rng, kind: transpose_conv(rng, kind, with_bias=False),
    "add": lambda rng, kind: binary(rng, kind, "ADD"),
    "sub": lambda rng, kind: binary(rng, kind, "SUB"),
    "mul": lambda rng, kind: binary(rng, kind, "MUL"),
    "add-constant": lambda rng, kind: constant_operand(rng, kind, "ADD"),
    "sub-constant": lambda rng, kind: constant_operand(rng, kind, "SUB"),
    "mul-constant": lambda rng, kind: constant_operand(rng, kind, "MUL"),
    "average-pool": lambda rng, kind: pool(rng, kind, "AVERAGE_POOL_2D"),
    "max-pool": lambda rng, kind: pool(rng, kind, "MAX_POOL_2D"),
    "mean": mean,
    "mean-same-scale": lambda rng, kind: mean(rng, kind, same_scale=True),
    "pad": lambda rng, kind: pad(rng, kind, "PAD"),
    "padv2": lambda rng, kind: pad(rng, kind, "PADV2"),
    "transpose": transpose,
    "concatenation": concatenation,
    "strided-slice": strided_slice,
    "resize-nearest": lambda rng, kind: resize(rng, kind, "RESIZE_NEAREST_NEIGHBOR"),
    "resize-bilinear": lambda rng, kind: resize(rng, kind, "RESIZE_BILINEAR"),
    "reshape": reshape,
    "softmax": softmax,
    "logistic": lambda rng, kind: unary(rng, kind, "LOGISTIC"),
    "tanh": lambda rng, kind: unary(rng, kind, "TANH"),
    "hard-swish": lambda rng, kind: unary(rng, kind, "HARD_SWISH"),
    "relu": lambda rng, kind: rectifier(rng, kind, "RELU"),
    "relu6": lambda rng, kind: rectifier(rng, kind, "RELU6"),
    "relu6-same-scale": lambda rng, kind: rectifier(rng, kind, "RELU6", same_scale=True),
    "relu-n1-to-1": lambda rng, kind: rectifier(rng, kind, "RELU_N1_TO_1"),
    "leaky-relu": lambda rng, kind: rectifier(rng, kind, "LEAKY_RELU"),
    "quantize-uint8": quantize_uint8,
    "quantize-to-int8": lambda rng, kind: quantize(rng, kind, "INT8"),
    "quantize-to-int16": lambda rng, kind: quantize(rng, kind, "INT16"),
    "quantize-to-int32": lambda rng, kind: quantize(rng, kind, "INT32"),
}
"""Name -> maker of a case from a generator and an activation type."""
