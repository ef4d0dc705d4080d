"""A Program's tile operations one by one, in program order: what each one writes, and what the array takes for it.

Tensors are forgotten behind their last reader, so that no more is held at a time than a few layers need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.execute.memory import unpack
from accelsim.execute.tiled import ArrayBlock, TiledReader
from accelsim.graph import shared_memory, window_extent, window_place
from accelsim.hardware import IMPLICIT, Engine
from accelsim.program import Program


class WindowSteps(NamedTuple):
    """How far outputs, and taps, are apart in a tile's window of codes: rows, columns of each."""

    stride: tuple[Any, Any]
    dilation: tuple[Any, Any]


@dataclass(frozen=True, eq=False)
class Product:
    """What one compute operation adds: ``weights`` (oc, kh, kw, ic) as the array multiplies them, the ``window`` of codes (n, rows,
    columns, channels), padding and inserted zeros included, under all its outputs and taps; int64 sums (n, oh, ow, oc) ``before`` and
    ``after``. Output (y, x) and tap (ky, kx) meet window place ``(y, x) * stride + (ky, kx) * dilation``."""

    weights: NDArray[Any]
    window: NDArray[Any]
    before: NDArray[np.int64]
    after: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TileStep:
    """Operation ``operation`` is done. ``written``: the bytes that a load left in its buffer, or the codes of a requantization in the
    shape of its box; None of others. ``taken``: the sums that a requantization read. ``product`` of a compute operation."""

    operation: int
    written: NDArray[Any] | None = None
    taken: NDArray[np.int64] | None = None
    product: Product | None = None


class TileTrace:
    """One inference of ``program``, operation by operation; ``inputs`` as of :func:`~accelsim.execute.run_program`."""

    def __init__(self, program: Program, inputs: Mapping[str, NDArray[Any]]) -> None:
        if program.graph.shape_only:
            raise InputError(f"graph {program.graph.name!r} carries shapes only; it can be timed, not executed")
        self._program, self._reader = program, _Watched(program, inputs)
        self._last = _last_readers(program)

    def steps(self, stop: int) -> Iterator[TileStep]:
        """The operations before number ``stop`` in program order."""
        for i in range(stop):
            self._reader.begin(i)
            self._reader.let_go(i)
            self._reader.end(i)
            yield self._reader.step(i)
            for tensor in self._last.get(i, ()):
                self._reader.forget(tensor)

    def tensor(self, name: str) -> NDArray[Any]:
        """All of a tensor that is made, and that some operation from the last step on still reads; HazardError otherwise."""
        return self._reader.tensor(name)


class _Watched(TiledReader):
    """A reader that remembers what its last operation saw."""

    def __init__(self, program: Program, inputs: Mapping[str, NDArray[Any]]) -> None:
        super().__init__(program, inputs)
        self._product: Product | None = None
        self._sums: NDArray[np.int64] | None = None

    def step(self, i: int) -> TileStep:
        """What operation ``i`` did."""
        program, engine = self._program, self._program.engine[i]
        if engine == Engine.COMPUTE:
            product, self._product = self._product, None
            return TileStep(i, product=product)
        if engine == Engine.REQUANTIZE:
            fmt, (lo, hi) = self._graph.tensors[self._layer(i).output].format, program.box(i)
            codes = unpack(self._left(i), tuple(b - a for a, b in zip(lo, hi, strict=True)), fmt)
            sums, self._sums = self._sums, None
            return TileStep(i, written=codes, taken=sums)
        if engine in (Engine.LOAD_WEIGHTS, Engine.LOAD_ACTIVATIONS, Engine.RECALL):
            return TileStep(i, written=self._left(i))
        return TileStep(i)

    def _left(self, i: int) -> NDArray[Any]:
        if i in self._passed:  # handed on to the vector unit
            return self._passed[i].copy()
        return self._memory_of(i).read(self._program, i, i).copy()

    def _partial_sums(self, i: int, source: int, shape: tuple[int, ...], layer: Any) -> NDArray[np.int64]:
        self._sums = super()._partial_sums(i, source, shape, layer)
        return self._sums.copy()

    def _copy_of(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        return sums.copy()

    def _computed(self, i: int, block: ArrayBlock, before: NDArray[np.int64], after: NDArray[np.int64]) -> None:
        fmt = self._graph.tensors[self._layer(i).inputs[0]].format
        empty = 0 if fmt.bipolar else self._layer(i).input_zero_point
        window = _window(block, after.shape[1:3], block.weights.shape[1:3], empty)
        self._product = Product(block.weights, window, before, after.copy())

    def tensor(self, name: str) -> NDArray[Any]:
        """All elements; HazardError where some were never stored."""
        return self._home(name).tensor(name)

    def forget(self, name: str) -> None:
        """Nobody reads this tensor any more."""
        for home in (self._dram, self._kept):
            home.forget(name)


def _window(block: ArrayBlock, outputs: tuple[int, ...], taps: tuple[int, ...], empty: int) -> NDArray[Any]:
    """All places under the outputs and taps; ``empty`` where there is no code."""
    framed = np.pad(block.x, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=empty)
    found = []
    for axis, (name, size, count) in enumerate(zip("hw", outputs, taps, strict=True), start=1):
        g = block.geometry.axis(name)
        first = window_place(block.output_origin[axis], block.weight_origin[axis], g.stride, g.dilation, g.pad)
        place = first + np.arange((size - 1) * g.stride + window_extent(count, g.dilation))
        inside = (place >= 0) & (place % g.upsample == 0) & (place < g.size * g.upsample)
        row = np.where(inside, place // g.upsample - block.input_origin[axis], -1)
        found.append(np.where((row < 0) | (row >= block.x.shape[axis]), block.x.shape[axis], row))
    window: NDArray[Any] = framed[:, found[0]][:, :, found[1]]
    return window


def window_steps(program: Program, layer: int, taps: tuple[Any, Any]) -> WindowSteps:
    """How the windows of compute operations of ``layer`` whose weights have so many kernel rows and columns are laid out; of one
    operation, or of several by arrays."""
    g: Any = program.graph.layers[layer]
    if program.arch.activation_buffer.im2col != IMPLICIT:
        return WindowSteps(taps, (1, 1))
    g = g.geometry
    return WindowSteps((g.stride_h, g.stride_w), (g.dilation_h, g.dilation_w))


def _last_readers(program: Program) -> dict[int, list[str]]:
    """By operation the tensors that no later one reads."""
    home = shared_memory(program.graph.layers)
    last: dict[str, int] = {}
    for index, layer in enumerate(program.graph.layers):
        own = program.of_layer(index)
        for name in (*layer.inputs, layer.output):
            root = home.get(name, name)
            last[root] = max(last.get(root, 0), int(own[-1]) if len(own) else 0)
    found: dict[int, list[str]] = {}
    for name in {*home, *last}:
        found.setdefault(last[home.get(name, name)], []).append(name)
    return found
