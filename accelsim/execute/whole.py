"""Values by whole layers: the fast reader, allowed where the order of sums does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import GraphError, InputError
from accelsim.execute.rooms import Room, Step, Tape, cores, run_part, run_parts
from accelsim.execute.tape import TapeWriter
from accelsim.graph import (
    Concat,
    Graph,
    Layer,
    MacLayer,
    MatMul,
    Pad,
    Reshape,
    ResizeNearest,
    StridedSlice,
    Tensor,
    Transpose,
    VectorLayer,
)
from accelsim.kernels import Box, Layout, accumulate_with, centred, evaluate, multiply
from accelsim.numerics import INT64, IntFormat, Overflow, fit_array, requantize

Array = NDArray[Any]
Keep = Literal["outputs", "all"]

TAPE_PAYS = 20_000
"""Calls of single layers, of some 25 microseconds each, that take as long as a tenth of compiling what plays a tape."""

MOVES = (Concat, Pad, Transpose, StridedSlice, ResizeNearest)
"""Layers that calculate nothing."""


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
        offsets = _places(graph)
        writer = TapeWriter(graph, offsets, accumulators)
        self._types = {name: graph.tensors[name].format.dtype for name in offsets}
        self._inputs = {name: graph.tensors[name] for name in graph.entries}
        self._carried = {variable.read: variable.written for variable in graph.variables}
        self._outputs = tuple(dict.fromkeys(graph.results))
        self._steps = tuple(self._plan(writer, inferences))
        self._new_room = partial(Room, graph, offsets, writer, writer.constants())
        self._room = self._new_room()
        self._rooms = [self._room]

    def run(self, inputs: Mapping[str, Array], *, keep: Keep = "outputs") -> dict[str, Array]:
        """Tensors of one inference by name, in their Graph shapes and formats; ``inputs`` likewise. InputError otherwise.

        Variables that ``inputs`` leave out hold what they hold at first; what they will hold is among the outputs.
        """
        inputs = self._graph.with_state(inputs) if self._graph.variables else inputs
        if inputs.keys() != self._inputs.keys():
            raise _wrong_names(inputs, self._inputs)
        room = self._room
        for name, tensor in self._inputs.items():
            x = inputs[name]
            _check_codes(x, tensor, self._types[name], tensor.shape)
            room.views[name][...] = x
        for step in self._steps:
            step(room)
        if keep == "all":
            return {name: copy() for name, copy in room.copies.items()}
        return {name: room.copies[name]() for name in self._outputs}

    def run_batch(
        self,
        inputs: Mapping[str, Array],
        *,
        keep: Keep = "outputs",
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
        state: Mapping[str, Array] | None = None,
    ) -> dict[str, Array]:
        """As :meth:`run`, for at least one inference along a new leading axis of all arrays.

        ``threads`` share them, by default one for each processor that this process may use; the bits are the same for any number.
        ``progress`` is told how many inferences are done, in their order, by the thread that calls this. The first one reads
        ``state`` of the graph's variables (by the tensor that is read; else what they hold at first), every other one what the one
        before it left; they run in order then.
        """
        ports = {name: tensor for name, tensor in self._inputs.items() if name not in self._carried}
        if inputs.keys() != ports.keys():
            raise _wrong_names(inputs, ports)
        count = len(next(iter(inputs.values())))
        for name, tensor in ports.items():
            _check_codes(inputs[name], tensor, self._types[name], (count, *tensor.shape))
        held = {name: self._room.held(inputs[name]) for name in ports}
        shapes = {name: (count, *self._room.views[name].shape) for name in self._kept(keep)}
        results = {name: np.empty(shape, self._room.memory.dtype) for name, shape in shapes.items()}

        steps = self._in_order(state or {}) if self._carried else self._steps

        def run(room: Room, part: slice) -> None:
            run_part(steps, room, *({name: batch[part] for name, batch in all_.items()} for all_ in (held, results)))

        needed = 1 if self._carried else min(threads or cores(), count)
        self._rooms += [self._new_room() for _ in range(len(self._rooms), needed)]
        run_parts(run, self._rooms[:needed], count, progress)
        one = self._room.memory.itemsize == 1
        return {n: r.view(self._types[n]) if one else r.astype(self._types[n]) for n, r in results.items()}

    def _in_order(self, state: Mapping[str, Array]) -> tuple[Step, ...]:
        """The steps of one inference after another: variables are read before them and kept behind them."""
        held = dict(self._graph.with_state(state))

        def read(room: Room) -> None:
            for name in self._carried:
                room.views[name][...] = held[name]

        def write(room: Room) -> None:
            held.update({name: room.copies[written]() for name, written in self._carried.items()})

        return (read, *self._steps, write)

    def _kept(self, keep: Keep) -> Iterable[str]:
        return self._room.views if keep == "all" else self._outputs

    def _plan(self, writer: TapeWriter, inferences: int | None) -> Iterator[Step]:
        """Runs of layers that fit on a tape become one call each; every other layer is a step of its own."""
        layers = [layer for layer in self._graph.layers if not isinstance(layer, Reshape)]
        # Compiled for narrow memory only: wider tensors are rare and not worth another compilation.
        fits = writer.memory_type.itemsize <= 2 and (inferences is None or inferences * len(layers) >= TAPE_PAYS)
        records = [(layer, writer.record(layer) if fits else None) for layer in layers]
        for on_tape, run in groupby(records, key=lambda pair: pair[1] is not None):
            if on_tape:
                yield Tape(np.stack([record for _, record in run if record is not None]))
            else:
                yield from (self._single(layer, writer) for layer, _ in run)

    def _single(self, layer: Layer, writer: TapeWriter) -> Step:
        if isinstance(layer, MacLayer):
            found = writer.layout(layer) if writer.memory_type.itemsize <= 2 else None
            if found is not None:
                return self._products(layer, found[0])
            return self._mac(layer, INT64 if writer.accumulators is None else writer.accumulators[layer.name])
        if isinstance(layer, VectorLayer):
            return _vector(layer)
        raise GraphError(f"layer {layer.name!r}: no reader for {type(layer).__name__}", layer=layer.name)

    def _products(self, layer: MacLayer, layout: Layout) -> Step:
        """A layer by register tiles, with a requantization or a second operand that no tape has."""
        requant, weights = layer.requant, self._weights(layer)
        if requant is None or weights is None:
            raise _unfinished(layer)
        fixed = None if layer.weights is None else layout.pack(layer.weights, layer.array_bias)

        def step(room: Room) -> None:
            packed = layout.pack(weights(room)) if fixed is None else fixed
            source, target = room.views[layer.inputs[0]].astype(np.int16, copy=False), room.views[layer.output]
            sums = multiply(packed, source, np.empty(layer.geometry.output_shape, dtype=np.int32), room.scratch)
            # In 64 bits, as tiles have them, for one compiled loop.
            target[...] = requantize(sums.astype(np.int64), requant).reshape(target.shape)

        return step

    def _mac(self, layer: MacLayer, accumulator: IntFormat) -> Step:
        requant, weights = layer.requant, self._weights(layer)
        kind = self._types[layer.inputs[0]]
        if requant is None or weights is None:
            raise _unfinished(layer)

        def step(room: Room) -> None:
            view, target = room.views[layer.inputs[0]].reshape(layer.geometry.input_shape), room.views[layer.output]
            sums = fit_array(accumulate_with(layer, view.astype(kind), weights(room)), accumulator, Overflow.WRAP)
            target[...] = requantize(sums, requant).reshape(target.shape)

        return step

    def _weights(self, layer: MacLayer) -> Callable[[Room], Array] | None:
        """What gives the factors of one inference, zero point subtracted: the same each time, or the right operand."""
        if isinstance(layer, MatMul):
            kind, zero = layer.weight_format.dtype, layer.right_zero_point

            def right(room: Room) -> Array:
                view = room.views[layer.inputs[1]].reshape(layer.geometry.weight_shape)
                return centred(view.astype(kind), zero) if zero or kind.itemsize > view.itemsize else view

            return right
        weights = layer.weights
        return None if weights is None else lambda room: weights


def _vector(layer: VectorLayer) -> Step:
    boxes: list[Box] = [((0,) * len(view), view) for view in layer.input_shapes]
    whole: Box = ((0,) * len(layer.output_shape), layer.output_shape)
    calculates = not isinstance(layer, MOVES)

    def step(room: Room) -> None:
        views = [room.views[name].reshape(box[1]) for name, box in zip(layer.inputs, boxes, strict=True)]
        if calculates and room.memory.itemsize == 1:  # loops are compiled for 16-bit codes
            views = [view.astype(np.int16) for view in views]
        target = room.views[layer.output]
        target[...] = evaluate(layer, views, boxes, whole).reshape(target.shape)

    return step


def _unfinished(layer: MacLayer) -> GraphError:
    return GraphError(
        f"layer {layer.name!r} has neither constant weights nor a second operand; only such layers can be executed",
        layer=layer.name,
    )


def _places(graph: Graph) -> dict[str, int]:
    """Offset of each tensor that is read or written; a reshaped tensor shares its source's place."""
    offsets: dict[str, int] = {}
    size = 0
    for name in (*graph.entries, *graph.constants):
        offsets[name], size = size, size + graph.tensors[name].elements
    for layer in graph.layers:
        if isinstance(layer, Reshape):
            offsets[layer.output] = offsets[layer.inputs[0]]
        else:
            offsets[layer.output], size = size, size + graph.tensors[layer.output].elements
    return offsets


def _check_codes(x: Array, tensor: Tensor, kind: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """InputError unless ``x`` is an array of ``shape`` and of ``tensor``'s numpy type and range."""
    if not isinstance(x, np.ndarray) or x.dtype != kind or x.shape != shape:
        got = f"{x.dtype} of shape {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        raise InputError(f"input {tensor.name!r}: expected {tensor.format} codes ({kind}) of shape {shape}, got {got}")
    fmt = tensor.format
    if fmt.bits < kind.itemsize * 8 and not fmt.holds(x):
        raise InputError(
            f"input {tensor.name!r}: expected {fmt} codes from {fmt.min} to {fmt.max}, got values from {x.min()} to {x.max()}"
        )


def _wrong_names(inputs: Mapping[str, Array], expected: Mapping[str, Tensor]) -> InputError:
    missing, unknown = sorted(expected.keys() - inputs.keys()), sorted(inputs.keys() - expected.keys())
    found = " and ".join(f"{what} {names}" for what, names in (("missing", missing), ("unknown", unknown)) if names)
    return InputError(f"inputs: expected {sorted(expected)}, got {sorted(inputs)}: {found}")
