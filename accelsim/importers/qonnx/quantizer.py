"""The operators Quant, BipolarQuant and Trunc of QONNX: their parameters, checked, and what they compute.

Definitions: Pappalardo et al., QONNX, arXiv 2206.07527, section 4; qonnx/custom_op/general/{intquant,bipolar_quant,trunc}.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from accelsim.importers.onnx.chain import ROUNDINGS, Chained, Quantizer
from accelsim.importers.onnx.context import NodeContext, numbers
from accelsim.importers.onnx.formulas import Codes, Floats, Quantization
from accelsim.importers.onnx.network import Weights
from accelsim.numerics import BIPOLAR, IntFormat, Rounding

MAX_BITS, MAX_CONSTANT_BITS = 16, 32
"""Widest codes of activations and of constants, a bias among them."""

HOST_ROUNDINGS: Mapping[str, Rounding] = MappingProxyType(
    {
        "ROUND": Rounding.HALF_EVEN,
        "HALF_EVEN": Rounding.HALF_EVEN,
        "CEIL": Rounding.CEIL,
        "FLOOR": Rounding.FLOOR,
        "UP": Rounding.AWAY,
        "DOWN": Rounding.TRUNC,
        "HALF_UP": Rounding.HALF_AWAY,
    }
)
"""Those that the host can follow when it makes codes of a float graph input."""


@dataclass(frozen=True, eq=False)
class QuantizedWeights(Weights):
    """A constant behind a Quant: codes of ``format``, which is not always a whole numpy type."""

    format: IntFormat


@dataclass(frozen=True, eq=False)
class Truncation:
    """Trunc: codes of ``source`` divided by a power of two and rounded; ``bounds`` clamp them first (version 2)."""

    source: Quantization
    target: Quantization
    divisor: float
    rounding: str
    bounds: tuple[int, int] | None

    @property
    def quantization(self) -> Quantization:
        """Of the result."""
        return self.target

    def codes(self, real: Floats) -> Codes:
        """``round(clamp(rint(x / scale + zero_point) / divisor))`` in float32."""
        whole = np.rint(real / np.float32(self.source.scale) + np.float32(self.source.zero_point))
        y = whole / np.float32(self.divisor)
        bounded = y if self.bounds is None else np.clip(y, np.float32(self.bounds[0]), np.float32(self.bounds[1]))
        codes: Codes = ROUNDINGS[self.rounding](bounded).astype(np.int64)
        return codes


def quantizer_of(node: NodeContext, shape: tuple[int, ...], *, most: int = MAX_BITS) -> Quantizer:
    """The quantizer that a Quant node is, for an input of ``shape``, of at most so many bits."""
    node.need(len(node.inputs) == 4, f"it has {len(node.inputs)} inputs", "x, scale, zeropt, bitwidth")
    bits = _bits(node, 3, "bitwidth", most)
    signed, narrow = _flag(node, "signed", 1), _flag(node, "narrow", 1)
    scales, scale_axis = _parameter(node, 1, "scale", shape)
    _need_positive(node, scales)
    zeros, zero_axis = _parameter(node, 2, "zeropt", shape)
    node.need(bool((zeros == np.rint(zeros)).all()), f"its zeropt is {zeros.tolist()[:3]}", "whole numbers")
    node.need(
        zero_axis in (None, scale_axis), "its zeropt differs along another axis than its scale", "one common axis"
    )
    fmt = BIPOLAR if bits == 1 and signed else IntFormat(bits, signed=signed)
    low = fmt.min + (narrow and signed and not fmt.bipolar)
    high = fmt.max - (narrow and not signed)
    node.need(low <= high, f"its {bits} bits leave no code in the narrow range", "narrow 0, or more bits")
    fine = bool(((zeros >= fmt.min) & (zeros <= fmt.max)).all()) and not (fmt.bipolar and zeros.any())
    node.need(fine, f"its zeropt {zeros.tolist()[:3]} is no {fmt}", f"a zero point that is a code of {fmt}")
    return Quantizer(scales, zeros.astype(np.int64), scale_axis, fmt, low, high, rounding_of(node, "ROUND"))


def bipolar_of(node: NodeContext, shape: tuple[int, ...]) -> Quantizer:
    """The quantizer that a BipolarQuant node is: ``-scale`` and ``+scale``."""
    node.need(len(node.inputs) == 2, f"it has {len(node.inputs)} inputs", "x, scale")
    scales, axis = _parameter(node, 1, "scale", shape)
    _need_positive(node, scales)
    return Quantizer(scales, np.zeros(1, np.int64), axis, BIPOLAR, -1, 1, "ROUND")


def truncation_of(node: NodeContext, chain: Chained) -> Truncation:
    """The function that a Trunc node is, version 1 (5 inputs) or 2 (6 inputs)."""
    count = len(node.inputs)
    node.need(count in (5, 6), f"it has {count} inputs", "x, scale, zeropt, in_bitwidth, [out_scale,] out_bitwidth")
    scale, zero = _one(node, 1, "scale"), _one(node, 2, "zeropt")
    node.need(scale > 0 and zero == int(zero), f"its scale is {scale}, its zeropt {zero}", "scale > 0, whole zeropt")
    before, after = _bits(node, 3, "in_bitwidth", most=32), _bits(node, count - 1, "out_bitwidth")
    rounding = rounding_of(node, "FLOOR")
    source = Quantization(scale, int(zero), IntFormat(32))
    if count == 5:
        node.need(before >= after, f"it widens {before} bits to {after}", "fewer bits out than in")
        made = Truncation(source, source, 2.0 ** (before - after), rounding, None)
        codes = made.codes(chain.function(chain.base.probes()))
        fmt = _holding(after, int(codes.min()), int(codes.max()))
        return Truncation(source, Quantization(scale, int(zero), fmt), made.divisor, rounding, None)
    out_scale = _one(node, 4, "out_scale")
    node.need(out_scale > 0, f"its out_scale is {out_scale}", "a positive scale")
    divisor = 2.0 ** float(np.rint(np.log2(np.float32(out_scale) / np.float32(scale))))
    node.need(zero / divisor == int(zero / divisor), f"its zeropt {zero} is no multiple of {divisor}", "one that is")
    signed = _flag(node, "signed", 1)
    narrow, fmt = _flag(node, "narrow", 0), IntFormat(after, signed=signed)
    bounds = fmt.min + (narrow and signed), fmt.max - (narrow and not signed)
    return Truncation(source, Quantization(out_scale, int(zero / divisor), fmt), divisor, rounding, bounds)


def rounding_of(node: NodeContext, default: str) -> str:
    """Attribute ``rounding_mode``, in capitals."""
    given = node.attributes.get("rounding_mode", default)
    name = given.upper() if isinstance(given, str) else ""
    node.need(name in ROUNDINGS, f"its rounding_mode is {given!r}", ", ".join(ROUNDINGS))
    return name


def _holding(bits: int, low: int, high: int) -> IntFormat:
    """At least ``bits`` bits, unsigned where no code is negative."""
    formats = (IntFormat(b, signed=low < 0) for b in range(bits, 33))
    return next(fmt for fmt in formats if fmt.min <= low and high <= fmt.max)


def _flag(node: NodeContext, name: str, default: int) -> bool:
    value = node.integer(name, default)
    node.need(value in (0, 1), f"its attribute {name} is {value}", "0 or 1")
    return bool(value)


def _one(node: NodeContext, position: int, what: str) -> float:
    given = numbers(node, position, what)
    node.need(given.size == 1, f"its {what} has shape {list(given.shape)}", "one number per tensor")
    return float(given.reshape(-1)[0])


def _bits(node: NodeContext, position: int, what: str, most: int = MAX_BITS) -> int:
    given = _one(node, position, what)
    node.need(given == int(given) and 1 <= given <= most, f"its {what} is {given:g}", f"a whole number, 1 to {most}")
    return int(given)


def _need_positive(node: NodeContext, scales: Floats) -> None:
    node.need(bool((scales > 0).all()), f"its scale is {scales.tolist()[:3]}", "positive scales")


def _parameter(node: NodeContext, position: int, what: str, shape: tuple[int, ...]) -> tuple[Floats, int | None]:
    """Values (1,) or (n,), and the axis of ``shape`` along which they differ."""
    given = numbers(node, position, what)
    if given.size == 1 or ((given == given.reshape(-1)[0]).all() and given.ndim <= len(shape)):
        return given.reshape(-1)[:1], None
    padded = (1,) * (len(shape) - given.ndim) + given.shape
    axes = [i for i, size in enumerate(padded) if size > 1]
    node.need(
        len(padded) == len(shape) and len(axes) == 1 and padded[axes[0]] == shape[axes[0]],
        f"its {what} has shape {list(given.shape)} for an input of shape {list(shape)}",
        "one per tensor, or one per index of one axis",
    )
    return given.reshape(-1), axes[0]
