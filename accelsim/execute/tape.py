"""A network written down for :func:`accelsim.kernels._tape.play`: offsets, packed weights and tables, made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execute.proof import prove
from accelsim.graph import (
    Add,
    AveragePool2D,
    BinaryLut,
    Concat,
    FloatTableSoftmax,
    Graph,
    InterpolatedLut,
    Layer,
    LayerNorm,
    LeakyRelu,
    Lut,
    MacLayer,
    MatMul,
    MaxPool2D,
    Mean,
    Mul,
    OperandScale,
    Pad,
    ReduceMax,
    ReduceMin,
    Rescale,
    Reshape,
    ResizeNearest,
    Softmax,
    StridedSlice,
    Sub,
    Transpose,
)
from accelsim.kernels import Codes, Layout, evaluate, layout_of, new_scratch, tile_plan
from accelsim.kernels.compiled import products, tape
from accelsim.numerics import INT16, INT32, IntFormat, Requant, Requantization, Thresholds, shift_form
from accelsim.numerics.compiled import float32_half_even_rows, float64_half_away_rows

Array = NDArray[Any]
Fields = dict[int, int]

_IMAGE = (products.N, products.IH, products.IW, products.IC)
_OUTPUT = (products.OH, products.OW)
_WINDOW = (tape.KH, tape.KW, tape.STRIDE_H, tape.STRIDE_W)
_PADDING = (products.TOP, products.LEFT)

TABLE_BITS = 8
"""Widest codes for which a function is turned into a table of all its values."""


@dataclass(eq=False)
class Pool:
    """Arrays laid end to end along their first axis; ``put`` gives the offset of each."""

    dtype: Any
    columns: tuple[int, ...] = ()
    parts: list[Array] = field(default_factory=list)
    size: int = 0

    def put(self, values: Array) -> int:
        """Append ``values`` and return where they begin."""
        self.parts.append(np.asarray(values, dtype=self.dtype))
        self.size += len(values)
        return self.size - len(values)

    def joined(self) -> Array:
        """One contiguous array."""
        return np.ascontiguousarray(np.concatenate([np.zeros((0, *self.columns), self.dtype), *self.parts]))


@dataclass(eq=False)
class TapeWriter:
    """Collects records of the layers that a tape can hold; ``offsets`` places every tensor in memory."""

    graph: Graph
    offsets: Mapping[str, int]
    accumulators: Mapping[str, IntFormat] | None
    weights: Pool = field(default_factory=lambda: Pool(np.int16))
    segments: Pool = field(default_factory=lambda: Pool(np.int64))
    tables: Pool = field(default_factory=lambda: Pool(np.int32))
    integers: Pool = field(default_factory=lambda: Pool(np.int32))
    shifts: Pool = field(default_factory=lambda: Pool(np.int64))
    floats: Pool = field(default_factory=lambda: Pool(np.float32))
    scales: Pool = field(default_factory=lambda: Pool(np.float64, (3,)))
    image_size: int = 0
    scratch_size: int = tape.BLOCK_ELEMENTS

    def record(self, layer: Layer) -> NDArray[np.int64] | None:
        """The record of ``layer``, or None where it must be run by itself."""
        write: Writer | None = _mac if isinstance(layer, MacLayer) else _WRITERS.get(type(layer))
        fields = write(self, layer) if write else None
        if fields is None:
            return None
        fields |= {products.SOURCE: self.offsets[layer.inputs[0]], products.TARGET: self.offsets[layer.output]}
        row = np.zeros(tape.COLUMNS, dtype=np.int64)
        row[list(fields)] = list(fields.values())
        return row

    def arrays(self) -> tuple[tape.Constants, products.Scratch]:
        """The constants and scratch of ``play``."""
        pools = (self.weights, self.segments, self.tables, self.integers, self.shifts, self.floats, self.scales)
        return tape.Constants(*(pool.joined() for pool in pools)), new_scratch(self.image_size, self.scratch_size)

    def layout(self, layer: MacLayer) -> tuple[Layout, int] | None:
        """The layer by register tiles, and a bound of its sums; None where that does not fit 32 bits or the accumulator."""
        bound, fmt, g = _bound(self, layer), self.format_of(layer.inputs[0]), layer.geometry
        if bound is None:
            return None
        factors = _factors(layer)
        codes = Codes(fmt.min, fmt.max, layer.input_zero_point)
        layout = layout_of(tile_plan(g), g.output_shape, g.input_shape, g.weight_shape, codes=codes, factors=factors)
        return None if layout is None else (layout, bound)

    def format_of(self, tensor: str) -> IntFormat:
        """Format of a tensor."""
        return self.graph.tensors[tensor].format

    def requant(self, requant: Requantization, fmt: IntFormat, bound: int) -> Fields | None:
        """The columns of a requantization to codes of ``fmt`` of sums up to ``bound``; None for a rule that no tape has."""
        if isinstance(requant, Thresholds):
            return self._levels(requant)
        rule = self._rule(requant, bound)
        return rule and {
            **rule,
            tape.CHANNELS: len(requant.multiplier),
            tape.OUT_ZERO: requant.zero_point,
            tape.LOW: max(requant.clamp_min, fmt.min),
            tape.HIGH: min(requant.clamp_max, fmt.max),
        }

    def _levels(self, thresholds: Thresholds) -> Fields:
        """Levels, then starts and steps of all channels; every code is one of theirs, so there is nothing to clamp."""
        parts = (thresholds.levels.reshape(-1), thresholds.start, thresholds.step)
        return {
            tape.RULE: tape.LEVELS,
            tape.CHANNELS: thresholds.channel_count,
            tape.LEVEL_COUNT: thresholds.levels.shape[1],
            tape.PARAMETERS: self.segments.put(np.concatenate(parts)),
        }

    def _rule(self, requant: Requant, bound: int) -> Fields | None:
        loop = requant.rule.kernel
        if loop is float32_half_even_rows:
            return {tape.RULE: tape.FLOAT32, tape.PARAMETERS: self.floats.put(requant.multiplier)}
        if loop is float64_half_away_rows:
            return {tape.RULE: tape.FLOAT64, tape.PARAMETERS: self.scales.put(requant.multiplier)}
        form = shift_form(requant, bound=bound)
        if form is None:
            return None
        self.shifts.put(np.concatenate([form.offset, form.negative, form.shift]))
        return {tape.RULE: tape.SHIFT, tape.PARAMETERS: self.integers.put(form.factor)}


def _mac(writer: TapeWriter, layer: MacLayer) -> Fields | None:
    found = writer.layout(layer)
    if found is None or layer.weights is None or layer.requant is None:
        return None
    layout, bound = found
    requant = writer.requant(layer.requant, writer.format_of(layer.output), bound)
    if requant is None:
        return None
    writer.image_size = max(writer.image_size, layout.image_size)
    writer.scratch_size = max(writer.scratch_size, layout.sums_size)
    packed = layout.pack(layer.weights, layer.bias)
    return {
        **dict(enumerate(layout.record.tolist())),
        products.SEGMENTS: writer.segments.put(layout.segments),
        products.WEIGHTS: writer.weights.put(packed.weights),
        products.STARTS: writer.tables.put(packed.starts),
        **requant,
    }


def _columns(names: tuple[int, ...], *values: int) -> Fields:
    return dict(zip(names, values, strict=True))


def _bound(writer: TapeWriter, layer: MacLayer) -> int | None:
    """Bound of all sums where operands are 16-bit and sums fit 32 bits and the accumulator in every order; None elsewhere."""
    fmt, zero = writer.format_of(layer.inputs[0]), layer.input_zero_point
    narrow = INT16.contains(fmt.min - zero) and INT16.contains(fmt.max - zero)
    if not narrow or layer.weight_format.max > INT16.max or (layer.weights is None and layer.weight_reach > INT16.max):
        return None
    accumulator = INT32 if writer.accumulators is None else min(INT32, writer.accumulators[layer.name])
    proof = prove(layer, input_format=fmt, accumulator=accumulator)
    return proof.bound if proof.safe else None


def _factors(layer: MacLayer) -> Codes:
    """Range of the weights, or of a second operand less its zero point."""
    if layer.weights is not None:
        return Codes(int(layer.weights.min()), int(layer.weights.max()))
    fmt, zero = layer.weight_format, layer.right_zero_point if isinstance(layer, MatMul) else 0
    return Codes(fmt.min - zero, fmt.max - zero)


def _codes(fmt: IntFormat) -> NDArray[np.int64]:
    return np.arange(fmt.min, fmt.max + 1, dtype=np.int64)


def _sum(writer: TapeWriter, layer: Add) -> Fields | None:
    """Each operand's scaling as a table of all codes."""
    formats = [writer.format_of(name) for name in layer.inputs]
    if layer.requant is None or max(f.bits for f in formats) > TABLE_BITS or set(layer.shapes) != {layer.shape}:
        return None
    tables = [
        _scaled(_codes(f), scale, layer.scheme) for f, scale in zip(formats, (layer.left, layer.right), strict=True)
    ]
    bound = sum(int(np.abs(table).max()) for table in tables)
    requant = writer.requant(layer.requant, writer.format_of(layer.output), bound) if bound <= INT32.max else None
    if requant is None:
        return None
    if isinstance(layer, Sub):
        tables[1] = -tables[1]
    return {
        products.OPERATION: tape.SUM,
        tape.SIZE: int(np.prod(layer.shape)),
        tape.SOURCE2: writer.offsets[layer.inputs[1]],
        **_columns((tape.TABLE1, tape.TABLE2), *(writer.tables.put(table) for table in tables)),
        **_columns((tape.CODE1, tape.CODE2), *(fmt.min for fmt in formats)),
        **requant,
    }


