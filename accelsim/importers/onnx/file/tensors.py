"""TensorProto: the values of a constant, whose claims are checked against the bytes that are there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ModelError, ModelFileError
from accelsim.importers.files import FileKind, one_line
from accelsim.importers.onnx.file.records import type_name
from accelsim.importers.onnx.file.sub_byte import BITS, unpack

MAX_ELEMENTS = 2**31 - 1
MAX_RANK = 8


def broken_rule(model: Any) -> str:
    """What onnx's own checkers say of a ModelProto or of the file at a path, with the node; empty where they find nothing."""
    import onnx

    where = ""
    try:
        model = onnx.load(model) if isinstance(model, Path) else model
        context = onnx.checker.C.CheckerContext()
        context.ir_version = model.ir_version
        context.opset_imports = {entry.domain: entry.version for entry in model.opset_import}
        for node in model.graph.node:  # before the whole, which is refused for outputs without shapes, too
            where = f"{node.op_type} {node.name!r}: "
            onnx.checker.check_node(node, context)
        where = ""
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except Exception as error:  # of protobuf, of the checker and of shape inference: each has its own kinds
        return where + one_line(error, longest=400)
    return ""


ONNX = FileKind(
    suffix=".onnx",
    name="an .onnx file",
    sizes="of 1 byte to 2 GiB",
    remedy="export or download it again",
    least_bytes=1,
    broken_rule=broken_rule,
)
_DTYPES: Mapping[str, np.dtype[Any]] = {
    "FLOAT": np.dtype("<f4"),
    "FLOAT16": np.dtype("<f2"),
    "DOUBLE": np.dtype("<f8"),
    "INT8": np.dtype("i1"),
    "UINT8": np.dtype("u1"),
    "INT16": np.dtype("<i2"),
    "UINT16": np.dtype("<u2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "BOOL": np.dtype("?"),
}
_TYPED_FIELDS = {"FLOAT": "float_data", "DOUBLE": "double_data", "INT64": "int64_data"}
"""Where a tensor without raw bytes keeps its values; every other type uses int32_data."""


@dataclass(frozen=True)
class TensorReader:
    """Constants of the model at ``path``; ModelFileError for damaged ones, ModelError for types that are not read."""

    path: Path

    def read(self, tensor: Any, name: str) -> NDArray[Any]:
        """The value of a TensorProto, whose claims are checked against the bytes that are there."""
        kind = type_name(tensor.data_type)
        shape = tuple(int(size) for size in tensor.dims)
        if kind not in _DTYPES and kind not in BITS:
            raise ModelError(
                f"{self.path}: constant {name!r} is {kind}; expected {', '.join((*_DTYPES, *BITS))}",
                path=str(self.path),
            )
        if len(shape) > MAX_RANK or min(shape, default=0) < 0 or math.prod(shape) > MAX_ELEMENTS:
            raise ONNX.malformed(self.path, f"constant {name!r} claims shape {list(shape)}")
        values = self.packed(tensor, name, kind) if kind in BITS else self.values(tensor, name, kind)
        if values.size != math.prod(shape):
            raise ONNX.malformed(self.path, f"constant {name!r} holds {values.size} values for shape {list(shape)}")
        return values.reshape(shape)

    def values(self, tensor: Any, name: str, kind: str) -> NDArray[Any]:
        dtype = _DTYPES[kind]
        if tensor.data_location == tensor.EXTERNAL:
            return np.frombuffer(self.external(tensor, name), dtype=dtype)
        if tensor.HasField("raw_data"):
            if len(tensor.raw_data) % dtype.itemsize:
                raise ONNX.malformed(
                    self.path, f"constant {name!r} has {len(tensor.raw_data)} bytes, no multiple of {dtype.itemsize}"
                )
            return np.frombuffer(tensor.raw_data, dtype=dtype)
        given = np.asarray(getattr(tensor, _TYPED_FIELDS.get(kind, "int32_data")))
        if kind == "FLOAT16":
            return given.astype(np.uint16).view(np.float16)
        converted = given.astype(dtype)
        if dtype.kind in "iu" and not np.array_equal(converted, given):
            raise ONNX.malformed(self.path, f"constant {name!r} holds values that are no {kind}")
        return converted

    def packed(self, tensor: Any, name: str, kind: str) -> NDArray[Any]:
        """Values of 4 or 2 bits from as many bytes as hold them, or from one entry of int32_data per byte."""
        count = math.prod(tensor.dims)
        if tensor.data_location == tensor.EXTERNAL:
            given = np.frombuffer(self.external(tensor, name), dtype=np.uint8)
        elif tensor.HasField("raw_data"):
            given = np.frombuffer(tensor.raw_data, dtype=np.uint8)
        else:
            given = np.asarray(tensor.int32_data, dtype=np.int64)
        if given.size != -(-count * BITS[kind] // 8) or int(given.min(initial=0)) < -128 or given.max(initial=0) > 255:
            raise ONNX.malformed(self.path, f"constant {name!r} holds {given.size} bytes for {count} values of {kind}")
        return unpack(given.astype(np.uint8), kind, count)

    def external(self, tensor: Any, name: str) -> bytes:
        """Bytes of a tensor that the model keeps in another file of its own directory."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        root = self.path.parent.resolve()
        try:
            file = (root / entries["location"]).resolve()
            if not file.is_relative_to(root) or not file.is_file():
                raise FileNotFoundError(f"no such file beside the model: {entries['location']!r}")
            offset = int(entries.get("offset", 0))
            length = int(entries.get("length", file.stat().st_size - offset))
            if offset < 0 or length < 0 or offset + length > file.stat().st_size:
                raise ValueError(f"bytes {offset} to {offset + length} are not in {entries['location']!r}")
            with file.open("rb") as stream:
                stream.seek(offset)
                data: bytes = stream.read(length)
                return data
        except (OSError, KeyError, ValueError) as error:
            raise ModelFileError(
                f"{self.path}: external data of constant {name!r} cannot be read: {one_line(error)}; "
                "keep the data file beside the model",
                path=str(self.path),
            ) from error
