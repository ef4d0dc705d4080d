"""Where runtimes of the TFLite family differ in more than a scheme's name: asked here and nowhere else."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from accelsim.arch import SPECIAL_SCHEMES, Arithmetic
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import INT64, STAGES_PREFIX, IntFormat, Rounding, Thresholds, scheme_named
from accelsim.quant import dense_multiplier_per_tensor

MICRO, REFERENCE, OPTIMIZED, XNNPACK = "tflite-micro", "litert-reference", "litert-optimized", "litert-xnnpack"
REFERENCE_SCHEME, OPTIMIZED_SCHEME, FLOAT64_SCHEME = "tflite_double", "half_up_twice", "float64_half_away"
XNNPACK_ADD, XNNPACK_8BIT_FRACTION = "xnnpack_add", "xnnpack_8bit_fraction"
"""Special schemes of arch.ARITHMETICS that the importer encodes."""
DEPTHWISE_BLOCK, MEAN_BLOCK, CONVERSION_BLOCK = 8, 16, 16
"""Channels that LiteRT's optimized depthwise and transposed convolution, and mean, round at once; elements that QUANTIZE does
(measured on x86)."""
INT32_TYPE = 2
"""TensorType.INT32."""
INDEX_TYPES = {INT32_TYPE: "INT32", 4: "INT64"}
"""TensorTypes of an index, by number."""
INT16_SCHEME = "tflite_int16"
"""What 64-bit accumulators are requantized with (LiteRT internal/common.cc)."""
INT16_SCHEME_BITS = 48
ACTIVATION_BITS = {"INT8": 8, "UINT8": 8, "INT16": 16, "INT32": 32}
SCHEME_OF = {"RELU_N1_TO_1": "RELU"}
"""Operators that go by another operator's scheme."""


