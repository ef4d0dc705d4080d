"""Numba loops of the pooling layers. ``window`` = (kernel h, w, stride h, w, pad h, w, image h, w, block origin y, x, output origin y, x)."""

from __future__ import annotations

from typing import Any

from accelsim.numba_cache import njit


@njit
def average(x: Any, window: Any, out: Any) -> None:
    """Mean of the codes inside the image, half away from zero: (sum +- n/2) / n, truncated (TFLite reference AveragePool)."""
    kh, kw, sh, sw, ph, pw, h, w, y0, x0, oy0, ox0 = window
    for n in range(out.shape[0]):
        for oy in range(out.shape[1]):
            top = (oy0 + oy) * sh - ph
            first_y, last_y = max(top, 0), min(top + kh, h)
            for ox in range(out.shape[2]):
                left = (ox0 + ox) * sw - pw
                first_x, last_x = max(left, 0), min(left + kw, w)
                count = (last_y - first_y) * (last_x - first_x)
                for c in range(out.shape[3]):
                    total = 0
                    for iy in range(first_y, last_y):
                        for ix in range(first_x, last_x):
                            total += x[n, iy - y0, ix - x0, c]
                    out[n, oy, ox, c] = (total + count // 2) // count if total > 0 else -((count // 2 - total) // count)


@njit
def maximum(x: Any, window: Any, out: Any) -> None:
    """Largest code inside the image."""
    kh, kw, sh, sw, ph, pw, h, w, y0, x0, oy0, ox0 = window
    for n in range(out.shape[0]):
        for oy in range(out.shape[1]):
            top = (oy0 + oy) * sh - ph
            for ox in range(out.shape[2]):
                left = (ox0 + ox) * sw - pw
                for c in range(out.shape[3]):
                    best = -(2**31)
                    for iy in range(max(top, 0), min(top + kh, h)):
                        for ix in range(max(left, 0), min(left + kw, w)):
                            best = max(best, x[n, iy - y0, ix - x0, c])
                    out[n, oy, ox, c] = best
