"""Weights, biases and activations of one network as codes and scales."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.numerics import BIPOLAR, IntFormat
from accelsim.ptq.accumulators import Budget
from accelsim.ptq.bias_correction import output_shift
from accelsim.ptq.calibrate import Floats, Known, group_range
from accelsim.ptq.network.products import bias_of, channel_axis, is_one_matrix, per_output, products
from accelsim.ptq.plan import Plan
from accelsim.ptq.settings import Settings, has_levels
from accelsim.ptq.weight_formats import (
    affine_scales,
    affine_zero_points,
    code_format,
    from_rows,
    level_codes,
    level_scales,
    rows_of,
)
from accelsim.quant import bipolar_scales, channel_scales, codes_as, minmax_range, quantize_bias

BIAS_REACH = 2.0**30
"""Largest bias in units of s_in * s_w: half of what 32 bits hold, so that room is left for the sum."""


@dataclass(frozen=True)
class ActQuant:
    """Codes of an activation, and the range they were made for."""

    format: IntFormat
    scale: float
    zero_point: int
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class WeightQuant:
    """Codes of a layer's weights with scales (1,) or one per index of ``axis``, bias in units of s_in * s_w or None.

    ``codes`` are those that are multiplied; of asymmetric weights ``codes + zero_points``, as many of these as scales, have the format.

    ``sqnr_db`` is the ratio of the weights' power to that of their quantization error, infinite where there is none.
    """

    codes: NDArray[np.int64]
    scales: Floats
    axis: int | None
    format: IntFormat
    bias: NDArray[np.int64] | None
    sqnr_db: float
    zero_points: NDArray[np.int64] | None = None

    @property
    def stored_zero_points(self) -> NDArray[np.int64]:
        """One for each scale."""
        return np.zeros(len(self.scales), np.int64) if self.zero_points is None else self.zero_points

    @property
    def stored(self) -> NDArray[np.int64]:
        """The codes in ``format``."""
        codes: NDArray[np.int64] = self.codes + along(self.stored_zero_points, self.axis, self.codes.ndim)
        return codes

    @property
    def real(self) -> Floats:
        """What the codes stand for, float32 of their shape."""
        column = along(self.scales, self.axis, self.codes.ndim)
        real: Floats = (self.codes.astype(np.float32) * column).astype(np.float32)
        return real


@dataclass(frozen=True, eq=False)
class Pinned:
    """What is decided whatever the settings say: ranges by tensor, scales, codes and real biases by the output of their layer.

    Codes are those under the scales that stand beside them; a layer whose scale must grow, so that its bias fits, is rounded anew.
    """

    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    scales: Mapping[str, Floats] = field(default_factory=dict)
    codes: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    biases: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


NOTHING = Pinned()


def along(values: NDArray[Any], axis: int | None, rank: int) -> NDArray[Any]:
    """``values`` (1,) or (n,) in a shape that broadcasts along ``axis`` of an array of ``rank`` axes."""
    return values.reshape(()) if axis is None else values.reshape([-1 if i == axis else 1 for i in range(rank)])


def act_parameters(
    plan: Plan,
    seen: Mapping[str, list[Floats]],
    settings: Settings,
    *,
    known: Known | None = None,
    pinned: Pinned = NOTHING,
) -> dict[str, ActQuant]:
    """Codes of every quantized tensor; those of one group have the same. ``known`` ranges are taken, others come to it; those that are
    ``pinned`` come before."""
    known, made = known or Known(), dict[str, ActQuant]()
    for group in plan.groups:
        key, given = (
            (group.measured, group.bits, settings.how),
            [name for name in group.tensors if name in pinned.ranges],
        )
        if not given and key not in known.ranges:
            known.ranges[key] = group_range(group, seen, settings)
        low, high = pinned.ranges[given[0]] if given else known.ranges[key]
        quantizer = settings.act_quantizer(group.bits)
        if group.signed_as in made:
            quantizer = replace(quantizer, signed=made[group.signed_as].format.signed)
        found = quantizer.parameters(low, high)
        quant = ActQuant(quantizer.format(low), found.scale, found.zero_point, low, high)
        made |= dict.fromkeys(group.tensors, quant)
    return made


def weight_parameters(
    model: OnnxModel,
    plan: Plan,
    acts: Mapping[str, ActQuant],
    settings: Settings,
    *,
    means: Mapping[str, NDArray[np.float64]],
    known: Known | None = None,
    pinned: Pinned = NOTHING,
) -> dict[str, WeightQuant]:
    """Codes of the weights of every product, by its output; ``means`` of its input's channels correct its bias.

    ``known`` scales are taken, others come to it; what is ``pinned`` comes before.
    """
    known, made = known or Known(), {}
    for node in products(model):
        name = node.outputs[0]
        key = name, plan.weight_bits[name], settings.how
        if name not in pinned.scales and key not in known.scales:
            known.scales[key] = scales_of(model, node, key[1], settings)
        chosen = pinned.scales[name] if name in pinned.scales else known.scales[key]
        made[name] = _weights(model, node, key[1], acts[node.inputs[0]], settings, means, chosen, pinned)
    return made


def _weights(
    model: OnnxModel,
    node: OnnxNode,
    bits: int,
    fed: ActQuant,
    settings: Settings,
    means: Mapping[str, NDArray[np.float64]],
    chosen: Floats,
    pinned: Pinned,
) -> WeightQuant:
    real, name = model.constants[node.inputs[1]].astype(np.float32), node.outputs[0]
    bias: NDArray[Any] | None = pinned.biases.get(name, bias_of(node, model.constants))
    axis, s_in = channel_axis(node, real.ndim) if settings.per_channel else None, fed.scale
    budget = (
        None
        if settings.accumulator_bits is None
        else Budget(settings.accumulator_bits, fed.format, fed.zero_point, s_in)
    )
    scales = _wide_enough(chosen, real, axis, bias, s_in, BIAS_REACH if budget is None else budget.bias_reach)
    if settings.power_of_two:
        scales = np.exp2(np.ceil(np.log2(scales))).astype(np.float32)
    fmt = BIPOLAR if bits == 1 else code_format(settings.weight_format, bits, signed=fed.format.signed)

    def corrected(codes: NDArray[np.int64], scales: Floats) -> NDArray[Any] | None:
        if not (settings.bias_correction and is_one_matrix(node, model.constants)):
            return bias
        error = _error(codes, along(scales, axis, real.ndim), real)
        shifted: NDArray[Any] = (0 if bias is None else bias.reshape(-1)) - output_shift(node, error, means)
        return shifted

    rounded = pinned.codes.get(name) if np.array_equal(scales, chosen) else None
    zeros = _zero_points(real, axis, scales, fmt, settings)
    codes = _codes(real, axis, scales, zeros, fmt, bits, settings) if rounded is None else rounded
    if budget is not None and not fmt.bipolar:
        codes, scales, bias = budget.hold(node, real, codes, scales, fmt, corrected, whole=settings.power_of_two)
    else:
        bias = corrected(codes, scales)
    error = _error(codes, along(scales, axis, real.ndim), real)
    whole = None if bias is None else quantize_bias(bias, s_in=s_in, s_w=per_output(node, scales))
    return WeightQuant(codes, scales, axis, fmt, whole, decibels(real, error), zeros)


def _zero_points(
    real: Floats, axis: int | None, scales: Floats, fmt: IntFormat, settings: Settings
) -> NDArray[np.int64] | None:
    """Of asymmetric weights, one for each scale."""
    if settings.weight_format != "asymmetric" or fmt.bipolar:
        return None
    return affine_zero_points(rows_of(real, axis), scales, fmt)


def _codes(
    real: Floats,
    axis: int | None,
    scales: Floats,
    zeros: NDArray[np.int64] | None,
    fmt: IntFormat,
    bits: int,
    settings: Settings,
) -> NDArray[np.int64]:
    """The nearest codes that the weights' format has, zero points subtracted."""
    column = along(scales, axis, real.ndim)
    if has_levels(settings.weight_format, bits):
        return from_rows(level_codes(settings.weight_format, bits, rows_of(real, axis), scales), real, axis)
    if zeros is None:
        return nearest_codes(real, column, fmt)
    spread = along(zeros, axis, real.ndim)
    codes = codes_as(real, framework="onnx", scale=column, zero_point=spread, fmt=fmt)
    factors: NDArray[np.int64] = codes - spread
    return factors


