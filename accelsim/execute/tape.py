"""A network written down for :func:`accelsim.kernels._tape.play`: offsets, packed weights and tables, made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execute.pools import Array, Fields, Pools
from accelsim.execute.proof import prove
from accelsim.graph import (
    Add,
    ArgMax,
    ArgMin,
    AveragePool2D,
    BinaryLut,
    Concat,
    FloatBinary,
    FloatLayerNorm,
    FloatTableSoftmax,
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
    ResizeBilinear,
    ResizeNearest,
    Softmax,
    StridedSlice,
    Sub,
    Transpose,
    VectorLayer,
)
from accelsim.kernels import Codes, Layout, evaluate, layout_of, tile_plan
from accelsim.kernels.compiled import products, tape
from accelsim.numerics import (
    INT16,
    INT32,
    IntFormat,
    Requant,
    requantize,
    shift_form,
)

_IMAGE = (products.N, products.IH, products.IW, products.IC)
_OUTPUT = (products.OH, products.OW)
_WINDOW = (tape.KH, tape.KW, tape.STRIDE_H, tape.STRIDE_W)
_PADDING = (products.TOP, products.LEFT)

TABLE_BITS = 8
"""Widest codes for which a function is turned into a table of all its values."""


class TapeWriter(Pools):
    """Collects records of the layers that a tape can hold."""

    def record(self, layer: Layer) -> NDArray[np.int64] | None:
        """The record of ``layer``, or None where it must be run by itself."""
        write: Writer | None = _mac if isinstance(layer, MacLayer) else _WRITERS.get(type(layer))
        fields = write(self, layer) if write else None
        if fields is None:
            return None
        flip = self.flip(layer.inputs[0])
        ends = {products.SOURCE: self.offsets[layer.inputs[0]], products.TARGET: self.offsets[layer.output]}
        fields = {**ends, products.FLIP: flip, **fields, products.ZERO: fields.get(products.ZERO, 0) + flip}
        row = np.zeros(tape.COLUMNS, dtype=np.int64)
        row[list(fields)] = list(fields.values())
        return row

    def layout(self, layer: MacLayer) -> tuple[Layout, int] | None:
        """The layer by register tiles, and a bound of its sums; None where that does not fit 32 bits or the accumulator."""
        bound, fmt, g = _bound(self, layer), self.format_of(layer.inputs[0]), layer.geometry
        if bound is None:
            return None
        factors = _factors(layer)
        codes = Codes(fmt.min, fmt.max, layer.input_zero_point)
        layout = layout_of(tile_plan(g), g.output_shape, g.input_shape, g.weight_shape, codes=codes, factors=factors)
        if layout is None:
            return None
        self.image_size = max(self.image_size, layout.image_size)
        self.scratch_size = max(self.scratch_size, layout.sums_size)
        return layout, bound


def _mac(writer: TapeWriter, layer: MacLayer) -> Fields | None:
    found = writer.layout(layer)
    if found is None or layer.weights is None or layer.requant is None:
        return None
    layout, bound = found
    requant = writer.requant(layer.requant, writer.format_of(layer.output), bound)
    if requant is None:
        return None
    packed = layout.pack(layer.weights, layer.array_bias)
    return {
        **{slot: value for slot, value in enumerate(layout.record.tolist()) if value},
        products.SEGMENTS: writer.segments.put(layout.segments),
        products.WEIGHTS: writer.weights.put(packed.weights),
        products.STARTS: writer.starts.put(packed.starts),
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
    """A sum of products and a shift where that is the rule and fits 32 bits; elsewhere a table of all pairs of codes."""
    formats = [writer.format_of(name) for name in layer.inputs]
    if layer.requant is None or max(f.bits for f in formats) > TABLE_BITS or set(layer.shapes) != {layer.shape}:
        return None
    left, right = (
        _scaled(_codes(f), scale, layer.scheme) for f, scale in zip(formats, (layer.left, layer.right), strict=True)
    )
    if isinstance(layer, Sub):
        right = -right
    bound = int(np.abs(left).max()) + int(np.abs(right).max())
    if bound > INT32.max:
        return None
    fields = _shifted_sum(writer, layer, (left, right), bound)
    if fields is None:
        pairs = np.zeros((len(left), tape.TABLE_SIDE), dtype=np.int64)
        pairs[:, : len(right)] = requantize((left[:, None] + right).reshape(-1, 1), layer.requant).reshape(
            len(left), -1
        )
        fields = {products.OPERATION: tape.TABLE_OF_TWO, tape.TABLE_AT: writer.codes.put(pairs.ravel())}
    return {**fields, **_pair(writer, layer)}


def _pair(writer: TapeWriter, layer: Add | BinaryLut) -> Fields:
    """Two operands of one shape."""
    lowest = (writer.format_of(name).min + writer.flip(name) for name in layer.inputs)
    return {
        tape.SIZE: int(np.prod(layer.shape)),
        tape.SOURCE2: writer.offsets[layer.inputs[1]],
        tape.FLIP2: writer.flip(layer.inputs[1]),
        **_columns((tape.CODE1, tape.CODE2), *lowest),
    }


def _shifted_sum(writer: TapeWriter, layer: Add, scaled: tuple[Array, Array], bound: int) -> Fields | None:
    """The sum where each operand is multiplied by one number and the rule is a shift, in 32 bits; None elsewhere."""
    scales, requant = (layer.left, layer.right), layer.requant
    assert requant is not None
    form = shift_form(requant, bound=bound)
    if form is None or any(scale is None or scale.exponent is not None for scale in scales):
        return None
    factor, offset, negative, shift = (int(v[0]) for v in (form.factor, form.offset, form.negative, form.shift))
    if factor != 1 or negative or shift >= INT32.bits or bound + offset > INT32.max:
        return None
    steps = [int(values[1] - values[0]) for values in scaled]
    # Sums of flipped codes, less what the scaled ones are less; wraps on the way, but not at its end.
    lowest = (writer.format_of(name).min + writer.flip(name) for name in layer.inputs)
    offset += sum(int(values[0]) - step * code for values, step, code in zip(scaled, steps, lowest, strict=True))
    rule = writer.requant(requant, writer.format_of(layer.output), bound)
    return rule and {
        **rule,
        products.OPERATION: tape.SUM,
        **_columns((tape.FACTOR1, tape.FACTOR2, tape.OFFSET, tape.RIGHT_SHIFT), *steps, offset, shift),
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
    return _lookup(writer, layer.inputs[0], layer, _values(layer, _codes(fmt)))


def _values(layer: VectorLayer, *operands: Array) -> Array:
    """What the layer makes of codes side by side."""
    box = (0,), operands[0].shape
    return evaluate(layer, operands, [box] * len(operands), box)


def _lookup(writer: TapeWriter, source: str, layer: VectorLayer, values: Array) -> Fields:
    """The ``values`` of all codes of ``source``; of all bytes where these are its codes, which can be looked up at once."""
    first = writer.format_of(source).min + writer.flip(source)
    if writer.memory_type == np.uint8:
        values = np.concatenate(
            [np.zeros(first, values.dtype), values, np.zeros(256 - first - len(values), values.dtype)]
        )
        first = 0
    return {
        products.OPERATION: tape.TABLE,
        **_columns((products.SOURCE, products.FLIP), writer.offsets[source], writer.flip(source)),
        tape.SIZE: int(np.prod(layer.shape)),
        **_columns((tape.TABLE_AT, tape.CODE1), writer.codes.put(values), first),
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
    for own, other in ((0, 1), (1, 0)):
        maker = writer.makers.get(layer.inputs[other])
        if isinstance(maker, Lut) and maker.inputs == (layer.inputs[own],) and _covers(maker, formats[own]):
            codes = _codes(formats[own])  # x * sigmoid(x) is a function of x
            pair = codes, _values(maker, codes).astype(np.int64)
            return _lookup(writer, layer.inputs[own], layer, _values(layer, *(pair if own == 0 else pair[::-1])))
    return {
        products.OPERATION: tape.TABLE_OF_TWO,
        tape.TABLE_AT: writer.codes.put(layer.table.ravel()),
        **_pair(writer, layer),
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
    writer.image_size = max(writer.image_size, 2 * rows * classes)
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
    FloatBinary: "16-bit codes, one numpy expression a layer",
    InterpolatedLut: "16-bit codes, one numpy expression a layer",
    FloatTableSoftmax: "its own compiled loop over rows",
    LayerNorm: "its own compiled loop over rows",
    FloatLayerNorm: "its own compiled loop over rows",
    ReduceMax: "one numpy call",
    ReduceMin: "one numpy call",
    ArgMax: "one numpy call",
    ArgMin: "one numpy call",
    Concat: "moves codes: one numpy call",
    Pad: "moves codes: one numpy call",
    Reshape: "moves nothing",
    Transpose: "moves codes: one numpy call",
    StridedSlice: "moves codes: one numpy call",
    ResizeNearest: "moves codes: one numpy call",
    ResizeBilinear: "a few numpy calls",
}
"""Why a layer of each other kind is run by itself."""
