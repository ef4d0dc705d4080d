"""One operator in its model, as the lowering functions see it: checked access to tensors, constants and options."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Layer, Variable
from accelsim.importers.context import BaseContext
from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.file.options import ACTIVATION_NAMES, NONE, OPTION_FIELDS, RELU, RELU6, RELU_N1_TO_1
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
    """The layers of one operator in order, and the tensors between them, which the file does not have.

    ``approximations`` say by name of a layer what is not as the runtime has it; ``variables`` are the operator's own state.
    """

    layers: tuple[Layer, ...] = ()
    tensors: tuple[TfliteTensor, ...] = ()
    variables: tuple[Variable, ...] = ()
    approximations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def approximating(self, layer: str, text: str) -> Made:
        """With a word on what ``layer`` approximates."""
        return replace(self, approximations={**self.approximations, layer: (text,)})

    def then(self, layer: Layer) -> Made:
        """With one more layer."""
        return replace(self, layers=(*self.layers, layer))

    def holding(self, tensor: TfliteTensor) -> Made:
        """With one more tensor."""
        return replace(self, tensors=(*self.tensors, tensor))

    def keeping(self, *variables: Variable) -> Made:
        """With more variables."""
        return replace(self, variables=(*self.variables, *variables))


@dataclass(frozen=True, eq=False)
class FileContext(BaseContext):
    """An operator and the model around it, quantized or not. What is looked at of it is noted."""

    model: TfliteModel
    record: TfliteOperator
    options_seen: set[str] = field(default_factory=set, kw_only=True)
    inputs_seen: set[int] = field(default_factory=set, kw_only=True)

    @contextmanager
    def located(self) -> Iterator[None]:
        """Every error about the operator names the file, the operator, its index and its output.

        One whose record cannot be read is refused first of all.
        """
        outputs = [self.model.tensors[i].name for i in self.record.outputs]
        with self.naming(f"{self.model.path}: operator", outputs):
            if self.record.unread is not None:
                raise RefusalError(*self.record.unread)
            yield

    def tensor(self, index: int) -> TfliteTensor:
        """Tensor ``index`` of the model."""
        return self.model.tensors[index]

    @property
    def layer_name(self) -> str:
        return self.model.layer_name(self.record)

    def option(self, name: str) -> int:
        """An integer or boolean option."""
        self.options_seen.add(name)
        value = self.record.options[name]
        assert not isinstance(value, str | tuple)
        return int(value)

    def real_option(self, name: str) -> float:
        """A real option."""
        self.options_seen.add(name)
        value = self.record.options[name]
        assert not isinstance(value, str | tuple)
        return float(value)

    def option_list(self, name: str) -> tuple[int, ...]:
        """An option that is a list of integers."""
        self.options_seen.add(name)
        value = self.record.options[name]
        assert isinstance(value, tuple)
        return value

    def text_option(self, name: str) -> str:
        """An option that is a name."""
        self.options_seen.add(name)
        value = self.record.options[name]
        assert isinstance(value, str)
        return value

    def without_effect(self, *names: str) -> None:
        """Options that no runtime looks at where activations are quantized, whatever they say."""
        self.options_seen.update(names)

    def check_all_seen(self) -> None:
        """RefusalError for an option other than its default, or an input, that the lowering did not look at."""
        fields = OPTION_FIELDS[self.op][1] if self.op in OPTION_FIELDS else {}
        for name, value in self.record.options.items():
            default = fields[name][1]
            self.need(name in self.options_seen or value == default, f"its {name} is {value}", f"{name} {default}")
        unseen = [i for i, index in enumerate(self.record.inputs) if index >= 0 and i not in self.inputs_seen]
        self.need(not unseen, f"nothing reads its inputs {unseen}", f"{len(self.inputs_seen)} inputs")

    @property
    def output(self) -> TfliteTensor:
        """The only output."""
        return self.tensor(self.only(self.record.outputs))

    def optional(self, position: int) -> TfliteTensor | None:
        """Input ``position``, or None where it is absent."""
        self.inputs_seen.add(position)
        inputs = self.record.inputs
        index = inputs[position] if position < len(inputs) else -1
        tensor = None if index < 0 else self.tensor(index)
        if tensor is not None and tensor.is_variable:
            raise RefusalError(
                f"its input {tensor.name!r} is a variable tensor",
                "state in variables that VAR_HANDLE names, or of SVDF and UNIDIRECTIONAL_SEQUENCE_LSTM",
            )
        return tensor

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
    """An operator of a quantized model, and the rules of the arithmetic that is imported for.

    ``settled`` are tensors, by index, of which operators before this one told more than the file does: the sizes of open axes,
    the values of shape arithmetic. All operators of a model share them.
    """

    rules: Rules
    settled: dict[int, TfliteTensor] = field(default_factory=dict)

    def tensor(self, index: int) -> TfliteTensor:
        return self.settled.get(index, self.model.tensors[index])

    def settle(self, tensor: TfliteTensor) -> None:
        """From now on every operator sees ``tensor`` in the place of the file's."""
        self.settled[tensor.index] = tensor

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

    def state(self, position: int, types: Collection[str]) -> TfliteTensor:
        """Input ``position``, a variable tensor of one of ``types`` and of this operator alone."""
        self.inputs_seen.add(position)
        inputs = self.record.inputs
        if not 0 <= position < len(inputs) or inputs[position] < 0:
            raise self.absent(position)
        tensor = self.tensor(inputs[position])
        self.need(
            tensor.is_variable and not tensor.is_constant,
            f"its state {tensor.name!r} is no variable tensor without data",
            "a tensor with is_variable and an empty buffer",
        )
        users = [each.index for each in self.model.operators for i in each.inputs if i == tensor.index]
        self.need(len(users) == 1, f"its state {tensor.name!r} is that of operators {users}", "a state of its own")
        return self.typed(tensor, types)

    def kept(self, state: TfliteTensor, written: TfliteTensor) -> Variable:
        """The variable that holds ``state`` and from inference to inference what is ``written``; at first, the zero point."""
        codes = np.full(state.shape, zero_point_of(state), FORMATS[state.type].dtype)
        return Variable(name=state.name, read=state.name, written=written.name, initial=codes)

    def elementwise(self) -> TfliteTensor:
        """Input 0, computed at run time, of the output's type and shape."""
        source = self.activation(0)
        self.need(self.result().type == source.type, "its input and output differ in type", "one integer type")
        self.output_shape_is(source.shape)
        return source

    def moved(self, types: Collection[str] = MOVED_TYPES, position: int = 0) -> TfliteTensor:
        """Input ``position``, computed at run time, whose codes become those of every output as they are."""
        source = self.activation(position, types)
        for output in self.outputs:
            self.typed(output, (source.type,))
            self.same_quantization(source, reference=output)
        return source

    @property
    def outputs(self) -> tuple[TfliteTensor, ...]:
        """All outputs."""
        return tuple(self.tensor(index) for index in self.record.outputs)

    def axis_of(self, axis: int, rank: int) -> int:
        """``axis``, counted from either end of ``rank`` axes, from 0 up."""
        self.need(-rank <= axis < rank, f"its axis is {axis} for {rank} axes", "one of its axes")
        return axis % rank

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

    def same_quantization(self, *tensors: TfliteTensor, reference: TfliteTensor | None = None) -> None:
        """Every tensor must have the output's type, scale and zero point: codes are moved, not rescaled."""
        reference = reference or self.output
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
        self.shape_is(self.output, shape)

    def shape_is(self, tensor: TfliteTensor, shape: tuple[int, ...]) -> None:
        """As :meth:`output_shape_is`, of one of several outputs; axes that the file leaves open become those of ``shape``."""
        same = len(tensor.shape) == len(shape) and all(
            axis in tensor.open_axes or size == tensor.shape[axis] for axis, size in enumerate(shape)
        )
        self.need(
            same,
            f"its output is declared as {list(tensor.shape)}, but its operands and options give {list(shape)}",
            "a consistent file",
        )
        if tensor.shape != shape:
            self.settle(replace(tensor, shape=shape))

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
