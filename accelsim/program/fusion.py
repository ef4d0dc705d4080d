"""Pairs of layers computed band by band: of the tensor between them only a window of rows is ever on chip, and none in DRAM.

Before each band of the second layer's rows the first makes the rows that the band reads and that are not there yet (the pyramid
of Alwani et al., "Fused-Layer CNN Accelerators", MICRO 2016, for two layers). Nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import MappingError
from accelsim.graph import Boxes, Graph, Layer, MacGeometry, MacLayer, Reshape, VectorLayer
from accelsim.hardware import packed_bytes
from accelsim.program.mapping import Mapping
from accelsim.program.split import MacShare, VectorShare

Index = NDArray[np.int64]
Rows = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Fused:
    """Layer ``producer`` makes ``tensor`` for layer ``consumer``, the next one, in step with it.

    Rows lie along ``axis`` of their views: 0, images, where there are several, else 1. ``made[b]`` is how many rows of the tensor
    are there before band ``b`` is computed, ``computed[b]`` how many of the consumer's output after it. Row ``y`` stands at row
    ``y % window`` of the tensor's place, which holds what two successive bands read: one is made while the other is read.
    """

    producer: int
    consumer: int
    tensor: str
    axis: int
    window: int
    made: tuple[int, ...]
    computed: tuple[int, ...]

    @property
    def tensors(self) -> tuple[str, ...]:
        """What lies between the two."""
        return (self.tensor,)

    def bands(self) -> Iterator[tuple[Rows, Rows]]:
        """For each band (rows to make, rows to compute), half-open; there may be none to make."""
        made, computed = ((0, *stops) for stops in (self.made, self.computed))
        pairs = (pairwise(stops) for stops in (made, computed))
        return zip(*pairs, strict=True)


def fused_layers(graph: Graph, mappings: Sequence[Mapping | None]) -> tuple[Fused, ...]:
    """The pairs that ``mappings`` ask for by their ``band``; MappingError where two layers cannot be a pair."""
    pairs = [fuse(graph, i, m.band) for i, m in enumerate(mappings) if m is not None and m.band]
    for first, second in pairwise(pairs):
        if first.consumer == second.producer:
            layer = graph.layers[first.consumer]
            raise MappingError(
                f"layer {layer.name!r} is computed in bands with the layer before, so that the layer after it cannot be; "
                "leave one band out",
                layer=layer.name,
            )
    return tuple(pairs)


def fuse(graph: Graph, consumer: int, band: int) -> Fused:
    """Layer ``consumer`` computed ``band`` rows at a time in step with the layer before it; MappingError says what forbids it."""
    layer = graph.layers[consumer]
    reason = obstacle(graph, consumer)
    if reason is not None:
        raise MappingError(f"layer {layer.name!r}: band of {band}: {reason}; leave band out", layer=layer.name)
    axis = row_axis(layer.output_shape)
    size = layer.output_shape[axis]
    if not 1 <= band <= size:
        raise MappingError(f"layer {layer.name!r}: band must be 1 to {size} rows, got {band}", layer=layer.name)
    producer = graph.layers[consumer - 1]
    rows = producer.output_shape[axis]
    starts = np.arange(0, size, band, dtype=np.int64)
    stops = np.minimum(starts + band, size)
    first, last = rows_read(layer, producer.output, axis, starts, stops)
    made = np.maximum.accumulate(last)
    made[-1] = rows
    in_use = np.minimum.accumulate(np.minimum(first, np.append(0, made[:-1]))[::-1])[::-1]
    window = int((np.append(made[1:], rows) - in_use).max())
    return Fused(
        producer=consumer - 1,
        consumer=consumer,
        tensor=producer.output,
        axis=axis,
        window=window,
        made=tuple(made.tolist()),
        computed=tuple(stops.tolist()),
    )


def row_axis(view: tuple[int, ...]) -> int:
    """Along which axis of a view rows are counted: several images one by one, else the rows of the only one."""
    return 0 if view[0] > 1 else 1


def obstacle(graph: Graph, consumer: int) -> str | None:
    """Why layer ``consumer`` and the one before it cannot be computed band by band; None where they can."""
    layer, producer = graph.layers[consumer], graph.layers[consumer - 1] if consumer else None
    if producer is None or isinstance(producer, Reshape) or isinstance(layer, Reshape):
        return "the layer before it is a reshape, or there is none"
    consumers = [other for other in graph.layers if producer.output in other.inputs]
    if consumers != [layer] or producer.output in graph.results:
        return f"it must be the only reader of {producer.output!r}, which the layer before it makes"
    views = [view for name, view in zip(layer.inputs, layer.input_shapes, strict=True) if name == producer.output]
    if any(view != producer.output_shape for view in views) or len(producer.output_shape) < 2:
        return f"it sees {producer.output!r} under another shape than the layer that makes it"
    if isinstance(layer, MacLayer) and producer.output in layer.inputs[1:]:
        return f"each of its rows reads all of {producer.output!r}"
    return _no_common_rows(layer, producer)


def _no_common_rows(layer: Layer, producer: Layer) -> str | None:
    if len(layer.output_shape) < 2 or row_axis(layer.output_shape) != row_axis(producer.output_shape):
        return "its rows and those of the layer before it lie along different axes"
    axis = row_axis(layer.output_shape)
    for one in (layer, producer):
        if isinstance(one, VectorLayer) and axis in one.whole_axes:
            return f"layer {one.name!r} must compute axis {axis} whole"
    return None


def rows_read(layer: Layer, tensor: str, axis: int, lo: Index, hi: Index) -> tuple[Index, Index]:
    """First and past-the-last row of ``tensor`` under each range of output rows ``lo`` to ``hi``; (its rows, 0): none."""
    size = next(view for name, view in zip(layer.inputs, layer.input_shapes, strict=True) if name == tensor)[axis]
    parts = [_mac_rows(layer.geometry, axis, lo, hi)] if isinstance(layer, MacLayer) else []
    if isinstance(layer, VectorLayer):
        reads = zip(layer.inputs, layer.reads(_bands(layer.output_shape, axis, lo, hi)), strict=True)
        parts = [
            (boxes.lo[:, axis], np.where(boxes.volume, boxes.hi[:, axis], 0)) for name, boxes in reads if name == tensor
        ]
    first = np.min([np.where(part[0] < part[1], part[0], size) for part in parts], axis=0)
    last = np.max([np.where(part[0] < part[1], part[1], 0) for part in parts], axis=0)
    return first, last


def _mac_rows(g: MacGeometry, axis: int, lo: Index, hi: Index) -> tuple[Index, Index]:
    """Input images, or rows, under output images or rows ``lo`` to ``hi``."""
    if axis == 0:
        return lo, hi
    return g.axis("h").rows_under((lo, hi), (0, g.kh))


def _bands(shape: tuple[int, ...], axis: int, lo: Index, hi: Index) -> Boxes:
    """Boxes over all of ``shape`` but ``lo`` to ``hi`` along ``axis``."""
    begin, end = np.zeros((len(lo), len(shape)), dtype=np.int64), np.tile(np.array(shape, dtype=np.int64), (len(lo), 1))
    begin[:, axis], end[:, axis] = lo, hi
    return Boxes(begin, end)


def band_share(layer: Layer, axis: int, rows: Rows) -> MacShare | VectorShare:
    """The part of ``layer`` that makes ``rows`` of its output."""
    lo, hi = rows
    if isinstance(layer, MacLayer):
        g = layer.geometry
        if axis == 0:
            return MacShare(core=0, geometry=replace(g, n=hi - lo), image=lo)
        return MacShare(core=0, geometry=g.output_rows(lo, hi), row=lo)
    shape = layer.output_shape
    begin = tuple(lo if i == axis else 0 for i in range(len(shape)))
    return VectorShare(core=0, begin=begin, shape=tuple(hi - lo if i == axis else n for i, n in enumerate(shape)))


def window_bytes(graph: Graph, fused: Fused) -> int:
    """Bytes of the place that the rows of a fused tensor take in turn."""
    view = graph.layers[fused.producer].output_shape
    rows = int(np.prod(view[fused.axis + 1 :], dtype=np.int64)) * fused.window
    return int(packed_bytes(rows, graph.tensors[fused.tensor].format.bits))
