"""Who chooses widths: greedy descent, or an integer programme for a ladder of limits on noise."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ConfigError
from accelsim.explore.bits.proxies import FIGURES, Doubles, Proxies
from accelsim.explore.bits.slots import BASE_BITS, Bits

GAP = 1e-3
"""Of the integer programme's answer to the best there may be."""
SECONDS = 20.0
"""Of one integer programme at most; what is found by then counts."""
NOISE, ENERGY = 0, 1
"""Columns of the proxies."""
WEIGHTINGS = ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0))
"""Of energy and latency, each over W8A8's, that ladders go by: energy first."""


def descent(proxies: Proxies) -> Iterator[Bits]:
    """From W8A8 down, each time by that option of a slot which adds the least noise for each picojoule that it saves, until none saves any.

    The baseline of sensitivity-guided searches (HAWQ 1905.03696 orders layers so, by curvature instead of noise).
    """
    bits = (BASE_BITS,) * len(proxies.slots.slots)
    here = proxies.of(bits)
    while True:
        yield bits
        steps = []
        for i, slot in enumerate(proxies.slots.slots):
            for option in slot.options:
                if option < bits[i]:
                    there = (*bits[:i], option, *bits[i + 1 :])
                    added = proxies.of(there) - here
                    if added[ENERGY] < 0:
                        steps.append((max(added[NOISE], 0.0) / -added[ENERGY], there))
        if not steps:
            return
        bits = min(steps)[1]
        here = proxies.of(bits)


@dataclass(eq=False)
class Programme:
    """The multiple-choice knapsack over the proxies: one width a slot, the least cost under a limit on noise.

    A variable for each option of a slot, and for each pair of options of a layer's weights and of what it reads, whose sum over weights
    equals the variable of what is read.
    """

    proxies: Proxies
    _columns: list[tuple[int, int, int | None]] = field(init=False)
    _costs: Doubles = field(init=False)
    _rows: NDArray[np.float64] = field(init=False)
    _right: Doubles = field(init=False)

    def __post_init__(self) -> None:
        slots, reads = self.proxies.slots.slots, self.proxies.reads
        self._columns = [
            (i, place, other)
            for i, slot in enumerate(slots)
            for place in range(len(slot.options))
            for other in (range(len(slots[reads[i]].options)) if i in reads else (None,))
        ]
        self._costs = np.array([self._cost(*column) for column in self._columns])
        index = {column: k for k, column in enumerate(self._columns)}
        rows, right = [], []
        for i, slot in enumerate(slots):
            if i not in reads:
                row = np.zeros(len(self._columns))
                row[[index[i, place, None] for place in range(len(slot.options))]] = 1
                rows.append(row)
                right.append(1.0)
                continue
            for other in range(len(slots[reads[i]].options)):
                row = np.zeros(len(self._columns))
                row[[index[i, place, other] for place in range(len(slot.options))]] = 1
                row[index[reads[i], other, None]] = -1
                rows.append(row)
                right.append(0.0)
        self._rows, self._right = np.array(rows), np.array(right)

    def _cost(self, slot: int, place: int, other: int | None) -> Doubles:
        found: Doubles = self.proxies.alone[slot][place] if other is None else self.proxies.beside[slot][place, other]
        return found

    @property
    def limits(self) -> tuple[float, float]:
        """The least noise that widths may add or take off, and what the cheapest add."""
        least, most = self._solved(self._costs[:, NOISE], None), self._solved(self._costs[:, ENERGY], None)
        assert least is not None
        assert most is not None
        return self._noise(least), max(self._noise(most), self._noise(least))

    def _noise(self, bits: Bits) -> float:
        return float(self.proxies.of(bits)[NOISE])

    def best(self, limit: float, weighting: Sequence[float]) -> Bits | None:
        """The widths of least ``weighting`` of energy and latency with noise of ``limit`` at most, all as the proxies have it."""
        scaled = self._costs[:, 1:] / self.proxies.start[1:]
        return self._solved(scaled @ np.asarray(weighting), limit - float(self.proxies.start[NOISE]))

    def _solved(self, costs: Doubles, limit: float | None) -> Bits | None:
        from scipy.optimize import Bounds, LinearConstraint, milp

        held = [LinearConstraint(self._rows, self._right, self._right)]
        if limit is not None:
            scale = max(abs(limit), float(self.proxies.start[NOISE]))
            held.append(LinearConstraint(self._costs[:, NOISE] / scale, -np.inf, limit / scale))
        with _silent():
            found = milp(
                costs / (np.abs(costs).max() or 1.0),
                constraints=held,
                integrality=np.ones(len(costs)),
                bounds=Bounds(0, 1),
                options={"time_limit": SECONDS, "mip_rel_gap": GAP},
            )
        if found.x is None:
            return None
        chosen = {self._columns[k][0]: self._columns[k][1] for k in np.flatnonzero(found.x > 0.5)}
        return tuple(slot.options[chosen[i]] for i, slot in enumerate(self.proxies.slots.slots))


@contextmanager
def _silent() -> Iterator[None]:
    """Without what HiGHS, SciPy's solver, says on the process's stdout in spite of its options (SciPy 1.15: lines of its own debugging)."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # closed
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)


def need_scipy() -> None:
    """ConfigError where it is not installed."""
    try:
        import scipy.optimize  # noqa: F401
    except ImportError as error:
        raise ConfigError("search-bits needs SciPy: pip install 'accelsim[explore]'") from error


assert len(FIGURES) == len(WEIGHTINGS[0])