def _scaled(codes: NDArray[np.int64], scale: OperandScale | None, scheme: str) -> NDArray[np.int64]:
    """Each code as it enters the sum; by the schemes' definitions, which cost nothing to compile."""
    assert scale is not None
    values = (codes - scale.zero_point) << scale.left_shift
    if scale.exponent is None:
        return values * scale.multiplier
    one = Requant(scheme, np.array([scale.multiplier]), np.array([scale.exponent]), 0, INT32.min, INT32.max)
    return np.array([one.rule.twin(int(value), one, 0) for value in values], dtype=np.int64)


def _table(writer: TapeWriter, layer: Rescale | LeakyRelu | Lut) -> Fields | None:
    """A function of one narrow code, as a table of all its values."""
    fmt = writer.format_of(layer.inputs[0])
    if fmt.bits > TABLE_BITS or (isinstance(layer, Lut) and not _covers(layer, fmt)):
        return None
    codes = _codes(fmt)
    box = (0,), codes.shape
    return {
        products.OPERATION: tape.TABLE,
        tape.SIZE: int(np.prod(layer.shape)),
        tape.TABLE1: writer.tables.put(evaluate(layer, [codes], [box], box)),
        tape.CODE1: fmt.min,
    }


def _table_of_two(writer: TapeWriter, layer: BinaryLut) -> Fields | None:
    formats = [writer.format_of(name) for name in layer.inputs]
    side = (tape.TABLE_SIDE, tape.TABLE_SIDE)
    if layer.table is None:
        return None
    fits = layer.table.shape == side and set(layer.shapes) == {layer.shape}
    lowest = [fmt.min for fmt in formats] == [layer.left_min, layer.right_min]
    if not (fits and lowest and all(fmt.bits == TABLE_BITS for fmt in formats)):
        return None
    return {
        products.OPERATION: tape.TABLE_OF_TWO,
        tape.SIZE: int(np.prod(layer.shape)),
        tape.SOURCE2: writer.offsets[layer.inputs[1]],
        tape.TABLE1: writer.tables.put(layer.table.ravel()),
        **_columns((tape.CODE1, tape.CODE2), layer.left_min, layer.right_min),
    }


