"""Totals by entry of a table, and the draws of them: shared by energy and area."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from accelsim.energy import EnergyTable, draws

PERCENTILES = (5, 50, 95)


def summed(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The sum of each name over ``parts``."""
    total: dict[str, float] = {}
    for part in parts:
        for key, value in part.items():
            total[key] = total.get(key, 0.0) + value
    return {key: float(value) for key, value in total.items()}


def ranges_of(table: EnergyTable, entries: Iterable[str]) -> dict[str, tuple[float, float]]:
    """The factors of each of ``entries``; (1, 1) where ``table`` gives none."""
    held = {entry.key: entry.range for entry in table.entries}
    return {key: held.get(key, (1.0, 1.0)) for key in entries}


def percentiles(charges: Mapping[str, float], ranges: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """:data:`PERCENTILES` of the draws of a total, by name: ``p5``, ``p50``, ``p95``."""
    spread = np.percentile(draws(charges, ranges), PERCENTILES)
    return {f"p{p}": float(value) for p, value in zip(PERCENTILES, spread, strict=True)}
