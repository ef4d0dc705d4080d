"""An integer tensor: name, shape, format, and how the host reads it; and what is kept from inference to inference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.display import Brief
from accelsim.numerics import IntFormat


@dataclass(frozen=True, slots=True)
class Tensor:
    """An integer tensor of ``shape``; real value = ``scale`` * (code - ``zero_point``) where a scale is known.

    ``host_axes``: axis ``i`` of the array that the host sees is axis ``host_axes[i]`` here; None where both orders are the
    same. (ONNX images have their channels before rows and columns, the Graph's have them last.)
    """

    name: str
    shape: tuple[int, ...]
    format: IntFormat
    zero_point: int = 0
    scale: float | None = None
    host_axes: tuple[int, ...] | None = None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def host_shape(self) -> tuple[int, ...]:
        """The shape that the host sees."""
        return self.shape if self.host_axes is None else tuple(self.shape[axis] for axis in self.host_axes)

    def to_host(self, values: NDArray[Any]) -> NDArray[Any]:
        """``values`` of ``shape`` in the order that the host sees."""
        return values if self.host_axes is None else np.ascontiguousarray(values.transpose(self.host_axes))

    def from_host(self, values: NDArray[Any]) -> NDArray[Any]:
        """The inverse of :meth:`to_host`, for any number of axes in front."""
        if self.host_axes is None:
            return values
        front = values.ndim - len(self.host_axes)
        inverse = [front + int(axis) for axis in np.argsort(self.host_axes)]
        return np.ascontiguousarray(values.transpose(*range(front), *inverse))

    @property
    def bytes(self) -> int:
        """Bytes in memory, elements packed at ``format.bits``."""
        return -(-self.elements * self.format.bits // 8)


@dataclass(frozen=True, eq=False, kw_only=True)
class Variable(Brief):
    """State that a network carries: what an inference ``written`` is what the next one ``read`` (names of tensors).

    The first one reads ``initial``, codes in that tensor's shape. Both tensors are memory of their own, which the network
    loads and stores like any other.
    """

    name: str
    read: str
    written: str
    initial: NDArray[Any]
