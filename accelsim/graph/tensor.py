"""An integer tensor: name, shape, format, and how the host reads it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from accelsim.numerics import IntFormat


@dataclass(frozen=True)
class Tensor:
    """An integer tensor of ``shape``; real value = ``scale`` * (code - ``zero_point``) where a scale is known."""

    name: str
    shape: tuple[int, ...]
    format: IntFormat
    zero_point: int = 0
    scale: float | None = None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes in memory, elements packed at ``format.bits``."""
        return -(-self.elements * self.format.bits // 8)
