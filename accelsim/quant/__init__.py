"""The only crossing between real numbers and integers: quantizers, ranges, and scale ratios as multipliers."""

from accelsim.quant.affine import dequantize, fake_quant, quantize
from accelsim.quant.entropy import BINS, entropy_range
from accelsim.quant.frameworks import FAKE_QUANT_RULES, FakeQuantRule, codes_as, fake_quant_as
from accelsim.quant.multiplier import (
    convolution_multipliers,
    dense_multiplier_per_tensor,
    divided_multiplier,
    encode_multiplier,
    encode_multipliers,
    float32_multiplier,
    power_of_two_shift,
    product_multiplier,
    reduced_multiplier16,
    requant_from_scales,
)
from accelsim.quant.quantizer import Quantizer, bipolar_scales, channel_scales, fold_batch_norm, quantize_bias
from accelsim.quant.ranges import (
    QuantParameters,
    affine_parameters,
    minmax_range,
    moving_average_range,
    mse_peak,
    mse_range,
    percentile_range,
    power_of_two_parameters,
    symmetric_parameters,
)
from accelsim.quant.thresholds import requantization_from_scales, thresholds_of

__all__ = [
    "BINS",
    "FAKE_QUANT_RULES",
    "FakeQuantRule",
    "QuantParameters",
    "Quantizer",
    "affine_parameters",
    "bipolar_scales",
    "channel_scales",
    "codes_as",
    "convolution_multipliers",
    "dense_multiplier_per_tensor",
    "dequantize",
    "divided_multiplier",
    "encode_multiplier",
    "encode_multipliers",
    "entropy_range",
    "fake_quant",
    "fake_quant_as",
    "float32_multiplier",
    "fold_batch_norm",
    "minmax_range",
    "moving_average_range",
    "mse_peak",
    "mse_range",
    "percentile_range",
    "power_of_two_parameters",
    "power_of_two_shift",
    "product_multiplier",
    "quantize",
    "quantize_bias",
    "reduced_multiplier16",
    "requant_from_scales",
    "requantization_from_scales",
    "symmetric_parameters",
    "thresholds_of",
]
