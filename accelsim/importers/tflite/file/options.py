"""Which options of which operator are read from the file, with the schema's defaults (LiteRT schema.fbs)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from accelsim.importers.tflite.file.records import Option

Fields = Mapping[str, tuple[str, Option]]

NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
"""ActivationFunctionType values that are accepted."""
ACTIVATION_NAMES = MappingProxyType({0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"})
SAME, VALID = 0, 1
"""Padding values."""

_ACTIVATION: Fields = {"fused_activation": ("FusedActivationFunction", 0)}
_WINDOW: Fields = {"padding": ("Padding", 0), "stride_h": ("StrideH", 0), "stride_w": ("StrideW", 0)}
_DILATION: Fields = {"dilation_h": ("DilationHFactor", 1), "dilation_w": ("DilationWFactor", 1)}
_CONVOLUTION: Fields = {**_WINDOW, **_DILATION, **_ACTIVATION}
_BIAS: Fields = {"quantized_bias_type": ("QuantizedBiasType", 0)}
_POOL: Fields = {**_WINDOW, **_ACTIVATION, "filter_h": ("FilterHeight", 0), "filter_w": ("FilterWidth", 0)}
_SUM: Fields = {**_ACTIVATION, "pot_scale_int16": ("PotScaleInt16", True)}
_SLICE: Fields = {
    "begin_mask": ("BeginMask", 0),
    "end_mask": ("EndMask", 0),
    "ellipsis_mask": ("EllipsisMask", 0),
    "new_axis_mask": ("NewAxisMask", 0),
    "shrink_axis_mask": ("ShrinkAxisMask", 0),
    "offset": ("Offset", False),
}

OPTION_FIELDS: Mapping[str, tuple[str, Fields]] = MappingProxyType(
    {
        "CONV_2D": ("Conv2DOptions", {**_CONVOLUTION, **_BIAS}),
        "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", {**_CONVOLUTION, "depth_multiplier": ("DepthMultiplier", 0)}),
        "TRANSPOSE_CONV": ("TransposeConvOptions", {**_WINDOW, **_ACTIVATION, **_BIAS}),
        "FULLY_CONNECTED": (
            "FullyConnectedOptions",
            {**_ACTIVATION, **_BIAS, "weights_format": ("WeightsFormat", 0), "keep_num_dims": ("KeepNumDims", False)},
        ),
        "BATCH_MATMUL": ("BatchMatMulOptions", {"adj_x": ("AdjX", False), "adj_y": ("AdjY", False)}),
        "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
        "MAX_POOL_2D": ("Pool2DOptions", _POOL),
        "ADD": ("AddOptions", _SUM),
        "SUB": ("SubOptions", _SUM),
        "MUL": ("MulOptions", _ACTIVATION),
        "MEAN": ("ReducerOptions", {"keep_dims": ("KeepDims", False)}),
        "CONCATENATION": ("ConcatenationOptions", {"axis": ("Axis", 0), **_ACTIVATION}),
        "STRIDED_SLICE": ("StridedSliceOptions", _SLICE),
        "SOFTMAX": ("SoftmaxOptions", {"beta": ("Beta", 0.0)}),
        "LEAKY_RELU": ("LeakyReluOptions", {"alpha": ("Alpha", 0.0)}),
        "RESIZE_NEAREST_NEIGHBOR": (
            "ResizeNearestNeighborOptions",
            {"align_corners": ("AlignCorners", False), "half_pixel_centers": ("HalfPixelCenters", False)},
        ),
    }
)
"""Operator -> (options table, {field: (accessor of the ``tflite`` package, default)})."""
