"""What each vector layer computes, on whole tensors or on any tile of them.

``evaluate`` gives the same codes for a tile as for the same box of the whole layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import GraphError
from accelsim.graph import (
    Add,
    ArgMax,
    ArgMin,
    ArgReduction,
    AveragePool2D,
    BinaryLut,
    Concat,
    FloatBinary,
    FloatLayerNorm,
    FloatTableSoftmax,
    InterpolatedLut,
    LayerNorm,
    LeakyRelu,
    Lut,
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
from accelsim.kernels import _pool, _rows, _sigmoid16, _softmax
from accelsim.numerics import (
    FLOAT32_OPERATORS,
    Requantization,
    Rounding,
    dequantize_float32,
    multiply,
    quantize_float32,
    requantize,
)

Block = NDArray[Any]
Box = tuple[tuple[int, ...], tuple[int, ...]]
"""(lo, hi) in view coordinates, hi exclusive."""


def evaluate(layer: VectorLayer, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    """Codes of ``output`` from ``blocks``, the parts ``inputs`` of the layer's inputs (empty where nothing is read)."""
    rule = _RULES.get(type(layer))
    if rule is None:
        raise GraphError(
            f"layer {layer.name!r}: the vector unit has no rule for {type(layer).__name__}", layer=layer.name
        )
    return rule(layer, blocks, inputs, output)


def scaled_operand(x: Block, scale: OperandScale | None, scheme: str) -> NDArray[np.int64]:
    """One operand of a sum in integers, as it enters that sum."""
    assert scale is not None
    value = (x.astype(np.int64) - scale.zero_point) << scale.left_shift
    if scale.exponent is None:
        return value * scale.multiplier
    return multiply(value, scale.multiplier, scale.exponent, scheme)


def _requantized(acc: NDArray[np.int64], requant: Requantization | None) -> Block:
    assert requant is not None
    return requantize(acc, requant)


