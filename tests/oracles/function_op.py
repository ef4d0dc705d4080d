"""Models of one operator that is a table of one or two codes, with random scales."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.importers.flat import Op, T
from tests.oracles import one_op
from tests.oracles.one_op import Case, Rng

Make = Callable[[Rng, str], Case]
SHAPE = (1, 16, 16, 1)


def function(rng: Rng, kind: str, name: str, *, positive: bool = False, **options: bool) -> Case:
    """A function of one code; of ``positive`` numbers only, the zero point is the least code."""
    x = one_op.act(rng, "x", SHAPE, kind, s=one_op.scale(rng, -8, -1), z=-128 if positive and kind == "INT8" else None)
    y = one_op.act(rng, "y", SHAPE, kind, s=float(np.float32(x.scale * 2.0 ** rng.uniform(-2, 2))))
    return one_op.case([x, y], Op(name, ["x"], ["y"], dict(options)), ["x"])


def extreme(rng: Rng, kind: str, name: str, *, number: bool = False) -> Case:
    """Two tensors, or one and a constant, of one scale."""
    left, right = one_op.BROADCASTS[int(rng.integers(0, len(one_op.BROADCASTS)))]
    right = () if number else right
    a = one_op.act(rng, "a", np.broadcast_shapes(left, right) if number else left, kind)
    b = one_op.act(rng, "b", right, kind, s=a.scale, z=a.zero)
    y = one_op.act(rng, "y", tuple(np.broadcast_shapes(left, right)), kind, s=a.scale, z=a.zero)
    constant = number or bool(rng.integers(0, 2))
    if constant:
        info = np.iinfo(kind.lower())
        b.data = rng.integers(info.min, info.max + 1, right)
    order = ["a", "b"] if rng.integers(0, 2) else ["b", "a"]
    return one_op.case([a, b, y], Op(name, order, ["y"]), ["a"] if constant else ["a", "b"])


def prelu(rng: Rng, kind: str) -> Case:
    """Slopes by channel, constant."""
    x = one_op.act(rng, "x", (2, 6, 5, 4), kind)
    shape = [(4,), (1, 1, 4), (6, 5, 4)][int(rng.integers(0, 3))]
    alpha = one_op.act(rng, "alpha", shape, kind, s=one_op.scale(rng, -9, -6))
    alpha.data = rng.integers(-128, 128, shape)
    y = one_op.act(rng, "y", x.shape, kind, s=float(np.float32(x.scale * 2.0 ** rng.uniform(-1, 1))))
    return one_op.case([x, alpha, y], Op("PRELU", ["x", "alpha"], ["y"]), ["x"])


def squared_difference(rng: Rng, kind: str) -> Case:
    left, right = one_op.BROADCASTS[int(rng.integers(0, len(one_op.BROADCASTS)))]
    a, b = one_op.act(rng, "a", left, kind), one_op.act(rng, "b", right, kind)
    natural = max(a.scale, b.scale) ** 2 * 90
    y = one_op.act(rng, "y", tuple(np.broadcast_shapes(left, right)), kind, s=float(np.float32(natural)))
    return one_op.case([a, b, y], Op("SQUARED_DIFFERENCE", ["a", "b"], ["y"]), ["a", "b"])


def reduction(rng: Rng, kind: str, name: str, *, same_scale: bool = True) -> Case:
    """Over random axes, kept or dropped."""
    shape = (2, 7, 5, 6)
    axes = [[1, 2], [-2, 1], [3], [1, 2, 3], [-1, 0], [2]][int(rng.integers(0, 6))]
    keep, resolved = bool(rng.integers(0, 2)), {axis % 4 for axis in axes}
    out = tuple(1 if i in resolved else d for i, d in enumerate(shape) if keep or i not in resolved)
    x = one_op.act(rng, "x", shape, kind)
    y = one_op.act(rng, "y", out, kind, s=x.scale, z=x.zero)
    if not same_scale:
        y = one_op.act(rng, "y", out, kind, s=float(np.float32(x.scale * 2.0 ** rng.uniform(0, 5))))
    tensors = [x, T("axes", (len(axes),), "INT32", data=axes), y]
    return one_op.case(tensors, Op(name, ["x", "axes"], ["y"], {"KeepDims": keep}), ["x"])


def arg_extreme(rng: one_op.Rng, kind: str, name: str, *, wide: bool = False) -> one_op.Case:
    """Along any axis, one so long that codes are equal; ``wide`` indices are int64."""
    shape = [(2, 3, 5, 700), (1, 9, 8, 6), (4, 900), (3, 2, 40, 3)][int(rng.integers(0, 4))]
    axis = int(rng.integers(-len(shape), len(shape)))
    out = tuple(d for i, d in enumerate(shape) if i != axis % len(shape))
    tensors = [
        one_op.act(rng, "x", shape, kind),
        T("axis", (1,), "INT32", data=[axis]),
        T("y", out, "INT64" if wide else "INT32"),
    ]
    return one_op.case(tensors, Op(name, ["x", "axis"], ["y"], {"OutputType": 4 if wide else 2}), ["x"])


CASES: dict[str, Make] = {
    "exp": lambda rng, kind: function(rng, kind, "EXP"),
    "elu": lambda rng, kind: function(rng, kind, "ELU"),
    "gelu": lambda rng, kind: function(rng, kind, "GELU", Approximate=False),
    "gelu-tanh": lambda rng, kind: function(rng, kind, "GELU", Approximate=True),
    "log": lambda rng, kind: function(rng, kind, "LOG", positive=True),
    "rsqrt": lambda rng, kind: function(rng, kind, "RSQRT", positive=True),
    "abs": lambda rng, kind: function(rng, kind, "ABS"),
    "minimum": lambda rng, kind: extreme(rng, kind, "MINIMUM"),
    "maximum": lambda rng, kind: extreme(rng, kind, "MAXIMUM"),
    "minimum-number": lambda rng, kind: extreme(rng, kind, "MINIMUM", number=True),
    "maximum-number": lambda rng, kind: extreme(rng, kind, "MAXIMUM", number=True),
    "sum": lambda rng, kind: reduction(rng, kind, "SUM", same_scale=False),
    "sum-same-scale": lambda rng, kind: reduction(rng, kind, "SUM"),
    "reduce-max": lambda rng, kind: reduction(rng, kind, "REDUCE_MAX"),
    "reduce-min": lambda rng, kind: reduction(rng, kind, "REDUCE_MIN"),
    "arg-max": lambda rng, kind: arg_extreme(rng, kind, "ARG_MAX"),
    "arg-min": lambda rng, kind: arg_extreme(rng, kind, "ARG_MIN"),
    "arg-max-int64": lambda rng, kind: arg_extreme(rng, kind, "ARG_MAX", wide=True),
    "prelu": prelu,
    "squared-difference": squared_difference,
}
"""Name -> maker of a case from a generator and an activation type."""
