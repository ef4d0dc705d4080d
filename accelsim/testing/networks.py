"""Random networks that branch and join: a few layers, every tensor of codes; everything follows from one generator of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import arithmetic_named
from accelsim.errors import ModelError
from accelsim.graph import (
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Graph,
    HostPort,
    Layer,
    MacGeometry,
    MacLayer,
    MaxPool2D,
    OperandScale,
    Reshape,
    Tensor,
    Transpose,
    TransposeConv2D,
    VectorLayer,
)
from accelsim.numerics import INT8, IntFormat, Requant, Requantization, Thresholds
from accelsim.quant import requant_from_scales

Rng = np.random.Generator
Shape = tuple[int, ...]
Codes = NDArray[Any]

SPECIAL = {
    "xnnpack_add": "shift_half_up",
    "xnnpack_8bit_fraction": "single",
    "onnxruntime_float32": "float32_half_even",
}
"""The scheme that stands behind an operator's special rule once it has become integers."""


def random_codes(rng: Rng, shape: Shape, fmt: IntFormat) -> Codes:
    """Codes over the whole format; a tenth of them at either end."""
    if fmt.bipolar:
        return (2 * rng.integers(0, 2, shape) - 1).astype(fmt.dtype)
    values, ends = rng.integers(fmt.min, fmt.max, shape, endpoint=True), rng.random(shape)
    codes: Codes = np.where(ends < 0.1, fmt.min, np.where(ends > 0.9, fmt.max, values)).astype(fmt.dtype)
    return codes


def random_input(rng: Rng, graph: Graph) -> dict[str, Codes]:
    """One inference, by tensor."""
    tensors = [graph.tensors[port.tensor] for port in graph.inputs]
    return {tensor.name: random_codes(rng, tensor.shape, tensor.format) for tensor in tensors}


