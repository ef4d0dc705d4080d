"""One node in its model, as the lowering functions see it: checked access to operands, constants and attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.context import BaseContext
from accelsim.importers.onnx.asked import Asked, need_all_seen
from accelsim.importers.onnx.file.records import FORMAT_TYPES, Attribute, OnnxNode, type_name
from accelsim.importers.onnx.formulas import ACCEPTED, MAX_BITS, Floats, Quantization, dequantize, format_of, quantize
from accelsim.importers.onnx.network import Codes, Network, Pending, Real, Target, Value, Weights
from accelsim.importers.onnx.rules import ONNXRUNTIME, Rules
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import IntFormat

HALVES = ": quantize the network before it is converted to float16"


@dataclass(frozen=True, eq=False)
class NodeContext(BaseContext):
    """A node, the network made so far, and the rules of the arithmetic that is imported for."""

    record: OnnxNode
    net: Network
    rules: Rules
    asked: set[str] = field(default_factory=set)
    read: set[int] = field(default_factory=set)

    def located(self) -> AbstractContextManager[None]:
        """Every error about the node names the file, the node, its index and its output."""
        return self.naming(f"{self.net.model.path}: node", self.outputs)

    @property
    def layer_name(self) -> str:
        return self.net.model.layer_name(self.record)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the operands, empty where one is left out."""
        return self.record.inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the results, empty where one is left out."""
        return self.record.outputs

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """As the file has them; those that are looked up count as seen."""
        return Asked(self.record.attributes, self.asked)

    def ignore(self, *attributes: str, inputs: tuple[int, ...] = ()) -> None:
        """Attributes and inputs that change nothing in the form that the node has."""
        self.asked.update(attributes)
        self.read.update(inputs)

    def need_all_seen(self) -> None:
        """RefusalError where an attribute or an input was neither used nor ignored, and is not its default."""
        need_all_seen(self.record, self.net.model.opset, attributes=self.asked, inputs=self.read)

    @property
    def output_name(self) -> str:
        """Name of the only output."""
        return self.only(self.outputs)

    def approximate(self, sentence: str, *, layer: str = "") -> None:
        """Record that a layer, the node's own unless named, is not what its runtime computes bit for bit, and how it differs."""
        name = layer or self.layer_name
        known = self.net.approximations.get(name, ())
        if sentence not in known:
            self.net.approximations[name] = (*known, sentence)

    def is_float_execution(self, target: Target, *bits: int) -> bool:
        """ONNX Runtime has integer kernels for 8-bit codes without a cut; all else it computes between the float nodes.

        ``bits`` are those of the operands.
        """
        widths = {*bits, target.quantization.format.bits}
        return self.rules.arithmetic.base == ONNXRUNTIME and (target.is_clipped or widths != {8})

    def name_float_execution(self, target: Target, *bits: int) -> None:
        """Record that the layer is not what ONNX Runtime computes in float32, where it does."""
        widths = {*bits, target.quantization.format.bits}
        if not self.is_float_execution(target, *bits):
            return
        wide = f"codes are of {', '.join(map(str, sorted(widths)))} bits"
        cause = "rectifier cuts off codes" if target.is_clipped else wide
        self.approximate(
            f"ONNX Runtime runs it in float32, because its {cause}: they may differ by one at ties of the rounding"
        )

    def fields(self, source: Codes, out: Codes) -> dict[str, Any]:
        """The fields that all layers share which read ``source`` alone and write ``out``."""
        names = {"name": self.layer_name, "inputs": (source.tensor,), "output": out.tensor}
        return {**names, "shapes": (source.stored,), "shape": out.stored}

    def image(self, source: Codes) -> tuple[int, int, int, int]:
        """The shape of ``source``: images, channels, rows, columns."""
        self.need(len(source.shape) == 4, f"its input has shape {list(source.shape)}", "4 dimensions")
        n, c, h, w = source.shape
        return n, c, h, w

    def result(self, value: Value) -> None:
        """What the node's output stands for."""
        self.net.values[self.output_name] = value

    def optional(self, position: int) -> Value | None:
        """Input ``position``, or None where it is absent."""
        self.read.add(position)
        return self.glance(position)

    def glance(self, position: int) -> Value | None:
        """Input ``position`` to choose a form by, which does not count as seen."""
        name = self.inputs[position] if position < len(self.inputs) else ""
        return self.net.values[name] if name else None

    def value(self, position: int) -> Value:
        """Input ``position``, which must be there."""
        value = self.optional(position)
        if value is None:
            raise self.absent(position)
        return value

    def codes(self, position: int) -> Codes:
        """Input ``position`` as codes that are computed at run time, dequantized or not."""
        value = self.value(position)
        if isinstance(value, Real):
            return value.codes
        if isinstance(value, Codes):
            return value
        raise RefusalError(f"input {position}, {self.inputs[position]!r}, is {_kind(value)}", "quantized activations")

    def scaled(self, position: int, scale: int, zero_point: int) -> Codes:
        """Input ``position`` of a QLinear operator, with the scale and zero point among the other inputs."""
        value = self.value(position)
        if not isinstance(value, Codes):
            raise RefusalError(
                f"input {position}, {self.inputs[position]!r}, is {_kind(value)}",
                "codes that are computed at run time",
            )
        given = self.quantization(scale, zero_point, value.format)
        self.net.label(value, given)
        return replace(value, quantization=given)

    def shape(self, position: int) -> tuple[int, ...]:
        """The shape of input ``position``, whatever it stands for."""
        value = self.value(position)
        if isinstance(value, Real):
            return value.codes.shape
        shape: tuple[int, ...] = value.codes.shape if isinstance(value, Weights) else value.shape
        return shape

    def is_constant(self, position: int) -> bool:
        """Whether input ``position`` is known at import."""
        return isinstance(self.glance(position), Weights | np.ndarray)

    def quantization(self, scale: int, zero_point: int, codes: IntFormat | None = None) -> Quantization:
        """One scale and zero point from two constant inputs; ``codes`` is their format where that is known."""
        scales, zeros, fmt = self.parameters(scale, zero_point, codes)
        self.need(
            len(scales) == len(zeros) == 1,
            f"it has {len(scales)} scales and {len(zeros)} zero points",
            "one per tensor",
        )
        self.need(fmt.bits <= MAX_BITS, f"its codes are {fmt}", ACCEPTED)
        return Quantization(float(scales[0]), int(zeros[0]), fmt)

    def parameters(
        self, scale: int, zero_point: int, codes: IntFormat | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], IntFormat]:
        """Scales, zero points and the format of the codes, from constant inputs ``scale`` and ``zero_point``.

        ``codes`` is the format where that is known; without it the zero point tells, or the attribute ``output_dtype``.
        """
        scales = self._vector(scale, "scales")
        self.need(
            scales.dtype == np.float32 and scales.size > 0 and bool(np.isfinite(scales).all() and (scales > 0).all()),
            f"its scales are {scales.tolist()[:3]} ({scales.dtype})",
            f"positive finite float32 scales{HALVES if scales.dtype == np.float16 else ''}",
        )
        if self.optional(zero_point) is None:
            return scales, np.zeros(len(scales), np.int64), codes or self._output_format()
        zeros = self._vector(zero_point, "zero points")
        fmt = format_of(zeros.dtype)
        if fmt is None or fmt != (codes or fmt) or len(zeros) not in (1, len(scales)):
            raise RefusalError(
                f"its {len(zeros)} zero points are {zeros.dtype}",
                f"as many as scales, of the type of the codes: {codes or ACCEPTED}",
            )
        if "output_dtype" in self.attributes and self.op == "QuantizeLinear":
            given = self._output_format()
            self.need(given == fmt, f"its output_dtype is {given} and its zero point {fmt}", "one type")
        return scales, zeros.astype(np.int64), fmt

    def _vector(self, position: int, what: str) -> NDArray[Any]:
        """A constant number or vector, or the one row of a matrix that QLinearMatMul takes; (n,)."""
        values = self.array(position, what)
        if values.dtype == np.float16 and self.op.startswith("QLinear"):  # which multiply in float32 all the same
            values = values.astype(np.float32)
        shape = values.shape[1:] if self.op == "QLinearMatMul" and values.shape[:1] == (1,) else values.shape
        self.need(len(shape) <= 1, f"its {what} (input {position}) have shape {list(values.shape)}", "a vector")
        return values.reshape(-1)

    def _output_format(self) -> IntFormat:
        """Attribute ``output_dtype`` (opset 21), or uint8."""
        code = self.integer("output_dtype", 0)
        name = type_name(code).lower() if code else "uint8"
        self.need(name.upper() in FORMAT_TYPES, f"its output_dtype is {name}", ACCEPTED)
        return IntFormat.parse(name)

    def array(self, position: int, what: str) -> NDArray[Any]:
        """The constant at input ``position``."""
        value = self.value(position)
        if not isinstance(value, np.ndarray):
            raise RefusalError(f"its {what} (input {position}) are {_kind(value)}", f"{what} that are constant")
        return value

    def integers(self, position: int, what: str) -> tuple[int, ...]:
        """A constant vector of int32 or int64."""
        values = self.array(position, what)
        self.need(values.dtype.kind == "i", f"its {what} are {values.dtype}", "int32 or int64")
        return tuple(int(v) for v in values.reshape(-1))

    def scalar(self, position: int, default: float) -> float:
        """A constant number, plain or dequantized; ``default`` where it is absent."""
        value = self.optional(position)
        if value is None:
            return default
        real = dequantized(value) if isinstance(value, Weights) else value
        if not isinstance(real, np.ndarray) or real.size != 1:
            raise RefusalError(f"input {position} is {_kind(value)}", "one constant number")
        return float(real.reshape(-1)[0])

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        value = self.attributes.get(name, default)
        self.need(isinstance(value, int), f"its attribute {name} is {value!r}", "an integer")
        assert isinstance(value, int)
        return value

    def number(self, name: str, default: float) -> float:
        """A real attribute."""
        value = self.attributes.get(name, default)
        self.need(isinstance(value, float) and math.isfinite(value), f"its attribute {name} is {value!r}", "a number")
        assert isinstance(value, float)
        return value

    def ints(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """An attribute that is a list of as many integers as ``default``, which stands for it where it is absent."""
        value = self.attributes.get(name, default)
        fine = isinstance(value, tuple) and len(value) == len(default) and all(isinstance(i, int) for i in value)
        self.need(fine, f"its attribute {name} is {value!r}", f"{len(default)} integers")
        assert isinstance(value, tuple)
        return tuple(int(i) for i in value)

    def axis(self, rank: int, default: int) -> int:
        """Attribute ``axis``, counted from the front."""
        given = self.integer("axis", default)
        self.need(-rank <= given < rank, f"its axis is {given} for {rank} axes", "an axis of its input")
        return given % rank

    def emit(self, pending: Pending, quantization: Quantization) -> None:
        """Make the layer of a QLinear operator now."""
        self.result(settle(self, pending, self.output_name, quantization))


def settle(node: NodeContext, pending: Pending, name: str, to: Quantization) -> Codes:
    """Make the layer of ``pending`` with its codes in tensor ``name``."""
    bounds = np.array([pending.least, pending.most], dtype=np.float32)
    low, high = (int(code) for code in quantize(bounds, to))
    real = dequantize(np.array([to.format.min, to.format.max]), to)
    pending.emit(Target(name, to, low, high, bool(pending.least > real[0] or pending.most < real[1])))
    return node.net.make(name, pending.shape, to.format, to)


def dequantized(weights: Weights) -> NDArray[np.float32]:
    """Real values of a constant."""
    shape = [1] * weights.codes.ndim
    if weights.axis is not None:
        shape[weights.axis] = -1
    scales, zeros = (v if v.size == 1 else v.reshape(shape) for v in (weights.scales, weights.zero_points))
    real: NDArray[np.float32] = scales.astype(np.float32) * (weights.codes.astype(np.int64) - zeros).astype(np.float32)
    return real.reshape(weights.codes.shape)


def numbers(node: NodeContext, position: int, what: str) -> Floats:
    """A constant input as float32 numbers."""
    value = node.value(position)
    real = dequantized(value) if isinstance(value, Weights) else node.array(position, what)
    fine = real.dtype.kind in "fiu" and real.size > 0 and bool(np.isfinite(real).all())
    node.need(fine, f"its {what} is {real.dtype} of shape {list(real.shape)}", "finite numbers")
    return np.asarray(real, np.float32)


def _kind(value: Value) -> str:
    if isinstance(value, Pending):
        return f"the float result of {value.what}, not quantized"
    names = {Codes: "codes", Real: "dequantized codes", Weights: "a quantized constant", np.ndarray: "a constant"}
    return names.get(type(value), "a float graph input, not quantized")
