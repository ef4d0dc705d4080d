"""A float .onnx or .tflite file as records: read, checked operator by operator, batch normalization and biases folded in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ModelError, Refusals
from accelsim.importers import FileKind
from accelsim.importers.onnx import index_operators
from accelsim.importers.onnx.constants import without_known
from accelsim.importers.onnx.file import ONNX, QONNX_OPERATORS, OnnxModel, OnnxNode, read_onnx, told_shapes
from accelsim.importers.tflite.file import TFLITE
from accelsim.ptq.network.float_tflite import read_float_tflite
from accelsim.ptq.network.fold import folded, with_plain_gemms
from accelsim.ptq.network.form import refuse, where
from accelsim.ptq.network.operators import FOLDED, MOVING, OPERATORS, PRODUCTS, RECTIFIERS, data_inputs
from accelsim.ptq.network.patterns import with_functions
from accelsim.ptq.network.products import is_product
from accelsim.ptq.network.simplify import in_later_form, with_pools, without_idle

QUANTIZED = ("QuantizeLinear", "DequantizeLinear", *QONNX_OPERATORS)
SEVERAL = ("Split",)
"""Operators of several outputs."""


def read_float(path: Path) -> OnnxModel:
    """The float network in the .onnx or .tflite file at ``path``, ready to be quantized.

    Every operator is one that can be quantized; Identity, Dropout and arithmetic on shapes are gone, batch normalization is folded
    into the weights before it, a constant that is added to a product has become its bias, a mean over rows and columns
    GlobalAveragePool, a function that was written in several operators one.
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
    model, shapes = _unfolded(path, refusals)
    model = folded(with_plain_gemms(model, refusals), shapes, refusals)
    _check_parameters(model, refusals)
    refusals.check()
    return model


def read_norms(path: Path) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Mean and standard deviation of each channel behind every batch normalization of a file that :func:`read_float` reads, by the
    tensor it makes: beta and the magnitude of gamma (Nagel 1906.04721, section 4.2.1)."""
    model, _ = _unfolded(path, Refusals(path))
    found = {}
    for node in model.nodes:
        if node.op in FOLDED:
            gamma, beta = (model.constants[name].astype(np.float64).reshape(-1) for name in node.inputs[1:3])
            found[node.outputs[0]] = (beta, np.abs(gamma))
    return found


def _unfolded(path: Path, refusals: Refusals) -> tuple[OnnxModel, Mapping[str, tuple[int, ...]]]:
    """The network as it is before its batch normalizations are folded, and its shapes."""
    model = READERS[path.suffix.lower()](path, refusals)
    _need_float(model)
    model, shapes = _without_shapes(without_idle(model, refusals), refusals)
    _check(model, refusals)
    return with_pools(with_functions(in_later_form(model)), shapes), shapes


def _without_shapes(model: OnnxModel, refusals: Refusals) -> tuple[OnnxModel, Mapping[str, tuple[int, ...]]]:
    """The network without arithmetic on shapes, and its shapes: those behind a Reshape are known once what it is told is computed."""
    while True:
        shapes = {name: told.shape for name, told in told_shapes(model).items()}
        shapes |= {value.name: value.shape for value in model.inputs}
        less = without_known(model, shapes, refusals)
        if len(less.nodes) == len(model.nodes):
            return less, shapes
        model = less


def _read_onnx(path: Path, _: Refusals) -> OnnxModel:
    return read_onnx(path)


READERS: Mapping[str, Callable[[Path, Refusals], OnnxModel]] = {".onnx": _read_onnx, ".tflite": read_float_tflite}
"""By the end of the file name."""


def file_kind(path: Path) -> FileKind:
    """The format of the file at ``path`` by the end of its name; ONNX where that is another, which :func:`read_float` refuses."""
    return TFLITE if path.suffix.lower() == ".tflite" else ONNX


def _need_float(model: OnnxModel) -> None:
    quantized = [node for node in model.nodes if node.op in QUANTIZED or node.op.startswith("QLinear")]
    if quantized:
        raise ModelError(
            f"{where(model, quantized[0])}: the network is quantized already; give the float one", path=model.path
        )


def _check(model: OnnxModel, refusals: Refusals) -> None:
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
    for name in {*model.outputs} & {*model.constants, *(value.name for value in model.inputs)}:
        text = f"{model.path}: graph output {name!r} is a graph input or a constant; expected outputs of operators"
        refusals.add(ModelError(text, path=model.path))


def _check_node(model: OnnxModel, node: OnnxNode) -> None:
    if node.op in index_operators():
        reason = "its result is an index, which has no scale"
        refuse(
            model,
            node,
            reason,
            "a network that ends before it; put the operator behind the quantized file, which is read with it",
        )
    if node.op not in OPERATORS:
        refuse(model, node, "the operator cannot be quantized", ", ".join(OPERATORS))
    count = len([name for name in node.outputs if name])
    if count != 1 and node.op not in SEVERAL:
        refuse(model, node, f"it has {count} outputs", "one")


def _check_parameters(model: OnnxModel, refusals: Refusals) -> None:
    """Of the nodes that are not refused yet."""
    refused = {error.data.get("index") for error in refusals.found}
    for node in model.nodes:
        if node.index not in refused:
            with refusals.gathering():
                _check_operands(model, node)


def _check_operands(model: OnnxModel, node: OnnxNode) -> None:
    constant = [name in model.constants for name in node.inputs]
    if node.op in PRODUCTS and (constant[0] or (node.op != "MatMul" and not is_product(node, model.constants))):
        refuse(model, node, "its weights are computed at run time", "weights and bias that are constant")
    if node.op in PRODUCTS and not all(
        found or not name for found, name in list(zip(constant, node.inputs, strict=True))[2:]
    ):
        refuse(model, node, "its bias is computed at run time", "a constant bias")
    if node.op in MOVING and any(constant[i] for i in data_inputs(node.op, len(node.inputs))):
        refuse(model, node, "one of its operands is a constant", "activations")
    if node.op == "Pad":
        _check_pad(model, node)


def _check_pad(model: OnnxModel, node: OnnxNode) -> None:
    """Zeros, which every quantizer has a code for, so that padding moves numbers and makes none."""
    fill = model.constants.get(node.inputs[2], np.ones(1)) if len(node.inputs) > 2 and node.inputs[2] else np.zeros(1)
    if node.attributes.get("mode", "constant") != "constant" or fill.any():
        refuse(model, node, "it pads with other numbers than zeros", "mode constant, and constant value 0")


def fused_rectifier(model: OnnxModel, node: OnnxNode) -> OnnxNode | None:
    """The rectifier that is the only consumer of ``node``'s output; what only moves numbers has no sum to fuse one into."""
    if node.op in MOVING:
        return None
    name = node.outputs[0]
    consumers = model.consumers(name)
    alone = len(consumers) == 1 and name not in model.outputs and consumers[0].op in RECTIFIERS
    return consumers[0] if alone else None


def rectifier_bounds(model: OnnxModel, rectifier: OnnxNode | None) -> tuple[float, float]:
    """What a rectifier keeps its values between; infinite where it has no bound, or where there is none at all."""
    if rectifier is None:
        return -math.inf, math.inf
    if rectifier.op == "Relu":
        return 0.0, math.inf
    given = [model.constants[name] if name else None for name in (*rectifier.inputs[1:3], "", "")[:2]]
    low, high = (
        default if v is None else float(v.reshape(-1)[0])
        for v, default in zip(given, (-math.inf, math.inf), strict=True)
    )
    return low, high
