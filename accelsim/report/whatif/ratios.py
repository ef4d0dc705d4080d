"""Ratios of two Results: how large, how sure, and what they compare beside the machines."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.energy import Interval, ratio_interval
from accelsim.report.numbers import NONE
from accelsim.report.result.cells import tiles_by
from accelsim.result import Result


def energy_ratio(result: Result, first: Result) -> Interval | None:
    """Bounds of the ratio of two energies; None where one has none.

    Results of one table share its factors, which then cancel where both spend alike: a ratio may be sure although neither
    energy is. Results of different tables have nothing in common, and the bounds are those of independent intervals.
    """
    mine, other = result.energy, first.energy
    if mine is None or other is None or not other.low_pj:
        return None
    if _figures(result) == _figures(first):
        return ratio_interval(mine.entries_pj, other.entries_pj, {**mine.ranges, **other.ranges})
    return Interval(mine.low_pj / other.high_pj, mine.high_pj / other.low_pj)


def _figures(result: Result) -> tuple[str, object]:
    """Where a Result's figures come from: node and voltage scale them, and leave their errors in common."""
    tech = result.arch.get("tech")
    return result.energy_table, tech.get("dram") if isinstance(tech, dict) else None


def energy_ratio_text(result: Result, first: Result) -> str:
    """The ratio of two energies, with its bounds where they are apart."""
    text, bounds = ratio_text(result.total.energy_pj, first.total.energy_pj), energy_ratio(result, first)
    if bounds is None or result is first or f"{bounds.low:.2f}" == f"{bounds.high:.2f}":
        return text
    return f"{text} ({bounds.low:.2f} to {bounds.high:.2f})"


def ratio_text(value: float, reference: float) -> str:
    """A ratio; NONE where there is nothing to refer to."""
    return f"{value / reference:.2f}" if reference else NONE


def mapped_note(results: Sequence[Result]) -> tuple[str, ...]:
    """A sentence where the tiles of ``results`` come from different mappers or objectives."""
    ways = dict.fromkeys(tiles_by(result) for result in results)
    return (f"tiles are not cut alike ({'; '.join(ways)}): the ratios compare that too",) if len(ways) > 1 else ()
