"""Numba loops behind :mod:`accelsim.kernels.mac`. ``plan`` is the flat int64 record that its caller builds."""

from __future__ import annotations

from typing import Any

from accelsim.numba_cache import njit


@njit
def _source(out: int, tap: int, stride: int, dilation: int, pad: int, upsample: int, size: int) -> int:
    """Input row under output row ``out`` and kernel row ``tap``; -1 on padding and on inserted zeros."""
    spread = out * stride - pad + tap * dilation
    if spread < 0 or spread % upsample != 0:
        return -1
    row = spread // upsample
    return row if row < size else -1


@njit
def accumulate_exact(sums: Any, x: Any, w: Any, plan: Any) -> None:
    """Add all products of the tile; 64-bit sums."""
    sh, sw, dh, dw, pt, pl, uh, uw, ih, iw, ocg, icg = plan[:12]
    y0, x0, c0, iy0, ix0, ic0, k0, ky0, kx0, kc0, zero = (
        plan[13], plan[14], plan[15], plan[17], plan[18], plan[19], plan[20], plan[21], plan[22], plan[23], plan[24]
    )  # fmt: skip
    for n in range(sums.shape[0]):
        for oy in range(sums.shape[1]):
            for ky in range(w.shape[1]):
                row = _source(y0 + oy, ky0 + ky, sh, dh, pt, uh, ih)
                if row < 0:
                    continue
                for ox in range(sums.shape[2]):
                    for kx in range(w.shape[2]):
                        column = _source(x0 + ox, kx0 + kx, sw, dw, pl, uw, iw)
                        if column < 0:
                            continue
                        for c in range(sums.shape[3]):
                            first = (c0 + c) // ocg * icg + kc0 - ic0
                            total = 0
                            for i in range(w.shape[3]):
                                total += w[c, ky, kx, i] * (x[n, row - iy0, column - ix0, first + i] - zero)
                            sums[n, oy, ox, c] += total


@njit
def accumulate_stepwise(sums: Any, x: Any, w: Any, plan: Any, low: int, high: int) -> bool:
    """Add the products one by one, clamped to [low, high] after each; whether any sum left that range."""
    sh, sw, dh, dw, pt, pl, uh, uw, ih, iw, ocg, icg = plan[:12]
    y0, x0, c0, iy0, ix0, ic0, k0, ky0, kx0, kc0, zero = (
        plan[13], plan[14], plan[15], plan[17], plan[18], plan[19], plan[20], plan[21], plan[22], plan[23], plan[24]
    )  # fmt: skip
    left = False
    for n in range(sums.shape[0]):
        for oy in range(sums.shape[1]):
            for ox in range(sums.shape[2]):
                for c in range(sums.shape[3]):
                    first = (c0 + c) // ocg * icg + kc0 - ic0
                    total = sums[n, oy, ox, c]
                    if total < low or total > high:
                        left = True
                        total = min(max(total, low), high)
                    for ky in range(w.shape[1]):
                        row = _source(y0 + oy, ky0 + ky, sh, dh, pt, uh, ih)
                        if row < 0:
                            continue
                        for kx in range(w.shape[2]):
                            column = _source(x0 + ox, kx0 + kx, sw, dw, pl, uw, iw)
                            if column < 0:
                                continue
                            for i in range(w.shape[3]):
                                total += w[c, ky, kx, i] * (x[n, row - iy0, column - ix0, first + i] - zero)
                                if total < low or total > high:
                                    left = True
                                    total = min(max(total, low), high)
                    sums[n, oy, ox, c] = total
    return left
