"""The tables of variants as text: totals, and layer by layer what moved; shared by terminal, text and HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from accelsim.report.lines import width_of
from accelsim.report.numbers import NONE, area, count, energy, seconds, short_names, size
from accelsim.report.whatif.moves import ARROW, Move, bound_changes, differences, largest, moves
from accelsim.report.whatif.ratios import energy_ratio_text, ratio_text
from accelsim.result import LayerResult, Result, network_bound

TIMES = "×"
"""Title of a column of ratios."""
MOST_MOVED = 20
"""Layers of a variant that are shown where there is no file."""
_MOST_DIFFERENCES, _LONGEST = 8, 120


class Column(NamedTuple):
    """A column of a table of texts; those of the largest ``turn`` go first (0: never)."""

    title: str
    turn: int = 0
    right: bool = True


class Grid(NamedTuple):
    """A table of texts."""

    columns: tuple[Column, ...]
    rows: list[tuple[str, ...]]

    @property
    def titles(self) -> tuple[str, ...]:
        """Titles of the columns."""
        return tuple(column.title for column in self.columns)

    @property
    def right(self) -> tuple[bool, ...]:
        """Which columns are aligned at the right."""
        return tuple(column.right for column in self.columns)

    def within(self, width: int | None) -> tuple[Grid, tuple[str, ...]]:
        """The columns that ``width`` characters have room for (None: all), and the titles left out."""
        kept = list(range(len(self.columns)))
        for turn in sorted({column.turn for column in self.columns} - {0}, reverse=True):
            if width is None or self._width(kept) <= width:
                break
            kept = [k for k in kept if self.columns[k].turn != turn]
        left_out = [c.title for k, c in enumerate(self.columns) if k not in kept and c.title != TIMES]
        rows = [tuple(row[k] for k in kept) for row in self.rows]
        return Grid(tuple(self.columns[k] for k in kept), rows), tuple(left_out)

    def _width(self, kept: Sequence[int]) -> int:
        return width_of([self.columns[k].title, *(row[k] for row in self.rows)] for k in kept)


_TOTALS = (
    Column("variant", right=False),
    *(Column("cycles", 2), Column(TIMES, 4)),
    *(Column("latency"), Column(TIMES)),
    *(Column("energy"), Column(TIMES)),
    *(Column("area", 3), Column(TIMES, 3)),
    *(Column("DRAM", 1), Column(TIMES, 1)),
    Column("bound", 2, right=False),
)
_LAYERS = (
    Column("layer", right=False),
    Column("op", 4, right=False),
    *(Column("cycles", 1), Column("Δ latency")),
    *(Column("energy", 2), Column("Δ energy")),
    Column("DRAM", 3),
    Column("bound", right=False),
)


def totals(names: Sequence[str], results: Sequence[Result]) -> Grid:
    """One row per Result; the columns marked × are relative to the first, that of energy with its bounds."""
    shown = short_names(names)
    rows = [(shown[name], *_total(result, results[0])) for name, result in zip(names, results, strict=True)]
    return Grid(_TOTALS, rows)


def _total(result: Result, first: Result) -> tuple[str, ...]:
    total, base = result.total, first.total
    moved, um2, base_um2 = dram_bytes(result), result.area_um2, first.area_um2
    return (
        count(total.cycles),
        ratio_text(total.cycles, base.cycles),
        seconds(total.latency_s),
        ratio_text(total.latency_s, base.latency_s),
        energy(total.energy_pj),
        energy_ratio_text(result, first),
        NONE if um2 is None else area(um2),
        NONE if um2 is None or base_um2 is None else ratio_text(um2, base_um2),
        size(moved),
        ratio_text(moved, dram_bytes(first)),
        network_bound(result),
    )


def dram_bytes(of: Result | LayerResult) -> int:
    """Bytes that pass the DRAM port, in both directions."""
    figures = of.total if isinstance(of, Result) else of
    return figures.dram_read_bytes + figures.dram_write_bytes


class Moved(NamedTuple):
    """What one variant did: in what it differs, which layers moved the totals, how many more did, and where the bound changed."""

    name: str
    differs: str
    layers: Grid
    more: int
    bounds: str


def moved(name: str, base: Result, other: Result, threshold: float, *, most: int | None = MOST_MOVED) -> Moved:
    """The layers of ``other`` that moved the latency or energy of ``base`` by more than ``threshold`` of it, ``most`` of them."""
    found = moves(base, other)
    large = largest(found, threshold)
    shown = large[:most]
    return Moved(name, _differs(base, other), _layers(shown, found), len(large) - len(shown), bound_changes(found))


def _differs(base: Result, other: Result) -> str:
    texts = [text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…" for text in differences(base, other)]
    more = len(texts) - _MOST_DIFFERENCES
    return ", ".join(texts[:_MOST_DIFFERENCES]) + (f" and {more} more" if more > 0 else "")


def _layers(shown: Sequence[Move], every: Sequence[Move]) -> Grid:
    names = short_names(dict.fromkeys(move.layer.name for move in every))
    rows = [_layer(move, names[move.layer.name]) for move in shown]
    taken = set(map(id, shown))
    rest = [move for move in every if id(move) not in taken]
    if rest and shown:
        latency, joules = sum(move.latency for move in rest), sum(move.energy for move in rest)
        title = f"{len(rest)} other layer{'s' if len(rest) > 1 else ''}"
        rows.append((title, "", "", points(latency), "", points(joules), "", ""))
    return Grid(_LAYERS, rows)


def _layer(move: Move, name: str) -> tuple[str, ...]:
    pair = (move.base, move.other)
    return (
        name,
        move.layer.op,
        _both(None if layer is None else count(layer.cycles) for layer in pair),
        points(move.latency),
        _both(None if layer is None else energy(layer.energy_pj) for layer in pair),
        points(move.energy),
        _both(None if layer is None else size(dram_bytes(layer)) for layer in pair),
        f" {ARROW} ".join(move.bounds),
    )


def _both(texts: Iterable[str | None]) -> str:
    before, after = (text or NONE for text in texts)
    return before if before == after else f"{before} {ARROW} {after}"


def points(share: float) -> str:
    """A change as a part of the base's total, with its sign."""
    text = f"{share * 100:+.2f} %"
    return text if text.strip("+-0. %") else "0.00 %"
