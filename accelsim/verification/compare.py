"""Counting differences: LSB errors, their histogram, signal to noise, and who moved each element first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.verification import names
from accelsim.verification.records import Cause, Comparison
from accelsim.verification.steps.step import Step

Array = NDArray[Any]


class Tally:
    """Sums up comparisons of one tensor over inferences."""

    def __init__(self) -> None:
        self._elements = 0
        self._errors: Counter[int] = Counter()
        self._signal = 0

    def add(self, oracle: Array, machine: Array, *, zero_point: int) -> None:
        """One inference; arrays of one size."""
        error = machine.astype(np.int64).reshape(-1) - oracle.astype(np.int64).reshape(-1)
        values, counts = np.unique(error, return_counts=True)
        self._errors.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        self._elements += error.size
        self._signal += int(np.square(oracle.astype(np.int64) - zero_point).sum())

    def result(self) -> Comparison:
        """What was counted."""
        wrong = {error: count for error, count in sorted(self._errors.items()) if error}
        noise = sum(error * error * count for error, count in wrong.items())
        return Comparison(
            elements=self._elements,
            differing=sum(wrong.values()),
            max_lsb=max((abs(error) for error in wrong), default=0),
            histogram=tuple(wrong.items()),
            sqnr_db=10 * math.log10(self._signal / noise) if noise and self._signal else None,
        )


class CauseTally:
    """Sums up which step moved the differing elements of one layer first."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._moved: Counter[str] = Counter()
        self._elements = self._free = 0
        self._texts: dict[str, str] = {}
        self._expected: dict[str, float | None] = {}

    def add(self, oracle: Array, steps: Iterable[Step], *, inside: Array | None) -> Array:
        """One inference; ``inside`` marks codes off the clamp's ends, where a law of rates holds. Gives the last step's codes."""
        first = oracle.astype(np.int64).reshape(-1)
        before, owner = first, np.full(first.size, -1, dtype=np.int64)
        free = np.ones(first.size, dtype=np.bool_) if inside is None else inside.reshape(-1)
        made = list(steps)
        for number, step in enumerate(made):
            now = step.codes.astype(np.int64).reshape(-1)
            moved = now != before
            owner[moved & (owner < 0)] = number
            self._moved[step.key] += int((moved & free).sum())
            self._texts.setdefault(step.key, step.text)
            self._expected.setdefault(step.key, step.expected)
            before = now
        self._elements += free.size
        self._free += int(free.sum())
        for number in owner[before != first].tolist():
            self._counts[made[number].key] += 1
        return before

    def result(self) -> tuple[Cause, ...]:
        """Causes with elements to their name, in the order of the ablation."""
        found = [key for key in names.STEPS if self._counts[key]]
        return tuple(
            Cause(
                step=key,
                text=self._texts[key],
                count=self._counts[key],
                elements=self._elements,
                free=self._free,
                expected=self._expected[key],
                moved=self._moved[key],
            )
            for key in found
        )
