"""Layers whose every element depends on the whole row (the last axis) that it stands in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.boxes import Boxes
from accelsim.graph.layer import VectorLayer


@dataclass(frozen=True, eq=False, kw_only=True)
class RowLayer(VectorLayer):
    """A layer whose tiles hold whole rows, that is the last axis of its view."""

    @property
    def whole_axes(self) -> tuple[int, ...]:
        return (len(self.shape) - 1,)

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        return (tiles,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(RowLayer):
    """Softmax over the last axis of a (rows, classes) view, in integers.

    ``gemmlowp``: difference to the row's maximum in Q5.26, a polynomial exponential, sum in Q12.19, Newton-Raphson
    reciprocal. ``int16_lut``: tables of 513 entries for exp and 1/(1+x) in ``exp_table`` and ``reciprocal_table``.
    ``multiplier`` and ``left_shift`` scale the difference; differences below ``diff_min`` count as zero.
    """

    operator: ClassVar[str] = "SOFTMAX"
    algorithm: Literal["gemmlowp", "int16_lut"] = "gemmlowp"
    multiplier: int = 0
    left_shift: int = 0
    diff_min: int = 0
    output_min: int = -128
    output_max: int = 127
    exp_table: NDArray[np.int16] | None = None
    reciprocal_table: NDArray[np.int16] | None = None

    @property
    def steps_per_output(self) -> int:
        return 24


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatTableSoftmax(RowLayer):
    """Softmax as ONNX Runtime's QLinearSoftmax computes it (contrib qlinear_softmax.cc; measured: none of 22,848,000 codes differ).

    ``t = exp_table[last - (row maximum - x)]``, summed from left to right in float32; the code is ``round_half_even((t * output_factor)
    / sum) + output_zero_point`` in float64, clamped. Steps count the operations of those two loops: maximum; difference, table,
    sum; difference, table, product, quotient, rounding, zero point.
    """

    operator: ClassVar[str] = "SOFTMAX"
    exp_table: NDArray[np.float32] | None = None
    output_factor: float = 256.0
    output_zero_point: int = 0
    output_min: int = 0
    output_max: int = 255

    @property
    def steps_per_output(self) -> int:
        return 10


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerNorm(RowLayer):
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` over the last axis, of n elements, in integers only.

    Mean and variance are exact: ``d = n*x - sum(x)`` and ``v = n*sum(x^2) - sum(x)^2``, so that the normalized value is
    ``d / sqrt(v + n^2 * epsilon)`` whatever scale and zero point x has. ``v * 2^variance_shift + epsilon`` is brought to
    [2^60, 2^62); its root comes by Newton's iteration on integers (Kim et al., I-BERT, arXiv 2101.01321, algorithm 4), its
    reciprocal ``2^61 // root`` has 31 bits. The product with d is rounded to NORMALIZED_BITS fractional bits, multiplied by
    ``multiplier`` of the element's place, added to ``bias`` (which holds the zero point), and shifted right by
    ``output_shift``, half up; clamped.

    For given parameters the error before the last rounding is at most ``gain * (2^-21 + |normalized| * 2^-29)`` codes, where
    gain = ``multiplier / 2^(output_shift - NORMALIZED_BITS)`` is gamma over the output's scale. Steps: sum; square, sum;
    product, difference; product, shift; product, sum, shift, clamp; and ROW_STEPS for the root and its reciprocal, spread
    over the row.
    """

    operator: ClassVar[str] = "LAYER_NORM"
    NORMALIZED_BITS: ClassVar[int] = 20
    ROW_STEPS: ClassVar[int] = 20
    """Six Newton steps (quotient, sum, shift) reach 31 bits from a power of two; then one quotient, one normalizing shift."""
    multiplier: NDArray[np.int64] | None = None
    bias: NDArray[np.int64] | None = None
    epsilon: int = 0
    variance_shift: int = 0
    output_shift: int = 0
    output_min: int = -128
    output_max: int = 127

    @property
    def steps_per_output(self) -> int:
        return 11 + -(-self.ROW_STEPS // self.shape[-1])


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatLayerNorm(RowLayer):
    """LayerNormalization of dequantized codes over the last axis as ONNX Runtime computes it (1.32, x86 with AVX2 and FMA).

    ``x = input_scale * (code - input_zero_point)`` in float32. Rows of 8 elements and more (MLAS layernorm_kernel_avx2.cpp): the
    mean of a float64 sum in 4 lanes, the squared differences from it in 8 lanes of fused float32 operations, ``(x - mean) *
    (1 / sqrt(variance + epsilon))``, fused with ``gamma`` and ``beta``. Of the last n mod 8 squares, whole fours are not fused, as
    the compiler has them. Shorter rows (layer_norm_impl.cc): Welford's running mean and variance, a quotient, no fusing. Then
    ``rint(y / output_scale)``, clamped, and the zero point (MLAS quantize.cpp).

    Steps: difference, product; sum; difference, square and sum; difference, product, product and sum; quotient, rounding, zero
    point; and ROW_STEPS, spread over the row.
    """

    operator: ClassVar[str] = "LAYER_NORM"
    ROW_STEPS: ClassVar[int] = 5
    """Two quotients, a sum, a root and its reciprocal."""
    gamma: NDArray[np.float32] | None = None
    beta: NDArray[np.float32] | None = None
    epsilon: float = 1e-5
    input_scale: float = 1.0
    input_zero_point: int = 0
    output_scale: float = 1.0
    output_zero_point: int = 0
    output_min: int = -128
    output_max: int = 127

    @property
    def clamp(self) -> tuple[int, int]:
        """The least and the largest code."""
        return self.output_min, self.output_max

    @property
    def steps_per_output(self) -> int:
        return 11 + -(-self.ROW_STEPS // self.shape[-1])
