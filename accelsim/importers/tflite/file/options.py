"""Every option of every operator that is accepted, with the schema's defaults (LiteRT schema.fbs), and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.file.records import Option

Fields = Mapping[str, tuple[str, Option]]

NONE, RELU, RELU_N1_TO_1, RELU6, TANH = 0, 1, 2, 3, 4
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
_ASYMMETRIC: Fields = {"asymmetric_quantize_inputs": ("AsymmetricQuantizeInputs", False)}
_REDUCER: Fields = {"keep_dims": ("KeepDims", False)}
_RESIZE: Fields = {
    "align_corners": ("AlignCorners", False),
    "half_pixel_centers": ("HalfPixelCenters", False),
}
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
            {
                **_ACTIVATION,
                **_BIAS,
                **_ASYMMETRIC,
                "weights_format": ("WeightsFormat", 0),
                "keep_num_dims": ("KeepNumDims", False),
            },
        ),
        "BATCH_MATMUL": ("BatchMatMulOptions", {"adj_x": ("AdjX", False), "adj_y": ("AdjY", False), **_ASYMMETRIC}),
        "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
        "MAX_POOL_2D": ("Pool2DOptions", _POOL),
        "ADD": ("AddOptions", _SUM),
        "SUB": ("SubOptions", _SUM),
        "MUL": ("MulOptions", _ACTIVATION),
        "DIV": ("DivOptions", _ACTIVATION),
        **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"), ("ReducerOptions", _REDUCER)),
        "CONCATENATION": ("ConcatenationOptions", {"axis": ("Axis", 0), **_ACTIVATION}),
        "STRIDED_SLICE": ("StridedSliceOptions", _SLICE),
        "SOFTMAX": ("SoftmaxOptions", {"beta": ("Beta", 0.0)}),
        "LEAKY_RELU": ("LeakyReluOptions", {"alpha": ("Alpha", 0.0)}),
        "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", _RESIZE),
        "RESIZE_BILINEAR": ("ResizeBilinearOptions", _RESIZE),
        "RESHAPE": ("ReshapeOptions", {"new_shape": ("NewShape", ())}),
        "SQUEEZE": ("SqueezeOptions", {"squeeze_dims": ("SqueezeDims", ())}),
        "SPLIT": ("SplitOptions", {"num_splits": ("NumSplits", 0)}),
        "SPLIT_V": ("SplitVOptions", {"num_splits": ("NumSplits", 0)}),
        "UNPACK": ("UnpackOptions", {"num": ("Num", 0), "axis": ("Axis", 0)}),
        "PACK": ("PackOptions", {"values_count": ("ValuesCount", 0), "axis": ("Axis", 0)}),
        "GATHER": ("GatherOptions", {"axis": ("Axis", 0), "batch_dims": ("BatchDims", 0)}),
        "DEPTH_TO_SPACE": ("DepthToSpaceOptions", {"block_size": ("BlockSize", 0)}),
        "SPACE_TO_DEPTH": ("SpaceToDepthOptions", {"block_size": ("BlockSize", 0)}),
        "MIRROR_PAD": ("MirrorPadOptions", {"mode": ("Mode", 0)}),
        "GELU": ("GeluOptions", {"approximate": ("Approximate", False)}),
        "SHAPE": ("ShapeOptions", {"out_type": ("OutType", 0)}),
        "CAST": ("CastOptions", {"in_data_type": ("InDataType", 0), "out_data_type": ("OutDataType", 0)}),
        "VAR_HANDLE": ("VarHandleOptions", {"container": ("Container", ""), "shared_name": ("SharedName", "")}),
        "CALL_ONCE": ("CallOnceOptions", {"init_subgraph_index": ("InitSubgraphIndex", 0)}),
        "SVDF": ("SVDFOptions", {"rank": ("Rank", 0), **_ACTIVATION, **_ASYMMETRIC}),
        "UNIDIRECTIONAL_SEQUENCE_LSTM": (
            "UnidirectionalSequenceLSTMOptions",
            {
                **_ACTIVATION,
                "cell_clip": ("CellClip", 0.0),
                "proj_clip": ("ProjClip", 0.0),
                "time_major": ("TimeMajor", False),
                **_ASYMMETRIC,
                "diagonal_recurrent_tensors": ("DiagonalRecurrentTensors", False),
            },
        ),
        "ARG_MAX": ("ArgMaxOptions", {"output_type": ("OutputType", 0)}),
        "ARG_MIN": ("ArgMinOptions", {"output_type": ("OutputType", 0)}),
        **{
            op: (table, MappingProxyType({}))
            for op, table in {
                "PAD": "PadOptions",
                "PADV2": "PadV2Options",
                "EXPAND_DIMS": "ExpandDimsOptions",
                "TRANSPOSE": "TransposeOptions",
                "HARD_SWISH": "HardSwishOptions",
                "QUANTIZE": "QuantizeOptions",
                "DEQUANTIZE": "DequantizeOptions",
                "SLICE": "SliceOptions",
                "TILE": "TileOptions",
                "SPACE_TO_BATCH_ND": "SpaceToBatchNDOptions",
                "BATCH_TO_SPACE_ND": "BatchToSpaceNDOptions",
                "MINIMUM": "MaximumMinimumOptions",
                "MAXIMUM": "MaximumMinimumOptions",
                "ABS": "AbsOptions",
                "EXP": "ExpOptions",
                "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
                "REVERSE_V2": "ReverseV2Options",
                "BROADCAST_TO": "BroadcastToOptions",
                "FLOOR_DIV": "FloorDivOptions",
                "READ_VARIABLE": "ReadVariableOptions",
                "ASSIGN_VARIABLE": "AssignVariableOptions",
            }.items()
        },
    }
)
"""Operator -> (options table, {field: (accessor of the ``tflite`` package, default)}); every field of the table stands here.

