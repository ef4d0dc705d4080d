"""Named tables operator -> requantization scheme: one runtime uses several, so an Arch names a table of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from accelsim.arch._suggest import did_you_mean, listing
from accelsim.errors import ConfigError
from accelsim.numerics import ALIASES, SCHEMES, STAGES_PREFIX, Family, Folding, scheme_named

OPERATORS = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "TRANSPOSE_CONV",
    "FULLY_CONNECTED",
    "BATCH_MATMUL",
    "ADD",
    "SUB",
    "MUL",
    "MEAN",
    "QUANTIZE",
    "RELU",
    "RELU6",
    "LEAKY_RELU",
)
"""TFLite operators that multiply by a ratio of scales; the others have none to choose (RELU_N1_TO_1 goes by RELU's)."""

SPECIAL_SCHEMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "xnnpack_add": ("ADD", "SUB"),
        "xnnpack_8bit_fraction": ("QUANTIZE", "RELU", "RELU6", "LEAKY_RELU"),
        "onnxruntime_float32": ("ADD", "SUB", "MUL", "QUANTIZE", "RELU", "RELU6", "LEAKY_RELU"),
        "finn_thresholds": ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"),
    }
)
"""Rules that are no accumulator scheme, and the operators that know them (XNNPACK microparams-init.c).

``xnnpack_add``: 21-bit multipliers of one common shift, one rounding half up. ``xnnpack_8bit_fraction``: a multiplier
with 8 fractional bits. ``onnxruntime_float32``: dequantized operands in float32, rounded half to even, which the ONNX
importer tabulates code by code (MLAS qladd_avx2.cpp, qlmul.cpp; qlinear_lookup_table.cc); ONNX models only.
``finn_thresholds``: the sum is compared with one level per output code, which is exact for whatever monotone function the
source model applies to it (numerics/thresholds.py).
"""

MACS = SPECIAL_SCHEMES["finn_thresholds"]
"""Operators whose sums the array makes: what a requantization unit's own stages serve."""

_DIGITS = 8
"""Of a digest in a name: 32 bits."""
UNSTATED = "tflite-micro"
"""What a requantization unit is built for where neither the machine nor the model file says, as with a table of layer shapes."""

_ANY_SCHEME = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL", "MUL")
"""Operators whose requantization is one product of three scales; the others need an integer multiplier in between."""


@dataclass(frozen=True)
class Arithmetic:
    """The scheme of each operator: ``schemes`` for 8-bit activations, ``schemes_int16`` where 16-bit ones differ.

    With 16-bit activations and a 64-bit bias, TFLite's convolutions and dense layers accumulate in 64 bits and
    requantize with ``tflite_int16``; the importer, which sees the bias, decides that. ``overridden`` names the
    operators whose scheme was chosen by hand, for every width.
    """

    name: str
    description: str
    source: str
    schemes: Mapping[str, str]
    schemes_int16: Mapping[str, str] = field(default_factory=dict)
    overridden: frozenset[str] = frozenset()

    @property
    def base(self) -> str:
        """The runtime's own name, without overrides: what runtime-specific rules beyond the schemes go by."""
        return self.name.partition("+")[0]

    def __post_init__(self) -> None:
        for table in ("schemes", "schemes_int16"):
            object.__setattr__(self, table, MappingProxyType(dict(getattr(self, table))))

    def __reduce__(self) -> tuple[type[Arithmetic], tuple[object, ...]]:
        """Pickled by value: mapping proxies cannot be."""
        tables = dict(self.schemes), dict(self.schemes_int16)
        return Arithmetic, (self.name, self.description, self.source, *tables, self.overridden)

    def scheme(self, operator: str, *, activation_bits: int = 8) -> str:
        """Scheme name of ``operator`` for activations of that many bits; ConfigError for an operator that has none."""
        _check_operator(operator)
        table = self.schemes_int16 if activation_bits > 8 and operator in self.schemes_int16 else self.schemes
        return table[operator]

    def with_overrides(self, overrides: Mapping[str, str] | None) -> Arithmetic:
        """The table with single operators changed, and the changes in its name; ConfigError for unknown names."""
        if not overrides:
            return self
        chosen = {operator: checked_scheme(operator, scheme) for operator, scheme in overrides.items()}
        changes = "".join(f"+{text}" for text in sorted(_changes(chosen)))
        return replace(
            self,
            name=f"{self.name}{changes}",
            schemes={**self.schemes, **chosen},
            schemes_int16={**self.schemes_int16, **chosen},
            overridden=self.overridden | chosen.keys(),
        )


