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
    folded_factors,
    power_of_two_shift,
    requant_from_scales,
)
from accelsim.quant.quantizer import Quantizer, bipolar_scales, channel_scales, fold_batch_norm, quantize_bias
from accelsim.quant.ranges import (
    QuantParameters,
    affine_parameters,
    minmax_range,
    moving_average_range,
    mse_range,
    percentile_range,
    power_of_two_parameters,
    symmetric_parameters,
)
from accelsim.quant.thresholds import requantization_from_scales, thresholds_of
