"""What is exported of one layer that the array runs: its streams, and the numbers in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execute import accumulator_formats, prove
from accelsim.graph import MacLayer, MatMul
from accelsim.handoff.vectors.streams import Stream
from accelsim.numerics import INT64, IntFormat, Requant, ShiftForm, shift_form
from accelsim.program import Program

Array = NDArray[Any]
_LONGEST = 60
"""Characters of a layer's name in that of its folder."""
_SHARED = ("channel",)
_OUTPUT = ("image", "row", "column", "channel")
_WEIGHTS = ("output channel", "kernel row", "kernel column", "input channel")


def in_twos_complement(fmt: IntFormat) -> IntFormat:
    """``fmt``, or the format that holds -1 and +1 where a bit stands for them."""
    return IntFormat(2) if fmt.bipolar else fmt


def holding(*values: int, at_least: IntFormat) -> IntFormat:
    """The narrowest format that holds ``at_least`` and ``values``, signed if one of them is."""
    low, high = min(at_least.min, *values), max(at_least.max, *values)
    if low >= 0:
        return IntFormat(max(1, high.bit_length()), signed=False)
    return IntFormat(max(high.bit_length(), (-low - 1).bit_length()) + 1)


@dataclass(frozen=True, eq=False)
class ExportedLayer:
    """Layer number ``index`` of a program."""

    program: Program
    index: int

    @cached_property
    def layer(self) -> MacLayer:
        """The layer itself."""
        layer = self.program.graph.layers[self.index]
        assert isinstance(layer, MacLayer)
        return layer

    @property
    def folder(self) -> str:
        """Its number and its name, as far as every file system takes it."""
        return f"{self.index:03d}_{re.sub(r'[^A-Za-z0-9_.-]', '_', self.layer.name)[-_LONGEST:]}"

    @cached_property
    def accumulator(self) -> IntFormat:
        """Of one sum."""
        return accumulator_formats(self.program.graph, self.program.arch)[self.layer.name]

    @cached_property
    def input_format(self) -> IntFormat:
        """Of an activation as the array reads it: padding is the zero point, or 0 between bipolar codes."""
        fmt = in_twos_complement(self.program.graph.tensors[self.layer.inputs[0]].format)
        return holding(self.layer.input_zero_point, at_least=fmt)

    @cached_property
    def weight_format(self) -> IntFormat:
        """Of a weight as the array multiplies it, its zero point taken off."""
        layer = self.layer
        if isinstance(layer, MatMul):
            fmt = self.program.graph.tensors[layer.inputs[1]].format
            ends = fmt.min - layer.right_zero_point, fmt.max - layer.right_zero_point
            return holding(*ends, at_least=IntFormat(2))
        return in_twos_complement(layer.weight_format)

    @cached_property
    def bias(self) -> Array:
        """What accumulators start at, int64 (oc,)."""
        bias = self.layer.array_bias
        return np.zeros(self.layer.geometry.oc, dtype=np.int64) if bias is None else bias

    @cached_property
    def bias_format(self) -> IntFormat:
        """Wide enough for the bias."""
        return holding(int(self.bias.min()), int(self.bias.max()), at_least=self.layer.bias_format)

    @cached_property
    def before_format(self) -> IntFormat:
        """Of a sum before a step: an accumulator, or a bias that was not fitted to it yet."""
        return max(self.accumulator, self.bias_format)

    @cached_property
    def output_format(self) -> IntFormat:
        """Of an output code."""
        return in_twos_complement(self.program.graph.tensors[self.layer.output].format)

    @cached_property
    def parameters(self) -> Mapping[str, Array]:
        """What the formula of the requantization reads, by name."""
        requant = self.layer.requant
        if isinstance(requant, Requant):
            return requant.parameters
        assert requant is not None
        return {"levels": requant.levels, "start": requant.start, "step": requant.step}

    @cached_property
    def form(self) -> ShiftForm | None:
        """The requantization as one product and one shift, where it has that form for every sum of the layer."""
        if not isinstance(self.layer.requant, Requant):
            return None
        fmt = self.program.graph.tensors[self.layer.inputs[0]].format
        proof = prove(self.layer, input_format=fmt, accumulator=self.accumulator)
        return shift_form(self.layer.requant, bound=min(proof.bound, self.accumulator.max + 1))

    @cached_property
    def image_shape(self) -> tuple[int, int, int, int]:
        """Of the input with everything that its windows cover: padding, and zeros inserted between its codes."""
        g = self.layer.geometry
        return g.n, g.axis("h").reach, g.axis("w").reach, g.ic

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        """Of the whole layer."""
        weights, codes = self.weight_format, self.input_format
        shape, acc, out = self.layer.geometry.output_shape, self.accumulator, self.output_format
        return (
            Stream("weights", self.layer.geometry.weight_shape, _WEIGHTS, weights.bits, weights.signed),
            Stream("activations", self.image_shape, _OUTPUT, codes.bits, codes.signed),
            Stream("bias", self.bias.shape, _SHARED, self.bias_format.bits),
            *(_parameter(name, values) for name, values in (*self.parameters.items(), *self._form.items())),
            Stream("accumulators", shape, _OUTPUT, acc.bits),
            Stream("output", shape, _OUTPUT, out.bits, out.signed),
        )

    @cached_property
    def _form(self) -> Mapping[str, Array]:
        form = self.form
        if form is None:
            return {}
        return {f"form_{name}": getattr(form, name) for name in ("factor", "offset", "negative", "shift")}

    def values(self, stream: str, tensor: Callable[[str], Array], sums: Array) -> Array:
        """The numbers of a stream, once the layer is done; ``tensor`` gives codes by name, ``sums`` are the finished accumulators."""
        layer = self.layer
        match stream:
            case "weights":
                return self._factors(tensor)
            case "activations":
                return self._image(tensor(layer.inputs[0]).reshape(layer.input_shapes[0]))
            case "bias":
                return self.bias
            case "accumulators":
                return sums
            case "output":
                return tensor(layer.output)
        return {**self.parameters, **self._form}[stream]

    def _factors(self, tensor: Callable[[str], Array]) -> Array:
        layer = self.layer
        if isinstance(layer, MatMul):
            return tensor(layer.inputs[1]).astype(np.int64) - layer.right_zero_point
        assert layer.weights is not None
        return layer.weights

    def _image(self, codes: Array) -> Array:
        g = self.layer.geometry
        fmt = self.program.graph.tensors[self.layer.inputs[0]].format
        empty = 0 if fmt.bipolar else self.layer.input_zero_point
        image = np.full(self.image_shape, empty, dtype=self.input_format.dtype)
        held = []
        for axis in (g.axis("h"), g.axis("w")):
            place = np.arange(axis.size) * axis.upsample + axis.pad
            inside = (place >= 0) & (place < axis.reach)
            held.append((np.flatnonzero(inside), place[inside]))
        (rows, to_rows), (columns, to_columns) = held
        image[:, to_rows[:, None], to_columns[None, :]] = codes[:, rows[:, None], columns[None, :]]
        return image


def _parameter(name: str, values: Array) -> Stream:
    axes = _SHARED if values.ndim == 1 else (*_SHARED, "level")
    if values.dtype.kind == "f":
        return Stream(name, values.shape, axes, 8 * values.dtype.itemsize, kind="float")
    width = {"multiplier": 32, "shift": 8, "form_factor": 33, "form_shift": 8, "start": 33, "step": 2}
    return Stream(name, values.shape, axes, width.get(name, INT64.bits))
