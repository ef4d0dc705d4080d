"""Small networks of shapes only, of any depth, for pictures and traces."""

from __future__ import annotations

import random

from accelsim.graph import (
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Graph,
    HostPort,
    Layer,
    MacGeometry,
    MacLayer,
    Mean,
    Reshape,
    Tensor,
)
from accelsim.numerics import INT8


class _Net:
    def __init__(self, size: int, *, prefix: str) -> None:
        self.tensors = {"x": Tensor("x", (1, size, size, 3), INT8)}
        self.layers: list[Layer] = []
        self.last, self.prefix = "x", prefix

    def tensor(self, shape: tuple[int, ...]) -> str:
        name = f"t{len(self.tensors)}"
        self.tensors[name] = Tensor(name, shape, INT8)
        return name

    def name(self, kind: str) -> str:
        return f"{self.prefix}{kind}_{len(self.layers)}"

    def add(self, layer: Layer) -> None:
        self.layers.append(layer)
        self.last = layer.output

    def mac(self, kind: type[MacLayer], kernel: int, channels: int, *, groups: int = 1) -> None:
        _, height, width, depth = self.tensors[self.last].shape
        geometry = MacGeometry(
            n=1,
            ih=height,
            iw=width,
            ic=depth,
            oh=height,
            ow=width,
            oc=channels,
            kh=kernel,
            kw=kernel,
            pad_top=kernel // 2,
            pad_left=kernel // 2,
            groups=groups,
        )
        output = self.tensor((1, height, width, channels))
        name = self.name(kind.operator.lower())
        self.add(
            kind(name=name, inputs=(self.last,), output=output, geometry=geometry, weights=None, weight_format=INT8)
        )

    def mean(self) -> int:
        """Over rows and columns; the number of channels."""
        _, height, width, depth = self.tensors[self.last].shape
        shape, inputs = (1, 1, 1, depth), (self.last,)
        mean = Mean(
            name="pool",
            inputs=inputs,
            output=self.tensor(shape),
            shapes=((1, height, width, depth),),
            shape=shape,
            axes=(1, 2),
        )
        self.add(mean)
        return int(depth)

    def head(self) -> None:
        depth = self.mean()
        flat, shapes = self.tensor((1, depth)), ((1, 1, 1, depth),)
        self.add(Reshape(name="flatten", inputs=(self.last,), output=flat, shapes=shapes, shape=(1, depth)))
        geometry = MacGeometry(n=1, ih=1, iw=1, ic=depth, oh=1, ow=1, oc=10)
        output = self.tensor((1, 10))
        self.add(
            Dense(name="logits", inputs=(flat,), output=output, geometry=geometry, weights=None, weight_format=INT8)
        )

    def graph(self, name: str) -> Graph:
        return Graph(
            name=name,
            arithmetic="tflite-micro",
            tensors=self.tensors,
            layers=tuple(self.layers),
            inputs=(HostPort("x", "x"),),
            outputs=(HostPort(self.last, self.last),),
            shape_only=True,
        )


def separable_network(blocks: int, *, size: int = 8, channels: int = 8, prefix: str = "") -> Graph:
    """A convolution, ``blocks`` pairs of depthwise and pointwise ones, mean, reshape, dense: 4 + 2 * blocks layers."""
    net = _Net(size, prefix=prefix)
    net.mac(Conv2D, 3, channels)
    for _ in range(blocks):
        net.mac(DepthwiseConv2D, 3, channels, groups=channels)
        net.mac(Conv2D, 1, channels)
    net.head()
    return net.graph("separable")


def network_without_macs() -> Graph:
    """A mean."""
    net = _Net(4, prefix="")
    net.mean()
    return net.graph("pooled")


def far_apart(layers: int) -> str:
    """A table of so many layers whose cycles, energies and intensities lie decades apart, under names of a converter."""
    rng, rows = random.Random(layers), ["name,op,n,h,w,c,kh,kw,oc,stride,dilation,padding,groups,inputs"]
    for k in range(layers):
        size, before, after = rng.choice([1, 4, 14, 56]), rng.choice([1, 8, 64, 256]), rng.choice([1, 16, 128, 512])
        kernel = rng.choice([1, 3]) if size > 1 else 1
        op, after = ("depthwise_conv2d", before) if k % 3 == 2 and size > 1 else ("conv2d", after)
        name = (
            f"model/functional_1/inverted_residual_block_{k}/very_long_scope/expanded_conv/BiasAdd;model/batch_norm_{k}"
        )
        rows.append(f"{name},{op},1,{size},{size},{before},{kernel},{kernel},{after},1,1,same,1,-")
    return "\n".join(rows) + "\n"
