"""What an n-bit integer is: its range, its name and the numpy type that holds it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BITS = 64
_BIPOLAR = "bipolar1"
_NAME = re.compile(r"(u?)int([1-9][0-9]?)")


@dataclass(frozen=True, order=True)
class IntFormat:
    """A two's-complement (``signed``) or plain binary integer of ``bits`` bits, 1 to 64; operands use 1 to 32.

    ``bipolar`` makes one stored bit mean -1 (0) or +1 (1), without a zero, as in binarized networks (Hubara et al. 2016).
    Raises :class:`ConfigError` for any other width, and for a bipolar format that is not one signed bit.
    """

    bits: int
    signed: bool = True
    bipolar: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or not isinstance(self.bits, int) or not 1 <= self.bits <= MAX_BITS:
            raise ConfigError(f"integer format: expected 1 to {MAX_BITS} bits, got {self.bits!r}", bits=self.bits)
        if self.bipolar and (self.bits != 1 or not self.signed):
            raise ConfigError(
                f"integer format: bipolar values are one signed bit, got {self.bits} bits, signed {self.signed}",
                bits=self.bits,
            )

    @property
    def min(self) -> int:
        """Smallest value: ``-2**(bits-1)``, or 0 when unsigned."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """Largest value: ``2**(bits-1) - 1``, or ``2**bits - 1`` when unsigned; 1 when bipolar."""
        if self.bipolar:
            return 1
        return (1 << (self.bits - self.signed)) - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """Smallest numpy integer type of the same signedness that holds every value."""
        holder = next(width for width in (8, 16, 32, 64) if width >= self.bits)
        return np.dtype(f"{'' if self.signed else 'u'}int{holder}")

    def contains(self, value: int) -> bool:
        """Whether ``value`` is representable."""
        return self.min <= value <= self.max and not (self.bipolar and value == 0)

    def holds(self, values: NDArray[Any]) -> bool:
        """Whether every element of an integer array of any shape is representable."""
        if not values.size:
            return True
        inside = self.min <= int(values.min()) and int(values.max()) <= self.max
        return inside and not (self.bipolar and bool((values == 0).any()))

    def __str__(self) -> str:
        if self.bipolar:
            return _BIPOLAR
        return f"{'' if self.signed else 'u'}int{self.bits}"

    @classmethod
    def parse(cls, text: str) -> IntFormat:
        """Read ``int8``, ``uint4`` or ``bipolar1``; raises :class:`ConfigError` for anything else."""
        if text == _BIPOLAR:
            return cls(1, bipolar=True)
        match = _NAME.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ConfigError(
                f"integer format {text!r}: expected a name such as 'int8', 'uint4' or 'bipolar1'", text=text
            )
        return cls(int(match[2]), signed=not match[1])


BIPOLAR = IntFormat(1, bipolar=True)
INT4 = IntFormat(4)
INT8 = IntFormat(8)
INT16 = IntFormat(16)
INT32 = IntFormat(32)
INT64 = IntFormat(64)
UINT8 = IntFormat(8, signed=False)
