"""Small networks of shapes only, of any depth, for pictures and traces."""

from __future__ import annotations

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

    def head(self) -> None:
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
        flat = self.tensor((1, depth))
        self.add(Reshape(name="flatten", inputs=(self.last,), output=flat, shapes=(shape,), shape=(1, depth)))
        geometry = MacGeometry(n=1, ih=1, iw=1, ic=depth, oh=1, ow=1, oc=10)
        output = self.tensor((1, 10))
        self.add(
            Dense(name="logits", inputs=(flat,), output=output, geometry=geometry, weights=None, weight_format=INT8)
        )


def separable_network(blocks: int, *, size: int = 8, channels: int = 8, prefix: str = "") -> Graph:
    """A convolution, ``blocks`` pairs of depthwise and pointwise ones, mean, reshape, dense: 4 + 2 * blocks layers."""
    net = _Net(size, prefix=prefix)
    net.mac(Conv2D, 3, channels)
    for _ in range(blocks):
        net.mac(DepthwiseConv2D, 3, channels, groups=channels)
        net.mac(Conv2D, 1, channels)
    net.head()
    return Graph(
        name="separable",
        arithmetic="tflite-micro",
        tensors=net.tensors,
        layers=tuple(net.layers),
        inputs=(HostPort("x", "x"),),
        outputs=(HostPort(net.last, net.last),),
        shape_only=True,
    )
