"""The named requantization schemes: what each computes, where it comes from, its twin and its kernel."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType

from accelsim.errors import ConfigError
from accelsim.numerics import twins
from accelsim.numerics.formulas import shifted
from accelsim.numerics.intformat import INT16, INT32
from accelsim.numerics.rounding import MAX_SHIFT, Rounding, round_shift
from accelsim.numerics.scheme_facts import Encoder, Folding, Parameters, RequantScheme, Twin
from accelsim.numerics.shift_form import shifted_once, shifted_twice
from accelsim.numerics.stages import parsed_scheme


def _integer(function: Callable[[int, int, int], int]) -> Twin:
    def twin(acc: int, requant: Parameters, channel: int) -> int:
        return function(acc, int(requant.multiplier[channel]), int(requant.shift[channel]))

    return twin


def _shift(rounding: Rounding) -> Twin:
    def twin(acc: int, requant: Parameters, channel: int) -> int:
        return round_shift(acc, int(requant.shift[channel]), rounding)

    return twin


def _float32_twin(acc: int, requant: Parameters, channel: int) -> int:
    return twins.float32_half_even_int(acc, Fraction(float(requant.multiplier[channel])))


def _float64_twin(acc: int, requant: Parameters, channel: int) -> int:
    return twins.float64_half_away_int(acc, *(Fraction(float(scale)) for scale in requant.multiplier[channel]))


def _xnnpack_mean_twin(acc: int, requant: Parameters, channel: int) -> int:
    factor, raw = requant.multiplier[channel]
    code = twins.xnnpack_mean_int(acc, Fraction(float(factor)), int(raw), requant.zero_point)
    return min(max(code, requant.clamp_min), requant.clamp_max)


def _fixed(rounding: Rounding) -> Twin:
    return _integer(lambda acc, m, s: twins.fixed_point_int(acc, m, s, rounding))


def _vta_twin(acc: int, requant: Parameters, channel: int) -> int:
    zero, low, high = requant.zero_point, requant.clamp_min, requant.clamp_max
    return twins.vta_code_int(acc, int(requant.shift[channel]), zero, low, high)


def _onnx_twin(acc: int, requant: Parameters, channel: int) -> int:
    code = twins.onnx_reference_int(acc, Fraction(float(requant.multiplier[channel])), requant.zero_point)
    return min(max(code, requant.clamp_min), requant.clamp_max)


WIDTHS = range(8, 32)
"""Multiplier widths N, sign included, of the family ``single_N``; ``single`` itself is the one of 32 bits."""

WIDE_BITS = 48
"""Widest value that TOSA scales by a 16-bit multiplier (tosa-specification apply_scale_16)."""

_ANY_INT32 = (INT32.min, INT32.max)
_NO_SHIFT = (0, 0)
_IN_FLOATS = "it multiplies in floating point"
_TO_EVEN = "ties to even depend on the quotient"
_INNER_WIDTH = "it keeps fewer bits than an accumulator has before the clamp"


def _single_n(bits: int) -> RequantScheme:
    """The member of the family ``single_N`` with multipliers of ``bits`` bits, sign included."""
    return RequantScheme(
        name=f"single_{bits}",
        description=f"(acc * m + 2**(s-1)) >> s: one rounding, half up; {bits}-bit signed multiplier m, right shift s",
        source="TOSA apply_scale_16 for 16 bits; the same rule for every other width",
        wide=WIDE_BITS if bits <= INT16.bits else 32, encoder=Encoder.FIXED_POINT, exponents=(0, 62),
        multipliers=(0, (1 << (bits - 1)) - 1),
        roundings=(Rounding.HALF_UP,), parity=False, is_whole=False,
        shift_form=shifted_once(Rounding.HALF_UP), folding=Folding.NONE,
        formula=(shifted(Rounding.HALF_UP, "shift", factor="multiplier"),),
        twin=_fixed(Rounding.HALF_UP), loop="fixed_half_up_rows",
    )  # fmt: skip


_ALL = (
    RequantScheme(
        name="tflite_double",
        description="two roundings, half up then half away from zero; 32-bit multiplier; int32 wrap on left shifts",
        source="gemmlowp fixedpoint.h; LiteRT MultiplyByQuantizedMultiplier; CMSIS-NN arm_nn_requantize",
        wide=32, encoder=Encoder.TFLITE, exponents=(-31, 30), multipliers=_ANY_INT32,
        roundings=(Rounding.HALF_UP, Rounding.HALF_AWAY), parity=False, is_whole=False,
        shift_form=shifted_twice(Rounding.HALF_AWAY), folding=Folding.DIVIDED,
        formula=(
            "x = wrap(x << max(shift, 0), 32, 1)", "x = min(half_up(x * multiplier, 31), 2147483647)", "x = half_away(x, max(-shift, 0))",
        ),
        twin=_integer(twins.mbqm_int), loop="tflite_double_rows",
    ),
    RequantScheme(
        name="single",
        description="one rounding, half up, of the exact product; 32-bit multiplier",
        source="LiteRT TFLITE_SINGLE_ROUNDING; TOSA RESCALE SINGLE_ROUND; Ethos-U NATURAL",
        wide=32, encoder=Encoder.TFLITE, exponents=(-31, 30), multipliers=_ANY_INT32,
        roundings=(Rounding.HALF_UP,), parity=False, is_whole=False,
        shift_form=shifted_once(Rounding.HALF_UP), folding=Folding.DIVIDED,
        formula=(shifted(Rounding.HALF_UP, "31 - shift", factor="multiplier"),),
        twin=_integer(twins.single_int), loop="single_rows",
    ),
    RequantScheme(
        name="half_up_twice",
        description="two roundings, both half up; 32-bit multiplier; int32 wrap on left shifts",
        source="LiteRT optimized kernels (ruy, x86 and NEON): VQRDMULH then VRSHL",
        wide=32, encoder=Encoder.TFLITE, exponents=(-31, 30), multipliers=_ANY_INT32,
        roundings=(Rounding.HALF_UP, Rounding.HALF_UP), parity=False, is_whole=False,
        shift_form=shifted_twice(Rounding.HALF_UP), folding=Folding.DIVIDED,
        formula=(
            "x = wrap(x << max(shift, 0), 32, 1)", "x = min(half_up(x * multiplier, 31), 2147483647)", "x = half_up(x, max(-shift, 0))",
        ),
        twin=_integer(twins.half_up_twice_int), loop="half_up_twice_rows",
    ),
    RequantScheme(
        name="tflite_int16",
        description="one rounding, half up, with a 16-bit multiplier, of accumulators below 2**47",
        source="LiteRT internal/common.cc MultiplyByQuantizedMultiplier(int64_t), 16x8 kernels",
        wide=48, encoder=Encoder.TFLITE_16BIT, exponents=(-31, 7), multipliers=_ANY_INT32,
        roundings=(Rounding.HALF_UP,), parity=False, is_whole=False,
        shift_form=shifted_once(Rounding.HALF_UP), folding=Folding.DIVIDED,
        formula=(
            "m = half_up(multiplier, 16) if multiplier < 2147418112 else 32767", shifted(Rounding.HALF_UP, "15 - shift", factor="m"),
        ),
        twin=_integer(twins.int16_int), loop="tflite_int16_rows",
    ),
    RequantScheme(
        name="float32_half_even",
        description="float32(acc) * float32 multiplier, rounded half to even",
        source="XNNPACK requantization.h; ONNX Runtime MLAS quantize.cpp; Gemmini acc_scale",
        wide=64, encoder=Encoder.FLOAT32, exponents=_NO_SHIFT, multipliers=_ANY_INT32,
        roundings=(Rounding.HALF_EVEN,), parity=False, is_whole=False,
        shift_form=_IN_FLOATS, folding=Folding.FLOAT32,
        formula=("x = rint(float32(float32(x) * multiplier))",),
        twin=_float32_twin, loop="float32_half_even_rows",
    ),
    RequantScheme(
        name="float64_half_away",
        description="double(acc) * s_in * s_w / s_out from left to right, rounded half away from zero",
        source="LiteRT reference integer_ops/fully_connected.h",
        wide=64, encoder=Encoder.SCALES, exponents=_NO_SHIFT, multipliers=_ANY_INT32,
        roundings=(Rounding.HALF_AWAY,), parity=False, is_whole=False,
        shift_form=_IN_FLOATS, folding=Folding.NONE,
        formula=("x = round_away(float64(float64(float64(float64(x) * s_in) * s_w) / s_out))",),
        twin=_float64_twin, loop="float64_half_away_rows",
    ),
    RequantScheme(
        name="shift_half_up",
        description="power-of-two scale: (acc + 2**(s-1)) >> s",
        source="CMSIS-NN legacy q7 kernels; VTA compiled code (adds 2**(s-1), then SHR)",
        wide=64, encoder=Encoder.POWER_OF_TWO, exponents=(-31, MAX_SHIFT), multipliers=_ANY_INT32,
        roundings=(Rounding.HALF_UP,), parity=False, is_whole=False,
        shift_form=shifted_once(Rounding.HALF_UP), folding=Folding.NONE,
        formula=(shifted(Rounding.HALF_UP, "shift"),),
        twin=_shift(Rounding.HALF_UP), loop="shift_half_up_rows",
    ),
    RequantScheme(
        name="shift_half_away",
        description="power-of-two scale, rounded half away from zero",
        source="gemmlowp fixedpoint.h, RoundingDivideByPOT; NVDLA AC_RND_INF (CACC's clip, with 32-bit sums)",
        wide=64, encoder=Encoder.POWER_OF_TWO, exponents=(-31, MAX_SHIFT), multipliers=_ANY_INT32,
        roundings=(Rounding.HALF_AWAY,), parity=False, is_whole=False,
        shift_form=shifted_once(Rounding.HALF_AWAY), folding=Folding.NONE,
        formula=(shifted(Rounding.HALF_AWAY, "shift"),),
        twin=_shift(Rounding.HALF_AWAY), loop="shift_half_away_rows",
    ),
    RequantScheme(
        name="shift_half_even",
        description="power-of-two scale, rounded half to even",
        source="Gemmini Arithmetic.scala, operator >> of SInt (RISC-V vxrm rne)",
        wide=64, encoder=Encoder.POWER_OF_TWO, exponents=(-31, MAX_SHIFT), multipliers=_ANY_INT32,
        roundings=(Rounding.HALF_EVEN,), parity=False, is_whole=False,
        shift_form=_TO_EVEN, folding=Folding.NONE,
        formula=(shifted(Rounding.HALF_EVEN, "shift"),),
        twin=_shift(Rounding.HALF_EVEN), loop="shift_half_even_rows",
    ),
    RequantScheme(
        name="shift_floor",
        description="power-of-two scale, low bits dropped: acc >> s",
        source="VTA SHR; hls4ml AP_TRN",
        wide=64, encoder=Encoder.POWER_OF_TWO, exponents=(-31, MAX_SHIFT), multipliers=_ANY_INT32,
        roundings=(Rounding.FLOOR,), parity=False, is_whole=False,
        shift_form=shifted_once(Rounding.FLOOR), folding=Folding.NONE,
        formula=(shifted(Rounding.FLOOR, "shift"),),
        twin=_shift(Rounding.FLOOR), loop="shift_floor_rows",
    ),
    RequantScheme(
        name="xnnpack_rndnu",
        description="(acc * m + 2**(s-1)) >> s: one rounding, half up; m is the 24-bit mantissa of a float32 scale",
        source="XNNPACK requantization.h, rndnu (ARM kernels); scale from 2**-32 up to 256",
        wide=32, encoder=Encoder.MANTISSA, exponents=(16, 55), multipliers=(1 << 23, (1 << 24) - 1),
        roundings=(Rounding.HALF_UP,), parity=False, is_whole=False,
        shift_form=shifted_once(Rounding.HALF_UP), folding=Folding.NONE,
        formula=(shifted(Rounding.HALF_UP, "shift", factor="multiplier"),),
        twin=_fixed(Rounding.HALF_UP), loop="fixed_half_up_rows",
    ),
    RequantScheme(
        name="nvdla_cvt",
        description=(
            "acc * m / 2**s, half away from zero, saturated to 17 bits; 16-bit m, one s for all channels; "
            "the converter's input offset belongs to the bias, the hardware has no output zero point"
        ),
        source="nvdla/hw cmod/hls/sdp/sdp_c.cpp, output converter",
        wide=32, encoder=Encoder.SHARED_SHIFT, exponents=(0, 63), multipliers=(INT16.min, INT16.max),
        roundings=(Rounding.HALF_AWAY,), parity=False, is_whole=False,
        shift_form=_INNER_WIDTH, folding=Folding.NONE,
        formula=(shifted(Rounding.HALF_AWAY, "shift", factor="multiplier"), "x = saturate(x, -65536, 65535)"),
        twin=_integer(twins.nvdla_cvt_int), loop="nvdla_cvt_rows",
    ),
    RequantScheme(
        name="ethosu_truncate",
        description="acc * m / 2**s toward zero; 32-bit m, right shift s",
        source="Ethos-U NpuRoundingMode TRUNCATE (Vela api.py, scaling.py)",
        wide=32, encoder=Encoder.FIXED_POINT, exponents=(0, 62), multipliers=(0, INT32.max),
        roundings=(Rounding.TRUNC,), parity=False, is_whole=False,
        shift_form=shifted_once(Rounding.TRUNC), folding=Folding.NONE,
        formula=(shifted(Rounding.TRUNC, "shift", factor="multiplier"),),
        twin=_fixed(Rounding.TRUNC), loop="ethosu_truncate_rows",
    ),
    RequantScheme(
        name="vta_shift",
        description=(
            "power-of-two scale: low 8 bits of (acc >> s) + zero point, no saturation; "
            "MAX or MIN come first where the clamp is narrower than int8"
        ),
        source="apache/tvm-vta vta.cc, sim_driver.cc: ALU SHR, ADD, MAX, MIN, store",
        wide=32, encoder=Encoder.POWER_OF_TWO, exponents=(0, 31), multipliers=_ANY_INT32,
        roundings=(Rounding.FLOOR,), parity=False, is_whole=True,
        shift_form=_INNER_WIDTH, folding=Folding.NONE,
        formula=(
            "x = floor(x, shift) + zero_point", "x = max(x, clamp_min) if clamp_min > -128 else x",
            "x = min(x, clamp_max) if clamp_max < 127 else x", "code = wrap(x, 8, 1)",
        ),
        twin=_vta_twin, loop="vta_shift_rows",
    ),
    RequantScheme(
        name="onnx_reference",
        description="double(acc) * float32 scale + zero point, then rounded half to even: ties go to the even code",
        source="onnx/reference/ops/op_qlinear_conv.py",
        wide=32, encoder=Encoder.FLOAT64, exponents=_NO_SHIFT, multipliers=_ANY_INT32,
        roundings=(Rounding.HALF_EVEN,), parity=True, is_whole=True,
        shift_form=_IN_FLOATS, folding=Folding.NONE,
        formula=(
            "x = rint(float64(float64(float64(x) * multiplier) + zero_point))", "code = saturate(x, clamp_min, clamp_max)",
        ),
        twin=_onnx_twin, loop="onnx_reference_rows",
    ),
    RequantScheme(
        name="xnnpack_mean",
        description=(
            "float32(acc + raw) * float32 multiplier + (zero point - raw * multiplier), in float32, then rounded half to even; "
            "raw is what the input's zero point adds to a sum of raw codes"
        ),
        source="measured with LiteRT 2.3.0 on x86: MEAN and SUM of 8 bits that its XNNPACK delegate takes",
        wide=32, encoder=Encoder.RAW_SUM, exponents=_NO_SHIFT, multipliers=_ANY_INT32,
        roundings=(Rounding.HALF_EVEN,), parity=True, is_whole=True,
        shift_form=_IN_FLOATS, folding=Folding.FLOAT32,
        formula=(
            "offset = float32(zero_point - float32(float32(raw) * factor))",
            "x = rint(float32(float32(float32(x + raw) * factor) + offset))", "code = saturate(x, clamp_min, clamp_max)",
        ),
        twin=_xnnpack_mean_twin, loop="xnnpack_mean_rows",
    ),
    *map(_single_n, WIDTHS),
)  # fmt: skip

SCHEMES: Mapping[str, RequantScheme] = MappingProxyType({scheme.name: scheme for scheme in _ALL})
"""Every scheme by name, in the order of their documentation."""

_SAME = (
    ("tflite_single", "single", "LiteRT built with TFLITE_SINGLE_ROUNDING computes just that"),
    ("single_32", "single", "the 32-bit member of the family single_N; shift is 31 - e"),
    ("tosa_single", "single", "apply_scale_32, SINGLE_ROUND: shift is 31 - e, from 2 to 62"),
    (
        "tosa_double",
        "tflite_double",
        "apply_scale_32, DOUBLE_ROUND: the closed form of both roundings, |acc| < 2**(s-1)",
    ),
    (
        "tosa_scale16",
        "single_16",
        "apply_scale_16: the 16-bit member of the family, 48-bit accumulators; TOSA has shifts from 2",
    ),
    ("cmsis_nn", "tflite_double", "arm_nn_requantize: doubling high multiply, then half away from zero"),
    ("cmsis_nn_single", "single", "CMSIS_NN_USE_SINGLE_ROUNDING: ((acc*m >> (30-e)) + 1) >> 1 is half up"),
    ("cmsis_nn_s64", "tflite_int16", "arm_nn_requantize_s64: ((acc*m16 >> (14-e)) + 1) >> 1 is half up"),
    ("ethosu_tfl", "tflite_double", "NpuRoundingMode TFL, the default"),
    ("ethosu_natural", "single", "NpuRoundingMode NATURAL: half up of the 32-bit product"),
    ("xnnpack_fp32", "float32_half_even", "XNNPACK's fp32 requantization"),
    ("ort_mlas", "float32_half_even", "ONNX Runtime's MlasRequantizeOutput"),
    (
        "gemmini",
        "float32_half_even",
        "int32 to float32, times float32, to int, each half to even; it has no zero point",
    ),
)

ALIASES: Mapping[str, str] = MappingProxyType({name: target for name, target, _ in _SAME})
"""Other names that are understood: rules that are bit for bit the same, and take the same parameters."""

ALIAS_REASONS: Mapping[str, str] = MappingProxyType({name: reason for name, _, reason in _SAME})
"""Why each alias is no scheme of its own."""


def scheme_named(name: str) -> RequantScheme:
    """The scheme of a name or alias, or of a list of stages by its text; raises :class:`ConfigError` that suggests the nearest name."""
    scheme = SCHEMES.get(ALIASES.get(name, name)) or parsed_scheme(str(name))
    if scheme is None:
        near = difflib.get_close_matches(str(name), [*SCHEMES, *ALIASES], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"requantization scheme {name!r}: expected one of {', '.join(SCHEMES)}{hint}", name=name)
    return scheme
