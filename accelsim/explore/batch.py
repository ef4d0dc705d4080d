"""A network of several images at a time: every layer does for each what it does for one, with the same weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.errors import ConfigError, GraphError
from accelsim.graph import (
    BinaryLut,
    Concat,
    Dense,
    Graph,
    Layer,
    MacGeometry,
    MacLayer,
    MatMul,
    Pad,
    Reduction,
    Reshape,
    StridedSlice,
    Tensor,
    Transpose,
    VectorLayer,
)

Shape = tuple[int, ...]
MOST_IMAGES = 2**20


def checked_batch(value: object) -> int:
    """``value`` as a number of images; ConfigError where it is none."""
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and 1 <= int(text) <= MOST_IMAGES):
        raise ConfigError(f"batch: expected a number of images, 1 to {MOST_IMAGES:,}, got {value!r}")
    return int(text)


def batched(graph: Graph, images: int) -> Graph:
    """``graph`` with so many times the images, which share weights and constants, one behind the other in every tensor.

    They stand along the first axis where a layer treats its elements alike, as in a model file of that batch, else along an axis of their
    own in front: values are those of each image alone. In a product of two activations they are groups of their own, which is how long it
    takes; its values are not theirs, for operands of groups stand side by side. GraphError where a size passes 2^31.
    """
    if images == 1:
        return graph
    tensors = {name: x if name in graph.constants else _tensor(x, images) for name, x in graph.tensors.items()}
    variables = tuple(
        replace(x, initial=np.stack([x.initial] * images).reshape(tensors[x.read].shape)) for x in graph.variables
    )
    layers = tuple(_layer(layer, graph, images) for layer in graph.layers)
    return replace(graph, tensors=tensors, layers=layers, variables=variables)


def _tensor(tensor: Tensor, images: int) -> Tensor:
    return replace(tensor, shape=_longer(tensor.shape or (1,), images))


def _longer(shape: Shape, images: int) -> Shape:
    return images * shape[0], *shape[1:]


def _layer(layer: Layer, graph: Graph, images: int) -> Layer:
    if isinstance(layer, MacLayer):
        return replace(layer, geometry=_geometry(layer, images))
    if not isinstance(layer, VectorLayer):
        raise GraphError(f"layer {layer.name!r} ({layer.operator}): how it treats several images is not known")
    fixed = [name in graph.constants for name in layer.inputs]
    if _alike_along_first(layer, fixed):
        views = tuple(x if held else _longer(x, images) for x, held in zip(layer.shapes, fixed, strict=True))
        return replace(layer, shapes=views, shape=_longer(layer.shape, images))
    rank = len(layer.shape)
    views = tuple(
        x if held else (images, *[1] * (rank - len(x)), *x) for x, held in zip(layer.shapes, fixed, strict=True)
    )
    return replace(layer, shapes=views, shape=(images, *layer.shape), **_moved_axes(layer))


def _geometry(layer: MacLayer, images: int) -> MacGeometry:
    g = layer.geometry
    if isinstance(layer, MatMul):
        return replace(g, ic=images * g.ic, oc=images * g.oc, groups=images * g.groups)
    if isinstance(layer, Dense):
        return replace(g, ih=images * g.ih, oh=images * g.oh)
    return replace(g, n=images * g.n)


def _alike_along_first(layer: VectorLayer, fixed: list[bool]) -> bool:
    """Whether each element along the first axis is made alike, from the same place of every input that is not ``fixed``."""
    match layer:
        case Reshape():
            return True
        case Concat():
            return layer.axis != 0
        case Transpose():
            return layer.permutation[0] == 0
        case Reduction():
            return 0 not in layer.axes
        case Pad():
            return layer.before[0] == 0 and layer.shapes[0][0] == layer.shape[0]
        case StridedSlice():
            return layer.begin[0] == 0 and layer.shapes[0][0] == layer.shape[0]
    rank, first = len(layer.shape), layer.shape[0]
    constants = [x for x, held in zip(layer.shapes, fixed, strict=True) if held]
    constants += [layer.constant.shape] if isinstance(layer, BinaryLut) and layer.constant is not None else []
    read = [x for x, held in zip(layer.shapes, fixed, strict=True) if not held]
    alike = all(len(x) == rank and x[0] == first for x in read)
    return alike and all(len(x) < rank or x[0] == 1 for x in constants) and 0 not in layer.whole_axes


def _moved_axes(layer: VectorLayer) -> dict[str, Any]:
    """The fields of ``layer`` that name axes, behind a new first one."""
    match layer:
        case Concat():
            return {"axis": layer.axis + 1}
        case Transpose():
            return {"permutation": (0, *(axis + 1 for axis in layer.permutation))}
        case Reduction():
            return {"axes": tuple(axis + 1 for axis in layer.axes)}
        case Pad():
            return {"before": (0, *layer.before)}
        case StridedSlice():
            return {"begin": (0, *layer.begin), "strides": (1, *layer.strides)}
    return {}
