"""An .onnx file becomes plain records, or one ModelFileError says what is wrong with it.

Nothing that a file claims is believed before it is compared with the bytes that are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ModelError, ModelFileError
from accelsim.importers.files import GARBAGE, one_line
from accelsim.importers.onnx.file.records import QONNX_DOMAIN, Attribute, OnnxInput, OnnxModel, OnnxNode, type_name
from accelsim.importers.onnx.file.tensors import MAX_ELEMENTS, MAX_RANK, ONNX, TensorReader
from accelsim.importers.sized import shapes_of

FIRST_OPSET, OLDEST_OPSET = 13, 7
"""The first with per-channel QuantizeLinear and DequantizeLinear; older ones are brought up to it, from the oldest that converts."""
QONNX_DOMAINS = (QONNX_DOMAIN, "onnx.brevitas", "finn.custom_op.general")
"""Where Quant, BipolarQuant and Trunc live, by the age of the exporter."""
DOMAINS = ("", "ai.onnx", "com.microsoft", *QONNX_DOMAINS)


def read_onnx(path: Path) -> OnnxModel:
    """The records of the file at ``path``; ModelFileError when it is missing, damaged, or not an .onnx file."""
    message = _parse(path, ONNX.read(path))  # whose bytes are let go before any tensor is copied
    with ONNX.guard(path):
        reader = _Reader(path, message)
        opset = reader.opset()
        if opset >= FIRST_OPSET:
            return reader.model()
        told = f"from opset {opset} to {FIRST_OPSET} by onnx.version_converter"
        return replace(_Reader(path, _converted(path, message, opset)).model(), converted=told)


def _converted(path: Path, message: Any, opset: int) -> Any:
    """The model in the first opset that is read; ModelError where onnx's converter has no way to it."""
    import onnx

    outside = any(tensor.external_data for tensor in message.graph.initializer)
    reason = "its weights lie in another file" if outside else ""
    if opset < OLDEST_OPSET:
        reason = f"expected {OLDEST_OPSET} or later"
    if not reason:
        try:
            return onnx.version_converter.convert_version(message, FIRST_OPSET)
        except Exception as error:  # of the converter: it has kinds of its own
            reason = one_line(error)
    raise ModelError(
        f"{path}: opset {opset} cannot be brought to {FIRST_OPSET}: {reason}; export the model again with opset {FIRST_OPSET} or later",
        path=str(path),
    )


