"""The range that loses least information: Kullback-Leibler divergence between a histogram and its quantized self."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import ConfigError
from accelsim.quant.ranges import minmax_range

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Counts = NDArray[np.int64]
    Reals = NDArray[np.float64]

BINS = 2048
"""Bins of the histogram; NVIDIA's pytorch-quantization takes as many (Wu et al. 2004.09602)."""
SMOOTHING = 0.0001
"""What an empty bin is given, at the expense of the others (MXNet quantization.py, _smooth_distribution)."""


def entropy_range(x: ArrayLike, *, levels: int, bins: int = BINS) -> tuple[float, float]:
    """The range whose ``levels`` levels keep most of the distribution of ``x``, within its minimum and maximum.

    The variant of TensorRT (Migacz, GTC 2017, S7310) as ONNX Runtime has it: a histogram of ``bins`` bins over
    ``[-max|x|, max|x|]``; every pair of bounds symmetric about its middle is a candidate; values outside are counted at the
    bounds of the reference P; the bins within are merged to ``levels``, and each becomes their sum over the number of those that P
    fills, a whole count, for Q; the least KL(P || Q) wins, the narrowest where several do. Not the variant of PyTorch's
    HistogramObserver, which minimises an L2 error. With as many levels as bins there is nothing to weigh: minimum and maximum.
    Raises :class:`ConfigError` for fewer than 2 levels or an odd number of bins.
    """
    low, high = minmax_range(x)
    if levels < 2 or bins < 2 or bins % 2:
        raise ConfigError(
            f"entropy range: expected 2 or more levels and an even number of bins, got {levels} and {bins}"
        )
    peak = max(abs(low), abs(high))
    if levels >= bins or peak == 0:
        return low, high
    counts, edges = np.histogram(np.asarray(x), bins, range=(-peak, peak))
    middle, half = bins // 2, levels // 2
    widths = range(half, middle + 1)
    losses = [_divergence(counts, middle - i, min(middle + i + 1, bins), levels) for i in widths]
    best = widths[int(np.argmin(losses))]
    return max(float(edges[middle - best]), low), min(float(edges[min(middle + best + 1, bins)]), high)


def _divergence(counts: Counts, start: int, end: int, levels: int) -> float:
    inside = counts[start:end]
    reference = inside.copy()
    reference[0] += counts[:start].sum()
    reference[-1] += counts[end:].sum()
    p, q = _smoothed(reference), _smoothed(_merged(inside, reference != 0, levels))
    if p is None or q is None:
        return float("inf")
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())


def _merged(inside: Counts, used: NDArray[np.bool_], levels: int) -> Counts:
    """``inside`` at ``levels`` levels of equal width; what is left at the end joins the last, whose own bins share it."""
    width = inside.size // levels
    whole = width * levels
    sums = inside[:whole].reshape(levels, width).sum(axis=1)
    sums[-1] += inside[whole:].sum()
    places = used[:whole].reshape(levels, width)
    filled = np.maximum(places.sum(axis=1), 1)
    spread = np.where(places.any(axis=1), sums // filled, 0)
    return np.concatenate([np.repeat(spread, width), np.zeros(inside.size - whole, np.int64)])


def _smoothed(counts: Counts) -> Reals | None:
    """No bin empty, the sum unchanged; None where there is nothing to take from."""
    empty = counts == 0
    filled = int((~empty).sum())
    if not filled:
        return None
    taken = SMOOTHING * int(empty.sum()) / filled
    if taken >= 1:
        return None
    smoothed: Reals = counts.astype(np.float32) + SMOOTHING * empty - taken * ~empty
    return smoothed if (smoothed > 0).all() else None