def _covers(layer: Lut, fmt: IntFormat) -> bool:
    return layer.table is not None and layer.input_min == fmt.min and len(layer.table) == fmt.max - fmt.min + 1


def _average_pool(writer: TapeWriter, layer: AveragePool2D) -> Fields | None:
    """Means of raw codes; other rules are run by themselves: one numpy call for each cell of the window."""
    return _pool(writer, layer) if layer.rule == "codes" else None


def _pool(writer: TapeWriter, layer: AveragePool2D | MaxPool2D) -> Fields | None:
    _, oh, ow, channels = layer.shape
    fmt = writer.format_of(layer.output)
    if writer.format_of(layer.inputs[0]).bits + (layer.steps_per_output - 1).bit_length() > INT32.bits:
        return None
    writer.scratch_size = max(writer.scratch_size, channels)
    return {
        products.OPERATION: tape.AVERAGE_POOL if isinstance(layer, AveragePool2D) else tape.MAX_POOL,
        **_columns(_IMAGE, *layer.shapes[0]),
        **_columns((*_OUTPUT, *_PADDING), oh, ow, *layer.pad),
        **_columns(_WINDOW, *layer.kernel, *layer.stride),
        **_columns((tape.LOW, tape.HIGH), max(layer.clamp_min, fmt.min), min(layer.clamp_max, fmt.max)),
    }


