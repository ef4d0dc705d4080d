"""What a requantization scheme says of itself: every question that another module asks of a scheme is a field here.

No field has a default: a scheme that leaves a question open cannot be declared, and no reader falls back on another's answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from accelsim.errors import ConfigError
from accelsim.numerics.formulas import CLAMPED
from accelsim.numerics.rounding import Rounding
from accelsim.numerics.shift_form import Integers, ShiftForm
from accelsim.numerics.twins import reduced_multiplier16

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Family(StrEnum):
    """What the parameter arrays of a scheme hold."""

    INTEGER = "integer"
    """``multiplier`` int32 significands, ``shift`` exponents of TFLite's encoding."""
    FLOAT32 = "float32"
    """``multiplier`` float32 factors; ``shift`` zeros."""
    SCALES = "scales"
    """``multiplier`` float64 columns s_in, s_w, s_out; ``shift`` zeros."""
    POWER_OF_TWO = "power_of_two"
    """``shift`` right shifts; ``multiplier`` ones, unused."""
    FIXED_POINT = "fixed_point"
    """``multiplier`` significands as wide as the hardware's, ``shift`` right shifts s: ``M = multiplier * 2**-s``."""
    FLOAT64 = "float64"
    """``multiplier`` float64 factors; ``shift`` zeros."""
    RAW_SUM = "raw_sum"
    """``multiplier`` float32 columns: the factor, and what the input's zero point adds to the raw sum; ``shift`` zeros."""

    STAGED = "staged"
    """``multiplier`` int64 columns: significand, bias and zero point in the units of their stages, bias of the accumulator; ``shift``
    right shifts (:mod:`accelsim.numerics.stages`)."""

    @property
    def columns(self) -> int:
        """Numbers of ``multiplier`` for each channel."""
        return {Family.SCALES: 3, Family.RAW_SUM: 2, Family.STAGED: 4}.get(self, 1)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of ``multiplier``."""
        narrow, wide = (Family.FLOAT32, Family.RAW_SUM), (Family.FLOAT64, Family.SCALES)
        if self is Family.STAGED:
            return np.dtype(np.int64)
        return np.dtype(np.float32 if self in narrow else np.float64 if self in wide else np.int32)

    @property
    def is_float(self) -> bool:
        """Whether the scheme multiplies in floating point."""
        return self in (Family.FLOAT32, Family.FLOAT64, Family.SCALES, Family.RAW_SUM)


class Encoder(Enum):
    """How a real multiplier M becomes a scheme's parameters (carried out by quant/multiplier.py), and what they stand for."""

    TFLITE = "tflite", Family.INTEGER
    """``M = m * 2**(e-31)``: 31 significant bits, rounded half away from zero (LiteRT QuantizeMultiplier)."""
    TFLITE_16BIT = "tflite_16bit", Family.INTEGER
    """Encoded as ``TFLITE``; the rule reduces m to 16 bits: ``M = m16 * 2**(e-15)``."""
    POWER_OF_TWO = "power_of_two", Family.POWER_OF_TWO
    """``M = 2**-s`` exactly; other ratios are refused."""
    FIXED_POINT = "fixed_point", Family.FIXED_POINT
    """``M = m * 2**-s`` with m as wide as ``multipliers``, a shift for each channel (MLIR QuantUtils.cpp)."""
    SHARED_SHIFT = "shared_shift", Family.FIXED_POINT
    """As ``FIXED_POINT`` with one shift for all channels (nvdla/sw BatchNormOp.cpp)."""
    MANTISSA = "mantissa", Family.FIXED_POINT
    """The 24-bit mantissa m of the float32 ratio, ``M = m * 2**-s`` (XNNPACK microparams-init.c)."""
    FLOAT32 = "float32", Family.FLOAT32
    """The ratio in float32, from left to right."""
    FLOAT64 = "float64", Family.FLOAT64
    """The float32 ratio as a double."""
    SCALES = "scales", Family.SCALES
    """The three scales themselves; ``M = s_in * s_w / s_out``."""
    RAW_SUM = "raw_sum", Family.RAW_SUM
    """The ratio in float32, from left to right, and an integer beside it: 0, or that of a mean."""

    STAGED = "staged", Family.STAGED
    """``M = constants * m * 2**-s`` with m as wide as the list's multiplier: as ``FIXED_POINT`` or ``SHARED_SHIFT``."""

    def __init__(self, title: str, family: Family) -> None:
        self.title = title
        self.family = family

    def integers(self, m: Integers, e: Integers) -> tuple[Integers, Integers]:
        """Factors and right shifts, ``M = factor * 2**-shift``, of int64 ``multiplier`` and ``shift`` of shape (C,).

        Raises :class:`ConfigError` for encoders of floating-point factors.
        """
        match self:
            case Encoder.TFLITE:
                return m, 31 - e
            case Encoder.TFLITE_16BIT:
                return np.array([reduced_multiplier16(int(one)) for one in m], dtype=np.int64), 15 - e
            case Encoder.POWER_OF_TWO:
                return np.int64(1) << np.maximum(-e, 0), np.maximum(e, 0)
            case Encoder.FIXED_POINT | Encoder.SHARED_SHIFT | Encoder.MANTISSA:
                return m, e
        raise ConfigError(f"requantization encoder {self.title!r} has no integer factors")

    def reals(self, multiplier: NDArray[Any], shift: NDArray[Any]) -> tuple[Fraction, ...]:
        """The real factor that each channel's parameters stand for, exactly."""
        if self is Encoder.SCALES:
            rows = [[Fraction(float(scale)) for scale in row] for row in multiplier]
            return tuple(s_in * s_w / s_out for s_in, s_w, s_out in rows)
        if self is Encoder.RAW_SUM:
            return tuple(Fraction(float(factor)) for factor in multiplier[:, 0])
        if self.family.is_float:
            return tuple(Fraction(float(factor)) for factor in multiplier)
        factors, shifts = self.integers(multiplier.astype(np.int64), shift.astype(np.int64))
        return tuple(Fraction(int(m), 1 << int(s)) for m, s in zip(factors, shifts, strict=True))


