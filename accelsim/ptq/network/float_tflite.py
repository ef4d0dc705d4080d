"""A float .tflite file as the records of an ONNX network, so that what quantizes one quantizes the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ModelError, Refusals
from accelsim.importers import RefusalError
from accelsim.importers.onnx.file import OnnxModel
from accelsim.importers.tflite.file import TfliteModel, TfliteTensor, read_tflite
from accelsim.ptq.network.tflite_network import Call, Translation
from accelsim.ptq.network.tflite_operators import TRANSLATIONS

INTEGERS = ("INT32", "INT64")
"""Types of sizes and indices."""
CODES = ("INT4", "INT8", "INT16", "UINT8")
"""Types of quantized tensors."""


def read_float_tflite(path: Path, refusals: Refusals) -> OnnxModel:
    """The float network in the .tflite file at ``path``; inputs and outputs keep their names, shapes and order of axes.

    Operators that cannot be quantized go to the ``refusals``, and stay out. Weights alone that are quantized (dynamic range) are what
    their codes stand for. Raises ModelError for a network that is quantized.
    """
    model = _with_real_weights(_without_float16(read_tflite(path)))
    for problem in _quantized(model):
        raise ModelError(f"{model.path}: {problem}", path=model.path)
    for problem in _problems(model):
        refusals.add(ModelError(f"{model.path}: {problem}", path=model.path))
    to = Translation(model)
    for operator in model.operators:
        if all(model.tensors[i].type in INTEGERS for i in operator.outputs):
            continue  # arithmetic on shapes, which the tensors have themselves
        with refusals.gathering():
            _translate(Call(model, operator, to))
        to.hold(operator.outputs)
    to.hold(model.outputs)
    return to.finished()


def _without_float16(model: TfliteModel) -> TfliteModel:
    """Constants that the file holds as float16 under a DEQUANTIZE, in float32."""
    tensors, operators = list(model.tensors), []
    for operator in model.operators:
        source = tensors[operator.inputs[0]] if operator.op == "DEQUANTIZE" and operator.inputs else None
        if source is None or source.data is None or source.type != "FLOAT16":
            operators.append(operator)
            continue
        (target,) = operator.outputs
        tensors[target] = replace(tensors[target], data=source.data.astype(np.float32))
    return replace(model, tensors=tuple(tensors), operators=tuple(operators))


def _with_real_weights(model: TfliteModel) -> TfliteModel:
    """Quantized constants that operators on real numbers read, as what their codes stand for."""
    tensors = list(model.tensors)
    for operator in model.operators:
        if {tensors[i].type for i in operator.outputs} != {"FLOAT32"}:
            continue
        for held in (tensors[i] for i in operator.inputs if i >= 0):
            if held.data is not None and held.type in CODES and held.scales.size:
                tensors[held.index] = replace(held, type="FLOAT32", data=_real(held))
    return replace(model, tensors=tuple(tensors))


def _real(held: TfliteTensor) -> NDArray[np.float32]:
    """``scale * (code - zero point)``, along an axis where there are several scales."""
    assert held.data is not None
    shape = [-1 if i == held.quantized_dimension and held.scales.size > 1 else 1 for i in range(held.data.ndim)]
    scales, zeros = held.scales.reshape(shape), held.zero_points.reshape(shape)
    real: NDArray[np.float32] = (scales * (held.data.astype(np.int64) - zeros)).astype(np.float32)
    return real


def _quantized(model: TfliteModel) -> Iterator[str]:
    """What is quantized already."""
    tensors = model.tensors
    computed = {i for operator in model.operators for i in operator.outputs} | set(model.inputs)
    for coded in (tensors[i] for i in sorted(computed) if tensors[i].type in CODES):
        yield (
            f"the network is quantized already (tensor {coded.name!r} is {coded.type}); accelsim run reads it as it is; for other "
            "widths give the float one"
        )


def _problems(model: TfliteModel) -> Iterator[str]:
    """What keeps the network from being quantized, before any operator is looked at."""
    tensors = model.tensors
    for index in model.outputs:
        if index in model.inputs or tensors[index].is_constant:
            name = tensors[index].name
            yield f"graph output {name!r} is a graph input or a constant; expected outputs of operators"
    for tensor in (tensors[index] for index in model.inputs):
        if tensor.type != "FLOAT32":
            yield f"graph input {tensor.name!r} is {tensor.type}; expected FLOAT32"


def _translate(call: Call) -> None:
    """Every refusal names the file, the operator, its index and its output."""
    with call.located():
        if call.op not in TRANSLATIONS:
            raise RefusalError("the operator cannot be quantized", ", ".join(TRANSLATIONS))
        TRANSLATIONS[call.op](call)
        call.check_all_seen()
