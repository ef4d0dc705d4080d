"""Random networks that branch and join: a few layers, every tensor of codes; everything follows from one generator of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    OperandScale,
    Reshape,
    Tensor,
    TransposeConv2D,
    VectorLayer,
)
from accelsim.numerics import INT8, IntFormat
from accelsim.quant import requant_from_scales

Rng = np.random.Generator
Shape = tuple[int, ...]
Codes = NDArray[Any]
Inputs = tuple[Tensor, ...]


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

    Codes and weights of 8 bits, in tflite-micro's arithmetic, unless a subclass says otherwise.
    """

    weights: IntFormat = INT8
    arithmetic: str = "tflite-micro"

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.tensors: dict[str, Tensor] = {}
        self.layers: list[Layer] = []
        self.images: list[Tensor] = []
        shape = (int(rng.integers(1, 3)), int(rng.integers(3, 9)), int(rng.integers(3, 9)), int(rng.integers(1, 7)))
        fmt = self.format()
        self.tensor("x", shape, fmt, self.zero(fmt))

    def format(self) -> IntFormat:
        """Of the next tensor that a layer computes."""
        return INT8

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

    def layer(self, kind: type[Layer], inputs: Inputs, shape: Shape, fmt: IntFormat, /, **fields: Any) -> Tensor:
        """Append a layer and give its output."""
        output = self.tensor(f"t{len(self.tensors)}", shape, fmt)
        name = f"{kind.__name__}_{len(self.layers)}"
        self.layers.append(kind(name=name, inputs=tuple(x.name for x in inputs), output=output.name, **fields))
        return output

    def vector(
        self, kind: type[VectorLayer], inputs: Inputs, shape: Shape, fmt: IntFormat | None = None, /, **fields: Any
    ) -> Tensor:
        """Append a layer of the vector unit; its codes have the first input's format unless told."""
        views = {"shapes": tuple(x.shape for x in inputs), "shape": shape} | fields
        return self.layer(kind, inputs, shape, fmt or inputs[0].format, **views)

    def requant(self, operator: str, fmt: IntFormat, *, gain: float, channels: int = 1, bits: int = 8) -> Any:
        """What takes sums to codes of ``fmt``, each channel's ratio drawn from ``gain / 2`` to ``gain``."""
        ratio, zero = gain * self.rng.uniform(0.5, 1, channels), self.zero(fmt, 20)
        clamp = {"zero_point": zero, "clamp_min": fmt.min, "clamp_max": fmt.max}
        return requant_from_scales("tflite_double", s_in=1, s_w=ratio, s_out=1, **clamp)

    def factors(self, geometry: MacGeometry) -> tuple[IntFormat, Codes, Codes | None]:
        """Weights with their format; a third of those of 8 bits with zero points, of the layer or of each channel."""
        codes = random_codes(self.rng, geometry.weight_shape, self.weights)
        if self.weights != INT8 or self.rng.random() < 2 / 3:
            return self.weights, codes, None
        zeros = self.rng.integers(0, 256, int(self.rng.choice([1, geometry.oc])))
        factors = (codes.astype(np.int16) + 128 - zeros.reshape(-1, 1, 1, 1)).astype(np.int16)
        return IntFormat(9), factors, zeros

    def mac(self, kind: type[MacLayer], x: Tensor, geometry: MacGeometry) -> Tensor:
        """A layer with weights, whose codes fill their format."""
        (weights, codes, zeros), fmt = self.factors(geometry), self.format()
        reach = 1 << (weights.bits + x.format.bits)
        gain = 3 * (fmt.max - fmt.min) / (reach * np.sqrt(geometry.reduction))
        return self.layer(
            kind, (x,), geometry.output_shape, fmt, geometry=geometry, weight_format=weights,
            weights=codes, weight_zero_points=zeros, input_zero_point=x.zero_point,
            bias=self.rng.integers(-reach // 8 - 1, reach // 8 + 1, geometry.oc).astype(np.int64),
            requant=self.requant(kind.operator, fmt, gain=gain, channels=geometry.oc, bits=x.format.bits),
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

    def add(self) -> Tensor:
        """An image and another of its shape."""
        x = self.image()
        others = [y for y in self.images if y.shape == x.shape]
        scale = OperandScale(zero_point=3, multiplier=2**30 + 12345, exponent=0, left_shift=20)
        operands = (x, others[int(self.rng.integers(len(others)))])
        requant = self.requant("ADD", INT8, gain=2.0**-19)
        return self.vector(Add, operands, x.shape, left=scale, right=scale, requant=requant)

    def followed(self) -> None:
        """A convolution of an image to another of its shape, which the next layer alone reads, as a pass wants it, now and then two layers."""
        x, rng = self.image(), self.rng
        n, h, w, c = x.shape
        beside, pad = self.beside(x), int(rng.integers(2))
        geometry = MacGeometry(
            n=n, ih=h, iw=w, ic=c, oh=h, ow=w, oc=c, kh=1 + 2 * pad, kw=1 + 2 * pad, pad_top=pad, pad_left=pad
        )
        made = self.mac(Conv2D, x, geometry)
        before = [image for image in self.images if image is not made]
        for _ in range(int(rng.integers(1, 3))):
            self.images = [beside, made]
            self.follow()
            before, made = [*before, *self.images[2:]], self.images[-1]
        self.images = before

    def beside(self, x: Tensor) -> Tensor:
        """What is read beside a layer made of ``x``."""
        return x

    def follow(self) -> None:
        """A layer that reads the newest image."""
        self.add()

    def graph(self) -> Graph:
        """All layers so far; what none of them reads is an output."""
        read = {name for layer in self.layers for name in layer.inputs}
        outputs = [layer.output for layer in self.layers if layer.output not in read]
        return Graph(
            name="generated", arithmetic=self.arithmetic, tensors=self.tensors, layers=tuple(self.layers),
            inputs=(HostPort("x", "x"),), outputs=tuple(HostPort(name, name) for name in outputs),
        )  # fmt: skip


Drawer = Callable[[Any], object]
COMMON: Mapping[type[Layer], Drawer] = {
    Conv2D: lambda b: b.convolution(Conv2D),
    DepthwiseConv2D: lambda b: b.convolution(DepthwiseConv2D),
    Dense: NetworkBuilder.dense,
    Add: NetworkBuilder.add,
}
"""Kinds of layer that every mapper meets, each with what draws one."""


def random_graph(rng: Rng, *, most_layers: int = 5) -> Graph:
    """A network of a few layers of the :data:`COMMON` kinds, 8-bit codes as in tflite-micro."""
    builder, kinds = NetworkBuilder(rng), list(COMMON.values())
    for index in rng.integers(len(kinds), size=int(rng.integers(1, most_layers + 1))):
        kinds[index](builder)
    if rng.random() < 0.5:
        builder.followed()
    return builder.graph()
