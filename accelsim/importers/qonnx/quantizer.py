"""The operators Quant, BipolarQuant and Trunc of QONNX: their parameters, checked, and what they compute.

Definitions: Pappalardo et al., QONNX, arXiv 2206.07527, section 4; qonnx/custom_op/general/{intquant,bipolar_quant,trunc}.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.chains import Chained
from accelsim.importers.onnx.formulas import Codes, Floats, Quantization
from accelsim.importers.onnx.network import Weights
from accelsim.importers.onnx.site import Site, dequantized
from accelsim.numerics import BIPOLAR, IntFormat, Rounding

MAX_BITS = 16

ROUNDINGS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "ROUND": np.rint,
        "HALF_EVEN": np.rint,
        "CEIL": np.ceil,
        "FLOOR": np.floor,
        "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
        "DOWN": np.trunc,
        "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
        "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
    }
)
"""Rounding modes by the names of QONNX, which calls away from zero UP and ties away from zero HALF_UP."""

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
class Quantizer:
    """Quant or BipolarQuant: scales (1,) or one per index of ``axis``, codes from ``low`` to ``high``."""

    scales: Floats
    zero_points: NDArray[np.int64]
    axis: int | None
    format: IntFormat
    low: int
    high: int
    rounding: str

    @property
    def quantization(self) -> Quantization:
        """Of a quantizer of one scale."""
        return Quantization(float(self.scales[0]), int(self.zero_points[0]), self.format)

    def codes(self, real: Floats) -> Codes:
        """``round(clamp(x / scale + zero_point))`` in float32, or the sign, that of 0 being positive."""
        scales, zeros = (self._spread(v, real.ndim) for v in (self.scales, self.zero_points.astype(np.float32)))
        with np.errstate(over="ignore"):
            y = real / scales + zeros
        if self.format.bipolar:
            return np.where(y >= 0, 1, -1).astype(np.int64)
        codes: Codes = ROUNDINGS[self.rounding](np.clip(y, np.float32(self.low), np.float32(self.high))).astype(
            np.int64
        )
        return codes

    def _spread(self, values: NDArray[Any], rank: int) -> NDArray[Any]:
        if self.axis is None:
            return values.reshape(()) if rank == 0 else values
        return values.reshape([-1 if i == self.axis else 1 for i in range(rank)])


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


def quantizer_of(site: Site, shape: tuple[int, ...]) -> Quantizer:
    """The quantizer that a Quant node is, for an input of ``shape``."""
    site.need(len(site.node.inputs) == 4, f"it has {len(site.node.inputs)} inputs", "x, scale, zeropt, bitwidth")
    bits = _bits(site, 3, "bitwidth")
    signed, narrow = _flag(site, "signed", 1), _flag(site, "narrow", 1)
    scales, scale_axis = _parameter(site, 1, "scale", shape)
    _need_positive(site, scales)
    zeros, zero_axis = _parameter(site, 2, "zeropt", shape)
    site.need(bool((zeros == np.rint(zeros)).all()), f"its zeropt is {zeros.tolist()[:3]}", "whole numbers")
    site.need(
        zero_axis in (None, scale_axis), "its zeropt differs along another axis than its scale", "one common axis"
    )
    fmt = BIPOLAR if bits == 1 and signed else IntFormat(bits, signed=signed)
    low = fmt.min + (narrow and signed and not fmt.bipolar)
    high = fmt.max - (narrow and not signed)
    site.need(low <= high, f"its {bits} bits leave no code in the narrow range", "narrow 0, or more bits")
    fine = bool(((zeros >= fmt.min) & (zeros <= fmt.max)).all()) and not (fmt.bipolar and zeros.any())
    site.need(fine, f"its zeropt {zeros.tolist()[:3]} is no {fmt}", f"a zero point that is a code of {fmt}")
    return Quantizer(scales, zeros.astype(np.int64), scale_axis, fmt, low, high, rounding_of(site, "ROUND"))


def bipolar_of(site: Site, shape: tuple[int, ...]) -> Quantizer:
    """The quantizer that a BipolarQuant node is: ``-scale`` and ``+scale``."""
    site.need(len(site.node.inputs) == 2, f"it has {len(site.node.inputs)} inputs", "x, scale")
    scales, axis = _parameter(site, 1, "scale", shape)
    _need_positive(site, scales)
    return Quantizer(scales, np.zeros(1, np.int64), axis, BIPOLAR, -1, 1, "ROUND")


def truncation_of(site: Site, chain: Chained) -> Truncation:
    """The function that a Trunc node is, version 1 (5 inputs) or 2 (6 inputs)."""
    count = len(site.node.inputs)
    site.need(count in (5, 6), f"it has {count} inputs", "x, scale, zeropt, in_bitwidth, [out_scale,] out_bitwidth")
    scale, zero = _one(site, 1, "scale"), _one(site, 2, "zeropt")
    site.need(scale > 0 and zero == int(zero), f"its scale is {scale}, its zeropt {zero}", "scale > 0, whole zeropt")
    before, after = _bits(site, 3, "in_bitwidth", most=32), _bits(site, count - 1, "out_bitwidth")
    rounding = rounding_of(site, "FLOOR")
    source = Quantization(scale, int(zero), IntFormat(32))
    if count == 5:
        site.need(before >= after, f"it widens {before} bits to {after}", "fewer bits out than in")
        made = Truncation(source, source, 2.0 ** (before - after), rounding, None)
        codes = made.codes(chain.function(chain.base.probes()))
        fmt = _holding(after, int(codes.min()), int(codes.max()))
        return Truncation(source, Quantization(scale, int(zero), fmt), made.divisor, rounding, None)
    out_scale = _one(site, 4, "out_scale")
    site.need(out_scale > 0, f"its out_scale is {out_scale}", "a positive scale")
    divisor = 2.0 ** float(np.rint(np.log2(np.float32(out_scale) / np.float32(scale))))
    site.need(zero / divisor == int(zero / divisor), f"its zeropt {zero} is no multiple of {divisor}", "one that is")
    signed = _flag(site, "signed", 1)
    narrow, fmt = _flag(site, "narrow", 0), IntFormat(after, signed=signed)
    bounds = fmt.min + (narrow and signed), fmt.max - (narrow and not signed)
    return Truncation(source, Quantization(out_scale, int(zero / divisor), fmt), divisor, rounding, bounds)


def rounding_of(site: Site, default: str) -> str:
    """Attribute ``rounding_mode``, in capitals."""
    given = site.node.attributes.get("rounding_mode", default)
    name = given.upper() if isinstance(given, str) else ""
    site.need(name in ROUNDINGS, f"its rounding_mode is {given!r}", ", ".join(ROUNDINGS))
    return name


def numbers(site: Site, position: int, what: str) -> Floats:
    """A constant input as float32 numbers."""
    value = site.value(position)
    real = dequantized(value) if isinstance(value, Weights) else site.array(position, what)
    fine = real.dtype.kind in "fiu" and real.size > 0 and bool(np.isfinite(real).all())
    site.need(fine, f"its {what} is {real.dtype} of shape {list(real.shape)}", "finite numbers")
    return np.asarray(real, np.float32)


def _holding(bits: int, low: int, high: int) -> IntFormat:
    """At least ``bits`` bits, unsigned where no code is negative."""
    formats = (IntFormat(b, signed=low < 0) for b in range(bits, 33))
    return next(fmt for fmt in formats if fmt.min <= low and high <= fmt.max)


def _flag(site: Site, name: str, default: int) -> bool:
    value = site.integer(name, default)
    site.need(value in (0, 1), f"its attribute {name} is {value}", "0 or 1")
    return bool(value)


def _one(site: Site, position: int, what: str) -> float:
    given = numbers(site, position, what)
    site.need(given.size == 1, f"its {what} has shape {list(given.shape)}", "one number per tensor")
    return float(given.reshape(-1)[0])


def _bits(site: Site, position: int, what: str, most: int = MAX_BITS) -> int:
    given = _one(site, position, what)
    site.need(given == int(given) and 1 <= given <= most, f"its {what} is {given:g}", f"a whole number, 1 to {most}")
    return int(given)


def _need_positive(site: Site, scales: Floats) -> None:
    site.need(bool((scales > 0).all()), f"its scale is {scales.tolist()[:3]}", "positive scales")


def _parameter(site: Site, position: int, what: str, shape: tuple[int, ...]) -> tuple[Floats, int | None]:
    """Values (1,) or (n,), and the axis of ``shape`` along which they differ."""
    given = numbers(site, position, what)
    if given.size == 1 or ((given == given.reshape(-1)[0]).all() and given.ndim <= len(shape)):
        return given.reshape(-1)[:1], None
    padded = (1,) * (len(shape) - given.ndim) + given.shape
    axes = [i for i, size in enumerate(padded) if size > 1]
    site.need(
        len(padded) == len(shape) and len(axes) == 1 and padded[axes[0]] == shape[axes[0]],
        f"its {what} has shape {list(given.shape)} for an input of shape {list(shape)}",
        "one per tensor, or one per index of one axis",
    )
    return given.reshape(-1), axes[0]
