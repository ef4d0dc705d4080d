"""A float .onnx or .tflite file as records: read, checked operator by operator, batch normalization and biases folded in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ModelError, Refusals, UnsupportedOperatorError
from accelsim.importers import FileKind
from accelsim.importers.onnx.file import ONNX, QONNX_OPERATORS, OnnxModel, OnnxNode, read_onnx
from accelsim.importers.tflite.file import TFLITE
from accelsim.ptq.network.float_tflite import read_float_tflite
from accelsim.ptq.network.means import without_reduce_mean
from accelsim.ptq.network.operators import ACCEPTED, DROPPED, FOLDED, MOVING, PRODUCTS, RECTIFIERS, data_inputs
from accelsim.quant import fold_batch_norm

QUANTIZED = ("QuantizeLinear", "DequantizeLinear", *QONNX_OPERATORS)
Constants = Mapping[str, NDArray[Any]]


def read_float(path: Path) -> OnnxModel:
    """The float network in the .onnx or .tflite file at ``path``, ready to be quantized.

    Every operator is one that can be quantized; Identity and Dropout are gone, batch normalization is folded into the weights
    before it, a constant that is added to a product has become its bias, a mean over rows and columns GlobalAveragePool.
    Raises ModelError for another format or a network that is quantized already, UnsupportedOperatorError that names every node that
    cannot be quantized.
    """
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise ModelError(
            f"{path}: expected a float .onnx or .tflite file; other formats are not read: export the network as ONNX "
            "(torch.onnx.export)",
            path=str(path),
        )
    refusals = Refusals(path)
    model = without_reduce_mean(READERS[suffix](path, refusals))
    _check(model, refusals)
    model = _fold_all(_fold_scalars(_drop(model, refusals), refusals))
    _check_parameters(model, refusals)
    refusals.check()
    return model


def _read_onnx(path: Path, _: Refusals) -> OnnxModel:
    return read_onnx(path)


READERS: Mapping[str, Callable[[Path, Refusals], OnnxModel]] = {".onnx": _read_onnx, ".tflite": read_float_tflite}
"""By the end of the file name."""


def file_kind(path: Path) -> FileKind:
    """The format of the file at ``path`` by the end of its name; ONNX where that is another, which :func:`read_float` refuses."""
    return TFLITE if path.suffix.lower() == ".tflite" else ONNX


def where(model: OnnxModel, node: OnnxNode) -> str:
    """How errors name ``node``."""
    name = f" {node.name!r}" if node.name else ""
    return f"{model.path}: node {node.index} {node.op}{name} (output {node.outputs[0]!r})"


def _check(model: OnnxModel, refusals: Refusals) -> None:
    quantized = [node for node in model.nodes if node.op in QUANTIZED or node.op.startswith("QLinear")]
    if quantized:
        raise ModelError(
            f"{where(model, quantized[0])}: the network is quantized already; give the float one", path=model.path
        )
    for node in model.nodes:
        with refusals.gathering():
            _check_node(model, node)
    for value in model.inputs:
        if value.type != "FLOAT":
            text = f"{model.path}: graph input {value.name!r} is {value.type}; expected FLOAT"
            refusals.add(ModelError(text, path=model.path))
    for name, values in model.constants.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            text = f"{model.path}: constant {name!r} holds NaN or infinities; expected finite numbers"
            refusals.add(ModelError(text, path=model.path))


def _check_node(model: OnnxModel, node: OnnxNode) -> None:
    if node.op not in ACCEPTED:
        _refuse(model, node, "the operator cannot be quantized", ", ".join(ACCEPTED))
    if len([name for name in node.outputs if name]) != 1:
        _refuse(model, node, f"it has {len(node.outputs)} outputs", "one")


def _check_parameters(model: OnnxModel, refusals: Refusals) -> None:
    """Of the nodes that are not refused yet; a normalization behind one that is cannot be told to stand behind a product."""
    refused = {error.data.get("index") for error in refusals.found}
    broken = {name for node in model.nodes if node.index in refused for name in node.outputs}
    for node in model.nodes:
        if node.index not in refused and not (node.op in FOLDED and broken.intersection(node.inputs)):
            with refusals.gathering():
                _check_operands(model, node)


def _check_operands(model: OnnxModel, node: OnnxNode) -> None:
    constant = [name in model.constants for name in node.inputs]
    if any(constant[i] for i in data_inputs(node.op, len(node.inputs))):
        _refuse(
            model, node, "one of its operands is a constant", "two activations; fold constants into weights or biases"
        )
    if node.op in PRODUCTS and not all(
        found or not name for found, name in list(zip(constant, node.inputs, strict=True))[1:]
    ):
        _refuse(model, node, "its weights are computed at run time", "weights and bias that are constant")
    if node.op == "Pad":
        _check_pad(model, node)
    if node.op in FOLDED:
        _refuse(
            model,
            node,
            "no Conv, Gemm or MatMul with it as only reader stands before it",
            "batch normalization behind one",
        )


def _check_pad(model: OnnxModel, node: OnnxNode) -> None:
    """Zeros, which every quantizer has a code for, so that padding moves numbers and makes none."""
    fill = model.constants.get(node.inputs[2], np.ones(1)) if len(node.inputs) > 2 and node.inputs[2] else np.zeros(1)
    if node.attributes.get("mode", "constant") != "constant" or fill.any():
        _refuse(model, node, "it pads with other numbers than zeros", "mode constant, and constant value 0")


def _refuse(model: OnnxModel, node: OnnxNode, reason: str, accepted: str) -> NoReturn:
    text = f"{where(model, node)}: {reason}; accepted: {accepted}"
    raise UnsupportedOperatorError(text, operator=node.op, index=node.index, accepted=accepted)


def _drop(model: OnnxModel, refusals: Refusals) -> OnnxModel:
    """Without the operators that do nothing; a graph output that one makes keeps it as the name of what it reads."""
    same: dict[str, str] = {}
    nodes = []
    for node in model.nodes:
        inputs = tuple(same.get(name, name) for name in node.inputs)
        if node.op in DROPPED and node.outputs[0] not in model.outputs:
            same[node.outputs[0]] = inputs[0]
        else:
            nodes.append(replace(node, inputs=inputs))
            with refusals.gathering():
                if node.op in DROPPED:
                    _refuse(model, node, "it makes a graph output", f"{node.op} inside the network")
    return replace(model, nodes=tuple(nodes))


def _fold_scalars(model: OnnxModel, refusals: Refusals) -> OnnxModel:
    """Gemm's alpha and beta moved into its constants, transposed weights as (units, k)."""
    constants, nodes = dict(model.constants), list(model.nodes)
    for i, node in enumerate(nodes):
        with refusals.gathering():
            nodes[i] = _plain_gemm(model, node, constants) if node.op == "Gemm" else node
    return replace(model, nodes=tuple(nodes), constants=constants)