class Folding(StrEnum):
    """How the count of a mean joins the multiplier of its sum."""

    DIVIDED = "divided"
    """The encoded significand is divided by the count, truncating (LiteRT reference/reduce.h, QuantizedMeanOrSum)."""
    FLOAT32 = "float32"
    """A float32 operation of the runtime that the importer knows (MLAS qlgavgpool.cpp)."""
    NONE = "none"
    """No runtime or chip is known to take a mean by the scheme: MEAN cannot choose it."""


class Parameters(Protocol):
    """What a twin reads of a :class:`~accelsim.numerics.Requant`."""

    @property
    def multiplier(self) -> NDArray[Any]: ...
    @property
    def shift(self) -> NDArray[np.int32]: ...
    @property
    def zero_point(self) -> int: ...
    @property
    def clamp_min(self) -> int: ...
    @property
    def clamp_max(self) -> int: ...


Twin: TypeAlias = Callable[[int, Parameters, int], int]
"""(accumulator, parameters, channel) to the scaled integer, or to the code where the rule ``is_whole``."""
ShiftForms: TypeAlias = Callable[[Integers, Integers], ShiftForm] | str
"""Factors and right shifts to the form, or why there is none."""


@dataclass(frozen=True, kw_only=True)
class RequantScheme:
    """A named rule from accumulator to scaled integer; zero point and clamp follow.

    ``wide`` is the widest accumulator it takes, in bits; ``encoder`` says what its parameters hold, ``exponents`` is the
    inclusive range of ``Requant.shift``, ``multipliers`` that of ``Requant.multiplier`` where it holds integers.
    ``roundings`` are its roundings to an integer in their order: one, or a doubling high multiply and a shift.
    With ``parity`` the zero point is added before rounding, so that ties go by the code's parity. A rule that ``is_whole``
    puts zero point and clamp elsewhere: its twin gives the output code. ``shift_form`` writes it as one product and one
    shift from the factors and right shifts of ``Encoder.integers``, or is the reason why there is no such form.
    ``formula`` is the rule in the notation of :mod:`~accelsim.numerics.formulas`, for readers outside: ``x`` is the accumulator, and
    behind the formula of a rule that is not whole the scaled integer; a whole rule's ends in ``code``.
    ``twin`` maps (accumulator, Requant, channel) to the scaled integer and defines the scheme; ``loop`` names its compiled
    loop in ``_kernels.py``. Raises :class:`ConfigError` for an empty answer.
    """

    name: str
    description: str
    source: str
    wide: int
    encoder: Encoder
    exponents: tuple[int, int]
    multipliers: tuple[int, int]
    roundings: tuple[Rounding, ...]
    parity: bool
    is_whole: bool
    shift_form: ShiftForms
    folding: Folding
    formula: tuple[str, ...]
    twin: Twin
    loop: str

    def __post_init__(self) -> None:
        for fact in ("name", "description", "source", "roundings", "shift_form", "formula", "loop"):
            if not getattr(self, fact):
                raise ConfigError(f"requantization scheme {self.name!r}: expected its {fact}, got none", name=self.name)

    @property
    def family(self) -> Family:
        """What its parameter arrays hold."""
        return self.encoder.family

    @property
    def tie(self) -> Rounding:
        """The single rounding that it comes nearest to: its last."""
        return self.roundings[-1]

    @property
    def is_doubled(self) -> bool:
        """Whether it rounds twice: a doubling high multiply, whose left shift wraps at 32 bits, then a right shift."""
        return len(self.roundings) > 1

    @property
    def significand_bits(self) -> int:
        """Bits of the largest multiplier, its sign not counted."""
        return self.multipliers[1].bit_length()

    @property
    def multiplier_bits(self) -> int:
        """Width of the multiplier that its hardware has, sign included; a float's significand, its exponent not counted."""
        return np.finfo(self.family.dtype).nmant + 1 if self.family.is_float else self.significand_bits + 1

    @property
    def factor_bits(self) -> int:
        """Width of the multiplier that a layer gives, sign included."""
        return self.significand_bits + 1

    @property
    def steps(self) -> tuple[str, ...]:
        """The whole formula, from the accumulator ``x`` to the output ``code``."""
        return self.formula if self.is_whole else (*self.formula, CLAMPED)

    @property
    def has_multiplier(self) -> bool:
        """Whether its hardware multiplies; a shifter does not."""
        return self.family is not Family.POWER_OF_TWO

    @property
    def takes_bias(self) -> bool:
        """Whether the rule adds the bias, so that accumulators start at 0; only lists of stages can."""
        return False

    @property
    def label(self) -> str:
        """What a report calls its roundings."""
        return f"rounding of {self.name}"

    def reals(self, multiplier: NDArray[Any], shift: NDArray[Any]) -> tuple[Fraction, ...]:
        """The real factor that each channel's parameters stand for, exactly."""
        return self.encoder.reals(multiplier, shift)

    def check(self, requant: Parameters) -> None:
        """GraphError for parameters that a rule of its own kind cannot have."""

    @property
    def kernel(self) -> Any:
        """The compiled block kernel; the first access imports numba."""
        from accelsim.numerics import _kernels

        return getattr(_kernels, self.loop)
