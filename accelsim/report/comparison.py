"""Totals of several Results side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from rich.table import Table

from accelsim.errors import AccelsimError
from accelsim.report.lines import ruled
from accelsim.report.numbers import NONE, count, energy, femtojoules, power, seconds, share, size
from accelsim.report.pages import html_notes, html_table
from accelsim.report.result.cells import tiles_by
from accelsim.report.terminal import text_table
from accelsim.report.whatif import Variants, energy_ratio_text, mapped_note, ratio_text
from accelsim.result import Result

TITLES = (
    "model",
    "machine",
    "cycles",
    "×",
    "latency",
    "util.",
    "DRAM",
    "energy",
    "×",
    "per MAC",
    "power",
    "accuracy",
    "tiles by",
)
RIGHT = (False, False, *[True] * (len(TITLES) - 3), False)


@dataclass(frozen=True)
class Comparison:
    """Results in the order given; the columns marked × are relative to the first, that of energy with its bounds."""

    results: tuple[Result, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary of totals per Result, with its model and machine."""
        return [
            {"model": r.model, "arch": r.arch.get("name"), "arithmetic": r.arithmetic}
            | {"mapper": r.mapper, "objective": r.objective}
            | r.total.model_dump(exclude={"energy_split_pj"})
            for r in self.results
        ]

    def cells(self) -> list[tuple[str, ...]]:
        """The table as text, one tuple per Result in the order of ``TITLES``."""
        return [_cells(result, self.results[0]) for result in self.results]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the ratios compare beside the machines."""
        return mapped_note(self.results)

    def __repr__(self) -> str:
        lines = ruled([TITLES, *self.cells()], right=RIGHT)
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return html_table(TITLES, self.cells(), RIGHT) + html_notes(self.notes)


@overload
def compare(results: Sequence[Result]) -> Comparison: ...


@overload
def compare(results: Mapping[str, Result]) -> Variants: ...


def compare(results: Sequence[Result] | Mapping[str, Result]) -> Comparison | Variants:
    """``results`` side by side, those of a dictionary by their names and layer by layer; AccelsimError where there is none."""
    if not results:
        raise AccelsimError("compare: expected at least one Result, got none")
    if isinstance(results, Mapping):
        return Variants(tuple(results), tuple(results.values()))
    return Comparison(tuple(results))


def _cells(result: Result, first: Result) -> tuple[str, ...]:
    total, values = result.total, result.values
    return (
        result.model,
        str(result.arch.get("name", NONE)),
        count(total.cycles),
        ratio_text(total.cycles, first.total.cycles),
        seconds(total.latency_s),
        share(total.utilization) if total.macs else NONE,
        size(total.dram_read_bytes + total.dram_write_bytes),
        energy(total.energy_pj),
        energy_ratio_text(result, first),
        femtojoules(total.energy_per_mac_fj),
        power(total.average_power_w),
        share(values.accuracy) if values else NONE,
        tiles_by(result),
    )


def comparison_table(comparison: Comparison) -> Table:
    """One row per Result, for the terminal."""
    return text_table(TITLES, comparison.cells(), right=RIGHT, no_wrap=True)
