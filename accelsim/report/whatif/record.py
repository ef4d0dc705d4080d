"""Results by name beside a base: the record that pages, files and pictures of variants read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accelsim.errors import AccelsimError
from accelsim.report.lines import ruled
from accelsim.report.pages import html_notes, html_table, section, shown
from accelsim.report.result.cells import heading
from accelsim.report.whatif.cells import Grid, Moved, dram_bytes, moved, totals
from accelsim.report.whatif.moves import Move, moves
from accelsim.report.whatif.ratios import energy_ratio, mapped_note
from accelsim.result import LayerResult, Result, network_bound

SCHEMA_VERSION = 1
THRESHOLD = 0.005
"""Of the base's latency or energy: what a layer must move to be shown."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Variants:
    """Results by name, in the order given; all ratios are to the first, the base. ``edits`` say by name how some were asked for."""

    names: tuple[str, ...]
    results: tuple[Result, ...]
    threshold: float = THRESHOLD
    edits: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_threshold(self.threshold)

    @property
    def base(self) -> Result:
        """What the others are compared with."""
        return self.results[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the ratios compare beside the edits."""
        return mapped_note(self.results)

    def own_notes(self, name: str) -> list[str]:
        """Notes of a Result that the base's does not have."""
        return [note for note in self.results[self.names.index(name)].notes if note not in self.base.notes]

    def title(self, name: str) -> str:
        """A variant's name, with its edits."""
        edits = self.edits.get(name, "")
        return f"{name}: {edits}" if edits and edits != name else name

    def moves(self) -> dict[str, tuple[Move, ...]]:
        """Layer by layer, in what each but the base differs from it."""
        return {n: moves(self.base, result) for n, result in zip(self.names[1:], self.results[1:], strict=True)}

    def totals(self) -> Grid:
        """The table of totals as text."""
        return totals(self.names, self.results)

    def moved(self, *, most: int | None) -> list[Moved]:
        """For each but the base the layers that moved more than ``threshold``, ``most`` of them, as text."""
        others = zip(self.names[1:], self.results[1:], strict=True)
        return [moved(name, self.base, result, self.threshold, most=most) for name, result in others]

    def rows(self) -> list[Row]:
        """One dictionary of totals per Result: its name, what it ran, figures, and their ratios to the base's."""
        edits = self.edits
        return [
            {"variant": name, "edits": edits.get(name)} | _totals(result, self.base)
            for name, result in zip(self.names, self.results, strict=True)
        ]

    def layer_rows(self) -> list[Row]:
        """One dictionary per Result and layer of it or of the base, behind one of the totals, in which ``layer`` is None."""
        rows = []
        for name, result, total in zip(self.names, self.results, self.rows(), strict=True):
            rows.append(
                {"variant": name, "layer": None} | {key: value for key, value in total.items() if key != "variant"}
            )
            rows += [{"variant": name, **_layer(move)} for move in moves(self.base, result)]
        return rows

    def to_json(self) -> str:
        """All of it as JSON text: ``variants`` with their totals, notes, and ``layers``."""
        found = [
            {**row, "notes": list(result.notes), "layers": [_layer(move) for move in moves(self.base, result)]}
            for row, result in zip(self.rows(), self.results, strict=True)
        ]
        head = {"schema_version": SCHEMA_VERSION, "accelsim_version": self.base.accelsim_version}
        body = {"base": self.names[0], "notes": list(self.notes), "variants": found}
        return json.dumps(head | body, indent=1, ensure_ascii=False) + "\n"

    def __repr__(self) -> str:
        table = self.totals()
        lines = [heading(self.base), "", *ruled([table.titles, *table.rows], right=table.right)]
        for found in self.moved(most=None):
            lines += ["", self.title(found.name), *filter(None, [found.differs]), found.bounds]
            lines += (
                ruled([found.layers.titles, *found.layers.rows], right=found.layers.right) if found.layers.rows else []
            )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return variants_html(self)


def checked_threshold(share: float) -> float:
    """``share``; AccelsimError where it is none."""
    if not 0 <= share <= 1:
        raise AccelsimError(f"threshold: expected a share from 0 to 1, got {share:g}")
    return share


def _totals(result: Result, base: Result) -> Row:
    total, first = result.total, base.total
    bounds = energy_ratio(result, base)
    return {
        "model": result.model,
        "arch": result.arch.get("name"),
        "arithmetic": result.arithmetic,
        "mapper": result.mapper,
        "objective": result.objective,
        "bound": network_bound(result),
        "cycles": total.cycles,
        "latency_s": total.latency_s,
        "energy_pj": total.energy_pj,
        "area_um2": result.area_um2,
        "dram_read_bytes": total.dram_read_bytes,
        "dram_write_bytes": total.dram_write_bytes,
        "cycles_ratio": _ratio(total.cycles, first.cycles),
        "latency_ratio": _ratio(total.latency_s, first.latency_s),
        "energy_ratio": _ratio(total.energy_pj, first.energy_pj),
        "energy_ratio_low": bounds and bounds.low,
        "energy_ratio_high": bounds and bounds.high,
        "area_ratio": _ratio(result.area_um2, base.area_um2),
        "dram_ratio": _ratio(dram_bytes(result), dram_bytes(base)),
    }


def _ratio(value: float | None, reference: float | None) -> float | None:
    return None if value is None or not reference else value / reference


def _layer(move: Move) -> Row:
    """One layer of a variant; the base's figures stand beside its own, and by what share of the base's totals it moved them."""
    row: Row = {"layer": move.layer.name, "op": move.layer.op}
    for prefix, layer in (("", move.other), ("base_", move.base)):
        row |= {f"{prefix}{key}": value for key, value in _figures(layer).items()}
    return row | {"latency_moved": move.latency, "energy_moved": move.energy}


def _figures(layer: LayerResult | None) -> Row:
    keys = ("cycles", "energy_pj", "dram_read_bytes", "dram_write_bytes", "bound")
    return {key: None if layer is None else getattr(layer, key) for key in keys}


def grid_html(grid: Grid) -> str:
    """A table of texts; every text is escaped."""
    return html_table(grid.titles, grid.rows, grid.right, count=len(grid.rows))


def variants_html(found: Variants) -> str:
    """A fragment: totals, then for each variant what moved."""
    return f'<div class="accelsim-variants">{totals_html(found)}{moved_html(found)}</div>'


def totals_html(found: Variants) -> str:
    """What is compared, and the table of totals."""
    return f"<p><b>{shown(heading(found.base))}</b></p>{grid_html(found.totals())}{html_notes(found.notes)}"


def moved_html(found: Variants) -> str:
    """For each variant what it differs in and which layers moved."""
    return "".join(section(found.title(one.name), _moved_html(found, one)) for one in found.moved(most=None))


def _moved_html(found: Variants, one: Moved) -> str:
    layers = grid_html(one.layers) if one.layers.rows else "<p>no layer moved by more than the threshold</p>"
    differs, bounds = (f"<p>{shown(text)}</p>" for text in (one.differs, one.bounds))
    return f"{differs}{bounds}{html_notes(found.own_notes(one.name))}{layers}"
