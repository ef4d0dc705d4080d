"""Models of one operator over the whole range of its parameters: scales far apart, strides beyond kernels, blocks that are not full."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tests.importers.flat import Op, T
from tests.oracles import one_op
from tests.oracles.one_op import Case, Rng, window_out

Make = Callable[[Rng, str], Case]
SHAPES = ((1, 16, 16, 1), (37,), (3, 50), (2, 3, 4, 5, 6))


def times(rng: Rng, low: float, high: float) -> float:
    """A power of two, or a number between two, log-uniform."""
    return float(2.0 ** (int(rng.integers(int(low), int(high) + 1)) if rng.random() < 0.4 else rng.uniform(low, high)))


def pair(rng: Rng, low: int, high: int) -> tuple[int, int]:
    return int(rng.integers(low, high)), int(rng.integers(low, high))


def layer(
    rng: Rng, kind: str, op: str, tensors: list[T], shape: Sequence[int], reduction: int, options: dict[str, int]
) -> Case:
    """A layer with weights ``w`` and a bias: its output scale is up to 2^14 off the one that fits."""
    by_name = {t.name: t for t in tensors}
    x, w = by_name["x"], by_name["w"]
    y = one_op.act(
        rng, "y", tuple(shape), kind, s=float(np.float32(one_op.out_scale(x, w, reduction) * times(rng, -14, 14)))
    )
    b = one_op.bias(rng, x, w, shape[-1], one_op.bias_type(kind))
    names = [t.name for t in tensors if t.name != "x"] + ["x"] if op == "TRANSPOSE_CONV" else ["x", "w"]
    fused = {"FusedActivationFunction": int(rng.integers(0, 4))}
    return one_op.case([*tensors, b, y], Op(op, [*names, "b"], ["y"], {**options, **fused}), ["x"])


def convolution(rng: Rng, kind: str, *, depthwise: bool = False) -> Case:
    k, stride, padding = pair(rng, 1, 5), pair(rng, 1, 5), int(rng.integers(0, 2))
    dilation = (1, 1) if rng.random() < 0.6 else pair(rng, 1, 3)
    groups = 1 if depthwise else int(rng.choice([1, 1, 1, 2, 3]))
    ic, multiplier = groups * int(rng.integers(1, 9)), int(rng.choice([1, 1, 2, 3]))
    oc = ic * multiplier if depthwise else groups * int(rng.integers(1, 18))
    size, n = pair(rng, 8, 12), int(rng.integers(1, 3))
    x = one_op.act(rng, "x", (n, *size, ic), kind, s=times(rng, -14, 0))
    form = (1, *k, oc) if depthwise else (oc, *k, ic // groups)
    w = one_op.weights(rng, form, 3 if depthwise else 0, depthwise or bool(rng.integers(0, 2)))
    out = [window_out(padding, *each) for each in zip(size, k, stride, dilation, strict=True)]
    options = {
        "Padding": padding, "StrideH": stride[0], "StrideW": stride[1], "DilationHFactor": dilation[0], "DilationWFactor": dilation[1],
    }  # fmt: skip
    if depthwise:
        options["DepthMultiplier"] = multiplier
    op = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    return layer(rng, kind, op, [x, w], (n, *out, oc), k[0] * k[1] * (1 if depthwise else ic // groups), options)


def transposed(rng: Rng, kind: str) -> Case:
    k, stride, padding = pair(rng, 1, 5), pair(rng, 1, 5), int(rng.integers(0, 2))
    size, (ic, oc), n = pair(rng, 1, 6), (int(rng.integers(1, 9)), int(rng.integers(1, 18))), int(rng.integers(1, 3))
    spare = [int(rng.integers(0, s)) if rng.random() < 0.3 else 0 for s in stride]
    out = [
        i * s - more if padding == one_op.SAME else (i - 1) * s + taps + more
        for i, s, taps, more in zip(size, stride, k, spare, strict=True)
    ]
    x = one_op.act(rng, "x", (n, *size, ic), kind, s=times(rng, -14, 0))
    w = one_op.weights(rng, (oc, *k, ic), 0, bool(rng.integers(0, 2)))
    sizes = T("size", (4,), "INT32", data=[n, *out, oc])
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    return layer(rng, kind, "TRANSPOSE_CONV", [sizes, w, x], (n, *out, oc), k[0] * k[1] * ic, options)


def binary(rng: Rng, kind: str, op: str) -> Case:
    """One operand may be constant; the default of ``pot_scale_int16`` stays where it is not drawn."""
    left, right = one_op.BROADCASTS[int(rng.integers(0, len(one_op.BROADCASTS)))]
    a, b = (one_op.act(rng, n, s, kind, s=times(rng, -12, 0)) for n, s in (("a", left), ("b", right)))
    natural = a.scale * b.scale * 2.0**3 if op == "MUL" else max(a.scale, b.scale)
    y = one_op.act(
        rng, "y", tuple(np.broadcast_shapes(left, right)), kind, s=float(np.float32(natural * times(rng, -14, 14)))
    )
    constant = rng.random() < 0.3
    if constant:
        b.data = rng.integers(-128, 128, right)
    options = {"FusedActivationFunction": int(rng.integers(0, 4))}
    if op != "MUL" and rng.random() < 0.5:
        options["PotScaleInt16"] = False
    return one_op.case([a, b, y], Op(op, ["a", "b"], ["y"], options), ["a"] if constant else ["a", "b"])


def unary(rng: Rng, kind: str, op: str, target: str | None = None) -> Case:
    shape = SHAPES[int(rng.integers(0, len(SHAPES)))]
    x = one_op.act(rng, "x", shape, kind, s=times(rng, -8, 0))
    y = one_op.act(rng, "y", shape, target or kind, s=float(np.float32(x.scale * times(rng, -12, 12))))
    slopes = (rng.uniform(0, 1), times(rng, -12, 9), -times(rng, -12, 9), 0.0, 1.0)
    options = {"Alpha": float(np.float32(slopes[int(rng.integers(0, 5))]))} if op == "LEAKY_RELU" else {}
    return one_op.case([x, y], Op(op, ["x"], ["y"], options), ["x"])


CASES: dict[str, Make] = {
    "conv": convolution,
    "depthwise": lambda rng, kind: convolution(rng, kind, depthwise=True),
    "transposed": transposed,
    "add": lambda rng, kind: binary(rng, kind, "ADD"),
    "sub": lambda rng, kind: binary(rng, kind, "SUB"),
    "mul": lambda rng, kind: binary(rng, kind, "MUL"),
    "leaky-relu": lambda rng, kind: unary(rng, kind, "LEAKY_RELU"),
    "relu": lambda rng, kind: unary(rng, kind, "RELU"),
    "quantize-to-int8": lambda rng, kind: unary(rng, kind, "QUANTIZE", "INT8"),
    "quantize-to-int16": lambda rng, kind: unary(rng, kind, "QUANTIZE", "INT16"),
}
"""Name -> maker of a case from a generator and an activation type."""
