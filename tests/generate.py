"""Random networks of every kind of layer, in many arithmetics and formats, on random machines; everything follows from one seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from accelsim.arch import ARITHMETICS, Arch, arithmetic_named
from accelsim.arch.arithmetic import SPECIAL_SCHEMES, usable_schemes
from accelsim.builder import build_program
from accelsim.errors import ModelError
from accelsim.graph import (
    Add,
    ArgMax,
    ArgMin,
    AveragePool2D,
    BinaryLut,
    Concat,
    FloatBinary,
    FloatLayerNorm,
    FloatTableSoftmax,
    Graph,
    InterpolatedLut,
    Layer,
    LayerNorm,
    LeakyRelu,
    Lut,
    MacGeometry,
    MacLayer,
    MatMul,
    MaxPool2D,
    Mean,
    Mul,
    OperandScale,
    Pad,
    RealScale,
    ReduceMax,
    ReduceMin,
    Rescale,
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    Softmax,
    StridedSlice,
    Sub,
    Taps,
    Tensor,
    Transpose,
    TransposeConv2D,
)
from accelsim.hardware import passes_of
from accelsim.numerics import INT8, INT16, IntFormat, Rounding, Thresholds
from accelsim.program import Program, fuse, in_whole_bytes, obstacle, row_axis, window_bytes
from accelsim.quant import requant_from_scales
from accelsim.testing.machines import Mappings, cut_further, random_arch, random_mapping, random_mappings, roomy
from accelsim.testing.networks import COMMON, Drawer, NetworkBuilder, Rng, random_codes, random_input

UINT8, INT4, UINT4 = IntFormat(8, signed=False), IntFormat(4), IntFormat(4, signed=False)
FORMATS = ((INT8,), (INT8,), (INT8, UINT8), (INT4, UINT4), (INT4, INT8), (INT8, INT16), (INT16,), (INT4, UINT8, INT16))
"""Of the activations of one network."""
MAC_FORMATS = {16: (INT4, INT8), 8: (INT4, INT8, INT8, INT16), 4: (INT4, INT8, INT8, INT16)}
"""Of weights, by the bits of the activations they meet: products of both fit sums of 32 bits."""

MOST_OPERATIONS = 3000
"""Of a Program: the one in thirty that has more takes half of the time of all, and shows nothing that the others do not."""


SPECIAL = {
    "xnnpack_add": "shift_half_up",
    "xnnpack_8bit_fraction": "single",
    "onnxruntime_float32": "float32_half_even",
}
"""The scheme that stands behind an operator's special rule once it has become integers."""