@dataclass(frozen=True)
class Rules:
    """The choices of one arithmetic."""

    arithmetic: Arithmetic

    @property
    def base(self) -> str:
        """The arithmetic's name without the single operators that were overridden."""
        return self.arithmetic.name.partition("+")[0]

    @property
    def is_micro(self) -> bool:
        """Whether the rules are tflite-micro's."""
        return self.base == MICRO

    @property
    def host_rounding(self) -> Rounding:
        """How QUANTIZE rounds real inputs; LiteRT's fast kernels multiply by the reciprocal scale and go to even (measured)."""
        return Rounding.HALF_EVEN if self.has_optimized_kernels else Rounding.HALF_AWAY

    def ratio(self, *factors: float, over: float) -> float:
        """``product of factors / over`` from left to right: in double in tflite-micro, in float32 in LiteRT.

        Holds for MUL, RELU, RELU6 and LEAKY_RELU; measured with tflite-micro 0.dev20261023 and LiteRT 2.3.0.
        """
        if self.is_micro:
            return math.prod(factors) / over
        product = np.float32(factors[0])
        for factor in factors[1:]:
            product *= np.float32(factor)
        return float(product / np.float32(over))

    def dense_ratio(self, s_in: float, s_w: float, s_out: float) -> float:
        """Multiplier of a dense layer with one weight scale: LiteRT multiplies the input scales in float32."""
        return s_in * s_w / s_out if self.is_micro else dense_multiplier_per_tensor(s_in, s_w, s_out)

    @property
    def is_litert(self) -> bool:
        """Whether the rules are those of one of LiteRT's three kernel sets."""
        return self.base in (REFERENCE, OPTIMIZED, XNNPACK)

    def is_litert_own(self, operator: str) -> bool:
        """Whether ``operator`` is as LiteRT has it, not overridden."""
        return self.is_litert and operator not in self.arithmetic.overridden

    def wraps_at_16_bits(self, operator: str) -> bool:
        """Whether LiteRT's optimized kernel of ``operator`` may run, which narrows 8-bit results by way of 16 bits."""
        return self.has_optimized_kernels and operator not in self.arithmetic.overridden

    @property
    def has_optimized_kernels(self) -> bool:
        """Whether LiteRT's optimized kernels run what no delegate takes, such as 16 bits.

        Their 16-bit LOGISTIC and TANH are polynomials, not tables.
        """
        return self.base in (OPTIMIZED, XNNPACK)

    def sums_in_64_bits(self, operator: str, bias: IntFormat | None) -> bool:
        """Whether a 16x8 layer sums in 64 bits: with an int64 bias; without one, except in LiteRT's optimized dense layer."""
        if bias is None:
            return not (operator == "FULLY_CONNECTED" and self.has_optimized_kernels)
        return bias == INT64

    def takes_int32_bias(self, operator: str, declared_type: int) -> bool:
        """Whether a 16x8 layer may have a 32-bit bias, and so a 32-bit sum; elsewhere the runtime reads past its end.

        LiteRT goes by the option ``quantized_bias_type``, tflite-micro by the bias itself.
        """
        if operator == "DEPTHWISE_CONV_2D" or (self.is_micro and operator == "TRANSPOSE_CONV"):
            return False
        return declared_type == INT32_TYPE or not self.is_litert

    def mac_scheme(
        self, operator: str, tensor_type: str, *, wide: bool, grouped: bool, channels: int, taken: bool = True
    ) -> str:
        """Scheme of a MAC layer of so many output channels, ``grouped`` or not, ``taken`` by XNNPACK's delegate or left.

        ``wide`` accumulators need one that takes 48 bits. A scheme that the user chose is left as it is.
        """
        scheme = self.scheme(operator, tensor_type, taken=taken)
        if scheme == Thresholds.scheme and wide:
            raise RefusalError(
                "it sums in 64 bits, and thresholds compare 32-bit sums", "8-bit activations, or another arithmetic"
            )
        if operator in self.arithmetic.overridden:
            return scheme
        if wide:
            return INT16_SCHEME if scheme_named(scheme).wide < INT16_SCHEME_BITS else scheme
        if tensor_type == "INT16" and self.has_optimized_kernels:
            return OPTIMIZED_SCHEME
        if tensor_type == "INT8" and (self.base == OPTIMIZED or (self.is_xnnpack and not taken)):
            return _optimized_scheme(operator, scheme, grouped=grouped, channels=channels)
        return scheme

    def product_scheme(self, tensor_type: str, *, wide: bool, right_zero_point: int) -> str:
        """Scheme of a product of two tensors (measured with LiteRT 2.3.0 and tflite-micro 0.dev20261023).

        XNNPACK takes 8-bit products whose right zero point is 0 and leaves the others to LiteRT's own kernels, all of which
        round as the reference does.
        """
        scheme = self.mac_scheme("BATCH_MATMUL", tensor_type, wide=wide, grouped=False, channels=1)
        own = self.is_xnnpack and right_zero_point != 0 and "BATCH_MATMUL" not in self.arithmetic.overridden
        return REFERENCE_SCHEME if own and not wide else scheme

    def recurrent_scheme(self) -> str:
        """Scheme of SVDF's products: all runtimes have the reference kernel; other arithmetics and choices, as in dense layers."""
        own = (self.is_micro or self.is_litert) and "FULLY_CONNECTED" not in self.arithmetic.overridden
        scheme = REFERENCE_SCHEME if own else self.scheme("FULLY_CONNECTED", "INT8")
        if scheme.startswith(STAGES_PREFIX):
            raise RefusalError(
                "the stages of a requantizer serve sums of the array, and its state is a sum of products", "a scheme"
            )
        if scheme == Thresholds.scheme:
            raise RefusalError("its state has 16 bits, too many codes for thresholds", "another arithmetic")
        return scheme

    def scheme(self, operator: str, tensor_type: str, *, taken: bool = True) -> str:
        """Scheme of an operator whose activations are of ``tensor_type``; RefusalError for rules of ONNX models.

        LiteRT's own kernels, for nodes that are not ``taken`` by XNNPACK, round as the reference does, but for blocks.
        """
        operator = SCHEME_OF.get(operator, operator)
        if self.is_xnnpack and not taken and operator not in self.arithmetic.overridden:
            return REFERENCE_SCHEME
        name = self.arithmetic.scheme(operator, activation_bits=ACTIVATION_BITS[tensor_type])
        if name in SPECIAL_SCHEMES and name not in (XNNPACK_ADD, XNNPACK_8BIT_FRACTION, Thresholds.scheme):
            raise RefusalError(
                f"arithmetic {self.base} has rule {name} for {operator}, which is not for .tflite files",
                f"{MICRO}, {REFERENCE}, {OPTIMIZED}, {XNNPACK}",
            )
        return name

    @property
    def is_xnnpack(self) -> bool:
        """Whether the rules are XNNPACK's."""
        return self.base == XNNPACK

    @property
    def has_double_tables(self) -> bool:
        """LiteRT computes the tables of 16-bit SOFTMAX in double, tflite-micro in float32 (measured)."""
        return self.is_litert

    def sum_scheme(self, tensor_type: str) -> str:
        """Scheme of SUM: XNNPACK's as MEAN, LiteRT's optimized kernel in floating point; its reference gives what it never wrote."""
        scheme = self.scheme("MEAN", tensor_type)
        if "MEAN" in self.arithmetic.overridden or not self.is_litert or (self.is_xnnpack and tensor_type == "INT8"):
            return scheme
        if self.base == REFERENCE:
            raise RefusalError(
                "LiteRT's reference kernel gives memory that nothing wrote, other numbers in every interpreter",
                f"{MICRO}, {OPTIMIZED}, {XNNPACK}",
            )
        return FLOAT64_SCHEME

    def has_image_mean(self, tensor_type: str) -> bool:
        """Whether MEAN over rows and columns, kept as axes, has a kernel of its own."""
        return self.base == OPTIMIZED and tensor_type == "INT8" and "MEAN" not in self.arithmetic.overridden

    def image_mean_scheme(self, channels: int) -> str:
        """Scheme of that kernel."""
        return _block_scheme(channels, MEAN_BLOCK)

    def conversion_schemes(self, source_type: str, target_type: str, elements: int, *, taken: bool) -> tuple[str, ...]:
        """Schemes of QUANTIZE between integer tensors: of its elements in whole blocks, and of those left over.

        XNNPACK converts int8 to int8, LiteRT's optimized kernel, in blocks, what else has 8 bits on both sides, and its reference
        kernel the rest (measured on x86).
        """
        scheme = self.scheme("QUANTIZE", source_type)
        if "QUANTIZE" in self.arithmetic.overridden or not self.has_optimized_kernels:
            return (scheme,)
        if self.is_xnnpack and taken and source_type == target_type == "INT8":
            return (scheme,)
        if {ACTIVATION_BITS[source_type], ACTIVATION_BITS[target_type]} != {8} or elements < CONVERSION_BLOCK:
            return (REFERENCE_SCHEME,)
        return (OPTIMIZED_SCHEME,) if elements % CONVERSION_BLOCK == 0 else (OPTIMIZED_SCHEME, REFERENCE_SCHEME)


def _optimized_scheme(operator: str, scheme: str, *, grouped: bool, channels: int) -> str:
    """Where LiteRT's optimized kernels fall back to the reference rounding (measured on x86, LiteRT 2.3.0).

    Grouped convolutions run in the reference kernel; depthwise and transposed ones round in blocks.
    """
    if operator in ("DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        return _block_scheme(channels, DEPTHWISE_BLOCK)
    return REFERENCE_SCHEME if operator == "CONV_2D" and grouped else scheme


def _block_scheme(channels: int, block: int) -> str:
    """Channels in whole blocks are rounded half up twice, those left over half away in the end (measured on x86)."""
    if channels % block == 0:
        return OPTIMIZED_SCHEME
    if channels > block:
        raise RefusalError(
            f"{OPTIMIZED} rounds the last {channels % block} of its {channels} channels unlike the others",
            f"fewer than {block} channels or a multiple of {block}, or another arithmetic",
        )
    return REFERENCE_SCHEME