def _plain_gemm(model: OnnxModel, node: OnnxNode, constants: dict[str, NDArray[Any]]) -> OnnxNode:
    if node.attributes.get("transA", 0):
        _refuse(model, node, "its first operand is transposed", "transA 0")
    if not all(name in constants for name in node.inputs[1:]):
        _refuse(model, node, "its weights are computed at run time", "weights and bias that are constant")
    weights, bias = constants[node.inputs[1]], constants[node.inputs[2]] if len(node.inputs) > 2 else None
    alpha, beta = (np.float32(node.attributes.get(name, 1.0)) for name in ("alpha", "beta"))  # type: ignore[arg-type]
    turned = weights if node.attributes.get("transB", 0) else weights.T
    edit = _Edit(constants, node)
    inputs = [node.inputs[0], edit.constant("weights", turned * alpha)]
    if bias is not None:
        inputs.append(edit.constant("bias", np.broadcast_to(bias * beta, (1, len(turned))).reshape(-1)))
    return replace(node, inputs=tuple(inputs), attributes={"transB": 1})


@dataclass(frozen=True)
class _Edit:
    """New constants under names of their own."""

    constants: dict[str, NDArray[Any]]
    node: OnnxNode

    def constant(self, what: str, values: NDArray[Any]) -> str:
        name = f"{self.node.outputs[0]}/folded_{what}"
        while name in self.constants:
            name += "_"
        self.constants[name] = np.ascontiguousarray(values, dtype=np.float32)
        return name


