"""Shapes that RESHAPE, SQUEEZE and EXPAND_DIMS turn a shape into."""

from __future__ import annotations

import math

from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.context import NodeContext

Shape = tuple[int, ...]


def reshaped(node: NodeContext, shape: Shape) -> Shape:
    """The shape of the operator's output for an input of ``shape``."""
    return {"RESHAPE": _reshaped, "SQUEEZE": _squeezed, "EXPAND_DIMS": _expanded}[node.op](node, shape)


def _reshaped(node: NodeContext, shape: Shape) -> Shape:
    """The sizes of input 1, or of the option where it is absent, one of them -1 (LiteRT reshape.cc)."""
    option = node.option_list("new_shape")
    given = list(option) if node.optional(1) is None else node.integers(1, "sizes")
    if node.optional(1) is None and not option:  # tflite-micro goes by the file then
        given = list(node.output.shape)
    if given == [0] and math.prod(shape) == 1:  # how old converters wrote the shape of a number
        return ()
    rest, total = math.prod(size for size in given if size != -1), math.prod(shape)
    fine = min(given, default=0) >= -1 and given.count(-1) <= 1 and (total == rest if -1 not in given else rest > 0)
    if not fine or (-1 in given and total % rest):
        raise RefusalError(f"it turns shape {list(shape)} into {given}", "as many elements, with at most one size -1")
    return tuple(total // rest if size == -1 else size for size in given)


def _squeezed(node: NodeContext, shape: Shape) -> Shape:
    """Without the axes that the option names, all of size 1 where it names none."""
    rank, given = len(shape), node.option_list("squeeze_dims")
    axes = {axis + rank if axis < 0 else axis for axis in given} or {i for i, size in enumerate(shape) if size == 1}
    node.need(
        all(0 <= axis < rank and shape[axis] == 1 for axis in axes),
        f"its squeeze_dims are {list(given)} for shape {list(shape)}",
        "axes of size 1",
    )
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def _expanded(node: NodeContext, shape: Shape) -> Shape:
    """With an axis of size 1 where input 1 says."""
    given, rank = node.integers(1, "axis"), len(shape) + 1
    node.need(len(given) == 1 and -rank <= given[0] < rank, f"its axis is {given} for {rank - 1} axes", "one axis")
    axis = given[0] % rank
    return (*shape[:axis], 1, *shape[axis:])
