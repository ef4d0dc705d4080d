"""Small .tflite files made in memory, so that tests need no converter."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers.builder import Builder
from tflite.BuiltinOptions import BuiltinOptions
from tflite.TensorType import TensorType
from tflite.utils import BUILTIN_OPCODE2NAME

CODES = {name: code for code, name in BUILTIN_OPCODE2NAME.items()}
TABLES = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "MEAN": "ReducerOptions",
    "CONCATENATION": "ConcatenationOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SOFTMAX": "SoftmaxOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "RESHAPE": "ReshapeOptions",
    "SQUEEZE": "SqueezeOptions",
    "EXPAND_DIMS": "ExpandDimsOptions",
    "TRANSPOSE": "TransposeOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "HARD_SWISH": "HardSwishOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions",
    "UNPACK": "UnpackOptions",
    "PACK": "PackOptions",
    "SLICE": "SliceOptions",
    "GATHER": "GatherOptions",
    "TILE": "TileOptions",
    "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "SPACE_TO_DEPTH": "SpaceToDepthOptions",
    "SPACE_TO_BATCH_ND": "SpaceToBatchNDOptions",
    "BATCH_TO_SPACE_ND": "BatchToSpaceNDOptions",
    "MIRROR_PAD": "MirrorPadOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "GELU": "GeluOptions",
    "ABS": "AbsOptions",
    "EXP": "ExpOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "SHAPE": "ShapeOptions",
    "CAST": "CastOptions",
    "REVERSE_V2": "ReverseV2Options",
    "BROADCAST_TO": "BroadcastToOptions",
    "ARG_MAX": "ArgMaxOptions",
    "ARG_MIN": "ArgMinOptions",
    "FLOOR_DIV": "FloorDivOptions",
    "SVDF": "SVDFOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
    "CALL_ONCE": "CallOnceOptions",
    "VAR_HANDLE": "VarHandleOptions",
    "READ_VARIABLE": "ReadVariableOptions",
    "ASSIGN_VARIABLE": "AssignVariableOptions",
}
VERSIONS = {"BROADCAST_TO": 3}
"""Of operators whose first versions no runtime has."""
DTYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "INT32": np.int32,
    "INT64": np.int64,
    "INT16": np.int16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT4": np.uint8,
}


@dataclass
class T:
    """A tensor; ``scale`` and ``zero`` are numbers or one per index of ``axis``; ``data`` makes it a constant.

    ``signature`` has -1 for sizes that are left open; ``variable``: the state of an operator.
    """

    name: str
    shape: Sequence[int]
    type: str = "INT8"
    scale: Any = None
    zero: Any = 0
    axis: int = 0
    data: Any = None
    signature: Sequence[int] | None = None
    variable: bool = False


@dataclass
class Op:
    """An operator; an input None is absent; ``options`` are named as in the schema's accessors."""

    name: str
    inputs: Sequence[str | None]
    outputs: Sequence[str]
    options: dict[str, Any] = field(default_factory=dict)
    custom: str | None = None


def tflite_bytes(
    tensors: Sequence[T],
    operators: Sequence[Op],
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    version: int = 3,
    identifier: bytes = b"TFL3",
    subgraph_count: int = 1,
    once: tuple[Sequence[T], Sequence[Op]] = ((), ()),
) -> bytes:
    """The file's bytes; tensors are named, indices are worked out here. ``once`` are tensors and operators of a second subgraph."""
    b = Builder(1024)
    every = [*tensors, *once[0]]
    datas = [b""] + [np.asarray(t.data, DTYPES[t.type]).tobytes() for t in every if t.data is not None]
    buffers = _tables(b, [_buffer(b, data) for data in datas])
    numbers = iter(range(1, len(datas)))
    codes = _tables(b, [_code(b, op) for op in (*operators, *once[1])])
    graph = _subgraph(b, tensors, operators, inputs, outputs, numbers, 0)
    second = [_subgraph(b, *once, (), (), numbers, len(operators))] if once[1] else []
    graphs = _tables(b, [graph] * subgraph_count + second)
    model = _table(b, "Model", Version=version, OperatorCodes=codes, Subgraphs=graphs, Buffers=buffers)
    b.Finish(model, file_identifier=identifier)
    return bytes(b.Output())


