"""What rounding the weights shifts the mean of every output by, taken off its bias."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.network.operators import output_axis
from accelsim.ptq.network.products import products, units_first

Doubles = NDArray[np.float64]
Tensors = dict[str, NDArray[np.float32]]


@dataclass(eq=False)
class Watch:
    """Shapes of all tensors, and channel means of what products read, over the inferences that passed by."""

    network: OnnxModel
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    means: dict[str, Doubles] = field(default_factory=dict)
    _count: int = 0

    def over(self, inferences: Iterator[Tensors]) -> Iterator[Tensors]:
        """The same inferences."""
        for made in inferences:
            self._count += 1
            self.shapes.update({name: values.shape for name, values in made.items()})
            for node in self._products:
                read = made[node.inputs[0]]
                self._add(node.outputs[0], _channel_means(read, output_axis(node.op, read.ndim)))
            yield made

    @cached_property
    def _products(self) -> tuple[OnnxNode, ...]:
        return products(self.network)

    def _add(self, name: str, means: Doubles) -> None:
        before = self.means.get(name, np.zeros_like(means))
        self.means[name] = before + (means - before) / self._count


def _channel_means(values: NDArray[np.float32], axis: int) -> Doubles:
    rows = np.moveaxis(values, axis, 0)
    means: Doubles = rows.reshape(len(rows), -1).mean(axis=1, dtype=np.float64)
    return means


def output_shift(node: OnnxNode, error: Doubles, means: Mapping[str, Doubles]) -> Doubles:
    """``E[dw * x] = sum of dw * E[x]`` per output channel for weight errors ``dw`` (Nagel 1906.04721, section 4.2).

    The zeros of a padded border are left out; of a transposed convolution's kernel, an output meets one tap in as many as it
    strides.
    """
    mean, units = means[node.outputs[0]], units_first(node, error)
    kernels = units.sum(axis=tuple(range(2, units.ndim))) / _share_of_taps(node)
    channels, depth = kernels.shape
    group = np.arange(channels) * (len(mean) // depth) // channels
    shift: Doubles = (kernels * mean.reshape(-1, depth)[group]).sum(axis=1)
    return shift


def _share_of_taps(node: OnnxNode) -> int:
    strides = node.attributes.get("strides", ()) if node.op == "ConvTranspose" else ()
    assert isinstance(strides, tuple)
    return math.prod(int(stride) for stride in strides)