def arithmetic_named(name: str) -> Arithmetic:
    """The arithmetic of that name; ConfigError that suggests the nearest and lists all."""
    if name not in ARITHMETICS:
        hint = did_you_mean(name, ARITHMETICS)
        raise ConfigError(f"arithmetic {name!r}: expected one of {listing(ARITHMETICS)}{hint}", name=name)
    return ARITHMETICS[name]


def checked_scheme(operator: str, scheme: str) -> str:
    """The full name of ``scheme``; ConfigError where operator or scheme is unknown, or the operator cannot use it."""
    _check_operator(operator)
    scheme = ALIASES.get(scheme, scheme)
    if operator in MACS and scheme.startswith(STAGES_PREFIX):
        return scheme_named(scheme).name
    usable = usable_schemes(operator)
    if scheme in usable:
        return scheme
    known = scheme in SCHEMES or scheme in SPECIAL_SCHEMES
    why = f"{operator} cannot use scheme {scheme!r}" if known else f"{operator} has unknown scheme {scheme!r}"
    hint = "" if known else did_you_mean(scheme, [*usable, *ALIASES])
    raise ConfigError(f"{why}; expected one of {listing(usable)}{hint}", operator=operator, scheme=scheme)


def _changes(chosen: Mapping[str, str]) -> Iterator[str]:
    """What a name says of each operator; lists of stages are long, and stand there by a digest of their text."""
    shared = {chosen.get(operator, "") for operator in MACS}
    if len(shared) == 1 and (own := shared.pop()).startswith(STAGES_PREFIX):
        yield f"requantizer.stages#{_digest(own)}"
        chosen = {operator: scheme for operator, scheme in chosen.items() if operator not in MACS}
    for operator, scheme in chosen.items():
        yield f"{operator}={f'stages#{_digest(scheme)}' if scheme.startswith(STAGES_PREFIX) else scheme}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def usable_schemes(operator: str) -> tuple[str, ...]:
    """Schemes that ``operator`` may be overridden with."""
    special = tuple(name for name, operators in SPECIAL_SCHEMES.items() if operator in operators)
    if operator in _ANY_SCHEME:
        return (*SCHEMES, *special)
    if operator == "MEAN":
        return tuple(name for name, scheme in SCHEMES.items() if scheme.folding is not Folding.NONE)
    return (*(name for name, scheme in SCHEMES.items() if scheme.family is Family.INTEGER), *special)


def _check_operator(operator: str) -> None:
    if operator not in OPERATORS:
        hint = did_you_mean(operator, OPERATORS)
        raise ConfigError(
            f"operator {operator!r} has no requantization scheme; expected one of {listing(OPERATORS)}{hint}",
            operator=operator,
        )


def _table(**special: str) -> dict[str, str]:
    return dict.fromkeys(OPERATORS, "tflite_double") | special


_REFERENCE_INT16 = _table(FULLY_CONNECTED="float64_half_away")

_FLOAT32_ELEMENTWISE = dict.fromkeys(
    ("ADD", "SUB", "MUL", "QUANTIZE", "RELU", "RELU6", "LEAKY_RELU"), "onnxruntime_float32"
)


