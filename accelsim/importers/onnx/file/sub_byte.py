"""Integers of 4 and 2 bits, which a file packs two or four to a byte, lowest bits first (onnx.proto, TensorProto)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import IntFormat

BITS: Mapping[str, int] = {"INT4": 4, "UINT4": 4, "INT2": 2, "UINT2": 2}
"""Bits of each packed type, as ONNX spells it."""


def width(dtype: np.dtype[Any]) -> int:
    """Bits of a value of ``dtype``: 4 or 2 for the packed types, those of its holder otherwise."""
    return BITS.get(dtype.name.upper(), 8 * dtype.itemsize)


def holder_of(fmt: IntFormat) -> np.dtype[Any]:
    """The type that holds constants of ``fmt``: that of ml_dtypes for 4 and 2 bits, so that their width is not lost."""
    if str(fmt).upper() not in BITS:
        return fmt.dtype
    import ml_dtypes

    held: np.dtype[Any] = np.dtype(getattr(ml_dtypes, str(fmt)))
    return held


def unpack(packed: NDArray[np.uint8], kind: str, count: int) -> NDArray[Any]:
    """The first ``count`` values in ``packed``, shape (count,), in the type that ml_dtypes has for ``kind``."""
    import ml_dtypes

    bits = BITS[kind]
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes = (packed[:, None] >> shifts).reshape(-1)[:count]
    codes &= np.uint8(2**bits - 1)
    if not kind.startswith("U"):
        codes ^= np.uint8(2 ** (bits - 1))  # flipping the sign bit adds half the range, which is then taken off again
        codes -= np.uint8(2 ** (bits - 1))
    codes = codes.view(np.int8)
    return codes.astype(np.dtype(getattr(ml_dtypes, kind.lower())))