class NetworkBuilder:
    """A network under construction: a drawer appends a random layer that reads one of the newest images, (n, h, w, c).

    ``arithmetic`` gives each layer its scheme, ``formats`` the widths of what layers compute.
    """

    def __init__(self, rng: Rng, *, arithmetic: str = "tflite-micro", formats: tuple[IntFormat, ...] = (INT8,)) -> None:
        self.rng, self.arithmetic, self.formats = rng, arithmetic_named(arithmetic), formats
        self.tensors: dict[str, Tensor] = {}
        self.layers: list[Layer] = []
        self.images: list[Tensor] = []
        shape = (int(rng.integers(1, 3)), int(rng.integers(3, 9)), int(rng.integers(3, 9)), int(rng.integers(1, 7)))
        fmt = self.format()
        self.tensor("x", shape, fmt, self.zero(fmt))

    def format(self) -> IntFormat:
        """Of the next tensor that a layer computes."""
        return self.formats[int(self.rng.integers(len(self.formats)))]

    def zero(self, fmt: IntFormat, reach: int = 10) -> int:
        """A zero point; that of codes wider than 8 bits, and of bipolar ones, is 0."""
        wide = fmt.bits > INT8.bits or fmt.bipolar
        return 0 if wide else int(self.rng.integers(max(fmt.min, -reach), min(fmt.max, reach) + 1))

    def tensor(self, name: str, shape: Shape, fmt: IntFormat, zero: int = 0) -> Tensor:
        """A new tensor, which later layers may read if it is an image."""
        self.tensors[name] = Tensor(name, shape, fmt, zero)
        if len(shape) == 4:
            self.images.append(self.tensors[name])
        return self.tensors[name]

    def image(self) -> Tensor:
        """One of the two newest."""
        return self.images[-1 - int(self.rng.integers(min(2, len(self.images))))]

    def layer(
        self, kind: type[Layer], inputs: tuple[Tensor, ...], shape: Shape, fmt: IntFormat, /, **fields: Any
    ) -> Tensor:
        """Append a layer and give its output."""
        output = self.tensor(f"t{len(self.tensors)}", shape, fmt)
        name = f"{kind.__name__}_{len(self.layers)}"
        self.layers.append(kind(name=name, inputs=tuple(x.name for x in inputs), output=output.name, **fields))
        return output

    def vector(
        self,
        kind: type[VectorLayer],
        inputs: tuple[Tensor, ...],
        shape: Shape,
        fmt: IntFormat | None = None,
        /,
        **fields: Any,
    ) -> Tensor:
        """Append a layer of the vector unit; its codes have the first input's format unless told."""
        views = {"shapes": tuple(x.shape for x in inputs), "shape": shape} | fields
        return self.layer(kind, inputs, shape, fmt or inputs[0].format, **views)

    def scheme(self, operator: str, bits: int = 8) -> str:
        """By the arithmetic."""
        scheme = self.arithmetic.scheme(operator, activation_bits=bits)
        return SPECIAL.get(scheme, scheme)

    def requant(self, operator: str, fmt: IntFormat, *, gain: float, channels: int = 1, bits: int = 8) -> Requant:
        """Takes sums to codes of ``fmt``: each channel's ratio is drawn from ``gain / 2`` to ``gain``."""
        scheme = self.scheme(operator, bits)
        if scheme == "vta_shift" and fmt != INT8:
            scheme = "shift_floor"  # VTA stores bytes
        ratio = min(gain, 64.0) * self.rng.uniform(0.5, 1, channels)  # no scheme takes much more
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

    def ending(
        self, kind: type[MacLayer], x: IntFormat, fmt: IntFormat, *, channels: int, gain: float
    ) -> Requantization:
        """What a layer of weights ends in: a multiplier, or, one time in five, thresholds; per channel or for all."""
        count = channels if self.rng.random() < 0.7 else 1
        if self.scheme(kind.operator, x.bits) == Thresholds.scheme or self.rng.random() < 0.2:
            return self.thresholds(fmt, count, spread=min(2.0**29, (fmt.max - fmt.min) / (4 * gain)))
        return self.requant(kind.operator, fmt, gain=gain, channels=count, bits=x.bits)

    def weight_format(self, x: IntFormat) -> IntFormat:
        """Of a layer that reads codes of ``x``."""
        return INT8

    def mac(self, kind: type[MacLayer], x: Tensor, geometry: MacGeometry) -> Tensor:
        """A layer with weights, whose codes fill their format."""
        weights, fmt = self.weight_format(x.format), self.format()
        reach = 2.0 ** (weights.bits + x.format.bits)
        gain = 3 * (fmt.max - fmt.min) / (reach * np.sqrt(geometry.reduction))
        return self.layer(
            kind, (x,), geometry.output_shape, fmt, geometry=geometry, weight_format=weights,
            weights=random_codes(self.rng, geometry.weight_shape, weights), input_zero_point=x.zero_point,
            bias=self.rng.integers(-reach / 8 - 1, reach / 8 + 1, geometry.oc).astype(np.int64),
            requant=self.ending(kind, x.format, fmt, channels=geometry.oc, gain=gain),
        )  # fmt: skip

    def convolution(self, kind: type[MacLayer]) -> Tensor:
        """Windows of up to 3 x 3, strided, dilated, padded, in groups; or transposed."""
        x, rng = self.image(), self.rng
        n, ih, iw, ic = x.shape
        kh, kw = int(rng.integers(1, min(4, ih + 1))), int(rng.integers(1, min(4, iw + 1)))
        step, dilation = int(rng.integers(1, 3)), int(rng.integers(1, 3))
        stride, upsample = (1, step) if kind is TransposeConv2D else (step, 1)
        groups = ic if kind is DepthwiseConv2D else int(rng.choice([g for g in (1, 1, 2, 3) if ic % g == 0]))
        oc = groups * int(rng.integers(1, 4 if groups > 2 else 20))
        top, left = int(rng.integers(0, kh)), int(rng.integers(0, kw))
        span_h, span_w = (ih - 1) * upsample + 1 + 2 * top, (iw - 1) * upsample + 1 + 2 * left
        oh, ow = (max(1, (span - (k - 1) * dilation - 1) // stride + 1) for span, k in ((span_h, kh), (span_w, kw)))
        geometry = MacGeometry(
            n=n, ih=ih, iw=iw, ic=ic, oh=oh, ow=ow, oc=oc, kh=kh, kw=kw, stride_h=stride, stride_w=stride,
            dilation_h=dilation, dilation_w=dilation, pad_top=top, pad_left=left, upsample_h=upsample, upsample_w=upsample,
            groups=groups,
        )  # fmt: skip
        return self.mac(kind, x, geometry)

    def dense(self) -> Tensor:
        """Of a flattened image."""
        x = self.image()
        rows, k = x.shape[0], int(np.prod(x.shape[1:]))
        flat = self.vector(Reshape, (x,), (rows, k))
        geometry = MacGeometry(n=1, ih=rows, iw=1, ic=k, oh=rows, ow=1, oc=int(self.rng.integers(1, 30)))
        return self.mac(Dense, flat, geometry)

    def sum(self, kind: type[Add], operands: tuple[Tensor, Tensor], fmt: IntFormat) -> Tensor:
        """Of two tensors that broadcast to the first."""
        operator, bits = kind.operator, max(x.format.bits for x in operands)
        if self.arithmetic.scheme(operator, activation_bits=bits) == "xnnpack_add":
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

    def max_pool(self, kind: type[Any] = MaxPool2D, fmt: IntFormat | None = None, **fields: Any) -> Tensor:
        """Windows of 2 x 3 at steps of 1 and 2, padded above or not."""
        x = self.image()
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

    def graph(self) -> Graph:
        """All layers so far; what none of them reads is an output."""
        read = {name for layer in self.layers for name in layer.inputs}
        outputs = [layer.output for layer in self.layers if layer.output not in read]
        return Graph(
            name="generated", arithmetic=self.arithmetic.name, tensors=self.tensors, layers=tuple(self.layers),
            inputs=(HostPort("x", "x"),), outputs=tuple(HostPort(name, name) for name in outputs),
        )  # fmt: skip


Drawer = Callable[[Any], object]
COMMON: Mapping[type[Layer], Drawer] = {
    Conv2D: lambda b: b.convolution(Conv2D),
    DepthwiseConv2D: lambda b: b.convolution(DepthwiseConv2D),
    TransposeConv2D: lambda b: b.convolution(TransposeConv2D),
    Dense: NetworkBuilder.dense,
    Add: NetworkBuilder.add,
    MaxPool2D: NetworkBuilder.max_pool,
    Transpose: NetworkBuilder.transpose,
}
"""Kinds of layer that every mapper meets, each with what draws one."""


def random_graph(rng: Rng, *, most_layers: int = 5) -> Graph:
    """A network of a few layers of the :data:`COMMON` kinds, 8-bit codes as in tflite-micro."""
    builder, kinds = NetworkBuilder(rng), list(COMMON.values())
    for index in rng.integers(len(kinds), size=int(rng.integers(1, most_layers + 1))):
        kinds[index](builder)
    return builder.graph()
