"""Numba loops over whole MAC layers. Activations are 16-bit, zero point already subtracted, image already padded.

``g`` = (oh, ow, oc, kh, kw, ic per group, oc per group, stride h, w, dilation h, w). Sums are as wide as ``sums``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.numba_cache import njit


@njit
def pad_image(x: Any, zero: int, top: int, left: int, up_h: int, up_w: int, out: Any) -> None:
    """Write ``x - zero`` (n, h, w, c) into the zero-filled ``out``, rows ``up_h`` and columns ``up_w`` apart from (top, left)."""
    n, h, w, c = x.shape
    for b in range(n):
        for y in range(h):
            row = top + y * up_h
            if row < 0 or row >= out.shape[1]:
                continue
            for i in range(w):
                column = left + i * up_w
                if column < 0 or column >= out.shape[2]:
                    continue
                for k in range(c):
                    out[b, row, column, k] = np.int16(x[b, y, i, k]) - np.int16(zero)


@njit
def _dot32(a: Any, b: Any, length: int) -> Any:
    total = np.int32(0)
    for i in range(length):
        total = np.int32(total + np.int32(np.int32(a[i]) * np.int32(b[i])))
    return total


@njit
def _dot64(a: Any, b: Any, length: int) -> Any:
    total = np.int64(0)
    for i in range(length):
        total += np.int64(np.int32(a[i]) * np.int32(b[i]))
    return total


@njit
def _gather(x: Any, b: int, top: int, left: int, channel: int, g: Any, patch: Any) -> None:
    """The window at (top, left) as one vector (kh, kw, ic)."""
    kh, kw, ic, dh, dw = g[3], g[4], g[5], g[9], g[10]
    at = 0
    for ky in range(kh):
        row = x[b, top + ky * dh]
        for kx in range(kw):
            column = row[left + kx * dw]
            for i in range(ic):
                patch[at] = column[channel + i]
                at += 1


@njit
def convolve32(x: Any, w: Any, bias: Any, g: Any, patch: Any, sums: Any) -> None:
    """Grouped convolution, 32-bit sums; ``w`` (oc, kh*kw*ic) 16-bit."""
    oh, ow, oc, ocg, icg, sh, sw = g[0], g[1], g[2], g[6], g[5], g[7], g[8]
    length = w.shape[1]
    for b in range(x.shape[0]):
        for oy in range(oh):
            for ox in range(ow):
                out = sums[(b * oh + oy) * ow + ox]
                for first in range(0, oc, ocg):
                    _gather(x, b, oy * sh, ox * sw, first // ocg * icg, g, patch)
                    for c in range(first, first + ocg):
                        out[c] = np.int32(bias[c] + _dot32(patch, w[c], length))


@njit
def convolve64(x: Any, w: Any, bias: Any, g: Any, patch: Any, sums: Any) -> None:
    """Grouped convolution, 64-bit sums."""
    oh, ow, oc, ocg, icg, sh, sw = g[0], g[1], g[2], g[6], g[5], g[7], g[8]
    length = w.shape[1]
    for b in range(x.shape[0]):
        for oy in range(oh):
            for ox in range(ow):
                out = sums[(b * oh + oy) * ow + ox]
                for first in range(0, oc, ocg):
                    _gather(x, b, oy * sh, ox * sw, first // ocg * icg, g, patch)
                    for c in range(first, first + ocg):
                        out[c] = bias[c] + _dot64(patch, w[c], length)


@njit
def depthwise32(x: Any, w: Any, bias: Any, g: Any, sums: Any) -> None:
    """Depthwise convolution with one output per channel; ``w`` (kh, kw, c) 16-bit, 32-bit sums, channels innermost."""
    oh, ow, oc, kh, kw, sh, sw, dh, dw = g[0], g[1], g[2], g[3], g[4], g[7], g[8], g[9], g[10]
    for b in range(x.shape[0]):
        for oy in range(oh):
            for ox in range(ow):
                out = sums[(b * oh + oy) * ow + ox]
                for c in range(oc):
                    out[c] = bias[c]
                for ky in range(kh):
                    for kx in range(kw):
                        column = x[b, oy * sh + ky * dh, ox * sw + kx * dw]
                        tap = w[ky, kx]
                        for c in range(oc):
                            out[c] = np.int32(out[c] + np.int32(np.int32(column[c]) * np.int32(tap[c])))


@njit
def dense32(x: Any, zero: int, w: Any, bias: Any, row: Any, sums: Any) -> None:
    """Matrix product of 8- or 16-bit rows with ``w`` (units, k) 16-bit, 32-bit sums; ``row`` is scratch of k."""
    length = w.shape[1]
    for r in range(x.shape[0]):
        for i in range(length):
            row[i] = np.int16(x[r, i]) - np.int16(zero)
        for c in range(w.shape[0]):
            sums[r, c] = np.int32(bias[c] + _dot32(row, w[c], length))