class Builder(NetworkBuilder):
    """Every kind of layer."""

    def __init__(
        self, rng: Rng, *, arithmetic: str | None = None, formats: tuple[IntFormat, ...] | None = None
    ) -> None:
        self.rules = arithmetic_named(arithmetic or str(rng.choice(list(ARITHMETICS))))
        if arithmetic is None and rng.random() < 0.3:
            operators = [str(name) for name in rng.choice(list(self.rules.schemes), 3, replace=False)]
            self.rules = self.rules.with_overrides({x: str(rng.choice(usable_schemes(x))) for x in operators})
        self.arithmetic = self.rules.name
        self.formats = formats or FORMATS[int(rng.integers(len(FORMATS)))]
        super().__init__(rng)

    def format(self) -> IntFormat:
        return self.formats[int(self.rng.integers(len(self.formats)))]

    def kind(self, drawn: type[Layer]) -> type[Layer]:
        """What this arithmetic has in place of ``drawn``: ONNX Runtime's element-wise operators are tables."""
        rule = self.rules.schemes.get(drawn.operator)
        tabulated = rule == "onnxruntime_float32"
        return (BinaryLut if issubclass(drawn, Add | Mul) else Lut) if tabulated else drawn

    def weight_format(self, x: IntFormat) -> IntFormat:
        wide = MAC_FORMATS[16 if x.bits > 8 else 8 if x.bits > 4 else 4]
        return wide[int(self.rng.integers(len(wide)))]

    def scheme(self, operator: str, bits: int = 8) -> str:
        """By the arithmetic."""
        scheme = self.rules.scheme(operator, activation_bits=bits)
        return SPECIAL.get(scheme, scheme)

    def requant(self, operator: str, fmt: IntFormat, *, gain: float, channels: int = 1, bits: int = 8) -> Any:
        """Ratios from ``gain / 2`` to ``gain``, per channel or one for all; or, behind the array one time in five, thresholds."""
        channels = channels if self.rng.random() < 0.7 else 1
        finn = self.scheme(operator, bits) == Thresholds.scheme
        if finn or (operator in SPECIAL_SCHEMES["finn_thresholds"] and self.rng.random() < 0.2):
            return self.thresholds(fmt, channels, spread=min(2.0**29, (fmt.max - fmt.min) / (4 * gain)))
        scheme = self.scheme(operator, bits)
        if scheme == "vta_shift" and fmt != INT8:
            scheme = "shift_floor"  # VTA stores bytes
        most = (
            1.0 if scheme == "vta_shift" else 31.0
        )  # VTA shifts right only; 8-bit multipliers, the narrowest, reach 31.75
        ratio = min(gain, most) * self.rng.uniform(0.5, 1, channels)
        fixed = {"zero_point": self.zero(fmt, 20), "clamp_min": fmt.min, "clamp_max": fmt.max}
        try:
            return requant_from_scales(scheme, s_in=1, s_w=ratio, s_out=1, **fixed)
        except ModelError:  # a scheme of shifts takes powers of two
            return requant_from_scales(scheme, s_in=1, s_w=np.exp2(np.ceil(np.log2(ratio))), s_out=1, **fixed)

    def thresholds(self, fmt: IntFormat, channels: int, *, spread: float) -> Thresholds:
        """Up to 40 levels within about ``spread`` of 0, some equal, codes that rise or fall; all stay in ``fmt``."""
        rng, most = self.rng, min(40, (fmt.max - fmt.min) // 2)
        levels = np.sort(rng.normal(0, spread, (channels, int(rng.integers(0, most + 1)))).astype(np.int64), axis=1)
        start = rng.integers(max(fmt.min, -120) + most, min(fmt.max, 120) - most, channels, endpoint=True)
        return Thresholds(levels=levels, start=start, step=rng.choice([-1, 1], channels))

    def sum(self, kind: type[Add], operands: tuple[Tensor, Tensor], fmt: IntFormat) -> Tensor:
        """Of two tensors that broadcast to the first."""
        operator, bits = kind.operator, max(x.format.bits for x in operands)
        if self.rules.scheme(operator, activation_bits=bits) == "xnnpack_add":
            scale, up = {"multiplier": 2**19 + 12345}, 20
        else:
            up = 28 - bits if bits <= 8 else 15
            scale = {"multiplier": 2**30 + 12345, "exponent": 0, "left_shift": up}
        left, right = (OperandScale(zero_point=self.zero(x.format), **scale) for x in operands)
        gain = 2.0 ** (fmt.bits - bits - up)
        requant = self.requant(operator, fmt, gain=min(gain, 0.5), bits=bits)
        return self.vector(
            kind, operands, operands[0].shape, fmt, left=left, right=right, scheme=requant.scheme, requant=requant
        )

    def add(self) -> Tensor:
        """An image and another of its shape."""
        x = self.image()
        others = [y for y in self.images if y.shape == x.shape]
        return self.sum(Add, (x, others[int(self.rng.integers(len(others)))]), self.format())

    def max_pool(
        self, kind: type[Any] = MaxPool2D, fmt: IntFormat | None = None, x: Tensor | None = None, **fields: Any
    ) -> Tensor:
        """Windows of 2 x 3 at steps of 1 and 2, padded above or not."""
        x = x or self.image()
        n, h, w, c = x.shape
        kernel, stride = (min(h, 2), min(w, 3)), (1, 2)
        top, target = int(self.rng.integers(0, kernel[0])), fmt or x.format
        shape = (n, h + 2 * top - kernel[0] + 1, (w - kernel[1]) // stride[1] + 1, c)
        clamp = {"clamp_min": target.min, "clamp_max": target.max}
        return self.vector(kind, (x,), shape, target, kernel=kernel, stride=stride, pad=(top, 0), **clamp, **fields)

    def transpose(self) -> Tensor:
        """Axes in any order."""
        x = self.image()
        order = tuple(int(i) for i in self.rng.permutation(4))
        return self.vector(Transpose, (x,), tuple(x.shape[i] for i in order), permutation=order)

    def mac(self, kind: type[MacLayer], x: Tensor, geometry: MacGeometry) -> Tensor:
        self.weights = self.weight_format(x.format)
        return super().mac(kind, x, geometry)

    def narrow(self) -> Tensor:
        """An image of at most 8 bits; one that is wider is rescaled."""
        x = self.image()
        return x if x.format.bits <= 8 else self.rescaled(x, INT8)

    def of_16_bits(self) -> Tensor:
        """An image of 16-bit codes; another is rescaled."""
        x = self.image()
        return x if x.format == INT16 else self.rescaled(x, INT16)

    def rescaled(self, x: Tensor, fmt: IntFormat) -> Tensor:
        gain = 0.9 * 2.0 ** (fmt.bits - x.format.bits)
        rule = self.requant("QUANTIZE", fmt, gain=gain, bits=x.format.bits)
        return self.vector(Rescale, (x,), x.shape, fmt, input_zero_point=self.zero(x.format), requant=rule)

    def another(self, x: Tensor) -> Tensor:
        """An image that broadcasts to ``x``."""
        fits = [y for y in self.images if all(b in (1, a) for a, b in zip(x.shape, y.shape, strict=True))]
        return fits[int(self.rng.integers(len(fits)))]

    def column(self, x: Tensor) -> Tensor:
        """A few pixels of one column of an image, (1, rows, 1, channels)."""
        n, h, w, c = x.shape
        begin = int(self.rng.integers(n)), 0, int(self.rng.integers(w)), 0
        return self.vector(StridedSlice, (x,), (1, min(h, 6), 1, c), begin=begin, strides=(1, 1, 1, 1))

    def matmul(self) -> None:
        """A product of two images' columns, of the same one's half the time; in one group its right operand has its own view."""
        x, rng = self.image(), self.rng
        others = [y for y in self.images if y.shape[3] == x.shape[3] and y.format.bits + x.format.bits <= 24]
        if not others:
            return
        right = self.column(others[int(rng.integers(len(others)))] if rng.random() < 0.5 or x not in others else x)
        left = self.column(x)
        m, n, c = left.shape[1], right.shape[1], left.shape[3]
        groups = int(rng.choice([g for g in (1, 1, 2, 3) if c % g == 0]))
        if groups == 1:
            right = self.vector(Transpose, (right,), (n, 1, 1, c), permutation=(1, 0, 2, 3))
        geometry = MacGeometry(n=1, ih=m, iw=1, ic=c, oh=m, ow=1, oc=groups * n, groups=groups)
        bits, fmt = left.format.bits + right.format.bits, self.format()
        gain = 2 * (fmt.max - fmt.min) / (2.0**bits * np.sqrt(geometry.reduction))
        rule = self.requant("BATCH_MATMUL", fmt, gain=gain, bits=left.format.bits)
        self.layer(
            MatMul, (left, right), geometry.output_shape, fmt, geometry=geometry, weights=None,
            weight_format=right.format, input_zero_point=self.zero(left.format, 128),
            right_zero_point=self.zero(right.format, 128), requant=rule,
        )  # fmt: skip

    def beside(self, x: Tensor) -> Tensor:
        """The same, or a pixel of it, which broadcasts."""
        if self.rng.random() < 0.6:
            return x
        return self.vector(StridedSlice, (x,), (1, 1, 1, x.shape[3]), begin=(0, 0, 0, 0), strides=(1, 1, 1, 1))

    def follow(self) -> None:
        """Element by element, of the newest image alone or with another, or window by window; now and then anything."""
        if self.rng.random() < 1 / 3:
            self.windows(self.images[-1])
            return
        kind = self.kind(FOLLOWING[int(self.rng.integers(len(FOLLOWING)))])
        beside = self.images[0]
        if kind in (Rescale, LeakyRelu, Lut):
            self.images[0] = self.images[1]
        DRAWERS[kind](self)
        self.images[0] = beside

    def reshape(self) -> None:
        x = self.image()
        n, h, w, c = x.shape
        self.vector(Reshape, (x,), (n, w, c, h))

    def sub(self) -> None:
        x = self.image()
        self.sum(Sub, (x, self.another(x)), self.format())

    def mul(self) -> None:
        x, fmt = self.image(), self.format()
        y = self.another(x)
        bits = x.format.bits + y.format.bits
        zeros = {"left_zero_point": self.zero(x.format), "right_zero_point": self.zero(y.format)}
        rule = self.requant("MUL", fmt, gain=2.0 ** (fmt.bits - bits), bits=x.format.bits)
        self.vector(Mul, (x, y), x.shape, fmt, requant=rule, **zeros)

    def rescale(self) -> None:
        self.rescaled(self.image(), self.format())

    def leaky_relu(self) -> None:
        x, fmt = self.image(), self.format()
        gain, bits = 2.0 ** (fmt.bits - x.format.bits), x.format.bits
        rule = self.requant("LEAKY_RELU", fmt, gain=gain, bits=bits)
        negative = replace(self.requant("LEAKY_RELU", fmt, gain=gain / 5, bits=bits), zero_point=rule.zero_point)
        zero = self.zero(x.format)
        self.vector(LeakyRelu, (x,), x.shape, fmt, input_zero_point=zero, positive=rule, negative=negative)

    def lut(self) -> None:
        x, fmt = self.narrow(), self.format()
        self.vector(Lut, (x,), x.shape, fmt, table=self.table(fmt, x.format), input_min=x.format.min)

    def table(self, fmt: IntFormat, *operands: IntFormat) -> np.ndarray:
        """Any function of one code or two."""
        return random_codes(self.rng, tuple(1 << operand.bits for operand in operands), fmt)

    def binary_lut(self) -> None:
        """Of two images, or of one and a constant per channel."""
        x, fmt = self.narrow(), self.format()
        y = self.another(x)
        constant = None
        if y.format.bits > 8 or self.rng.random() < 0.4:
            y = Tensor("constant", (x.shape[3],), INT8)
            constant = random_codes(self.rng, y.shape, y.format)
        table = self.table(fmt, x.format, y.format)
        codes = {"left_min": x.format.min, "right_min": y.format.min, "table": table, "constant": constant}
        self.vector(BinaryLut, (x,) if constant is not None else (x, y), x.shape, fmt, **codes)

    def float_binary(self) -> None:
        """Of two images, or of one and a constant on either side."""
        x, fmt = self.narrow(), self.format()
        y, constant = self.another(x), None
        if self.rng.random() < 0.4:
            constant = random_codes(self.rng, (x.shape[3],), INT8)
        scales = [RealScale(scale=0.0625, zero_point=int(self.rng.integers(-5, 6))) for _ in range(2)]
        self.vector(
            FloatBinary, (x,) if constant is not None else (x, y), x.shape, fmt, constant=constant,
            constant_first=constant is not None and bool(self.rng.integers(2)), left=scales[0], right=scales[1],
            target=RealScale(scale=0.5, zero_point=3), zero_point_first=bool(self.rng.integers(2)), output_min=fmt.min, output_max=fmt.max,
            source_operator=str(self.rng.choice(["ADD", "SUB", "MUL", "MAX"])),
        )  # fmt: skip

    def interpolated_lut(self) -> None:
        x, function = self.of_16_bits(), str(self.rng.choice(["logistic", "tanh"]))
        table = np.rint(65535 / (1 + np.exp(-np.arange(256) / 24))).astype(np.uint16)
        steps = {"multiplier": int(self.rng.integers(1, 2**15)), "left_shift": int(self.rng.integers(0, 14))}
        self.vector(InterpolatedLut, (x,), x.shape, function=function, table=table, **steps)

    def softmax(self) -> None:
        """Over the channels: gemmlowp's of codes to 8 or 16 bits, or by the tables of 16-bit codes."""
        rng, tables = self.rng, bool(self.rng.random() < 0.4)
        x = self.of_16_bits() if tables else self.narrow()
        scale, fmt = (
            {"multiplier": int(rng.integers(2**30, 2**31))},
            INT16 if tables else (INT8, INT16)[rng.integers(2)],
        )
        if tables:
            exponentials = np.exp(np.linspace(-10, 0, 513)), 1 / (1 + np.linspace(0, 1, 513))
            made = [np.minimum(np.rint(32768 * values), 32767).astype(np.int16) for values in exponentials]
            scale |= {"left_shift": int(rng.integers(-3, 2)), "exp_table": made[0], "reciprocal_table": made[1]}
        else:
            shift = int(rng.integers(16, 23))
            scale |= {"left_shift": shift, "diff_min": -((31 << 26) >> shift)}
        view = (x.elements // x.shape[3], x.shape[3])
        self.vector(
            Softmax, (x,), x.shape, fmt, shapes=(view,), shape=view, algorithm="int16_lut" if tables else "gemmlowp",
            output_min=fmt.min, output_max=fmt.max, **scale,
        )  # fmt: skip

    def float_table_softmax(self) -> None:
        x = self.narrow()
        table = np.exp((np.arange(256) - 255) / 16).astype(np.float32)
        codes = {"output_zero_point": -128, "output_min": -128, "output_max": 127}
        self.vector(FloatTableSoftmax, (x,), x.shape, INT8, exp_table=table, **codes)

    def layer_norm(self) -> None:
        x, fmt = self.narrow(), self.format()
        channels, wide = x.shape[3], 1 << max(0, fmt.bits - 8)
        factors = self.rng.integers(-(2**24), 2**24, channels), self.rng.integers(-(2**38), 2**38, channels)
        variance = {"epsilon": int(self.rng.integers(0, 2**20)), "variance_shift": 20}
        limits = {"output_min": fmt.min, "output_max": fmt.max, "output_shift": 39}
        self.vector(
            LayerNorm, (x,), x.shape, fmt, multiplier=wide * factors[0], bias=wide * factors[1], **limits, **variance
        )

    def float_layer_norm(self) -> None:
        x, fmt = self.narrow(), self.format()
        gamma, beta = (self.rng.normal(0, 1, x.shape[3]).astype(np.float32) for _ in range(2))
        codes = {"output_scale": 4 / fmt.max, "output_min": fmt.min, "output_max": fmt.max}
        self.vector(FloatLayerNorm, (x,), x.shape, fmt, gamma=gamma, beta=beta, input_scale=0.0625, **codes)

    def average_pool(self) -> None:
        """By each of its rules."""
        rule = ("codes", "float32", "sums")[int(self.rng.integers(3))]
        if rule == "codes":
            self.max_pool(AveragePool2D)
            return
        x, fmt = self.image(), self.format()
        fields: dict[str, Any] = {"input_zero_point": int(self.rng.integers(-5, 6))}
        if rule == "float32":
            fields |= {"input_scale": 0.05, "output_scale": 0.05, "output_zero_point": int(self.rng.integers(0, 6))}
        else:
            gain = 2.0 ** (fmt.bits - x.format.bits) / 6
            fields |= self.mean_rule(fmt, gain=gain, channels=x.shape[3], bits=x.format.bits)
        self.max_pool(AveragePool2D, fmt, x, rule=rule, count_include_pad=bool(self.rng.integers(2)), **fields)

    def mean_rule(self, fmt: IntFormat, *, gain: float, channels: int, bits: int) -> dict[str, Any]:
        """A requantization, or one time in three thresholds, one set for each channel or one for all, behind a bias."""
        if self.rng.random() < 0.67:
            return {"requant": self.requant("MEAN", fmt, gain=gain, bits=bits)}
        rows = channels if self.rng.random() < 0.5 else 1
        bias = self.rng.integers(-50, 50, rows) if self.rng.random() < 0.5 else None
        return {"requant": self.thresholds(fmt, rows, spread=(fmt.max - fmt.min) / (4 * gain)), "bias": bias}

    def windows(self, x: Tensor) -> None:
        """A pool of ``x`` whose windows fill it, often in one."""
        n, h, w, c = x.shape
        rows, cols = (int(self.rng.choice([k for k in range(1, size + 1) if size % k == 0])) for size in (h, w))
        if self.rng.random() < 0.3:
            self.mean_of_all(x)
        elif self.rng.random() < 0.2:
            self.vector(ReduceMax, (x,), (n, 1, 1, c), axes=(1, 2))
        else:
            kind = (MaxPool2D, MaxPool2D, AveragePool2D)[int(self.rng.integers(3))]
            fields = {
                "kernel": (rows, cols),
                "stride": (rows, cols),
                "clamp_min": x.format.min,
                "clamp_max": x.format.max,
            }
            self.vector(kind, (x,), (n, h // rows, w // cols, c), **fields)

    def mean_of_all(self, x: Tensor) -> None:
        """Of all pixels of each channel."""
        (n, h, w, c), fmt = x.shape, x.format
        rule = self.mean_rule(fmt, gain=1 / (h * w), channels=c, bits=fmt.bits)
        self.vector(Mean, (x,), (n, 1, 1, c), fmt, axes=(1, 2), input_zero_point=self.zero(fmt), **rule)

    def mean(self) -> None:
        x, fmt = self.image(), self.format()
        n, h, w, c = x.shape
        axes, shape = ((1, 2), (n, 1, 1, c)) if self.rng.random() < 0.7 else ((3,), (n, h, w, 1))
        gain = 2.0 ** (fmt.bits - x.format.bits) / np.prod([x.shape[axis] for axis in axes])
        rule = self.mean_rule(fmt, gain=gain, channels=shape[3], bits=x.format.bits)
        self.vector(Mean, (x,), shape, fmt, axes=axes, input_zero_point=self.zero(x.format), **rule)

    def extreme(self, kind: type[ReduceMax | ReduceMin]) -> None:
        x, axis = self.image(), int(self.rng.integers(4))
        self.vector(kind, (x,), tuple(1 if i == axis else s for i, s in enumerate(x.shape)), axes=(axis,))

    def arg_extreme(self, kind: type[ArgMax | ArgMin]) -> None:
        x, fmt = self.image(), self.format()
        axis = int(self.rng.choice([i for i, size in enumerate(x.shape) if size <= fmt.max] or [0]))
        shape = tuple(1 if i == axis else s for i, s in enumerate(x.shape))
        self.vector(kind, (x,), shape, fmt, axes=(axis,), last=bool(self.rng.integers(2)))

    def concat(self) -> None:
        x = self.image()
        other = [y for y in self.images if y.shape[:3] == x.shape[:3] and y.format == x.format]
        inputs = (x, *(other[int(i)] for i in self.rng.integers(0, len(other), 2)))
        self.vector(Concat, inputs, (*x.shape[:3], sum(y.shape[3] for y in inputs)), axis=3)

    def pad(self) -> None:
        x = self.image()
        shape = (x.shape[0], x.shape[1] + 2, x.shape[2] + 3, x.shape[3])
        self.vector(Pad, (x,), shape, before=(0, 1, 2, 0), value=self.zero(x.format))

    def strided_slice(self) -> None:
        x = self.image()
        n, h, w, c = x.shape
        self.vector(StridedSlice, (x,), (n, (h + 1) // 2, w, c), begin=(0, 0, w - 1, 0), strides=(1, 2, -1, 1))

    def resize(self) -> None:
        x = self.image()
        n, h, w, c = x.shape
        index = [np.sort(self.rng.integers(0, size, int(self.rng.integers(1, 10)))) for size in (h, w)]
        self.vector(ResizeNearest, (x,), (n, len(index[0]), len(index[1]), c), rows=index[0], columns=index[1])

    def resize_bilinear(self) -> None:
        x = self.image()
        n, h, w, c = x.shape
        bits = int(self.rng.integers(1, 12))
        taps, is_real = [], self.rng.random() < 0.4
        for size in (h, w):
            low = np.sort(self.rng.integers(0, size, int(self.rng.integers(1, 10))))
            weight = self.rng.integers(0, (1 << bits) + 1, len(low))
            weight = self.rng.random(len(low), np.float32) if is_real else weight
            taps.append(Taps(low=low, high=np.minimum(low + 1, size - 1), weight=weight))
        shape = (n, len(taps[0].low), len(taps[1].low), c)
        if is_real:
            fields = {"input_scale": 0.05, "output_scale": 0.06, "output_zero_point": 1}
            fields |= {"clamp_min": x.format.min, "clamp_max": x.format.max}
            self.vector(ResizeBilinear, (x,), shape, rows=taps[0], columns=taps[1], rule="dequantized", **fields)
            return
        rounding = (Rounding.HALF_AWAY, Rounding.HALF_UP)[int(self.rng.integers(0, 2))]
        self.vector(ResizeBilinear, (x,), shape, rows=taps[0], columns=taps[1], fraction_bits=bits, rounding=rounding)


FOLLOWING = (Rescale, LeakyRelu, Lut, Add, Sub, Mul, Mul, BinaryLut)
"""Kinds of layer behind one with MACs."""
DRAWERS: Mapping[type[Layer], Drawer] = {
    **COMMON,
    Add: Builder.add,
    MaxPool2D: Builder.max_pool,
    TransposeConv2D: lambda b: b.convolution(TransposeConv2D),
    Transpose: Builder.transpose,
    MatMul: Builder.matmul,
    Sub: Builder.sub,
    Mul: Builder.mul,
    Rescale: Builder.rescale,
    LeakyRelu: Builder.leaky_relu,
    Lut: Builder.lut,
    BinaryLut: Builder.binary_lut,
    FloatBinary: Builder.float_binary,
    InterpolatedLut: Builder.interpolated_lut,
    Softmax: Builder.softmax,
    FloatTableSoftmax: Builder.float_table_softmax,
    LayerNorm: Builder.layer_norm,
    FloatLayerNorm: Builder.float_layer_norm,
    AveragePool2D: Builder.average_pool,
    Mean: Builder.mean,
    ReduceMax: lambda b: b.extreme(ReduceMax),
    ReduceMin: lambda b: b.extreme(ReduceMin),
    ArgMax: lambda b: b.arg_extreme(ArgMax),
    ArgMin: lambda b: b.arg_extreme(ArgMin),
    Concat: Builder.concat,
    Pad: Builder.pad,
    Reshape: Builder.reshape,
    StridedSlice: Builder.strided_slice,
    ResizeNearest: Builder.resize,
    ResizeBilinear: Builder.resize_bilinear,
}
"""What draws a layer of each kind; a kind without a drawer fails tests/house/test_layer_kinds.py."""
_KINDS, _OFTEN = tuple(DRAWERS), np.array([3.0 if kind in COMMON else 1.0 for kind in DRAWERS])


def random_graph(rng: Rng, *, most_layers: int = 5) -> Graph:
    """A network of a few layers that branch and join."""
    builder = Builder(rng)
    for index in rng.choice(len(_KINDS), int(rng.integers(1, most_layers + 1)), p=_OFTEN / _OFTEN.sum()):
        DRAWERS[builder.kind(_KINDS[index])](builder)
    if rng.random() < 0.5:
        builder.followed()
    return builder.graph() if builder.layers else random_graph(rng, most_layers=most_layers)


def with_bands(rng: Rng, graph: Graph, mappings: Mappings, arch: Arch) -> Mappings:
    """The same tiles, with random bands for random pairs of layers that may be computed in step."""
    in_passes = {i for one in passes_of(graph, arch) for i in one[:2]}
    made = [mapping and replace(mapping, band=0) for mapping in mappings]
    for reader in range(1, len(made)):
        mapping, before = made[reader], made[reader - 1]
        if mapping is None or before is None or before.band or obstacle(graph, reader) or rng.random() < 0.3:
            continue
        if {reader, reader - 1} & in_passes:
            continue
        view = graph.layers[reader].output_shape
        pair = fuse(graph, reader, int(rng.integers(1, 1 + max(1, view[row_axis(view)] // 2))))
        fits = window_bytes(graph, pair) <= arch.activation_buffer.resident_bytes
        if fits and in_whole_bytes(graph, pair.tensor, made[pair.producer]):
            made[reader] = replace(mapping, band=pair.computed[0])
    return tuple(made)


@lru_cache(maxsize=512)
def random_program(seed: int, *, most_layers: int = 5, bands: bool = True) -> Program:
    """A network, a machine, for each layer either the mapper's tiles or worse ones, and some pairs of layers in ``bands``."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, most_layers=most_layers)
    arch = roomy(random_arch(rng), graph)
    if not bands:
        arch = arch.with_({"activation_buffer.fuse_pairs": False})
    mappings = random_mappings(rng, graph, arch)
    if bands and rng.random() < 0.7:
        mappings = with_bands(rng, graph, mappings, arch)
    program = build_program(graph, arch=arch, mappings=mappings)
    if len(program) <= MOST_OPERATIONS:
        return program
    return random_program(seed + 2**32, most_layers=most_layers, bands=bands)


__all__ = [
    "COMMON",
    "DRAWERS",
    "Builder",
    "cut_further",
    "random_arch",
    "random_codes",
    "random_graph",
    "random_input",
    "random_mapping",
    "random_mappings",
    "random_program",
    "roomy",
    "with_bands",
]
