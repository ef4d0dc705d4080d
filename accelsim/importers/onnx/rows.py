"""Layers that work row by row: what is a row is brought to the end, and the result taken back."""

from __future__ import annotations

import math
from collections.abc import Callable

from accelsim.graph import Layer, Tensor, Transpose
from accelsim.importers.onnx.formulas import Quantization
from accelsim.importers.onnx.network import Codes, Shape, Target, stored_axis
from accelsim.importers.onnx.site import Site

RowMaker = Callable[[str, str, Shape], Layer]
"""Input tensor, output tensor, (rows, elements) -> layer."""


def along_axis(site: Site, source: Codes, target: Target, axis: int, make: RowMaker) -> None:
    """Rows lie along ONNX axis ``axis``: between transpositions, unless the axis is stored last."""
    stored, rank = source.stored, len(source.shape)
    at = stored_axis(axis, rank)
    view = math.prod(stored) // stored[at], stored[at]
    if at == rank - 1:
        site.net.layers.append(make(source.tensor, target.name, view))
        return
    order = (*(i for i in range(rank) if i != at), at)
    moved = tuple(stored[i] for i in order)
    before = _tensor(site, f"{target.name}/rows", moved, source.known)
    after = _tensor(site, f"{target.name}/by rows", moved, target.quantization)
    back = tuple(order.index(i) for i in range(rank))
    site.net.layers.append(_transpose(f"{site.layer_name} to rows", source.tensor, before, stored, order))
    site.net.layers.append(make(before, after, view))
    site.net.layers.append(_transpose(f"{site.layer_name} from rows", after, target.name, moved, back))


def from_axis(site: Site, source: Codes, target: Target, axis: int, make: RowMaker) -> None:
    """A row holds all elements of ONNX axes ``axis`` and behind, in ONNX's order."""
    size = math.prod(source.shape[axis:])
    view = math.prod(source.shape) // size, size
    plain, to = site.net.plain(source), target.quantization
    site.net.from_plain(Codes(target.name, source.shape, to.format, to), lambda name: make(plain, name, view))


def _tensor(site: Site, base: str, stored: Shape, known: Quantization) -> str:
    """A tensor that only this node sees."""
    name = site.net.fresh(base)
    site.net.tensors[name] = Tensor(name, stored, known.format, known.zero_point, known.scale)
    return name


def _transpose(name: str, source: str, target: str, shape: Shape, permutation: Shape) -> Transpose:
    out = tuple(shape[axis] for axis in permutation)
    return Transpose(name=name, inputs=(source,), output=target, shapes=(shape,), shape=out, permutation=permutation)