def _mean(writer: TapeWriter, layer: Mean) -> Fields | None:
    """Means over the pixels of an image."""
    fmt = writer.format_of(layer.inputs[0])
    bound = layer.count * (fmt.max - fmt.min)
    is_plain = len(layer.shapes[0]) == 4 and layer.axes == (1, 2) and layer.bias is None
    if layer.requant is None or not is_plain or bound > INT32.max:
        return None
    requant = writer.requant(layer.requant, writer.format_of(layer.output), bound)
    if requant is None:
        return None
    size = int(np.prod(layer.shape))
    writer.scratch_size = max(writer.scratch_size, size)
    return {
        products.OPERATION: tape.MEAN,
        tape.SIZE: size,
        products.ZERO: layer.input_zero_point,
        **_columns(_IMAGE, *layer.shapes[0]),
        **requant,
    }


def _softmax(writer: TapeWriter, layer: Softmax) -> Fields | None:
    if layer.algorithm != "gemmlowp":
        return None
    rows, classes = layer.shape
    narrow = layer.output_max - layer.output_min < 1 << 8
    return {
        products.OPERATION: tape.SOFTMAX,
        **_columns((tape.SIZE, products.IC), rows * classes, classes),
        **_columns((tape.MULTIPLIER, tape.LEFT_SHIFT), layer.multiplier, layer.left_shift),
        **_columns((tape.DIFF_MIN, tape.BITS), layer.diff_min, 8 if narrow else 16),
        **_columns((tape.LOW, tape.HIGH), layer.output_min, layer.output_max),
    }


Writer = Callable[[TapeWriter, Any], Fields | None]
_WRITERS: Mapping[type, Writer] = {
    Add: _sum,
    Sub: _sum,
    Rescale: _table,
    LeakyRelu: _table,
    Lut: _table,
    BinaryLut: _table_of_two,
    AveragePool2D: _average_pool,
    MaxPool2D: _pool,
    Mean: _mean,
    Softmax: _softmax,
}

NOT_ON_TAPE: Mapping[type[Layer], str] = {
    Mul: "a product of two codes needs a table of both, which the importers make a BinaryLut where it is small",
    InterpolatedLut: "16-bit codes, one numpy expression a layer",
    FloatTableSoftmax: "its own compiled loop over rows",
    LayerNorm: "its own compiled loop over rows",
    ReduceMax: "one numpy call",
    ReduceMin: "one numpy call",
    Concat: "moves codes: one numpy call",
    Pad: "moves codes: one numpy call",
    Reshape: "moves nothing",
    Transpose: "moves codes: one numpy call",
    StridedSlice: "moves codes: one numpy call",
    ResizeNearest: "moves codes: one numpy call",
}
"""Why a layer of each other kind is run by itself."""
