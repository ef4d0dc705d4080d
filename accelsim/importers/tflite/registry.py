"""Every operator that is accepted, with what it becomes: the only list, for lowering and for documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from accelsim.graph import (
    Add,
    ArgMax,
    ArgMin,
    AveragePool2D,
    BinaryLut,
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
    TransposeConv2D,
)
from accelsim.importers.registry import Lowering, OperatorSupport
from accelsim.importers.tflite.context import Made, NodeContext
from accelsim.importers.tflite.lower import (
    blocks,
    elementwise,
    functions,
    lut,
    mac,
    matmul,
    pairs,
    pieces,
    resize,
    shape,
    sums,
    window,
)
from accelsim.importers.tflite.lower.recurrent import lstm, svdf

_WEIGHTS = "int8 or int4 weights, per tensor or per channel; SAME or VALID"
_CODES = "int8, int16"
_MOVED = "int8, int16, int32"
_RESHAPED = "int8, int16, int32, int64"
_EXTREME = "one scale and zero point throughout; 16 bits with one constant number"
_INDEX = "constant axis; an int32 or int64 index, the first of several"
_SAME_SCALE = "input and output share scale and zero point"

LOWERINGS: Mapping[str, Lowering[Callable[[NodeContext], Layer | Made]]] = MappingProxyType(
    {
        "CONV_2D": Lowering(mac.lower_conv2d, (Conv2D,), "int8, int16x8", f"{_WEIGHTS}; stride, dilation, groups"),
        "DEPTHWISE_CONV_2D": Lowering(
            mac.lower_depthwise_conv2d, (DepthwiseConv2D,), "int8, int16x8", f"{_WEIGHTS}; any depth multiplier"
        ),
        "FULLY_CONNECTED": Lowering(
            mac.lower_fully_connected,
            (Dense,),
            "int8, int16x8",
            "int8 or int4 weights, per tensor or per channel; bias optional",
        ),
        "TRANSPOSE_CONV": Lowering(
            mac.lower_transpose_conv, (TransposeConv2D,), "int8, int16x8", f"{_WEIGHTS}; bias optional"
        ),
        "BATCH_MATMUL": Lowering(
            matmul.lower_batch_matmul,
            (MatMul, Transpose, Concat),
            _CODES,
            "leading axes that broadcast; adj_x, adj_y; an operand may be constant",
        ),
        "SVDF": Lowering(
            svdf.lower_svdf,
            (Dense, StridedSlice, Concat, Conv2D),
            "int8, state and weights over time int16 (or int8)",
            "any rank and memory; its variable tensor is kept from inference to inference",
        ),
        "UNIDIRECTIONAL_SEQUENCE_LSTM": Lowering(
            lstm.lower_lstm,
            (Dense, StridedSlice, Add, InterpolatedLut, Mul, Concat, Reshape),
            "int8, int16x8, cell int16",
            "of tflite-micro, unrolled over up to 256 steps; its variable tensors are kept from inference to inference",
        ),
        "ADD": Lowering(sums.lower_add, (Add,), _CODES, "broadcasting; an operand may be constant"),
        "SUB": Lowering(sums.lower_sub, (Sub,), _CODES, "broadcasting; an operand may be constant"),
        "MUL": Lowering(elementwise.lower_mul, (Mul,), _CODES, "broadcasting; an operand may be constant"),
        "AVERAGE_POOL_2D": Lowering(window.lower_average_pool, (AveragePool2D,), _CODES, _SAME_SCALE),
        "MAX_POOL_2D": Lowering(window.lower_max_pool, (MaxPool2D,), _CODES, _SAME_SCALE),
        "MEAN": Lowering(window.lower_mean, (Mean,), _CODES, "any constant axes, keep_dims or not"),
        "SUM": Lowering(window.lower_mean, (Mean,), _CODES, "any constant axes, keep_dims or not"),
        "REDUCE_MAX": Lowering(window.lower_reduce_extreme, (ReduceMax,), _CODES, "constant axes, keep_dims or not"),
        "REDUCE_MIN": Lowering(window.lower_reduce_extreme, (ReduceMin,), _CODES, "constant axes, keep_dims or not"),
        "ARG_MAX": Lowering(window.lower_arg_extreme, (ArgMax,), "int8", _INDEX),
        "ARG_MIN": Lowering(window.lower_arg_extreme, (ArgMin,), "int8", _INDEX),
        "PAD": Lowering(shape.lower_pad, (Pad,), _CODES, "constant paddings"),
        "PADV2": Lowering(shape.lower_pad, (Pad,), _CODES, "constant paddings and fill value"),
        "RESHAPE": Lowering(shape.lower_reshape, (Reshape,), _RESHAPED, "moves nothing"),
        "SQUEEZE": Lowering(shape.lower_reshape, (Reshape,), _RESHAPED, "moves nothing"),
        "EXPAND_DIMS": Lowering(shape.lower_reshape, (Reshape,), _RESHAPED, "moves nothing"),
        "TRANSPOSE": Lowering(shape.lower_transpose, (Transpose,), _MOVED, "constant permutation"),
        "CONCATENATION": Lowering(shape.lower_concatenation, (Concat,), _MOVED, "one scale and zero point throughout"),
        "STRIDED_SLICE": Lowering(
            shape.lower_strided_slice,
            (StridedSlice,),
            _MOVED,
            "constant bounds; begin, end and shrink masks; negative strides",
        ),
        "RESIZE_NEAREST_NEIGHBOR": Lowering(
            resize.lower_resize_nearest_neighbor,
            (ResizeNearest,),
            _CODES,
            "constant size; align_corners, half_pixel_centers",
        ),
        "RESIZE_BILINEAR": Lowering(
            resize.lower_resize_bilinear,
            (ResizeBilinear,),
            _CODES,
            "constant size; align_corners, half_pixel_centers",
        ),
        "SPLIT": Lowering(pieces.lower_split, (StridedSlice,), _MOVED, "constant axis"),
        "SPLIT_V": Lowering(pieces.lower_split_v, (StridedSlice,), _MOVED, "constant sizes and axis"),
        "UNPACK": Lowering(pieces.lower_unpack, (StridedSlice,), _MOVED),
        "PACK": Lowering(pieces.lower_pack, (Concat,), _MOVED, "one scale and zero point throughout"),
        "SLICE": Lowering(pieces.lower_slice, (StridedSlice,), _MOVED, "constant begins and sizes"),
        "REVERSE_V2": Lowering(pieces.lower_reverse, (StridedSlice,), _MOVED, "constant axes"),
        "GATHER": Lowering(pieces.lower_gather, (StridedSlice, Concat), _MOVED, "constant indices, in up to 128 runs"),
        "TILE": Lowering(pieces.lower_tile, (Concat, Reshape), _MOVED, "constant multiples"),
        "BROADCAST_TO": Lowering(pieces.lower_tile, (Concat, Reshape), _MOVED, "constant shape"),
        "MIRROR_PAD": Lowering(
            pieces.lower_mirror_pad, (Concat, StridedSlice, Reshape), _MOVED, "constant paddings; REFLECT, SYMMETRIC"
        ),
        "DEPTH_TO_SPACE": Lowering(blocks.lower_depth_to_space, (Transpose,), _CODES),
        "SPACE_TO_DEPTH": Lowering(blocks.lower_space_to_depth, (Transpose,), _CODES),
        "SPACE_TO_BATCH_ND": Lowering(
            blocks.lower_space_to_batch, (Pad, Transpose), _CODES, "constant blocks and paddings"
        ),
        "BATCH_TO_SPACE_ND": Lowering(
            blocks.lower_batch_to_space, (Transpose, StridedSlice), _CODES, "constant blocks and crops"
        ),
        "SOFTMAX": Lowering(lut.lower_softmax, (Softmax,), _CODES, "over the last axis"),
        "LOGISTIC": Lowering(lut.lower_logistic_or_tanh, (Lut, InterpolatedLut), _CODES),
        "TANH": Lowering(lut.lower_logistic_or_tanh, (Lut, InterpolatedLut), _CODES),
        "HARD_SWISH": Lowering(lut.lower_hard_swish, (Lut,), "int8"),
        "RELU": Lowering(elementwise.lower_relu, (Rescale,), _CODES),
        "RELU6": Lowering(elementwise.lower_relu, (Rescale,), _CODES),
        "RELU_N1_TO_1": Lowering(elementwise.lower_relu, (Rescale,), _CODES),
        "LEAKY_RELU": Lowering(elementwise.lower_leaky_relu, (LeakyRelu,), _CODES),
        "MINIMUM": Lowering(pairs.lower_extreme, (Rescale, BinaryLut), _CODES, _EXTREME),
        "MAXIMUM": Lowering(pairs.lower_extreme, (Rescale, BinaryLut), _CODES, _EXTREME),
        "PRELU": Lowering(pairs.lower_prelu, (BinaryLut,), "int8", "broadcasting; alpha may be constant"),
        "SQUARED_DIFFERENCE": Lowering(pairs.lower_squared_difference, (BinaryLut,), "int8", "broadcasting"),
        **dict.fromkeys(("EXP", "ELU", "GELU", "LOG"), Lowering(functions.lower_function, (Lut,), "int8")),
        "ABS": Lowering(functions.lower_abs, (Lut,), "int8"),
        "RSQRT": Lowering(functions.lower_rsqrt, (Lut,), "int8"),
        "QUANTIZE": Lowering(
            elementwise.lower_quantize, (Rescale,), _MOVED, "from float only at graph inputs, on the host"
        ),
    }
)
"""Operator name as TFLite spells it -> its lowering."""

BOUNDARY = OperatorSupport(
    "DEQUANTIZE", ".tflite", "int8, int16 to float32", "host", "only at graph outputs; done by the host"
)
"""What the host carries out and no lowering sees."""