_ALL = (
    Arithmetic(
        name="litert-reference",
        description="LiteRT's reference kernels (BUILTIN_REF): two roundings, dense layers in double precision",
        source="LiteRT kernels/internal/common.cc; kernels/fully_connected.cc and integer_ops/fully_connected.h",
        schemes=_table(FULLY_CONNECTED="float64_half_away"),
        schemes_int16=_REFERENCE_INT16,
    ),
    Arithmetic(
        name="tflite-micro",
        description="TensorFlow Lite Micro, and CMSIS-NN bit for bit: two roundings everywhere",
        source="tflite-micro kernels; gemmlowp fixedpoint.h; CMSIS-NN arm_nnsupportfunctions.h",
        schemes=_table(),
    ),
    Arithmetic(
        name="litert-optimized",
        description="LiteRT's optimized kernels without delegates (x86, NEON): two roundings, both half up",
        source="LiteRT BUILTIN_WITHOUT_DEFAULT_DELEGATES, ruy: VQRDMULH then VRSHL; reference kernels at 16 bits",
        schemes=_table(
            CONV_2D="half_up_twice",
            DEPTHWISE_CONV_2D="half_up_twice",
            FULLY_CONNECTED="half_up_twice",
            QUANTIZE="half_up_twice",
        ),
        schemes_int16=_REFERENCE_INT16,
    ),
    Arithmetic(
        name="litert-xnnpack",
        description="LiteRT as it comes: XNNPACK multiplies in float32 and rounds half to even",
        source="XNNPACK requantization.h, microparams-init.c; LiteRT's own kernels at 16 bits",
        schemes=_table(
            CONV_2D="float32_half_even",
            DEPTHWISE_CONV_2D="float32_half_even",
            FULLY_CONNECTED="float32_half_even",
            TRANSPOSE_CONV="float32_half_even",
            BATCH_MATMUL="float32_half_even",
            MUL="float32_half_even",
            MEAN="xnnpack_mean",
            ADD="xnnpack_add",
            SUB="xnnpack_add",
            QUANTIZE="xnnpack_8bit_fraction",
            LEAKY_RELU="xnnpack_8bit_fraction",
        ),
        schemes_int16=_REFERENCE_INT16,
    ),
    Arithmetic(
        name="onnxruntime",
        description="ONNX Runtime on the CPU: float32 multipliers rounded half to even, sums and products in float32",
        source="MLAS quantize.cpp, qlgavgpool.cpp, qladd_avx2.cpp, qlmul.cpp; qlinearconv.cc; qlinear_pool.cc",
        schemes=_table(
            CONV_2D="float32_half_even",
            DEPTHWISE_CONV_2D="float32_half_even",
            FULLY_CONNECTED="float32_half_even",
            TRANSPOSE_CONV="float32_half_even",
            BATCH_MATMUL="float32_half_even",
            MEAN="float32_half_even",
            **_FLOAT32_ELEMENTWISE,
        ),
    ),
    Arithmetic(
        name="finn",
        description="FINN's multi-thresholds: the source model's own scaling, exact at every sum; element-wise operators as tables",
        source="Umuroglu and Jahre 1709.04060; FINN MultiThreshold; QONNX Quant",
        schemes=_table(
            **dict.fromkeys(MACS, "finn_thresholds"),
            MEAN="float32_half_even",
            **_FLOAT32_ELEMENTWISE,
        ),
    ),
    Arithmetic(
        name="tosa",
        description="TOSA's RESCALE with SINGLE_ROUND: one rounding, half up, everywhere",
        source="TOSA specification, apply_scale_32; reference model arith_util.h",
        schemes=dict.fromkeys(OPERATORS, "single"),
    ),
    Arithmetic(
        name="nvdla",
        description="NVDLA's output converter behind the MACs: 16-bit multiplier, half away from zero; all else as TFLite",
        source="nvdla/hw cmod/hls/sdp/sdp_c.cpp",
        schemes=_table(**dict.fromkeys(MACS, "nvdla_cvt")),
    ),
    Arithmetic(
        name="gemmini",
        description="Gemmini's float32 acc_scale behind the MACs, half to even; all else as TFLite",
        source="ucb-bar/gemmini AccumulatorScale.scala, Configs.scala",
        schemes=_table(**dict.fromkeys(MACS, "float32_half_even")),
    ),
    Arithmetic(
        name="ethos-u-natural",
        description="Ethos-U with NpuRoundingMode NATURAL behind the MACs, half up; all else as TFLite (mode TFL is tflite-micro)",
        source="Vela api.py NpuRoundingMode, scaling.py",
        schemes=_table(**dict.fromkeys(MACS, "single")),
    ),
)

ARITHMETICS: dict[str, Arithmetic] = {arithmetic.name: arithmetic for arithmetic in _ALL}
"""Every arithmetic by name."""
