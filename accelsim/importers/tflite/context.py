"""One operator in its model, as the lowering functions see it: checked access to tensors, constants and options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Layer
from accelsim.importers.context import BaseContext
from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.file.options import ACTIVATION_NAMES, NONE, RELU, RELU6, RELU_N1_TO_1
from accelsim.importers.tflite.file.records import TfliteModel, TfliteOperator, TfliteTensor
from accelsim.importers.tflite.rules import Rules
from accelsim.numerics import INT4, INT8, INT16, INT32, INT64, UINT8

FORMATS = {"INT4": INT4, "INT8": INT8, "INT16": INT16, "INT32": INT32, "INT64": INT64, "UINT8": UINT8}
"""Graph formats of the TFLite tensor types."""
ACTIVATION_TYPES = ("INT8", "INT16")
MOVED_TYPES = (*ACTIVATION_TYPES, "INT32")
BOUNDS: Mapping[int, tuple[float | None, float | None]] = {
    NONE: (None, None), RELU: (0.0, None), RELU6: (0.0, 6.0), RELU_N1_TO_1: (-1.0, 1.0),
}  # fmt: skip
"""Real bounds of the fused activations."""


@dataclass(frozen=True, eq=False)
class Made:
    """The layers of one operator in order, and the tensors between them, which the file does not have."""

    layers: tuple[Layer, ...] = ()
    tensors: tuple[TfliteTensor, ...] = ()

    def then(self, layer: Layer) -> Made:
        """With one more layer."""
        return replace(self, layers=(*self.layers, layer))

    def holding(self, tensor: TfliteTensor) -> Made:
        """With one more tensor."""
        return replace(self, tensors=(*self.tensors, tensor))


@dataclass(frozen=True, eq=False)
class FileContext(BaseContext):
    """An operator and the model around it, quantized or not."""

    model: TfliteModel
    record: TfliteOperator

    def located(self) -> AbstractContextManager[None]:
        """Every error about the operator names the file, the operator, its index and its output."""
        outputs = [self.model.tensors[i].name for i in self.record.outputs]
        return self.naming(f"{self.model.path}: operator", outputs)

    @property
    def layer_name(self) -> str:
        return self.model.layer_name(self.record)

    def option(self, name: str) -> int:
        """An integer or boolean option."""
        return int(self.record.options[name])

    def real_option(self, name: str) -> float:
        """A real option."""
        return float(self.record.options[name])

    @property
    def output(self) -> TfliteTensor:
        """The only output."""
        return self.model.tensors[self.only(self.record.outputs)]

    def optional(self, position: int) -> TfliteTensor | None:
        """Input ``position``, or None where it is absent."""
        inputs = self.record.inputs
        index = inputs[position] if position < len(inputs) else -1
        return None if index < 0 else self.model.tensors[index]

    def input(self, position: int) -> TfliteTensor:
        """Input ``position``, which must be there."""
        tensor = self.optional(position)
        if tensor is None:
            raise self.absent(position)
        return tensor

    def bounds(self, activation: int) -> tuple[float | None, float | None]:
        """The least and the largest real number that a fused ``activation`` lets through; None where there is no bound."""
        if activation not in BOUNDS:
            name = ACTIVATION_NAMES.get(activation, str(activation))
            raise RefusalError(f"its fused activation is {name}", "NONE, RELU, RELU6, RELU_N1_TO_1")
        return BOUNDS[activation]


@dataclass(frozen=True, eq=False)
class NodeContext(FileContext):
    """An operator of a quantized model, and the rules of the arithmetic that is imported for."""

    rules: Rules

    @property
    def names(self) -> dict[str, Any]:
        """``name``, ``inputs`` and ``output`` of a layer whose only operand is input 0."""
        return self.names_of(self.input(0))

    def names_of(self, *operands: TfliteTensor) -> dict[str, Any]:
        """``name``, ``inputs`` and ``output`` of a layer that reads ``operands``."""
        return {"name": self.layer_name, "inputs": tuple(t.name for t in operands), "output": self.output.name}

    def fields(self, *operands: TfliteTensor) -> dict[str, Any]:
        """The fields that all layers share which read ``operands`` and write the output as the file has them."""
        shapes = tuple(view(operand.shape) for operand in operands)
        return {**self.names_of(*operands), "shapes": shapes, "shape": view(self.output.shape)}

    def fresh(self, part: str) -> str:
        """A name for a tensor that the file does not have."""
        name, taken = f"{self.layer_name}/{part}", {tensor.name for tensor in self.model.tensors}
        while name in taken:
            name += "_"
        return name

    def activation(self, position: int, types: Collection[str] = ACTIVATION_TYPES) -> TfliteTensor:
        """Input ``position``, computed at run time, of one of ``types``."""
        tensor = self.input(position)
        self.need(
            not tensor.is_constant,
            f"input {position}, {tensor.name!r}, is a constant",
            "an operand that is computed at run time",
        )
        return self.typed(tensor, types)

    def elementwise(self) -> TfliteTensor:
        """Input 0, computed at run time, of the output's type and shape."""
        source = self.activation(0)
        self.need(self.result().type == source.type, "its input and output differ in type", "one integer type")
        self.output_shape_is(source.shape)
        return source

    def moved(self, types: Collection[str] = MOVED_TYPES) -> TfliteTensor:
        """Input 0, computed at run time, whose codes become the output's as they are."""
        source = self.activation(0, types)
        self.result((source.type,))
        self.same_quantization(source)
        return source

    def operand(self, position: int, types: Collection[str] = ACTIVATION_TYPES) -> TfliteTensor:
        """Input ``position``, computed at run time or constant, of one of ``types``."""
        return self.typed(self.input(position), types)

    def typed(self, tensor: TfliteTensor, types: Collection[str] = ACTIVATION_TYPES) -> TfliteTensor:
        """``tensor`` itself when its type is one of ``types``."""
        accepted = " or ".join(types)
        if tensor.type in ("FLOAT32", "FLOAT16"):
            raise RefusalError(
                f"tensor {tensor.name!r} is {tensor.type}, not quantized",
                f"{accepted}; convert with full-integer post-training quantization (int8 or int16x8)",
            )
        if tensor.type == "UINT8" and "UINT8" not in types:
            raise RefusalError(
                f"tensor {tensor.name!r} is UINT8, the legacy quantization",
                f"{accepted}; convert again with TensorFlow 2.3 or later",
            )
        self.need(tensor.type in types, f"tensor {tensor.name!r} is {tensor.type}", accepted)
        return tensor

    def result(self, types: Collection[str] = ACTIVATION_TYPES) -> TfliteTensor:
        """The output, of one of ``types``."""
        return self.typed(self.output, types)

    def constant(self, position: int, what: str) -> NDArray[Any]:
        """The value of input ``position``, which the file must hold."""
        tensor = self.input(position)
        if tensor.data is None:
            raise RefusalError(
                f"{what} (input {position}, {tensor.name!r}) are computed at run time", f"{what} that are constant"
            )
        return tensor.data

    def integers(self, position: int, what: str) -> list[int]:
        """A constant vector of int32 or int64."""
        values = self.constant(position, what)
        self.need(values.dtype.kind == "i", f"{what} are {self.input(position).type}", "INT32 or INT64")
        return [int(v) for v in values.reshape(-1)]

    def same_quantization(self, *tensors: TfliteTensor) -> None:
        """Every tensor must have the output's type, scale and zero point: codes are moved, not rescaled."""
        reference = self.output
        for tensor in tensors:
            same = tensor.type == reference.type and (
                (not len(tensor.scales) and not len(reference.scales))
                or (scale_of(tensor) == scale_of(reference) and zero_point_of(tensor) == zero_point_of(reference))
            )
            self.need(
                same,
                f"{_quantization_text(tensor)} differs from the output, {_quantization_text(reference)}",
                "equal scale and zero point, as TFLite requires",
            )

    def output_shape_is(self, shape: tuple[int, ...]) -> None:
        """The output's shape in the file must be the ``shape`` that the operands and options give."""
        declared = self.output.shape
        self.need(
            declared == shape,
            f"its output is declared as {list(declared)}, but its operands and options give {list(shape)}",
            "a consistent file",
        )

    def clamp(self) -> tuple[int, int]:
        """Output codes that the fused activation allows (LiteRT kernel_util.cc, CalculateActivationRangeQuantized)."""
        return self.clamp_for(self.option("fused_activation"))

    def clamp_for(self, activation: int) -> tuple[int, int]:
        """Output codes between the real bounds of ``activation``, within the output's type."""
        least, most = self.bounds(activation)
        fmt = FORMATS[self.output.type]
        low = fmt.min if least is None else max(fmt.min, self._code(least))
        high = fmt.max if most is None else min(fmt.max, self._code(most))
        self.need(low <= high, f"its activation leaves no output code: [{low}, {high}]", "an output range that holds 0")
        return low, high

    def _code(self, real: float) -> int:
        """``zero_point + round(real / scale)`` in float32, half away from zero; XNNPACK adds first and rounds to even."""
        quotient = np.float32(real) / np.float32(scale_of(self.output))
        zero = zero_point_of(self.output)
        if self.rules.is_xnnpack and self.output.type == "INT8":
            return int(np.rint(quotient + np.float32(zero)))
        return zero + round_half_away(float(quotient))


