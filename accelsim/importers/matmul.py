"""Matrix products of two tensors of any rank as one MatMul: its geometry, and the order in which axes are read and written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from accelsim.graph import MacGeometry, Transpose

Shape = tuple[int, ...]
MAX_AXES = 8
ACCEPTED = "matrices (..., m, k) and (..., k, n) whose leading axes broadcast"


@dataclass(frozen=True)
class Product:
    """The geometry, the shape of the result, and orders: axis ``order[i]`` of a tensor is axis ``i`` of what the MatMul sees.

    The left operand is seen as (*rows, m, *batch, k), the right one as (*batch, *columns, n, k), the result as
    (*rows, m, *batch, *columns, n).
    """

    geometry: MacGeometry
    shape: Shape
    left: Shape
    right: Shape
    output: Shape


def product_of(a: Shape, b: Shape, *, turned: tuple[bool, bool] = (False, False)) -> Product | None:
    """(*batch, m, k) times (*batch, k, n), leading axes broadcast; the last two axes of an operand that is ``turned`` are exchanged.

    A leading axis along which the right operand is spread counts as rows of the left one, an axis along which the left one is
    spread as columns of the right one: nothing is repeated. None for shapes that are no such product: fewer than 2 axes or more
    than 8, unequal inner sizes, leading axes that do not broadcast.
    """
    if not 2 <= min(len(a), len(b)) <= max(len(a), len(b)) <= MAX_AXES:
        return None
    rank = max(len(a), len(b))
    left, right = _last_two(len(a), turned[0]), _last_two(len(b), turned[1])
    (m, k), (inner, n) = (a[axis] for axis in left[-2:]), (b[axis] for axis in right[-2:])
    leading = [(*(1,) * (rank - len(shape)), *shape[:-2]) for shape in (a, b)]
    pairs = list(zip(*leading, strict=True))
    if inner != k or any(x != y and 1 not in (x, y) for x, y in pairs):
        return None
    rows = [i for i, (x, y) in enumerate(pairs) if y == 1]
    columns = [i for i, (x, y) in enumerate(pairs) if x == 1 < y]
    shared = [i for i, (x, y) in enumerate(pairs) if 1 < x == y]
    ms, ns = m * math.prod(leading[0][i] for i in rows), n * math.prod(leading[1][i] for i in columns)
    groups = math.prod(leading[0][i] for i in shared)
    return Product(
        geometry=MacGeometry(n=1, ih=ms, iw=1, ic=groups * k, oh=ms, ow=1, oc=groups * ns, groups=groups),
        shape=(*(max(pair) for pair in pairs), m, n),
        left=_order(len(a), rank, [*columns, *rows], left[-2], [*shared], left[-1]),
        right=_order(len(b), rank, [*rows, *shared, *columns], right[-1], [], right[-2]),
        output=(*rows, rank - 2, *shared, *columns, rank - 1),
    )


def _order(rank: int, whole: int, before: list[int], middle: int, behind: list[int], last: int) -> Shape:
    """Leading axes ``before`` and ``behind`` the axis ``middle``, then ``last``, of an operand that may have fewer than ``whole`` axes."""
    missing = whole - rank
    return (
        *(i - missing for i in before if i >= missing),
        middle,
        *(i - missing for i in behind if i >= missing),
        last,
    )


def keeps_order(shape: Shape, permutation: Shape) -> bool:
    """Whether permuting the axes of ``shape`` leaves the elements where they are: axes longer than 1 stay in order."""
    moved = [axis for axis in permutation if shape[axis] > 1]
    return moved == sorted(moved)


def transposition(name: str, source: str, target: str, shape: Shape, permutation: Shape) -> Transpose:
    """The layer whose output axis ``i`` is axis ``permutation[i]`` of ``source``, which has ``shape``."""
    out = tuple(shape[axis] for axis in permutation)
    return Transpose(name=name, inputs=(source,), output=target, shapes=(shape,), shape=out, permutation=permutation)


def _last_two(rank: int, turned: bool) -> Shape:
    """All axes, the last two exchanged where ``turned``."""
    last = (rank - 1, rank - 2) if turned else (rank - 2, rank - 1)
    return (*range(rank - 2), *last)