def _fold_all(model: OnnxModel) -> OnnxModel:
    """Each batch normalization and each constant sum folded into the product before it, until none is left."""
    nodes, constants = list(model.nodes), dict(model.constants)
    position = 0
    while position < len(nodes):
        node = nodes[position]
        before = _producer(nodes, node)
        folded = None
        if (
            before is not None
            and node.op in ("BatchNormalization", "Add")
            and _is_private(model, nodes, before.outputs[0])
        ):
            folded = (_fold_norm if node.op in FOLDED else _fold_sum)(before, node, constants)
        if before is None or folded is None:
            position += 1
            continue
        nodes[nodes.index(before)] = folded
        del nodes[position]
    return replace(model, nodes=tuple(nodes), constants=constants)


def _producer(nodes: list[OnnxNode], node: OnnxNode) -> OnnxNode | None:
    """The product that makes one of the operands of ``node``."""
    return next((n for n in nodes if n.op in PRODUCTS and n.outputs[0] in node.inputs), None)


def _is_private(model: OnnxModel, nodes: list[OnnxNode], name: str) -> bool:
    return name not in model.outputs and sum(node.inputs.count(name) for node in nodes) == 1


def channel_axis(node: OnnxNode) -> int:
    """Axis of the output channels in the weights of a product."""
    return 1 if node.op == "MatMul" else 0


def _bias(node: OnnxNode, constants: Constants) -> NDArray[np.float32] | None:
    return constants[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else None


def _fold_norm(before: OnnxNode, node: OnnxNode, constants: dict[str, NDArray[Any]]) -> OnnxNode | None:
    if before.inputs[1] not in constants or not all(name in constants for name in node.inputs[1:]):
        return None
    gamma, beta, mean, variance = (constants[name] for name in node.inputs[1:5])
    epsilon = node.attributes.get("epsilon", 1e-5)
    weights, bias = fold_batch_norm(
        constants[before.inputs[1]], _bias(before, constants), axis=channel_axis(before), gamma=gamma, beta=beta, mean=mean,
        variance=variance, epsilon=float(epsilon),  # type: ignore[arg-type]  # an attribute of kind FLOAT
    )  # fmt: skip
    return _with(before, node, constants, weights, bias)


def _fold_sum(before: OnnxNode, node: OnnxNode, constants: dict[str, NDArray[Any]]) -> OnnxNode | None:
    """A constant per output channel, added."""
    other = next((name for name in node.inputs if name in constants), None)
    if other is None or before.inputs[1] not in constants:
        return None
    weights, added = constants[before.inputs[1]], constants[other]
    channels = weights.shape[channel_axis(before)]
    if not _is_per_channel(added.shape, channels, trailing=2 if before.op == "Conv" else 0):
        return None
    bias = _bias(before, constants)
    total = np.broadcast_to(added.reshape(-1), (channels,)) + (0 if bias is None else bias)
    return _with(before, node, constants, weights, total)


def _is_per_channel(shape: tuple[int, ...], channels: int, *, trailing: int) -> bool:
    """Whether a constant differs by channel alone: one number, or one per channel before ``trailing`` axes of size 1."""
    column = (channels, *(1,) * trailing)
    return set(shape) <= {1} or (1,) * (len(shape) - len(column)) + column == shape


def _with(
    before: OnnxNode, node: OnnxNode, constants: dict[str, NDArray[Any]], weights: NDArray[Any], bias: NDArray[Any]
) -> OnnxNode:
    """``before`` with new parameters, in the place of both; a MatMul keeps its bias as third input, until it is written."""
    edit = _Edit(constants, node)
    inputs = (before.inputs[0], edit.constant("weights", weights), edit.constant("bias", bias))
    return replace(before, inputs=inputs, outputs=node.outputs, name=before.name or node.name)


def fused_rectifier(model: OnnxModel, node: OnnxNode) -> OnnxNode | None:
    """The rectifier that is the only consumer of ``node``'s output; what only moves numbers has no sum to fuse one into."""
    if node.op in MOVING:
        return None
    name = node.outputs[0]
    consumers = model.consumers(name)
    alone = len(consumers) == 1 and name not in model.outputs and consumers[0].op in RECTIFIERS
    return consumers[0] if alone else None
