"""Models of one operator that moves codes, with random shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.importers.flat import Op, T
from tests.oracles import one_op
from tests.oracles.one_op import Case, Rng

Make = Callable[[Rng, str], Case]
Shape = tuple[int, ...]


def ints(name: str, values: Any) -> T:
    """A constant of INT32."""
    return T(name, np.shape(values), "INT32", data=values)


def moves(
    rng: Rng, kind: str, op: str, shape: Shape, outputs: list[Shape], constants: list[T], options: dict[str, Any] | None = None,
    order: list[str] | None = None,
) -> Case:  # fmt: skip
    """The operator over ``x``; its outputs are ``y``, ``y1`` ... with x's scale and zero point."""
    x = one_op.act(rng, "x", shape, kind)
    names = ["y", *(f"y{i}" for i in range(1, len(outputs)))]
    ys = [one_op.act(rng, name, out, kind, s=x.scale, z=x.zero) for name, out in zip(names, outputs, strict=True)]
    inputs = order or ["x", *(t.name for t in constants)]
    return one_op.case([x, *constants, *ys], Op(op, inputs, names, options or {}), ["x"], names)


def sizes(rng: Rng, rank: int, low: int = 1, high: int = 6) -> Shape:
    return tuple(int(n) for n in rng.integers(low, high, rank))


