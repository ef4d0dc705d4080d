"""Affine quantization: real ≈ scale * (code - zero_point); symmetric when the zero point is 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import ConfigError, InputError
from accelsim.numerics import IntFormat, Rounding

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray


def _half_up(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # Not floor(x + 0.5), whose sum may be rounded up to a whole number.
    below = np.floor(x)
    return below + (x - below >= 0.5)


_ROUND: dict[Rounding, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    Rounding.HALF_EVEN: np.rint,
    Rounding.HALF_AWAY: lambda x: np.copysign(_half_up(np.abs(x)), x),
    Rounding.HALF_UP: _half_up,
    Rounding.HALF_DOWN: lambda x: -_half_up(-x),
    Rounding.FLOOR: np.floor,
    Rounding.TRUNC: np.trunc,
    Rounding.CEIL: np.ceil,
    Rounding.AWAY: lambda x: np.copysign(np.ceil(np.abs(x)), x),
}


def quantize(
    x: ArrayLike,
    *,
    scale: ArrayLike,
    zero_point: ArrayLike,
    fmt: IntFormat,
    rounding: Rounding = Rounding.HALF_AWAY,
) -> NDArray[Any]:
    """``clamp(round(x / scale) + zero_point)`` in float32; codes of ``fmt.dtype``, shape of ``x`` after broadcasting.

    ``scale`` and ``zero_point`` are numbers or arrays that broadcast against ``x``. HALF_AWAY is LiteRT's QUANTIZE,
    HALF_EVEN is ONNX QuantizeLinear; both round before the zero point is added. Infinities saturate. Raises
    :class:`InputError` naming the first NaN, :class:`ConfigError` for scales, zero points or formats (over 32 bits)
    that cannot be.
    """
    scales, zeros = _parameters(scale, zero_point, fmt)
    real = np.asarray(x, dtype=np.float32)
    check_real(real)
    with np.errstate(over="ignore"):
        quotient = (real / scales).astype(np.float64)
    # Bounds are moved by the zero point rather than the quotient, so that nothing is added before rounding.
    whole = round_real(np.clip(quotient, fmt.min - zeros, fmt.max - zeros), rounding)
    return (whole.astype(np.int64) + zeros).astype(fmt.dtype)


def dequantize(q: ArrayLike, *, scale: ArrayLike, zero_point: ArrayLike) -> NDArray[np.float32]:
    """``float32(scale) * (q - zero_point)``, float32, shape of ``q`` after broadcasting (LiteRT DEQUANTIZE)."""
    codes = np.asarray(q)
    if codes.dtype.kind not in "iu":
        raise InputError(f"dequantize: expected integer codes, got {codes.dtype}")
    scales = _scales(scale)
    steps = codes.astype(np.int64) - np.asarray(zero_point, dtype=np.int64)
    return np.asarray(scales * steps.astype(np.float32), dtype=np.float32)


def fake_quant(
    x: ArrayLike,
    *,
    scale: ArrayLike,
    zero_point: ArrayLike,
    fmt: IntFormat,
    rounding: Rounding = Rounding.HALF_EVEN,
) -> NDArray[np.float32]:
    """The real values that survive :func:`quantize`, float32; ties go to even, as in torch.fake_quantize."""
    codes = quantize(x, scale=scale, zero_point=zero_point, fmt=fmt, rounding=rounding)
    return dequantize(codes, scale=scale, zero_point=zero_point)


def round_real(x: NDArray[np.float64], rounding: Rounding) -> NDArray[np.float64]:
    """``x`` to whole numbers by any rule, exactly; finite."""
    return _ROUND[Rounding(rounding)](x)


def _parameters(scale: ArrayLike, zero_point: ArrayLike, fmt: IntFormat) -> tuple[NDArray[Any], NDArray[np.int64]]:
    zeros = check_zero_points(zero_point, fmt)
    return _scales(scale), zeros


def check_zero_points(zero_point: ArrayLike, fmt: IntFormat) -> NDArray[np.int64]:
    """Zero points as int64; :class:`ConfigError` for those that are no codes of ``fmt``, and for formats that have none."""
    if fmt.bits > 32:
        raise ConfigError(f"quantization to {fmt}: expected 32 bits or fewer")
    if fmt.bipolar:
        raise ConfigError(f"quantization to {fmt}: it has no zero to round to; expected integer codes -1 and +1")
    zeros = np.asarray(zero_point)
    if zeros.dtype.kind not in "iu" or (zeros.size and not (fmt.min <= zeros.min() and zeros.max() <= fmt.max)):
        raise ConfigError(
            f"zero point: expected integers of {fmt} ({fmt.min} to {fmt.max}), got {zeros.ravel().tolist()[:4]}"
        )
    return zeros.astype(np.int64)


def _scales(scale: ArrayLike) -> NDArray[np.float32]:
    scales = np.asarray(scale, dtype=np.float32)
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise ConfigError(f"scale: expected positive finite float32 values, got {np.ravel(scale).tolist()[:4]}")
    return scales


def check_real(real: NDArray[np.floating[Any]]) -> None:
    """Raise :class:`InputError` that names the first NaN."""
    if np.isnan(real).any():
        index = tuple(int(i) for i in np.argwhere(np.isnan(real))[0])
        raise InputError(f"quantize: value at index {index} is NaN; expected real numbers or infinities", index=index)
