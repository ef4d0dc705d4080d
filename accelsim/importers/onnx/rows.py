"""Layers that work row by row: what is a row is brought to the end, and the result taken back."""

from __future__ import annotations

import math
from collections.abc import Callable

from accelsim.graph import Layer, Tensor
from accelsim.importers.matmul import transposition
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.formulas import Quantization
from accelsim.importers.onnx.network import Codes, Shape, Target, stored_axis

RowMaker = Callable[[str, str, Shape], Layer]
"""Input tensor, output tensor, (rows, elements) -> layer."""


def along_axis(node: NodeContext, source: Codes, target: Target, axis: int, make: RowMaker) -> None:
    """Rows lie along ONNX axis ``axis``: between transpositions, unless the axis is stored last."""
    stored, rank = source.stored, len(source.shape)
    at = stored_axis(axis, rank)
    view = math.prod(stored) // stored[at], stored[at]
    if at == rank - 1:
        node.net.layers.append(make(source.tensor, target.name, view))
        return
    order = (*(i for i in range(rank) if i != at), at)
    moved = tuple(stored[i] for i in order)
    before = _tensor(node, f"{target.name}/rows", moved, source.known)
    after = _tensor(node, f"{target.name}/by rows", moved, target.quantization)
    back = tuple(order.index(i) for i in range(rank))
    node.net.layers.append(transposition(f"{node.layer_name} to rows", source.tensor, before, stored, order))
    node.net.layers.append(make(before, after, view))
    node.net.layers.append(transposition(f"{node.layer_name} from rows", after, target.name, moved, back))


def from_axis(node: NodeContext, source: Codes, target: Target, axis: int, make: RowMaker) -> None:
    """A row holds all elements of ONNX axes ``axis`` and behind, in ONNX's order."""
    size = math.prod(source.shape[axis:])
    view = math.prod(source.shape) // size, size
    plain, to = node.net.plain(source), target.quantization
    node.net.from_plain(Codes(target.name, source.shape, to.format, to), lambda name: make(plain, name, view))


def _tensor(node: NodeContext, base: str, stored: Shape, known: Quantization) -> str:
    """A tensor that only this node sees."""
    name = node.net.fresh(base)
    node.net.tensors[name] = Tensor(name, stored, known.format, known.zero_point, known.scale)
    return name
