"""Energy in full: by layer and component, by tensor, by entry of the table with its range, areas, and a table's own page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.energy import EnergyEntry, EnergyTable, Term, middle_notes, quantity_of
from accelsim.report.numbers import NONE, component_name, energy, share, short_names
from accelsim.result import Result

Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class Page:
    """One table of a report: its title, column titles, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: Rows


def energy_pages(result: Result) -> tuple[Page, ...]:
    """The energy of a Result split by component and layer, tensor and layer, entry, and its areas."""
    return (_by_layer(result, "component"), _by_layer(result, "tensor"), _by_entry(result), _areas(result))


def _by_layer(result: Result, way: str) -> Page:
    """One row per layer, one column per component (or tensor) that acts."""
    total = result.total.energy_split_pj if way == "component" else (result.energy.tensors_pj if result.energy else {})
    names = [name for name, pj in total.items() if pj]
    splits = [layer.energy_split_pj if way == "component" else layer.energy_tensor_pj for layer in result.layers]
    short = short_names(layer.name for layer in result.layers)
    rows: Rows = [
        (
            short[layer.name],
            *(energy(split[name]) if split.get(name) else NONE for name in names),
            energy(layer.energy_pj),
        )
        for layer, split in zip(result.layers, splits, strict=True)
    ]
    rows.append(("total", *(energy(total[name]) for name in names), energy(result.total.energy_pj)))
    return Page(f"energy by layer and {way}", ("layer", *(component_name(name) for name in names), "all"), rows)


def _by_entry(result: Result) -> Page:
    found = result.energy
    rows: Rows = []
    for key, pj in sorted(found.entries_pj.items(), key=lambda part: -part[1]) if found else ():
        low, high = found.ranges[key] if found else (1.0, 1.0)
        span = f"{energy(pj * low)} to {energy(pj * high)}" if (low, high) != (1.0, 1.0) else NONE
        rows.append((key, energy(pj), share(pj / result.total.energy_pj if result.total.energy_pj else None), span))
    return Page("energy by entry of the table", ("entry", "energy", "share", "range"), rows)


def _areas(result: Result) -> Page:
    held = result.energy.area_um2 if result.energy else {}
    areas = result.area.parts_um2 if result.area else held
    rows: Rows = [
        (component_name(part), NONE if um2 is None else f"{um2:,.0f} µm²", _filled(um2, held.get(part)))
        for part, um2 in areas.items()
    ]
    if result.area:
        low, high = result.area.low_um2, result.area.high_um2
        rows.append(("total", f"{result.area.total_um2:,.0f} µm²", f"{low:,.0f} to {high:,.0f} µm²"))
    return Page("area", ("part", "area", "filled by rule, range"), rows)


def _filled(um2: float | None, held: float | None) -> str:
    """How much of an area the table itself does not hold."""
    if um2 is None or um2 == held:
        return NONE
    return "all" if held is None else f"{um2 - held:,.0f} µm²"


def table_page(table: EnergyTable) -> Page:
    """Every entry of an energy table: value and law, range, source."""
    rows: Rows = [
        (entry.key, law_text(entry), range_text(entry), entry.fill or entry.source) for entry in table.entries
    ]
    place = [
        f"{table.node_nm:g} nm" if table.node_nm else "no node stated",
        f"{table.voltage_v:g} V" if table.voltage_v else "no voltage stated",
    ]
    return Page(
        f"{table.name} v{table.version}, {', '.join(place)}; {table.source}",
        ("entry", "value", "range", "source"),
        rows,
    )


def table_notes(table: EnergyTable) -> list[str]:
    """What fills a table's gaps, its notes, and what its compound actions are made of, a line each."""
    moved = middle_notes(table, [entry.key for entry in table.entries])
    lines = [*(f"filled: {text}" for text in table.fills), *(f"note: {text}" for text in (*moved, *table.notes))]
    for made in table.compounds:
        parts = " + ".join(f"{part.times} x {part.component}.{part.action}" for part in made.parts)
        lines.append(f"compound: {made.component}.{made.action} = {parts or 'nothing of its own'}")
    return lines


def law_text(entry: EnergyEntry) -> str:
    """Value and law in one phrase: ``0.2 pJ x left_bits/8 x right_bits/8``."""
    unit = quantity_of(entry.action).base
    return " + ".join(_term_text(term, unit) for term in entry.terms).replace("+ -", "- ")


def _term_text(term: Term, unit: str) -> str:
    anchor = dict(term.at)
    factors = [_power_text(name, anchor.get(name, 1.0), power) for name, power in term.exponents]
    return " x ".join([f"{term.coefficient:.4g} {unit}", *factors])


def _power_text(name: str, at: float, power: float) -> str:
    base = name if at == 1 else f"{name}/{at:g}"
    if power == 1:
        return base
    return f"({base})^{power:g}" if at != 1 else f"{base}^{power:g}"


def range_text(entry: EnergyEntry) -> str:
    """The factors between which the value lies; NONE where the source gives none."""
    if entry.low is None or entry.high is None:
        return NONE
    return f"x{entry.low:.2f} to x{entry.high:.2f}"


def list_rows(tables: Sequence[EnergyTable]) -> Rows:
    """One row per table: name, node, voltage, entries, source."""
    return [
        (
            f"{table.name} v{table.version}",
            f"{table.node_nm:g} nm" if table.node_nm else NONE,
            f"{table.voltage_v:g} V" if table.voltage_v else NONE,
            str(len(table.entries)),
            table.source,
        )
        for table in tables
    ]