def _subgraph(
    b: Builder,
    tensors: Sequence[T],
    operators: Sequence[Op],
    inputs: Sequence[str],
    outputs: Sequence[str],
    numbers: Iterator[int],
    first_code: int,
) -> int:
    """One subgraph, whose constants have the next ``numbers`` of buffers, whose operators the codes from ``first_code`` on."""
    index = {t.name: i for i, t in enumerate(tensors)}
    rows = _tables(b, [_tensor(b, t, 0 if t.data is None else next(numbers)) for t in tensors])
    ops = _tables(b, [_operator(b, first_code + i, op, index) for i, op in enumerate(operators)])
    ins, outs = (_ints(b, [index[name] for name in names]) for names in (inputs, outputs))
    return _table(b, "SubGraph", Tensors=rows, Inputs=ins, Outputs=outs, Operators=ops)


def _table(b: Builder, name: str, **fields: Any) -> int:
    module = importlib.import_module(f"tflite.{name}")
    getattr(module, f"{name}Start")(b)
    for key, value in fields.items():
        if value is not None:
            getattr(module, f"{name}Add{key}")(b, value)
    return int(getattr(module, f"{name}End")(b))


def _tables(b: Builder, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def _ints(b: Builder, values: Sequence[int]) -> int:
    return int(b.CreateNumpyVector(np.asarray(values, np.int32)))


def _field(b: Builder, value: Any) -> Any:
    if isinstance(value, str):
        return b.CreateString(value)
    return _ints(b, value) if isinstance(value, list) else value


def _buffer(b: Builder, data: bytes) -> int:
    if not data:
        return _table(b, "Buffer")
    b.StartVector(1, len(data), 16)
    b.head = b.Head() - len(data)
    b.Bytes[b.Head() : b.Head() + len(data)] = data
    return _table(b, "Buffer", Data=b.EndVector())


def _tensor(b: Builder, t: T, buffer: int) -> int:
    quantization = None
    if t.scale is not None:
        scales = np.atleast_1d(np.asarray(t.scale, np.float32))
        zeros = np.broadcast_to(np.asarray(t.zero, np.int64), scales.shape).copy()
        quantization = _table(
            b,
            "QuantizationParameters",
            Scale=b.CreateNumpyVector(scales),
            ZeroPoint=b.CreateNumpyVector(zeros),
            QuantizedDimension=t.axis,
        )
    name, shape = b.CreateString(t.name), _ints(b, list(t.shape))
    signature = None if t.signature is None else _ints(b, list(t.signature))
    return _table(
        b,
        "Tensor",
        ShapeSignature=signature,
        Shape=shape,
        Type=getattr(TensorType, t.type),
        Buffer=buffer,
        Name=name,
        Quantization=quantization,
        IsVariable=t.variable,
    )


def _code(b: Builder, op: Op) -> int:
    custom = None if op.custom is None else b.CreateString(op.custom)
    version = VERSIONS.get(op.name, 1)
    code = CODES[op.name]
    return _table(
        b, "OperatorCode", DeprecatedBuiltinCode=min(code, 127), CustomCode=custom, Version=version, BuiltinCode=code
    )


def _operator(b: Builder, i: int, op: Op, index: dict[str, int]) -> int:
    table = TABLES.get(op.name)
    fields = {name: _field(b, value) for name, value in op.options.items()}
    options = None if table is None else _table(b, table, **fields)
    ins = _ints(b, [-1 if name is None else index[name] for name in op.inputs])
    outs = _ints(b, [index[name] for name in op.outputs])
    kind = None if table is None else getattr(BuiltinOptions, table)
    return _table(
        b, "Operator", OpcodeIndex=i, Inputs=ins, Outputs=outs, BuiltinOptionsType=kind, BuiltinOptions=options
    )


__all__ = ["CODES", "Op", "T", "flatbuffers", "tflite_bytes"]
