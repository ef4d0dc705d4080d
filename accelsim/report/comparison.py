"""Totals of several Results side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from rich.table import Table

from accelsim.energy import Interval, ratio_interval
from accelsim.errors import AccelsimError
from accelsim.report.lines import ruled
from accelsim.report.numbers import NONE, count, energy, femtojoules, power, seconds, share, size
from accelsim.report.terminal import text_table
from accelsim.result import Result

TITLES = ("model", "machine", "cycles", "×", "latency", "util.", "DRAM", "energy", "×", "per MAC", "power", "accuracy")
RIGHT = (False, False, *[True] * (len(TITLES) - 2))


@dataclass(frozen=True)
class Comparison:
    """Results in the order given; the columns marked × are relative to the first, that of energy with its bounds."""

    results: tuple[Result, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary of totals per Result, with its model and machine."""
        return [
            {"model": r.model, "arch": r.arch.get("name"), "arithmetic": r.arithmetic}
            | r.total.model_dump(exclude={"energy_split_pj"})
            for r in self.results
        ]

    def cells(self) -> list[tuple[str, ...]]:
        """The table as text, one tuple per Result in the order of ``TITLES``."""
        return [_cells(result, self.results[0]) for result in self.results]

    def __repr__(self) -> str:
        return "\n".join(ruled([TITLES, *self.cells()], right=RIGHT))

    __str__ = __repr__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(title)}</th>" for title in TITLES)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.cells())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def compare(results: Sequence[Result]) -> Comparison:
    """``results`` side by side; AccelsimError where there is none."""
    if not results:
        raise AccelsimError("compare: expected at least one Result, got none")
    return Comparison(tuple(results))


def _cells(result: Result, first: Result) -> tuple[str, ...]:
    total, values = result.total, result.values
    return (
        result.model,
        str(result.arch.get("name", NONE)),
        count(total.cycles),
        _ratio(total.cycles, first.total.cycles),
        seconds(total.latency_s),
        share(total.utilization) if total.macs else NONE,
        size(total.dram_read_bytes + total.dram_write_bytes),
        energy(total.energy_pj),
        _energy_ratio(result, first),
        femtojoules(total.energy_per_mac_fj),
        power(total.average_power_w),
        share(values.accuracy) if values else NONE,
    )


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


def _energy_ratio(result: Result, first: Result) -> str:
    text, bounds = _ratio(result.total.energy_pj, first.total.energy_pj), energy_ratio(result, first)
    if bounds is None or result is first or f"{bounds.low:.2f}" == f"{bounds.high:.2f}":
        return text
    return f"{text} ({bounds.low:.2f} to {bounds.high:.2f})"


def _ratio(value: float, reference: float) -> str:
    return f"{value / reference:.2f}" if reference else NONE


def comparison_table(comparison: Comparison) -> Table:
    """One row per Result, for the terminal."""
    return text_table(TITLES, comparison.cells(), right=RIGHT, no_wrap=True)
