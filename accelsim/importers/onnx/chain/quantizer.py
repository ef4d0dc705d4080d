"""What ends a chain: real numbers become codes by one scale or one per channel, in one of several roundings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.formulas import Codes, Floats, Quantization
from accelsim.numerics import IntFormat

Number = TypeVar("Number", bound=np.generic)
ROUNDINGS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "ROUND": np.rint,
        "HALF_EVEN": np.rint,
        "CEIL": np.ceil,
        "FLOOR": np.floor,
        "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
        "DOWN": np.trunc,
        "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
        "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
    }
)
"""Rounding modes by the names of QONNX, which calls away from zero UP and ties away from zero HALF_UP."""

_AT_ONCE = 2**18
"""Numbers whose codes are computed together."""


@dataclass(frozen=True, eq=False)
class Quantizer:
    """Quant or BipolarQuant: scales (1,) or one per index of ``axis``, codes from ``low`` to ``high``."""

    scales: Floats
    zero_points: NDArray[np.int64]
    axis: int | None
    format: IntFormat
    low: int
    high: int
    rounding: str

    @property
    def quantization(self) -> Quantization:
        """Of a quantizer of one scale."""
        return Quantization(float(self.scales[0]), int(self.zero_points[0]), self.format)

    def codes(self, real: Floats) -> Codes:
        """``round(clamp(x / scale + zero_point))`` in float32, or the sign, that of 0 being positive."""
        scales, zeros = (self._spread(v, real.ndim) for v in (self.scales, self.zero_points.astype(np.float32)))
        with np.errstate(over="ignore"):
            y = real / scales + zeros
        if self.format.bipolar:
            return np.where(y >= 0, 1, -1).astype(np.int64)
        codes: Codes = ROUNDINGS[self.rounding](np.clip(y, np.float32(self.low), np.float32(self.high))).astype(
            np.int64
        )
        return codes

    def narrow_codes(self, real: Floats) -> NDArray[Any]:
        """:meth:`codes` in the least type of the format, a part of axis 0 at a time: int64 would take twice the numbers' own bytes."""
        found = np.empty(real.shape, self.format.dtype)
        step = max(1, _AT_ONCE * len(real) // max(real.size, 1)) if real.ndim else 1
        for start in range(0, len(real), step) if real.ndim else ():
            part = slice(start, start + step)
            found[part] = self._part(part).codes(real[part])
        return found if real.ndim else self.codes(real).astype(self.format.dtype)

    def _part(self, part: slice) -> Quantizer:
        """The quantizer of a part of axis 0."""
        if self.axis != 0:
            return self
        return replace(self, scales=_along(self.scales, part), zero_points=_along(self.zero_points, part))

    def _spread(self, values: NDArray[Any], rank: int) -> NDArray[Any]:
        if self.axis is None:
            return values.reshape(()) if rank == 0 else values
        return values.reshape([-1 if i == self.axis else 1 for i in range(rank)])


def _along(values: NDArray[Number], part: slice) -> NDArray[Number]:
    """The ``part`` of one value per index; a single value stands for all."""
    return values if values.size == 1 else values[part]
