"""Damage: of bytes, of lines and numbers in text, of arrays, of an ONNX network's parts."""

from __future__ import annotations

import io
import random
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx

Rng = random.Random
NUMBERS = ("0", "-1", "1", "2", "7", "255", "65536", "2147483647", "-2147483648", "4294967296", "9" * 19, "9" * 400, "1e400", "0.5",
           "-0.0", "nan", ".inf", "1e-320", "0x10", "1_000", "1e9")  # fmt: skip
TEXTS = ("", "null", "[]", "{}", "true", "~", "''", "a", "é", "\u202e", '"', "- 1", "{a: b}", "&a", "*a", "!!python/object:os.system", "<<: *a",
         "=1+1", "\\x1b[2J", "1 KiB", "3 pJ", ",", "conv2d", "dense", "edge_16x16", "../x")  # fmt: skip
WORDS = (
    0,
    1,
    2,
    4,
    8,
    255,
    65535,
    65536,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0xFFFFFFFC,
    0x3F800000,
    0x7F800000,
    0x7FC00000,
    1 << 20,
)


def damaged(kind: str, data: bytes, rng: Rng) -> bytes:
    """``data`` of a file of ``kind`` (its suffix) after one to three damages."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(KINDS[kind])(data, rng)
    return data


def of_bytes(data: bytes, rng: Rng) -> bytes:
    """Flipped, cut, doubled, lost, zeroed or foreign bytes."""
    if not data:
        return rng.randbytes(rng.randrange(64))
    i = rng.randrange(len(data))
    span = rng.choice((1, 1, 4, 16, 256))
    return rng.choice(
        (
            data[:i] + bytes([data[i] ^ (1 << rng.randrange(8))]) + data[i + 1 :],
            data[:i],
            data[:i] + data[i : i + span] + data[i:],
            data[:i] + data[i + span :],
            data[:i] + bytes(span) + data[i + span :],
            data[:i] + rng.randbytes(span) + data[i + span :],
        )
    )


def of_words(data: bytes, rng: Rng) -> bytes:
    """A 32-bit word of the file, as a table of offsets has them, becomes another one; near the front, where structure is, more often."""
    if len(data) < 8:
        return of_bytes(data, rng)
    changed = bytearray(data)
    reach = rng.choice((256, 4096, len(data)))
    at = 4 * rng.randrange(max(1, min(reach, len(data)) // 4))
    for start in (at, len(data) - at - 4):
        if rng.random() < 0.6:
            struct.pack_into("<I", changed, max(0, start // 4 * 4), rng.choice((*WORDS, rng.randrange(1 << 32))))
    return bytes(changed)


def of_text(data: bytes, rng: Rng) -> bytes:
    """A number, a word or a line of a text becomes another, is doubled or lost."""
    text = data.decode("utf-8", "surrogateescape")
    tokens = list(re.finditer(rng.choice((r"-?[0-9][0-9_.]*", r"[A-Za-z_]+", r"[^\n,:]+")), text))
    lines = text.splitlines(keepends=True)
    if not tokens or rng.random() < 0.25:
        i, j = (rng.randrange(len(lines) or 1) for _ in range(2))
        lines = rng.choice(
            (lines[:i] + lines[i + 1 :], lines[:i] + lines[j : j + 1] + lines[i:], [*lines[:i], "  ", *lines[i:]])
        )
        return "".join(lines).encode("utf-8", "surrogateescape")
    token = rng.choice(tokens)
    other = rng.choice((rng.choice(NUMBERS), rng.choice(TEXTS), rng.choice(tokens).group(), token.group() * 2))
    return (text[: token.start()] + other + text[token.end() :]).encode("utf-8", "surrogateescape")


def of_arrays(data: bytes, rng: Rng) -> bytes:
    """Arrays of other shapes, types, values, names."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays: dict[str, Any] = dict(file)
    except Exception:  # damaged before; zipfile and zlib have their own kinds
        return of_bytes(data, rng)
    if not arrays:
        return of_bytes(data, rng)
    name = rng.choice(sorted(arrays))
    arrays[rng.choice((name, name, "labels", "x", ""))] = _other_array(arrays.pop(name), rng)
    out = io.BytesIO()
    np.savez(out, **{key or "empty": value for key, value in arrays.items()})
    return out.getvalue()


def _other_array(array: Any, rng: Rng) -> Any:
    def spoiled() -> Any:
        real = array.astype(np.float64)
        if real.size:
            real.flat[rng.randrange(real.size)] = rng.choice((np.nan, np.inf, -1e300, 1e6, 0.25))
        return real

    makers: tuple[Callable[[], Any], ...] = (
        lambda: array.astype(rng.choice(("float32", "float16", "int64", "uint8", "bool", "complex64", "U8", "object", "uint64"))),
        lambda: array[: rng.randrange(3)], lambda: array[..., : rng.randrange(4)], lambda: array.reshape(-1),
        lambda: array[None], lambda: array.T, lambda: np.zeros(()), lambda: np.zeros((0, 3)), lambda: array.astype("datetime64[s]"),
        lambda: array * 1000, lambda: array - 128, spoiled, lambda: array.astype(array.dtype.newbyteorder()),
    )  # fmt: skip
    try:
        with np.errstate(all="ignore"):
            return rng.choice(makers)()
    except (ValueError, TypeError, IndexError, OverflowError):
        return np.array("text")