def _parse(path: Path, blob: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    message = onnx.ModelProto()
    try:
        message.ParseFromString(blob)
    except (DecodeError, *GARBAGE) as error:
        raise ONNX.malformed(path, f"it is no ModelProto ({one_line(error)})") from error
    return message


class _Reader:
    """One pass over one parsed file."""

    def __init__(self, path: Path, message: Any) -> None:
        import onnx

        self.path, self.message, self.graph = path, message, message.graph
        self.tensors = TensorReader(path)
        self.kinds: Any = onnx.AttributeProto

    def fail(self, reason: str) -> ModelFileError:
        return ONNX.malformed(self.path, reason)

    def model(self) -> OnnxModel:
        opset = self.opset()
        if not self.graph.node:
            raise self.fail("its graph has no nodes")
        constants = self.constants()
        nodes = [self.node(i, node) for i, node in enumerate(self.graph.node)]
        constants |= self.constant_nodes(nodes, constants)
        nodes = [node for node in nodes if node.op != "Constant"]
        open_inputs = [value for value in self.graph.input if value.name not in constants]
        self.need_inputs({value.name for value in open_inputs})
        inputs = tuple(self.input(value) for value in open_inputs)
        outputs = tuple(value.name for value in self.graph.output)
        known = set(constants) | {value.name for value in inputs}
        if len(known) != len(constants) + len(inputs):
            raise self.fail("a graph input stands twice")
        ordered = self.ordered(nodes, known)
        made = known.union(*(node.outputs for node in nodes))
        missing = [name for name in outputs if name not in made]
        if missing or not outputs:
            raise self.fail(f"graph outputs {missing} are produced by no node" if missing else "it has no outputs")
        return OnnxModel(
            path=str(self.path), opset=opset, nodes=ordered, constants=constants, inputs=inputs, outputs=outputs
        )

    def opset(self) -> int:
        versions = [entry.version for entry in self.message.opset_import if entry.domain in ("", "ai.onnx")]
        if len(versions) != 1:
            raise self.fail(f"it imports the ONNX operator set {len(versions)} times; expected once")
        return int(versions[0])

    def constants(self) -> dict[str, NDArray[Any]]:
        values: dict[str, NDArray[Any]] = {}
        for tensor in self.graph.initializer:
            if tensor.name in values:
                raise self.fail(f"initializer {tensor.name!r} stands twice")
            values[tensor.name] = self.tensors.read(tensor, tensor.name)
        if self.graph.sparse_initializer:
            raise ModelError(f"{self.path}: sparse initializers are not supported; expected dense ones")
        return values

    def constant_nodes(self, nodes: Iterable[OnnxNode], taken: Iterable[str]) -> dict[str, NDArray[Any]]:
        values: dict[str, NDArray[Any]] = {}
        for node in nodes:
            if node.op == "Constant":
                if len(node.outputs) != 1 or node.outputs[0] in values or node.outputs[0] in taken:
                    raise self.fail(
                        f"node {node.index} Constant has outputs {list(node.outputs)}; expected one new name"
                    )
                values[node.outputs[0]] = self.constant_value(node)
        return values

    def constant_value(self, node: OnnxNode) -> NDArray[Any]:
        for name, dtype in (
            ("value_int", np.int64),
            ("value_ints", np.int64),
            ("value_float", np.float32),
            ("value_floats", np.float32),
        ):
            if name in node.attributes:
                return np.asarray(node.attributes[name], dtype=dtype)
        value = node.attributes.get("value")
        if not isinstance(value, np.ndarray):
            raise self.fail(f"node {node.index} Constant holds no numbers")
        return value

    def input(self, value: Any) -> OnnxInput:
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
            raise self.fail(f"graph input {value.name!r} has no tensor shape")
        told = [int(dim.dim_value) if dim.HasField("dim_value") else 0 for dim in tensor.shape.dim]
        shape = self.shape(value.name, [max(size, 0) for size in told])
        if len(shape) > MAX_RANK or math.prod(shape) > MAX_ELEMENTS:
            raise self.fail(f"graph input {value.name!r} claims shape {shape}")
        return OnnxInput(name=value.name, shape=shape, type=type_name(tensor.elem_type))

    def need_inputs(self, names: set[str]) -> None:
        """ModelError where shapes are given of what is no graph input."""
        unknown = sorted(shapes_of(self.path).keys() - names)
        if unknown:
            raise ModelError(
                f"{self.path}: a shape is given of {unknown[0]!r}; its graph inputs are {', '.join(sorted(names))}",
                path=str(self.path),
            )

    def shape(self, name: str, told: list[int]) -> tuple[int, ...]:
        """The shape of a graph input, of which the file has ``told``, 0 where a size is open; an open batch is read as 1."""
        given = shapes_of(self.path).get(name)
        if given is None:
            if 0 in told[1:]:
                shape = "x".join(str(size) if size else "?" for size in told)
                raise ModelError(
                    f"{self.path}: graph input {name!r} has an unknown size on axis {told.index(0, 1)}; give them all: --shape "
                    f"{name}={shape}, in Python load_graph(..., shapes=...) (only a leading batch size may be open, and is read as 1)",
                    path=str(self.path),
                )
            return tuple(size or 1 for size in told)
        fits = len(given) == len(told) and all(size in (0, g) and g > 0 for g, size in zip(given, told, strict=True))
        if not fits:
            shape = "x".join(str(size) if size else "?" for size in told)
            raise ModelError(
                f"{self.path}: graph input {name!r} has shape {shape} in the file, and {'x'.join(map(str, given))} is given",
                path=str(self.path),
            )
        return tuple(given)

    def node(self, index: int, node: Any) -> OnnxNode:
        op = node.op_type if node.domain in DOMAINS else f"{node.domain}.{node.op_type}"
        op = op if op.isprintable() and op else repr(op)
        attributes = {a.name: self.attribute(a, index) for a in node.attribute}
        if not node.output or not any(node.output):
            raise self.fail(f"node {index} {op} has no outputs")
        return OnnxNode(
            index=index, op=op, inputs=tuple(node.input), outputs=tuple(node.output), attributes=attributes, name=node.name,
            domain=node.domain,
        )  # fmt: skip

    def attribute(self, attribute: Any, index: int) -> Attribute:
        kind = attribute.type
        if kind == self.kinds.INT:
            return int(attribute.i)
        if kind == self.kinds.FLOAT:
            return float(attribute.f)
        if kind == self.kinds.STRING:
            return str(attribute.s.decode("utf-8", "replace"))
        if kind == self.kinds.INTS:
            return tuple(int(i) for i in attribute.ints)
        if kind == self.kinds.FLOATS:
            return tuple(float(f) for f in attribute.floats)
        if kind == self.kinds.TENSOR:
            return self.tensors.read(attribute.t, f"attribute {attribute.name} of node {index}")
        return f"an attribute of kind {kind}"

    def ordered(self, nodes: list[OnnxNode], known: set[str]) -> tuple[OnnxNode, ...]:
        """Nodes in topological order, as near to the file's as can be (Kahn 1962)."""
        producer: dict[str, int] = {}
        for i, node in enumerate(nodes):
            for name in filter(None, node.outputs):
                if name in producer or name in known:
                    raise self.fail(f"tensor {name!r} is produced twice")
                producer[name] = i
        waiting: list[set[int]] = []
        for node in nodes:
            unknown = [name for name in node.inputs if name and name not in known and name not in producer]
            if unknown:
                raise self.fail(
                    f"node {node.index} {node.op} reads {unknown[0]!r}, which is no input, initializer or output"
                )
            waiting.append({producer[name] for name in node.inputs if name in producer})
        return tuple(nodes[i] for i in self._kahn(waiting))

    def _kahn(self, waiting: list[set[int]]) -> list[int]:
        consumers: list[list[int]] = [[] for _ in waiting]
        for i, sources in enumerate(waiting):
            for source in sources:
                consumers[source].append(i)
        left = [len(sources) for sources in waiting]
        ready = [i for i, count in enumerate(left) if not count]
        heapify(ready)
        order = []
        while ready:
            i = heappop(ready)
            order.append(i)
            for consumer in consumers[i]:
                left[consumer] -= 1
                if not left[consumer]:
                    heappush(ready, consumer)
        if len(order) != len(waiting):
            raise self.fail("its nodes form a cycle")
        return order