An operator that is absent has no table in the schema.
"""


class Reading(Protocol):
    """How the file's vectors and names are read."""

    def indices(self, length: int, values: Any, what: str) -> tuple[int, ...]: ...

    def text(self, raw: bytes | None) -> str: ...


def read_options(raw: Any, op: str, reading: Reading) -> dict[str, Option]:
    """The options of the operator record ``raw`` by field name; the schema's defaults where the table is absent.

    RefusalError for a table of another operator, or one with fields that the schema did not have
    when this was written.
    """
    import importlib

    if op not in OPTION_FIELDS:
        return {}
    table, fields = OPTION_FIELDS[op]
    union = raw.BuiltinOptions()
    if union is None:
        return {name: default for name, (_, default) in fields.items()}
    _check_table(raw.BuiltinOptionsType(), table)
    module = importlib.import_module(f"tflite.{table}")
    options = getattr(module, table)()
    options.Init(union.Bytes, union.Pos)
    _check_fields(options, module, table)
    return {name: _value(options, accessor, default, reading) for name, (accessor, default) in fields.items()}


def _value(options: Any, accessor: str, default: Option, reading: Reading) -> Option:
    if isinstance(default, str):
        return reading.text(getattr(options, accessor)())
    if not isinstance(default, tuple):
        value: Option = getattr(options, accessor)()
        return value
    length = getattr(options, f"{accessor}Length")()
    return reading.indices(length, getattr(options, f"{accessor}AsNumpy")(), f"the option {accessor}")


def _check_table(number: int, table: str) -> None:
    from tflite.BuiltinOptions import BuiltinOptions

    names = {value: name for name, value in vars(BuiltinOptions).items() if not name.startswith("_")}
    found = names.get(number, f"table {number}")
    if found != table:
        raise RefusalError(f"its options are {found}", table)


class _Slots:
    """Stands in for a builder of flatbuffers to be told how many fields a table has, deprecated ones too."""

    def StartObject(self, count: int) -> None:  # noqa: N802
        self.count = count


def _check_fields(options: Any, module: Any, table: str) -> None:
    """A flatbuffer table begins with the distance to the list of its fields' places, of 2 bytes each, 0 where one is at its default.

    The list begins with its own size and the table's.
    """
    from flatbuffers.number_types import SOffsetTFlags, VOffsetTFlags

    tab, start = options._tab, options._tab.Pos
    slots = _Slots()
    getattr(module, f"{table}Start")(slots)
    known = slots.count
    size = tab.Get(VOffsetTFlags, start - tab.Get(SOffsetTFlags, start))
    if any(tab.Offset(place) for place in range(4 + 2 * known, size, 2)):
        raise RefusalError(
            f"its {table} have a field that was added to the schema later", f"the first {known} fields of {table}"
        )
