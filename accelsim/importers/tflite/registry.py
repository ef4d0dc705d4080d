"""Every operator that is accepted, with what it becomes: the only list, for lowering and for documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from accelsim.graph import (
    Add,
    AveragePool2D,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    InterpolatedLut,
    Layer,
    LeakyRelu,
    Lut,
    MatMul,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    Rescale,
    Reshape,
    ResizeNearest,
    Softmax,
    StridedSlice,
    Sub,
    Transpose,
    TransposeConv2D,
)
from accelsim.importers.registry import Lowering, OperatorSupport
from accelsim.importers.tflite.context import Made, NodeContext
from accelsim.importers.tflite.lower.elementwise import (
    lower_add,
    lower_leaky_relu,
    lower_mul,
    lower_quantize,
    lower_relu,
    lower_sub,
)
from accelsim.importers.tflite.lower.lut import lower_hard_swish, lower_logistic_or_tanh, lower_softmax
from accelsim.importers.tflite.lower.mac import (
    lower_conv2d,
    lower_depthwise_conv2d,
    lower_fully_connected,
    lower_transpose_conv,
)
from accelsim.importers.tflite.lower.matmul import lower_batch_matmul
from accelsim.importers.tflite.lower.resize import lower_resize_nearest_neighbor
from accelsim.importers.tflite.lower.shape import (
    lower_concatenation,
    lower_pad,
    lower_reshape,
    lower_strided_slice,
    lower_transpose,
)
from accelsim.importers.tflite.lower.window import lower_average_pool, lower_max_pool, lower_mean

_WEIGHTS = "int8 or int4 weights, per tensor or per channel; SAME or VALID"
_CODES = "int8, int16"
_MOVED = "int8, int16, int32"
_SAME_SCALE = "input and output share scale and zero point"

LOWERINGS: Mapping[str, Lowering[Callable[[NodeContext], Layer | Made]]] = MappingProxyType(
    {
        "CONV_2D": Lowering(lower_conv2d, (Conv2D,), "int8, int16x8", f"{_WEIGHTS}; stride, dilation, groups"),
        "DEPTHWISE_CONV_2D": Lowering(
            lower_depthwise_conv2d, (DepthwiseConv2D,), "int8, int16x8", f"{_WEIGHTS}; any depth multiplier"
        ),
        "FULLY_CONNECTED": Lowering(
            lower_fully_connected,
            (Dense,),
            "int8, int16x8",
            "int8 or int4 weights, per tensor or per channel; bias optional",
        ),
        "TRANSPOSE_CONV": Lowering(
            lower_transpose_conv, (TransposeConv2D,), "int8, int16x8", f"{_WEIGHTS}; bias optional"
        ),
        "BATCH_MATMUL": Lowering(
            lower_batch_matmul,
            (MatMul, Transpose),
            _CODES,
            "equal leading axes or one right matrix; adj_x, adj_y; an operand may be constant",
        ),
        "ADD": Lowering(lower_add, (Add,), _CODES, "broadcasting; an operand may be constant"),
        "SUB": Lowering(lower_sub, (Sub,), _CODES, "broadcasting; an operand may be constant"),
        "MUL": Lowering(lower_mul, (Mul,), _CODES, "broadcasting; an operand may be constant"),
        "AVERAGE_POOL_2D": Lowering(lower_average_pool, (AveragePool2D,), _CODES, _SAME_SCALE),
        "MAX_POOL_2D": Lowering(lower_max_pool, (MaxPool2D,), _CODES, _SAME_SCALE),
        "MEAN": Lowering(lower_mean, (Mean,), _CODES, "any constant axes, keep_dims or not"),
        "PAD": Lowering(lower_pad, (Pad,), _CODES, "constant paddings"),
        "PADV2": Lowering(lower_pad, (Pad,), _CODES, "constant paddings and fill value"),
        "RESHAPE": Lowering(lower_reshape, (Reshape,), _MOVED, "moves nothing"),
        "SQUEEZE": Lowering(lower_reshape, (Reshape,), _MOVED, "moves nothing"),
        "EXPAND_DIMS": Lowering(lower_reshape, (Reshape,), _MOVED, "moves nothing"),
        "TRANSPOSE": Lowering(lower_transpose, (Transpose,), _MOVED, "constant permutation"),
        "CONCATENATION": Lowering(lower_concatenation, (Concat,), _MOVED, "one scale and zero point throughout"),
        "STRIDED_SLICE": Lowering(
            lower_strided_slice,
            (StridedSlice,),
            _MOVED,
            "constant bounds; begin, end and shrink masks; negative strides",
        ),
        "RESIZE_NEAREST_NEIGHBOR": Lowering(
            lower_resize_nearest_neighbor, (ResizeNearest,), _CODES, "constant size; align_corners, half_pixel_centers"
        ),
        "SOFTMAX": Lowering(lower_softmax, (Softmax,), _CODES, "over the last axis"),
        "LOGISTIC": Lowering(lower_logistic_or_tanh, (Lut, InterpolatedLut), _CODES),
        "TANH": Lowering(lower_logistic_or_tanh, (Lut, InterpolatedLut), _CODES),
        "HARD_SWISH": Lowering(lower_hard_swish, (Lut,), "int8"),
        "RELU": Lowering(lower_relu, (Rescale,), _CODES),
        "RELU6": Lowering(lower_relu, (Rescale,), _CODES),
        "RELU_N1_TO_1": Lowering(lower_relu, (Rescale,), _CODES),
        "LEAKY_RELU": Lowering(lower_leaky_relu, (LeakyRelu,), _CODES),
        "QUANTIZE": Lowering(lower_quantize, (Rescale,), _MOVED, "from float only at graph inputs, on the host"),
    }
)
"""Operator name as TFLite spells it -> its lowering."""

BOUNDARY = OperatorSupport(
    "DEQUANTIZE", ".tflite", "int8, int16 to float32", "host", "only at graph outputs; done by the host"
)
"""What the host carries out and no lowering sees."""