def scales_of(model: OnnxModel, node: OnnxNode, bits: int, settings: Settings) -> Floats:
    """Of the weights of ``node``, by tensor or channel as the settings say."""
    real = model.constants[node.inputs[1]].astype(np.float32)
    return weight_scales(real, channel_axis(node, real.ndim) if settings.per_channel else None, bits, settings)


def _error(codes: NDArray[np.int64], column: Floats, real: Floats) -> NDArray[np.float64]:
    return codes.astype(np.float64) * column.astype(np.float64) - real.astype(np.float64)


def nearest_codes(real: Floats, column: Floats, fmt: IntFormat) -> NDArray[np.int64]:
    """Codes of weights under scales that broadcast against them; signs where codes are -1 and +1."""
    if fmt.bipolar:
        return np.where(real >= 0, 1, -1).astype(np.int64)
    return codes_as(real, framework="onnx", scale=column, zero_point=0, fmt=fmt)


def weight_scales(real: Floats, axis: int | None, bits: int, settings: Settings) -> Floats:
    """Min-max, or the least square error where ranges of symmetric weights are set that way; mean magnitudes for 1 bit."""
    if bits == 1:
        return bipolar_scales(real, axis=axis)
    if has_levels(settings.weight_format, bits):
        return level_scales(settings.weight_format, rows_of(real, axis))
    if settings.weight_format == "asymmetric":
        return affine_scales(rows_of(real, axis), IntFormat(bits, signed=False))
    quantizer = settings.weight_quantizer(bits)
    range_of = quantizer.least_error_range if settings.range == "mse" else minmax_range
    return channel_scales(real, axis=axis, quantizer=quantizer, range_of=range_of)


def _wide_enough(
    scales: Floats, real: Floats, axis: int | None, bias: NDArray[Any] | None, s_in: float, most: float
) -> Floats:
    """Channels of zeros under the largest scale of the others, and none so fine that the bias exceeds ``most``."""
    rows = real.reshape(1, -1) if axis is None else np.moveaxis(real, axis, 0).reshape(real.shape[axis], -1)
    used = rows.any(axis=1)
    scales = np.where(used, scales, scales[used].max(initial=0) or np.float32(1))
    if bias is not None:
        reach = np.abs(bias.astype(np.float64)).reshape(-1) / (s_in * most)
        # Groups of a transposed convolution share the scales of their channels.
        scales = np.maximum(scales, reach.max() if axis is None else reach.reshape(-1, len(scales)).max(axis=0))
    return scales.astype(np.float32)


def decibels(real: NDArray[Any], error: NDArray[Any]) -> float:
    """Signal-to-quantization-noise ratio ``10 log10(sum of real^2 / sum of error^2)``; infinite where either is nothing."""
    power, noise = float(np.square(real, dtype=np.float64).sum()), float(np.square(error).sum())
    return 10 * math.log10(power / noise) if power and noise else math.inf
