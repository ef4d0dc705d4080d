"""The only crossing between real numbers and integers: quantizers, ranges, and scale ratios as multipliers."""

from __future__ import annotations

from accelsim.quant.affine import dequantize, fake_quant, quantize
from accelsim.quant.multiplier import (
    convolution_multipliers,
    dense_multiplier_per_tensor,
    encode_multiplier,
    encode_multipliers,
    float32_multiplier,
    power_of_two_shift,
    product_multiplier,
    reduced_multiplier16,
    requant_from_scales,
)
from accelsim.quant.ranges import (
    QuantParameters,
    affine_parameters,
    minmax_range,
    mse_peak,
    percentile_range,
    power_of_two_parameters,
    symmetric_parameters,
)
from accelsim.quant.thresholds import requantization_from_scales, thresholds_of

__all__ = [
    "QuantParameters",
    "affine_parameters",
    "convolution_multipliers",
    "dense_multiplier_per_tensor",
    "dequantize",
    "encode_multiplier",
    "encode_multipliers",
    "fake_quant",
    "float32_multiplier",
    "minmax_range",
    "mse_peak",
    "percentile_range",
    "power_of_two_parameters",
    "power_of_two_shift",
    "product_multiplier",
    "quantize",
    "reduced_multiplier16",
    "requant_from_scales",
    "requantization_from_scales",
    "symmetric_parameters",
    "thresholds_of",
]
