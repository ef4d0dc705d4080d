"""AdaRound: which weights are rounded up and which down, so that a layer's output changes least (Nagel 2004.10568)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]
Step = Callable[[int], None]
Inputs = Literal["quantized", "float"]

ZETA, GAMMA = np.float32(1.1), np.float32(-0.1)
"""How far the rectified sigmoid is stretched beyond 0 and 1 (2004.10568, equation 23; Louizos 1712.01312)."""
WARM = 0.2
"""Share of the iterations before the regulariser begins (Qualcomm's implementation, AIMET)."""
BETAS = (20.0, 2.0)
"""Exponent of the regulariser, annealed from the first to the second (2004.10568, section 5)."""
RATE = np.float32(1e-2)
"""Learning rate of Adam; the paper's 1e-3 wants some ten times the iterations for the same error."""
FIRST_MOMENT, SECOND_MOMENT, TINY = np.float32(0.9), np.float32(0.999), np.float32(1e-8)
"""Of Adam (1412.6980, algorithm 1)."""
ROWS = 256
"""Rows of a step."""


@dataclass(frozen=True, kw_only=True)
class AdaRound:
    """How long and how hard: ``iterations`` of Adam for a layer, ``weight`` (lambda) of the regulariser, ``seed`` of the draws.

    The paper's lambda is 0.01 beside a squared error in the layer's own units; here that error is relative to that of rounding to the
    nearest, beside which 0.1 left smaller errors on every network tried.

    ``inputs``: what a layer reads while its rounding is learned. ``quantized`` is what the layers before it make once they are rounded, so
    that it makes good what they lose (2004.10568, equation 25); ``float`` is what the float network makes, so that a layer's codes are the
    same whatever the widths of the others.
    """

    iterations: int = 1000
    weight: float = 0.1
    seed: int = 0
    inputs: Inputs = "quantized"


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer as matrix products: ``x`` (groups, rows, taps) from the quantized network so far, ``target`` (groups, rows, units), the
    float network's output behind the rectifier, ``weights`` (groups, units, taps), ``bias`` (groups, 1, units), ``scales`` that
    broadcast against the weights, codes from ``least`` to ``most``, and the bounds of the rectifier, infinite where it has none."""

    x: Floats
    target: Floats
    weights: Floats
    bias: Floats
    scales: Floats
    least: int
    most: int
    low: float = -np.inf
    high: float = np.inf

    @property
    def nearest(self) -> Codes:
        """Codes by rounding to the nearest, ties to even."""
        steps: Floats = np.rint(self.weights / self.scales)
        codes: Codes = np.clip(steps, self.least, self.most).astype(np.int64)
        return codes

    def errors(self, codes: Codes) -> NDArray[np.float64]:
        """Mean square error of each unit's output, (groups, units)."""
        made = self.output(self.x, (codes * self.scales).astype(np.float32))
        errors: NDArray[np.float64] = np.square(made - self.target, dtype=np.float64).mean(axis=1)
        return errors

    def output(self, x: Floats, weights: Floats) -> Floats:
        """(groups, rows, units), behind the rectifier."""
        made: Floats = np.matmul(x, weights.swapaxes(1, 2)) + self.bias
        if self.low > -np.inf or self.high < np.inf:
            np.clip(made, self.low, self.high, out=made)
        return made


@dataclass(frozen=True, eq=False)
class Rounded:
    """Codes (groups, units, taps), and the layer's mean square error under them and under rounding to the nearest."""

    codes: Codes
    error: float
    nearest: float


def rounded(layer: Layer, chosen: AdaRound, *, step: Step | None = None) -> Rounded:
    """The codes of ``layer``; each unit's are those of AdaRound or the nearest, whichever leaves the smaller error, so that no
    layer gets worse. ``step`` is told each iteration."""
    nearest = layer.nearest
    plain = layer.errors(nearest)
    found = _Descent(layer, chosen, plain).codes(step)
    learned = layer.errors(found)
    better = learned < plain
    codes = np.where(better[:, :, None], found, nearest)
    return Rounded(codes, float(np.where(better, learned, plain).sum()), float(plain.sum()))


class _Descent:
    """Adam on V, of which ``h(V) = clip(sigmoid(V) * (zeta - gamma) + gamma, 0, 1)`` is added to the weights rounded down.

    Each unit's squared error is divided by that of rounding to the nearest, so that lambda weighs alike whatever the scale of a
    channel; the loss is ``sum over units of error / nearest's + lambda * sum of (1 - |2 h - 1|^beta)``.
    """

    def __init__(self, layer: Layer, chosen: AdaRound, plain: NDArray[np.float64]) -> None:
        self.layer, self.chosen = layer, chosen
        ratio = layer.weights / layer.scales
        self.floor = np.floor(ratio)
        rest = np.clip(ratio - self.floor, 0, 1)
        self.v = -np.log((ZETA - GAMMA) / (rest - GAMMA) - 1)
        self.first, self.second = np.zeros_like(self.v), np.zeros_like(self.v)
        usable = plain > 0
        per_unit = np.where(usable, 2 / np.where(usable, plain, 1), 0) / min(ROWS, layer.x.shape[1])
        self.gains = per_unit[:, None, :].astype(np.float32)
        self.rng = np.random.default_rng(chosen.seed)

    def codes(self, step: Step | None) -> Codes:
        count = self.chosen.iterations
        for i, (x, target) in zip(range(count), self.batches(), strict=False):
            self.descend(i, x, target)
            if step is not None:
                step(i + 1)
        up = self.stretched()[0] >= 0.5
        codes: Codes = np.clip(self.floor + up, self.layer.least, self.layer.most).astype(np.int64)
        return codes

    def batches(self) -> Iterator[tuple[Floats, Floats]]:
        """Rows in a new order each time that all were met."""
        while True:
            order = self.rng.permutation(self.layer.x.shape[1])
            for start in range(0, len(order), ROWS):
                taken = order[start : start + ROWS]
                yield self.layer.x[:, taken], self.layer.target[:, taken]

    def stretched(self) -> tuple[Floats, Floats]:
        """h(V) and its derivative."""
        sigmoid = 1 / (1 + np.exp(-self.v))
        h = sigmoid * (ZETA - GAMMA) + GAMMA
        inside = (h > 0) & (h < 1)
        return np.clip(h, 0, 1), sigmoid * (1 - sigmoid) * (ZETA - GAMMA) * inside

    def descend(self, i: int, x: Floats, target: Floats) -> None:
        layer = self.layer
        h, slope = self.stretched()
        steps = self.floor + h
        made = layer.output(x, np.clip(steps, layer.least, layer.most) * layer.scales)
        error = (made - target) * self.gains
        error[(made <= layer.low) | (made >= layer.high)] = 0
        gradient = np.matmul(error.swapaxes(1, 2), x) * layer.scales
        gradient[(steps < layer.least) | (steps > layer.most)] = 0
        beta = self.beta(i)
        if beta is not None:
            gradient += self.regulariser(h, beta)
        self.adam(i, gradient * slope)

    def beta(self, i: int) -> np.float32 | None:
        """None during the warm start; then along half a cosine."""
        done = (i / self.chosen.iterations - WARM) / (1 - WARM)
        if done < 0:
            return None
        start, end = BETAS
        return np.float32(end + 0.5 * (start - end) * (1 + np.cos(np.pi * done)))

    def regulariser(self, h: Floats, beta: np.float32) -> Floats:
        """``d/dh of lambda * (1 - |2 h - 1|^beta)``."""
        away = 2 * h - 1
        size = np.maximum(np.abs(away), np.float32(1e-6))
        power = np.exp((beta - 1) * np.log(size))
        made: Floats = -np.float32(2 * self.chosen.weight) * beta * np.sign(away) * power
        return made

    def adam(self, i: int, gradient: Floats) -> None:
        self.first += (1 - FIRST_MOMENT) * (gradient - self.first)
        self.second += (1 - SECOND_MOMENT) * (gradient * gradient - self.second)
        unbiased = RATE / (1 - FIRST_MOMENT ** np.float32(i + 1))
        spread = np.sqrt(self.second / (1 - SECOND_MOMENT ** np.float32(i + 1))) + TINY
        self.v -= unbiased * self.first / spread
