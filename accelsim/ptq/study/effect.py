"""What quantization does to a network's outputs: noise, divergence, answers that change, and accuracy where there are labels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.labels import answers, check_labels

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
SHARES = 1e-3
"""Rows that sum to 1 within this, without a negative number, are probabilities; others are taken for logits."""

LEAST = 2.0**-23
"""Probability of a class that a quantizer rounded to 0: what float32 resolves beside 1, so that a class gone is dear, not infinite."""


@dataclass(frozen=True)
class Effect:
    """Outputs against those of the float network over the same inferences.

    ``sqnr_db``: the power of the float outputs over that of the difference, infinite where there is none. ``kl``: mean
    Kullback-Leibler divergence of the float network's distribution over classes from this one's, in nats; ``agreement``: share of
    inferences whose largest output is the same; both NaN where the output is no row of classes. ``accuracy``: share of labels met,
    None without labels.
    """

    sqnr_db: float
    kl: float
    agreement: float
    accuracy: float | None


@dataclass(frozen=True, eq=False)
class Reference:
    """The float network's outputs (inferences, *shape), and labels (inferences,) where there are any; raises InputError for labels
    that do not fit."""

    outputs: Floats
    labels: NDArray[Any] | None = None
    _rows: Doubles = field(init=False, repr=False)
    _logs: Doubles = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = self.outputs.reshape(len(self.outputs), -1)
        if self.labels is not None:
            check_labels(self.labels, count=len(rows), outputs=rows.shape[1])
        object.__setattr__(self, "_rows", rows.astype(np.float64))
        object.__setattr__(self, "_logs", self._logarithms(self._rows))

    @property
    def is_classifier(self) -> bool:
        """Whether an output is one row of two or more numbers."""
        shape: tuple[int, ...] = self.outputs.shape
        return sum(size > 1 for size in shape[1:]) == 1

    @property
    def accuracy(self) -> float | None:
        """Of the float network."""
        return self.effect(self.outputs).accuracy

    def effect(self, outputs: Floats) -> Effect:
        """Of ``outputs``, of the same shape."""
        rows = outputs.reshape(len(outputs), -1)
        noise = sqnr_db(self._rows, rows)
        accuracy = None if self.labels is None else float(np.mean(answers(rows) == self.labels))
        if not self.is_classifier:
            return Effect(noise, math.nan, math.nan, accuracy)
        agreement = float(np.mean(answers(rows) == answers(self._rows)))
        return Effect(noise, self._divergence(rows), agreement, accuracy)

    def _divergence(self, rows: Floats) -> float:
        """``mean of sum p * (log p - log q)``; classes of probability 0 add nothing."""
        p = np.exp(self._logs)
        difference = np.where(p > 0, self._logs - self._logarithms(rows.astype(np.float64)), 0.0)
        return max(float((p * difference).sum(axis=1).mean()), 0.0)

    @property
    def _are_probabilities(self) -> bool:
        return bool((self._rows >= 0).all() and (np.abs(self._rows.sum(axis=1) - 1) < SHARES).all())

    def _logarithms(self, rows: Doubles) -> Doubles:
        """Of each class's probability; softmax of logits."""
        if self._are_probabilities:
            held = np.maximum(rows, LEAST)
            normal: Doubles = np.log(held / held.sum(axis=1, keepdims=True))
            return normal
        shifted = rows - rows.max(axis=1, keepdims=True)
        logs: Doubles = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return logs


def sqnr_db(real: NDArray[Any], quantized: NDArray[Any]) -> float:
    """``10 log10(sum of real**2 / sum of (quantized - real)**2)``, infinite where nothing differs, -infinite of a signal of zeros."""
    signal = float(np.square(real, dtype=np.float64).sum())
    return decibels_of(signal, float(np.square(quantized.astype(np.float64) - real, dtype=np.float64).sum()))


def decibels_of(signal: float, noise: float) -> float:
    """``10 log10(signal / noise)`` of two powers."""
    if not noise:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def check_finite_outputs(outputs: Floats) -> None:
    """InputError where the float network makes NaN or infinities of an inference."""
    rows = outputs.reshape(len(outputs), -1)
    wrong = np.flatnonzero([not np.isfinite(row).all() for row in rows])
    if wrong.size:
        first = int(wrong[0])
        raise InputError(
            f"the float network's output for inference {first} is infinite or NaN ({wrong.size} of {len(rows)} are); mend the "
            "network or leave those inputs out",
            index=first,
        )
