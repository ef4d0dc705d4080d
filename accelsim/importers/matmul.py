"""Matrix products of two tensors of any rank as one MatMul: its geometry, and the order in which axes are read and written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from accelsim.graph import MacGeometry, Transpose

Shape = tuple[int, ...]
MAX_AXES = 8
ACCEPTED = "matrices (..., m, k) and (..., k, n) with equal leading axes, or a right operand without them"


@dataclass(frozen=True)
class Product:
    """The geometry, the shape of the result, and orders: axis ``order[i]`` of a tensor is axis ``i`` of what the MatMul sees.

    The left operand is seen as (m, *batch, k), the right one as (*batch, n, k), the result as (m, *batch, n).
    """

    geometry: MacGeometry
    shape: Shape
    left: Shape
    right: Shape
    output: Shape


def product_of(a: Shape, b: Shape, *, turned: tuple[bool, bool] = (False, False)) -> Product | None:
    """(*batch, m, k) times (*batch, k, n); the last two axes of an operand that is ``turned`` stand the other way round.

    Where the right operand is one matrix, all rows of the left one are its m. None for shapes that are no such product: fewer
    than 2 axes or more than 8, unequal inner sizes, leading axes that are spread.
    """
    if not 2 <= min(len(a), len(b)) <= max(len(a), len(b)) <= MAX_AXES:
        return None
    left, right = _last_two(len(a), turned[0]), _last_two(len(b), turned[1])
    m, k, (inner, n) = a[left[-2]], a[left[-1]], (b[axis] for axis in right[-2:])
    one_matrix = math.prod(b[:-2]) == 1 and len(b) <= len(a)
    if inner != k or not (one_matrix or a[:-2] == b[:-2]):
        return None
    groups = 1 if one_matrix else math.prod(a[:-2])
    rows = m * math.prod(a[:-2]) // groups
    batch = tuple(range(len(a) - 2))
    plain = tuple(range(len(a)))
    return Product(
        geometry=MacGeometry(
            n=1, ih=rows, iw=1, ic=groups * k, oh=rows, ow=1, oc=groups * n, groups=groups
        ),
        shape=(*a[:-2], m, n),
        left=left if one_matrix else (left[-2], *batch, left[-1]),
        right=(*right[:-2], right[-1], right[-2]),
        output=plain if one_matrix else (plain[-2], *batch, plain[-1]),
    )  # fmt: skip


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