def cut(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def either_end(rng: Rng, axis: int, rank: int) -> int:
    return axis - rank * int(rng.integers(0, 2))


def split(rng: Rng, kind: str) -> Case:
    shape, axis, count = sizes(rng, 4), int(rng.integers(0, 4)), int(rng.integers(1, 4))
    piece = int(rng.integers(1, 4))
    whole = cut(shape, axis, piece * count)
    outs = [cut(shape, axis, piece)] * count
    return moves(
        rng, kind, "SPLIT", whole, outs, [ints("axis", either_end(rng, axis, 4))], {"NumSplits": count}, ["axis", "x"]
    )


def split_v(rng: Rng, kind: str) -> Case:
    shape, axis, pieces = sizes(rng, 3), int(rng.integers(0, 3)), [int(n) for n in rng.integers(1, 5, 3)]
    told = [-1 if i == rng.integers(0, 4) else n for i, n in enumerate(pieces)]
    told = pieces if told.count(-1) > 1 else told
    outs = [cut(shape, axis, n) for n in pieces]
    constants = [ints("sizes", told), ints("axis", either_end(rng, axis, 3))]
    return moves(rng, kind, "SPLIT_V", cut(shape, axis, sum(pieces)), outs, constants, {"NumSplits": 3})


def unpack(rng: Rng, kind: str) -> Case:
    shape, axis = sizes(rng, 3, 1, 4), int(rng.integers(0, 3))
    outs = [(*shape[:axis], *shape[axis + 1 :])] * shape[axis]
    return moves(
        rng, kind, "UNPACK", shape, outs, [], {"Num": shape[axis], "Axis": either_end(rng, axis, 3)}
    )  # fmt: skip


def pack(rng: Rng, kind: str) -> Case:
    shape, axis, count = sizes(rng, 3), int(rng.integers(0, 4)), int(rng.integers(1, 4))
    first = one_op.act(rng, "x0", shape, kind)
    parts = [first, *(one_op.act(rng, f"x{i}", shape, kind, s=first.scale, z=first.zero) for i in range(1, count))]
    y = one_op.act(rng, "y", (*shape[:axis], count, *shape[axis:]), kind, s=first.scale, z=first.zero)
    names = [part.name for part in parts]
    op = Op("PACK", names, ["y"], {"ValuesCount": count, "Axis": either_end(rng, axis, 4)})
    return one_op.case([*parts, y], op, names)


def slice_(rng: Rng, kind: str) -> Case:
    shape = sizes(rng, 4, 2, 7)
    begins = [int(rng.integers(0, n)) for n in shape]
    lengths = [int(rng.integers(1, n - b + 1)) for n, b in zip(shape, begins, strict=True)]
    told = [-1 if b + length == n else length for n, b, length in zip(shape, begins, lengths, strict=True)]
    return moves(rng, kind, "SLICE", shape, [tuple(lengths)], [ints("begin", begins), ints("size", told)])


def reverse(rng: Rng, kind: str) -> Case:
    shape = sizes(rng, 4)
    return moves(rng, kind, "REVERSE_V2", shape, [shape], [ints("axes", [int(rng.integers(0, 4))])])


def gather(rng: Rng, kind: str) -> Case:
    """Indices of any order, of ranks 0 to 2."""
    shape, axis = sizes(rng, 3, 2, 7), int(rng.integers(0, 3))
    form: Shape = [(), (1,), (4,), (2, 3)][int(rng.integers(0, 4))]
    indices = rng.integers(0, shape[axis], form)
    out = (*shape[:axis], *form, *shape[axis + 1 :])
    return moves(rng, kind, "GATHER", shape, [out], [ints("i", indices)], {"Axis": either_end(rng, axis, 3)})


def tile(rng: Rng, kind: str) -> Case:
    shape, times = sizes(rng, 4, 1, 4), [int(n) for n in rng.integers(1, 4, 4)]
    out = tuple(n * t for n, t in zip(shape, times, strict=True))
    return moves(rng, kind, "TILE", shape, [out], [ints("times", times)])


def broadcast_to(rng: Rng, kind: str) -> Case:
    out, rank = sizes(rng, 4, 1, 5), int(rng.integers(1, 5))
    shape = tuple(1 if rng.integers(0, 2) else n for n in out[4 - rank :])
    return moves(rng, kind, "BROADCAST_TO", shape, [out], [ints("shape", out)])


def mirror_pad(rng: Rng, kind: str) -> Case:
    shape, mode = sizes(rng, 4, 2, 6), int(rng.integers(0, 2))
    amounts = [[int(rng.integers(0, n + mode)) for _ in range(2)] for n in shape]
    amounts = [pair if rng.integers(0, 2) else [0, 0] for pair in amounts]
    out = tuple(n + sum(pair) for n, pair in zip(shape, amounts, strict=True))
    return moves(rng, kind, "MIRROR_PAD", shape, [out], [ints("p", amounts)], {"Mode": mode})


def depth_to_space(rng: Rng, kind: str) -> Case:
    (n, h, w, c), b = sizes(rng, 4), int(rng.integers(1, 4))
    return moves(rng, kind, "DEPTH_TO_SPACE", (n, h, w, c * b * b), [(n, h * b, w * b, c)], [], {"BlockSize": b})


def space_to_depth(rng: Rng, kind: str) -> Case:
    (n, h, w, c), b = sizes(rng, 4), int(rng.integers(1, 4))
    return moves(rng, kind, "SPACE_TO_DEPTH", (n, h * b, w * b, c), [(n, h, w, c * b * b)], [], {"BlockSize": b})


def space_to_batch(rng: Rng, kind: str) -> Case:
    (n, h, w, c), (b, d) = sizes(rng, 4), sizes(rng, 2, 1, 4)
    pairs = [[int(rng.integers(0, min(size * k, 3))) for _ in range(2)] for size, k in ((h, b), (w, d))]
    pairs = [[0, 0] if sum(pair) >= size * k else pair for pair, size, k in zip(pairs, (h, w), (b, d), strict=True)]
    shape = (n, h * b - sum(pairs[0]), w * d - sum(pairs[1]), c)
    return moves(
        rng, kind, "SPACE_TO_BATCH_ND", shape, [(n * b * d, h, w, c)], [ints("blocks", [b, d]), ints("pads", pairs)]
    )


def batch_to_space(rng: Rng, kind: str) -> Case:
    (n, h, w, c), (b, d) = sizes(rng, 4), sizes(rng, 2, 1, 4)
    pairs = [[int(rng.integers(0, min(size * k, 3))) for _ in range(2)] for size, k in ((h, b), (w, d))]
    pairs = [[0, 0] if sum(pair) >= size * k else pair for pair, size, k in zip(pairs, (h, w), (b, d), strict=True)]
    out = (n, h * b - sum(pairs[0]), w * d - sum(pairs[1]), c)
    return moves(
        rng, kind, "BATCH_TO_SPACE_ND", (n * b * d, h, w, c), [out], [ints("blocks", [b, d]), ints("crops", pairs)]
    )


CASES: dict[str, Make] = {
    "split": split,
    "split-v": split_v,
    "unpack": unpack,
    "pack": pack,
    "slice": slice_,
    "reverse": reverse,
    "gather": gather,
    "tile": tile,
    "broadcast-to": broadcast_to,
    "mirror-pad": mirror_pad,
    "depth-to-space": depth_to_space,
    "space-to-depth": space_to_depth,
    "space-to-batch": space_to_batch,
    "batch-to-space": batch_to_space,
}
"""Name -> maker of a case from a generator and an activation type."""