def of_onnx(data: bytes, rng: Rng) -> bytes:
    """A network with another node, attribute, edge, constant or shape."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # damaged before; the parser of protobuf has many names for it
        return of_words(data, rng)
    graph = model.graph
    if not (graph.node and graph.initializer and graph.input and graph.output):
        return of_bytes(data, rng)
    rng.choice((_attribute, _edge, _node, _constant, _shape, _model))(model, rng)
    return bytes(model.SerializeToString())


def _attribute(model: Any, rng: Rng) -> None:
    node = rng.choice([node for node in model.graph.node if node.attribute] or list(model.graph.node))
    if not node.attribute or rng.random() < 0.2:
        name = rng.choice(("axis", "group", "strides", "pads", "auto_pad", "alpha", "narrow"))
        node.attribute.append(onnx.helper.make_attribute(name, rng.choice((0, -1, 99))))
        return
    one = rng.choice(list(node.attribute))
    if one.ints:
        one.ints[rng.randrange(len(one.ints))] = rng.choice((0, -1, 1, 3, 1 << 20, (1 << 63) - 1))
    elif one.type == onnx.AttributeProto.INT:
        one.i = rng.choice((0, -1, 1, 2, 7, 1 << 40))
    else:
        one.f, one.s = rng.choice((0.0, float("nan"), -1.0)), rng.choice((b"", b"SAME_UPPER", b"\xff", b"ROUND"))


def _edge(model: Any, rng: Rng) -> None:
    names = [name for node in model.graph.node for name in (*node.input, *node.output)]
    node = rng.choice(list(model.graph.node))
    ends = rng.choice((node.input, node.output))
    if ends:
        ends[rng.randrange(len(ends))] = rng.choice((*names, "", "no_such_tensor"))
    else:
        node.input.append(rng.choice(names))


def _node(model: Any, rng: Rng) -> None:
    nodes, i = model.graph.node, rng.randrange(len(model.graph.node))
    other = onnx.NodeProto()
    other.CopyFrom(rng.choice(list(nodes)))
    match rng.randrange(5):
        case 0:
            del nodes[i]
        case 1:
            nodes.insert(i, other)
        case 2:
            nodes[i].op_type = rng.choice((other.op_type, "Softmax", "LSTM", "Identity", "Add", "Relu", "Gemm", ""))
        case 3:
            nodes[i].domain = rng.choice(("", "qonnx.custom_op.general", "com.microsoft", "x"))
        case _:
            del nodes[i].input[rng.randrange(len(nodes[i].input) + 1) :]


def _constant(model: Any, rng: Rng) -> None:
    constant = rng.choice(list(model.graph.initializer))
    match rng.randrange(5):
        case 0:
            constant.data_type = rng.randrange(25)
        case 1:
            constant.dims.append(rng.choice((0, 1, -1, 2, 1 << 40)))
        case 2 if constant.dims:
            constant.dims[rng.randrange(len(constant.dims))] = rng.choice((0, 1, -1, 3, 1 << 40))
        case 3:
            constant.raw_data = of_words(constant.raw_data, rng)
        case _:
            kind = onnx.numpy_helper.to_array(constant).dtype
            values = np.full(tuple(constant.dims), rng.choice((0, 1, -1, 100)), np.int64).astype(kind)
            constant.CopyFrom(onnx.numpy_helper.from_array(values, constant.name))


def _shape(model: Any, rng: Rng) -> None:
    value = rng.choice([*model.graph.input, *model.graph.output])
    value.type.tensor_type.elem_type = rng.choice((value.type.tensor_type.elem_type, 1, 2, 3, 7, 10, 0))
    dims = value.type.tensor_type.shape.dim
    if dims:
        dims[rng.randrange(len(dims))].dim_value = rng.choice((0, 1, -1, 2, 5, 100000, 1 << 40))


def _model(model: Any, rng: Rng) -> None:
    match rng.randrange(3):
        case 0 if model.opset_import:
            model.opset_import[0].version = rng.choice((0, -1, 1, 7, 13, 21, 999))
        case 1:
            model.graph.output[0].name = rng.choice(("no_such_tensor", "", model.graph.input[0].name))
        case _:
            del model.graph.initializer[rng.randrange(len(model.graph.initializer))]


Damage = Callable[[bytes, Rng], bytes]
KINDS: Mapping[str, tuple[Damage, ...]] = {
    ".tflite": (of_bytes, of_words, of_words),
    ".onnx": (of_bytes, of_onnx, of_onnx, of_onnx),
    ".csv": (of_text, of_text, of_text, of_bytes),
    ".yaml": (of_text, of_text, of_text, of_bytes),
    ".npz": (of_arrays, of_arrays, of_bytes),
}
