"""Values by whole layers: the fast reader, allowed where the order of sums does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import GraphError, InputError
from accelsim.execute.tape import TapeWriter
from accelsim.graph import Graph, Layer, MacLayer, MatMul, Reshape, Tensor, VectorLayer
from accelsim.kernels import Box, Layout, accumulate_with, centred, evaluate, multiply
from accelsim.kernels.compiled import Constants, Scratch, play
from accelsim.numerics import INT64, IntFormat, Overflow, fit_array, requantize

Array = NDArray[Any]
Step = Callable[[], None]

TAPE_PAYS = 20_000
"""Calls of single layers, of some 25 microseconds each, that take as long as a tenth of compiling what plays a tape."""


class WholeReader:
    """Runs a network layer by layer, each at once, with everything that depends only on the weights prepared beforehand.

    ``accumulators`` gives each MAC layer's sum format; sums that may leave it are wrapped once at the end (arithmetic modulo
    2^n), which equals wrapping at every step. Without it sums are exact. A reader holds the memory of one inference: use one
    per thread. ``inferences``, where known, says how many it will run: few are not worth compiling a tape for, and each layer is a
    call of its own. InputError for a graph that carries shapes only.
    """

    def __init__(
        self, graph: Graph, *, accumulators: Mapping[str, IntFormat] | None = None, inferences: int | None = None
    ) -> None:
        if graph.shape_only:
            raise InputError(f"graph {graph.name!r} carries shapes only; it can be timed, not executed")
        self._graph = graph
        offsets, size = _places(graph)
        self._memory: Array = np.zeros(size, dtype=_memory_type(graph))
        self._views = {name: self._view(name, offset) for name, offset in offsets.items()}
        for name, values in graph.constants.items():
            self._views[name][...] = values
        self._types = {name: graph.tensors[name].format.dtype for name in offsets}
        self._inputs = {port.tensor: graph.tensors[port.tensor] for port in graph.inputs}
        self._outputs = tuple(dict.fromkeys(port.tensor for port in graph.outputs))
        self._steps = tuple(self._plan(TapeWriter(graph, offsets, accumulators), inferences))

    def run(self, inputs: Mapping[str, Array], *, keep: Literal["outputs", "all"] = "outputs") -> dict[str, Array]:
        """Tensors of one inference by name, in their Graph shapes and formats; ``inputs`` likewise. InputError otherwise."""
        if inputs.keys() != self._inputs.keys():
            raise _wrong_names(inputs, self._inputs)
        for name, tensor in self._inputs.items():
            x = inputs[name]
            _check_codes(x, tensor, self._types[name])
            self._views[name][...] = x
        for step in self._steps:
            step()
        return {name: self._copy(name) for name in (self._views if keep == "all" else self._outputs)}

    def _view(self, name: str, offset: int) -> Array:
        tensor = self._graph.tensors[name]
        return self._memory[offset : offset + tensor.elements].reshape(tensor.shape)

    def _copy(self, name: str) -> Array:
        return self._views[name].astype(self._types[name])

    def _plan(self, writer: TapeWriter, inferences: int | None) -> Iterator[Step]:
        """Runs of layers that fit on a tape become one call each; every other layer is a step of its own."""
        layers = [layer for layer in self._graph.layers if not isinstance(layer, Reshape)]
        # Compiled for 16-bit memory only: wider tensors are rare and not worth a second compilation.
        fits = self._memory.dtype == np.int16 and (inferences is None or inferences * len(layers) >= TAPE_PAYS)
        records = [(layer, writer.record(layer) if fits else None) for layer in layers]
        constants, scratch = writer.arrays()
        for on_tape, run in groupby(records, key=lambda pair: pair[1] is not None):
            if on_tape:
                yield self._tape(np.stack([record for _, record in run if record is not None]), constants, scratch)
            else:
                yield from (self._single(layer, writer) for layer, _ in run)

    def _tape(self, records: Array, constants: Constants, scratch: Scratch) -> Step:
        memory = self._memory
        return lambda: play(records, memory, constants, scratch)

    def _single(self, layer: Layer, writer: TapeWriter) -> Step:
        if isinstance(layer, MacLayer):
            found = writer.layout(layer) if self._memory.dtype == np.int16 else None
            if found is not None:
                return self._products(layer, found[0])
            return self._mac(layer, INT64 if writer.accumulators is None else writer.accumulators[layer.name])
        if isinstance(layer, VectorLayer):
            return self._vector(layer)
        raise GraphError(f"layer {layer.name!r}: no reader for {type(layer).__name__}", layer=layer.name)

    def _products(self, layer: MacLayer, layout: Layout) -> Step:
        """A layer by register tiles, with a requantization or a second operand that no tape has."""
        source, target, requant, weights = *self._ends(layer), layer.requant, self._weights(layer)
        if requant is None or weights is None:
            raise _unfinished(layer)
        scratch, sums = layout.scratch(), np.empty(layer.geometry.output_shape, dtype=np.int32)
        fixed = None if layer.weights is None else layout.pack(layer.weights, layer.bias)

        def step() -> None:
            packed = layout.pack(weights()) if fixed is None else fixed
            wide = multiply(packed, source, sums, scratch).astype(np.int64)  # as tiles have them, for one compiled loop
            target[...] = requantize(wide, requant).reshape(target.shape)

        return step

    def _ends(self, layer: Layer) -> tuple[Array, Array]:
        return self._views[layer.inputs[0]], self._views[layer.output]

    def _mac(self, layer: MacLayer, accumulator: IntFormat) -> Step:
        source, target, requant = *self._ends(layer), layer.requant
        view, kind = source.reshape(layer.geometry.input_shape), self._graph.tensors[layer.inputs[0]].format.dtype
        weights = self._weights(layer)
        if requant is None or weights is None:
            raise _unfinished(layer)

        def step() -> None:
            sums = fit_array(accumulate_with(layer, view.astype(kind), weights()), accumulator, Overflow.WRAP)
            target[...] = requantize(sums, requant).reshape(target.shape)

        return step

    def _weights(self, layer: MacLayer) -> Callable[[], Array] | None:
        """What gives the factors of one inference, zero point subtracted: the same each time, or the right operand."""
        if isinstance(layer, MatMul):
            view = self._views[layer.inputs[1]].reshape(layer.geometry.weight_shape)
            kind, zero = layer.weight_format.dtype, layer.right_zero_point
            return (lambda: centred(view.astype(kind), zero)) if zero or kind.itemsize > view.itemsize else lambda: view
        weights = layer.weights
        return None if weights is None else lambda: weights

    def _vector(self, layer: VectorLayer) -> Step:
        views = [self._views[name].reshape(view) for name, view in zip(layer.inputs, layer.input_shapes, strict=True)]
        boxes: list[Box] = [((0,) * len(view), view) for view in layer.input_shapes]
        whole: Box = ((0,) * len(layer.output_shape), layer.output_shape)
        target = self._views[layer.output]

        def step() -> None:
            target[...] = evaluate(layer, views, boxes, whole).reshape(target.shape)

        return step


def _unfinished(layer: MacLayer) -> GraphError:
    return GraphError(
        f"layer {layer.name!r} has neither constant weights nor a second operand; only such layers can be executed",
        layer=layer.name,
    )


def _memory_type(graph: Graph) -> np.dtype[Any]:
    """The narrowest of int16, int32 and int64 that holds the codes of every tensor."""
    low, high = min(t.format.min for t in graph.tensors.values()), max(t.format.max for t in graph.tensors.values())
    return next(
        np.dtype(kind)
        for kind in (np.int16, np.int32, np.int64)
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max
    )


def _places(graph: Graph) -> tuple[dict[str, int], int]:
    """Offset of each tensor that is read or written, and the size of the memory; a reshaped tensor shares its source's place."""
    offsets: dict[str, int] = {}
    size = 0
    for name in (*(port.tensor for port in graph.inputs), *graph.constants):
        offsets[name], size = size, size + graph.tensors[name].elements
    for layer in graph.layers:
        if isinstance(layer, Reshape):
            offsets[layer.output] = offsets[layer.inputs[0]]
        else:
            offsets[layer.output], size = size, size + graph.tensors[layer.output].elements
    return offsets, size


def _check_codes(x: Array, tensor: Tensor, kind: np.dtype[Any]) -> None:
    """InputError unless ``x`` is an array of ``tensor``'s shape, numpy type and range."""
    fmt = tensor.format
    if not isinstance(x, np.ndarray) or x.dtype != kind or x.shape != tensor.shape:
        got = f"{x.dtype} of shape {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        raise InputError(f"input {tensor.name!r}: expected {fmt} codes ({kind}) of shape {tensor.shape}, got {got}")
    if fmt.bits < kind.itemsize * 8 and not fmt.holds(x):
        raise InputError(
            f"input {tensor.name!r}: expected {fmt} codes from {fmt.min} to {fmt.max}, got values from {x.min()} to {x.max()}"
        )


def _wrong_names(inputs: Mapping[str, Array], expected: Mapping[str, Tensor]) -> InputError:
    missing, unknown = sorted(expected.keys() - inputs.keys()), sorted(inputs.keys() - expected.keys())
    found = " and ".join(f"{what} {names}" for what, names in (("missing", missing), ("unknown", unknown)) if names)
    return InputError(f"inputs: expected {sorted(expected)}, got {sorted(inputs)}: {found}")
