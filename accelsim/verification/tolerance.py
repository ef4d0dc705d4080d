"""What counts as a match: the same bits, TOSA's bound on inexact rounding, or a number of LSB."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ConfigError
from accelsim.verification.readings.exact import ExactRequant

Array = NDArray[Any]
TOSA_UNIT = 2.0**-24
"""Relative rounding error of a float32 operation, in TOSA's bound."""


@dataclass(frozen=True)
class Tolerance:
    """``kind`` and, for ``lsb``, how many."""

    kind: Literal["exact", "tosa", "lsb"]
    lsb: int = 0

    @classmethod
    def parse(cls, text: str) -> Tolerance:
        """``exact``, ``tosa``, or ``2lsb``, ``2 lsb``, ``2``; ConfigError otherwise."""
        plain = text.strip().lower()
        if plain == "exact":
            return cls("exact")
        if plain == "tosa":
            return cls("tosa")
        found = re.fullmatch(r"(\d{1,9})\s*(lsb)?", plain)
        if found is None:
            raise ConfigError(f"tolerance {text!r}: expected exact, tosa, or a number of LSB such as 1lsb")
        return cls("lsb", int(found[1]))

    def __str__(self) -> str:
        return f"{self.lsb} LSB" if self.kind == "lsb" else self.kind

    def beyond(self, oracle: Array, machine: Array, exact: tuple[Array, ExactRequant] | None) -> int:
        """Elements of one layer outside the tolerance; ``exact`` gives the sums and their exact reading, where there are any."""
        error = np.abs(machine.astype(np.int64).reshape(-1) - oracle.astype(np.int64).reshape(-1))
        wrong = error > self.lsb
        if self.kind == "tosa" and exact is not None and wrong.any():
            wrong &= ~_within_tosa(machine, *exact).reshape(-1)
        return int(wrong.sum())


def _within_tosa(codes: Array, sums: Array, exact: ExactRequant) -> Array:
    """``|code - (y + z)| <= 0.5 + (3|y| + |y + z|) * 2^-24`` (tosa-specification, EXT-INEXACTROUND), or on the clamp's end."""
    y = sums.astype(np.float64) * np.array([float(m) for m in exact.multipliers])
    placed = y + exact.zero_point
    bound = 0.5 + (3 * np.abs(y) + np.abs(placed)) * TOSA_UNIT
    clamped = np.clip(placed, exact.clamp_min, exact.clamp_max)
    return np.asarray(np.abs(codes.reshape(sums.shape) - clamped) <= bound)
