"""The named requantization schemes: what each computes, where it comes from, its twin and its kernel."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import ConfigError
from accelsim.numerics import twins
from accelsim.numerics.rounding import MAX_SHIFT, Rounding, round_shift

if TYPE_CHECKING:
    from accelsim.numerics.requant import Requant


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

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of ``multiplier``."""
        return np.dtype({Family.FLOAT32: np.float32, Family.SCALES: np.float64}.get(self, np.int32))

    @property
    def is_float(self) -> bool:
        """Whether the scheme multiplies in floating point."""
        return self in (Family.FLOAT32, Family.SCALES)


@dataclass(frozen=True)
class RequantScheme:
    """A named rule from accumulator to scaled integer; zero point and clamp follow, the same for all schemes.

    ``wide`` is the widest accumulator it takes, in bits; ``exponents`` the inclusive range of ``Requant.shift``;
    ``twin`` maps (accumulator, Requant, channel) to the scaled integer and defines the scheme.
    """

    name: str
    description: str
    source: str
    wide: int
    family: Family
    exponents: tuple[int, int]
    twin: Callable[[int, Requant, int], int]

    @property
    def kernel(self) -> Any:
        """The compiled block kernel; the first access imports numba."""
        from accelsim.numerics import _kernels

        return getattr(_kernels, f"{self.name}_rows")


def _integer(function: Callable[[int, int, int], int]) -> Callable[[int, Requant, int], int]:
    def twin(acc: int, requant: Requant, channel: int) -> int:
        return function(acc, int(requant.multiplier[channel]), int(requant.shift[channel]))

    return twin


def _shift(rounding: Rounding) -> Callable[[int, Requant, int], int]:
    def twin(acc: int, requant: Requant, channel: int) -> int:
        return round_shift(acc, int(requant.shift[channel]), rounding)

    return twin


def _float32_twin(acc: int, requant: Requant, channel: int) -> int:
    return twins.float32_half_even_int(acc, Fraction(float(requant.multiplier[channel])))


def _float64_twin(acc: int, requant: Requant, channel: int) -> int:
    return twins.float64_half_away_int(acc, *(Fraction(float(scale)) for scale in requant.multiplier[channel]))


_ALL = (
    RequantScheme(
        name="tflite_double",
        description="two roundings, half up then half away from zero; 32-bit multiplier; int32 wrap on left shifts",
        source="gemmlowp fixedpoint.h; LiteRT MultiplyByQuantizedMultiplier; CMSIS-NN arm_nn_requantize",
        wide=32,
        family=Family.INTEGER,
        exponents=(-31, 30),
        twin=_integer(twins.mbqm_int),
    ),
    RequantScheme(
        name="single",
        description="one rounding, half up, of the exact product; 32-bit multiplier",
        source="LiteRT TFLITE_SINGLE_ROUNDING; TOSA RESCALE SINGLE_ROUND; Ethos-U NATURAL",
        wide=32,
        family=Family.INTEGER,
        exponents=(-31, 30),
        twin=_integer(twins.single_int),
    ),
    RequantScheme(
        name="half_up_twice",
        description="two roundings, both half up; 32-bit multiplier; int32 wrap on left shifts",
        source="LiteRT optimized kernels (ruy, x86 and NEON): VQRDMULH then VRSHL",
        wide=32,
        family=Family.INTEGER,
        exponents=(-31, 30),
        twin=_integer(twins.half_up_twice_int),
    ),
    RequantScheme(
        name="tflite_int16",
        description="one rounding, half up, with a 16-bit multiplier, of accumulators below 2**47",
        source="LiteRT internal/common.cc MultiplyByQuantizedMultiplier(int64_t), 16x8 kernels; TOSA apply_scale_16",
        wide=48,
        family=Family.INTEGER,
        exponents=(-31, 7),
        twin=_integer(twins.int16_int),
    ),
    RequantScheme(
        name="float32_half_even",
        description="float32(acc) * float32 multiplier, rounded half to even",
        source="XNNPACK requantization.h; ONNX Runtime MLAS quantize.cpp; Gemmini acc_scale",
        wide=64,
        family=Family.FLOAT32,
        exponents=(0, 0),
        twin=_float32_twin,
    ),
    RequantScheme(
        name="float64_half_away",
        description="double(acc) * s_in * s_w / s_out from left to right, rounded half away from zero",
        source="LiteRT reference integer_ops/fully_connected.h",
        wide=64,
        family=Family.SCALES,
        exponents=(0, 0),
        twin=_float64_twin,
    ),
    RequantScheme(
        name="shift_half_up",
        description="power-of-two scale: (acc + 2**(s-1)) >> s",
        source="CMSIS-NN legacy q7 kernels; VTA compiled code (adds 2**(s-1), then SHR)",
        wide=64,
        family=Family.POWER_OF_TWO,
        exponents=(-31, MAX_SHIFT),
        twin=_shift(Rounding.HALF_UP),
    ),
    RequantScheme(
        name="shift_half_even",
        description="power-of-two scale, rounded half to even",
        source="Gemmini Arithmetic.scala, operator >> of SInt (RISC-V vxrm rne)",
        wide=64,
        family=Family.POWER_OF_TWO,
        exponents=(-31, MAX_SHIFT),
        twin=_shift(Rounding.HALF_EVEN),
    ),
    RequantScheme(
        name="shift_floor",
        description="power-of-two scale, low bits dropped: acc >> s",
        source="VTA SHR; hls4ml AP_TRN",
        wide=64,
        family=Family.POWER_OF_TWO,
        exponents=(-31, MAX_SHIFT),
        twin=_shift(Rounding.FLOOR),
    ),
)

SCHEMES: Mapping[str, RequantScheme] = MappingProxyType({scheme.name: scheme for scheme in _ALL})
"""Every scheme by name, in the order of their documentation."""

ALIASES: Mapping[str, str] = MappingProxyType({"tflite_single": "single"})
"""Other names that are understood."""


def scheme_named(name: str) -> RequantScheme:
    """The scheme of a name or alias; raises :class:`ConfigError` that suggests the nearest name."""
    scheme = SCHEMES.get(ALIASES.get(name, name))
    if scheme is None:
        near = difflib.get_close_matches(str(name), [*SCHEMES, *ALIASES], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"requantization scheme {name!r}: expected one of {', '.join(SCHEMES)}{hint}", name=name)
    return scheme