def _add(layer: Add, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    left, right = (
        scaled_operand(blocks[0], layer.left, layer.scheme),
        scaled_operand(blocks[1], layer.right, layer.scheme),
    )
    return _requantized(left - right if isinstance(layer, Sub) else left + right, layer.requant)


def _mul(layer: Mul, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    left = blocks[0].astype(np.int64) - layer.left_zero_point
    return _requantized(left * (blocks[1].astype(np.int64) - layer.right_zero_point), layer.requant)


def _rescale(layer: Rescale, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    return _requantized(blocks[0].astype(np.int64) - layer.input_zero_point, layer.requant)


def _leaky_relu(layer: LeakyRelu, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    x = blocks[0].astype(np.int64) - layer.input_zero_point
    return np.where(x >= 0, _requantized(x, layer.positive), _requantized(x, layer.negative))


def _lut(layer: Lut, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    assert layer.table is not None
    return layer.table[blocks[0].astype(np.int64) - layer.input_min]


def _binary_lut(layer: BinaryLut, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    assert layer.table is not None
    other = blocks[1] if layer.constant is None else _constant_in(layer, output)
    left, right = blocks[0].astype(np.int64) - layer.left_min, other.astype(np.int64) - layer.right_min
    codes: Block = layer.table[left, right]
    return codes


def _constant_in(layer: BinaryLut | FloatBinary, output: Box) -> Block:
    """What of the constant operand meets the elements of ``output``."""
    assert layer.constant is not None
    part: Block = np.broadcast_to(layer.constant, layer.shape)[tuple(slice(a, b) for a, b in zip(*output, strict=True))]
    return part


def _float_binary(layer: FloatBinary, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    assert layer.left is not None
    assert layer.right is not None
    assert layer.target is not None
    parts = list(blocks)
    if layer.constant is not None:
        constant = _constant_in(layer, output)
        parts = [constant, *blocks] if layer.constant_first else [*blocks, constant]
    left, right = (
        dequantize_float32(part, of.scale, of.zero_point)
        for part, of in zip(parts, (layer.left, layer.right), strict=True)
    )
    with np.errstate(all="ignore"):
        real = np.asarray(FLOAT32_OPERATORS[layer.source_operator](left, right), np.float32)
    to = layer.target
    if layer.zero_point_first:
        placed = real / np.float32(to.scale) + np.float32(to.zero_point)
        codes: Block = np.rint(np.clip(placed, layer.output_min, layer.output_max)).astype(np.int64)
        return codes
    return quantize_float32(real, to.scale, to.zero_point, layer.output_min, layer.output_max)


def _interpolated_lut(layer: InterpolatedLut, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    assert layer.table is not None
    rule = _sigmoid16.logistic if layer.function == "logistic" else _sigmoid16.tanh
    return rule(blocks[0], layer.table, layer.multiplier, layer.left_shift)


def _softmax_rows(layer: Softmax, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    x = blocks[0].astype(np.int32)
    result = np.empty(x.shape, dtype=np.int32)
    if layer.algorithm == "gemmlowp":
        bits = 8 if layer.output_max - layer.output_min < 256 else 16
        _softmax.gemmlowp(
            x, layer.multiplier, layer.left_shift, layer.diff_min, bits, layer.output_min, layer.output_max, result
        )
    else:
        _softmax.int16_lut(x, layer.multiplier, layer.left_shift, layer.exp_table, layer.reciprocal_table, result)
    return result


def _float_table_softmax(
    layer: FloatTableSoftmax, blocks: Sequence[Block], inputs: Sequence[Box], output: Box
) -> Block:
    x, result = _row_arrays(blocks[0])
    factor, zero = np.float64(layer.output_factor), layer.output_zero_point
    _rows.float_table_softmax(x, layer.exp_table, factor, zero, layer.output_min, layer.output_max, result)
    return result.reshape(blocks[0].shape)


def _layer_norm(layer: LayerNorm, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    x, result = _row_arrays(blocks[0])
    variance = layer.epsilon, layer.variance_shift, layer.NORMALIZED_BITS
    numbers = np.array([*variance, layer.output_shift, layer.output_min, layer.output_max], dtype=np.int64)
    _rows.layer_norm(x, layer.multiplier, layer.bias, numbers, result)
    return result.reshape(blocks[0].shape)


def _float_layer_norm(layer: FloatLayerNorm, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    x, result = _row_arrays(blocks[0])
    scales = np.array([layer.input_scale, layer.output_scale, layer.epsilon], np.float32)
    codes = np.array([layer.input_zero_point, layer.output_zero_point, layer.output_min, layer.output_max], np.int64)
    beta = np.zeros(0, np.float32) if layer.beta is None else layer.beta
    _rows.float_layer_norm(x, layer.gamma, beta, scales, codes, result)
    return result.reshape(blocks[0].shape)


def _row_arrays(block: Block) -> tuple[Block, Block]:
    """Rows of the last axis, and room for the results."""
    rows = np.ascontiguousarray(block.reshape(-1, block.shape[-1]), dtype=np.int32)
    return rows, np.empty_like(rows)


def _average_pool(layer: AveragePool2D, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    if layer.rule == "codes":
        return _pooled(layer, blocks[0], inputs[0], output, _pool.average)
    steps = blocks[0].astype(np.int64) - layer.input_zero_point
    if layer.rule == "sums":
        return _sum_codes(layer, pool_sums(layer, steps, inputs[0], output), output)
    real = np.float32(layer.input_scale) * steps.astype(np.float32)
    total, count = _window_sums(layer, real, inputs[0], output)
    cells = layer.steps_per_output if layer.count_include_pad else count
    mean = total / np.asarray(cells).astype(np.float32)
    if layer.rule == "dequantized":
        return _quantized(layer, mean)
    scaled = mean / np.float32(layer.output_scale)
    codes = np.rint(scaled + np.float32(layer.output_zero_point)).astype(np.int64)
    clamped: Block = np.clip(codes, layer.clamp_min, layer.clamp_max)
    return clamped


def _quantized(layer: AveragePool2D | Mean | ResizeBilinear, mean: Any) -> Block:
    return quantize_float32(mean, layer.output_scale, layer.output_zero_point, layer.clamp_min, layer.clamp_max)


def _max_pool(layer: MaxPool2D, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    return _pooled(layer, blocks[0], inputs[0], output, _pool.maximum)


def _pooled(layer: AveragePool2D | MaxPool2D, x: Block, source: Box, output: Box, kernel: Any) -> Block:
    result = np.empty(tuple(b - a for a, b in zip(*output, strict=True)), dtype=np.int32)
    _, h, w, _ = layer.shapes[0]
    window = np.array(
        [*layer.kernel, *layer.stride, *layer.pad, h, w, *source[0][1:3], *output[0][1:3]], dtype=np.int64
    )
    kernel(x.astype(np.int32), window, result)
    return np.clip(result, layer.clamp_min, layer.clamp_max)


def pool_sums(layer: AveragePool2D, steps: NDArray[np.int64], source: Box, output: Box) -> NDArray[np.int64]:
    """``whole // cells * sum`` of ``steps``, codes less their zero point, for each window."""
    total, count = _window_sums(layer, steps, source, output)
    cells = layer.whole if layer.count_include_pad else np.maximum(count, 1)
    sums: NDArray[np.int64] = layer.whole // cells * total
    return sums


def _window_sums(layer: AveragePool2D, x: Block, source: Box, output: Box) -> tuple[Block, NDArray[np.int64]]:
    """Sums of ``x`` over the cells of each window inside the image, cell by cell, and their number (1, rows, columns, 1)."""
    (lo, hi), (source_lo, source_hi) = output, source
    total = np.zeros(tuple(b - a for a, b in zip(lo, hi, strict=True)), dtype=x.dtype)
    count = np.zeros(total.shape[1:3], dtype=np.int64)
    for cell in np.ndindex(*layer.kernel):
        rows, columns = (
            axis.input_index(np.arange(lo[i], hi[i]), cell[i - 1]) for i, axis in enumerate(layer.windows, start=1)
        )
        inside = np.outer(rows >= 0, columns >= 0)
        rows = np.clip(rows, source_lo[1], source_hi[1] - 1) - source_lo[1]
        columns = np.clip(columns, source_lo[2], source_hi[2] - 1) - source_lo[2]
        total += np.where(inside[None, :, :, None], x[:, rows][:, :, columns], x.dtype.type(0))
        count += inside
    return total, count[None, :, :, None]


def _sum_codes(layer: AveragePool2D | Mean, sums: NDArray[np.int64], output: Box) -> Block:
    """Codes of exact sums whose bias and requantization may differ by channel, the last axis."""
    lo, hi = output[0][-1], output[1][-1]
    bias = 0 if layer.bias is None else layer.bias[lo:hi] if len(layer.bias) > 1 else layer.bias
    return _requantized(sums + bias, layer.requant and layer.requant.channels(lo, hi))


def _mean(layer: Mean, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    if layer.rule == "dequantized":
        return _quantized(layer, _mean_of_pixels(layer, blocks[0]))
    total = blocks[0].sum(axis=layer.axes, dtype=np.int64, keepdims=True)
    return _sum_codes(layer, total - layer.count * layer.input_zero_point, output)


def _mean_of_pixels(layer: Mean, codes: Block) -> Block:
    """In float32, (n, 1, 1, c)."""
    n, h, w, c = codes.shape
    pixels = dequantize_float32(codes.reshape(n, h * w, c), layer.input_scale, layer.input_zero_point)
    lanes, whole = np.zeros((n, 4, c), np.float32), h * w - h * w % 4
    for start in range(0, whole, 4):
        lanes += pixels[:, start : start + 4]
    total = (lanes[:, 0] + lanes[:, 2]) + (lanes[:, 1] + lanes[:, 3])
    for pixel in range(whole, h * w):
        total += pixels[:, pixel]
    mean: Block = (total / np.float32(h * w)).reshape(n, 1, 1, c)
    return mean


def _extreme(layer: ReduceMax | ReduceMin, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    find = np.max if isinstance(layer, ReduceMax) else np.min
    return np.asarray(find(blocks[0], axis=layer.axes, keepdims=True))


def _arg(layer: ArgReduction, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    (axis,) = layer.axes
    find = np.argmax if isinstance(layer, ArgMax) else np.argmin
    if not layer.last:
        return np.asarray(find(blocks[0], axis=axis, keepdims=True))
    return np.asarray(layer.count - 1 - find(np.flip(blocks[0], axis), axis=axis, keepdims=True))


def _concat(layer: Concat, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    parts = [block for block in blocks if block.size]
    return np.concatenate(parts, axis=layer.axis) if len(parts) > 1 else parts[0]


def _pad(layer: Pad, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    lo, hi = output
    result = np.full(tuple(b - a for a, b in zip(lo, hi, strict=True)), layer.value, dtype=blocks[0].dtype)
    if blocks[0].size:
        start = [i + before - o for i, before, o in zip(inputs[0][0], layer.before, lo, strict=True)]
        result[tuple(slice(s, s + n) for s, n in zip(start, blocks[0].shape, strict=True))] = blocks[0]
    return result


def _reshape(layer: Reshape, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    whole = blocks[0].reshape(layer.shape)
    return whole[tuple(slice(a, b) for a, b in zip(*output, strict=True))]


def _transpose(layer: Transpose, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    return np.ascontiguousarray(blocks[0].transpose(layer.permutation))


def _strided_slice(layer: StridedSlice, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    rows = zip(layer.begin, layer.strides, inputs[0][0], *output, strict=True)
    indices = [range(b + lo * step - origin, b + hi * step - origin, step) for b, step, origin, lo, hi in rows]
    block: Block = np.ascontiguousarray(blocks[0][np.ix_(*indices)])
    return block


def _resize_nearest(layer: ResizeNearest, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    (lo, hi), origin = output, inputs[0][0]
    rows, columns = layer.rows[lo[1] : hi[1]] - origin[1], layer.columns[lo[2] : hi[2]] - origin[2]
    return np.ascontiguousarray(blocks[0][:, rows][:, :, columns])


def _resize_bilinear(layer: ResizeBilinear, blocks: Sequence[Block], inputs: Sequence[Box], output: Box) -> Block:
    """In 64 bits: codes of 16 bits by weights of twice 11; or in float32."""
    if layer.rule == "dequantized":
        return _quantized(layer, _weighted_reals(layer, blocks[0], inputs[0][0], output))
    x, one = blocks[0].astype(np.int64), 1 << layer.fraction_bits
    for axis, taps in ((1, layer.rows), (2, layer.columns)):
        part, origin = slice(output[0][axis], output[1][axis]), inputs[0][0][axis]
        weight = taps.weight[part].reshape(-1, *[1] * (x.ndim - axis - 1))
        low, high = (x.take(index[part] - origin, axis) for index in (taps.low, taps.high))
        x = low * (one - weight) + high * weight
    shift = 2 * layer.fraction_bits
    return np.asarray((x + (1 << shift - 1) - ((x < 0) & (layer.rounding == Rounding.HALF_AWAY))) >> shift)


def _weighted_reals(layer: ResizeBilinear, codes: Block, origin: tuple[int, ...], output: Box) -> Block:
    """In float32, (n, rows, columns, c)."""
    x = dequantize_float32(codes, layer.input_scale, layer.input_zero_point)
    total, one = np.zeros((), np.float32), np.float32(1)
    rows, columns = (slice(output[0][axis], output[1][axis]) for axis in (1, 2))
    high_row = layer.rows.weight[rows].astype(np.float32)[:, None, None]
    high_column = layer.columns.weight[columns].astype(np.float32)[:, None]
    for row, row_weight in ((layer.rows.low, one - high_row), (layer.rows.high, high_row)):
        line = x.take(row[rows] - origin[1], 1)
        for column, weight in ((layer.columns.low, one - high_column), (layer.columns.high, high_column)):
            total = np.asarray(total + weight * row_weight * line.take(column[columns] - origin[2], 2))
    return total


_RULES: dict[type, Callable[[Any, Sequence[Block], Sequence[Box], Box], Block]] = {
    Add: _add,
    Sub: _add,
    Mul: _mul,
    Rescale: _rescale,
    LeakyRelu: _leaky_relu,
    Lut: _lut,
    BinaryLut: _binary_lut,
    FloatBinary: _float_binary,
    InterpolatedLut: _interpolated_lut,
    Softmax: _softmax_rows,
    AveragePool2D: _average_pool,
    MaxPool2D: _max_pool,
    FloatTableSoftmax: _float_table_softmax,
    LayerNorm: _layer_norm,
    FloatLayerNorm: _float_layer_norm,
    Mean: _mean,
    ReduceMax: _extreme,
    ReduceMin: _extreme,
    ArgMax: _arg,
    ArgMin: _arg,
    Concat: _concat,
    Pad: _pad,
    Reshape: _reshape,
    Transpose: _transpose,
    StridedSlice: _strided_slice,
    ResizeNearest: _resize_nearest,
    ResizeBilinear: _resize_bilinear,
}