def round_half_away(value: float) -> int:
    """Nearest integer, ties away from zero (std::round)."""
    return int(np.copysign(np.floor(abs(value) + 0.5), value))


def scale_of(tensor: TfliteTensor) -> float:
    """The one scale of a tensor, positive and finite."""
    if len(tensor.scales) != 1 or not (np.isfinite(tensor.scales[0]) and tensor.scales[0] > 0):
        got = "none" if not len(tensor.scales) else f"{len(tensor.scales)}: {tensor.scales[:3].tolist()}"
        raise RefusalError(
            f"tensor {tensor.name!r} should have one positive finite scale, it has {got}", "per-tensor quantization"
        )
    return float(tensor.scales[0])


def zero_point_of(tensor: TfliteTensor) -> int:
    """The zero point of a tensor; 0 where it is not quantized."""
    zero = int(tensor.zero_points[0]) if len(tensor.zero_points) else 0
    fmt = FORMATS.get(tensor.type)
    if fmt is not None and not fmt.contains(zero):
        raise RefusalError(f"tensor {tensor.name!r} has zero point {zero}", f"{fmt.min} to {fmt.max} for {tensor.type}")
    return zero


def view(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in which a layer sees a tensor: at least one axis."""
    return shape or (1,)


def _quantization_text(tensor: TfliteTensor) -> str:
    return (
        f"{tensor.name!r} {tensor.type} scale {tensor.scales.tolist()[:2]} zero point {tensor.zero_points.tolist()[:2]}"
    )
