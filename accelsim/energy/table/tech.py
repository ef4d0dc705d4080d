"""The table of a machine: the one it names, for its DRAM, node and voltage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from accelsim.arch import SRAM, Arch
from accelsim.energy.table.components import BY_NAME, MEMORIES, OFF_CHIP
from accelsim.energy.table.entries import EnergyEntry, EnergyTable
from accelsim.energy.table.laws import terms_of
from accelsim.energy.table.read import load_table
from accelsim.energy.table.scaling import clock_scale, scale_of
from accelsim.errors import ConfigError

DRAM_TABLE = "dram_standards"


def table_of(arch: Arch) -> EnergyTable:
    """The energy table of ``arch``, scaled to ``tech.node_nm`` and ``tech.voltage_v``, with the DRAM of ``tech.dram`` and the memories of
    ``streams``.

    ConfigError where the table states no node or voltage to scale from, or a memory is not known.
    """
    tech, streams = arch.tech, arch.streams
    named = tuple(
        (component, memory, energy)
        for component, (memory, _, energy) in zip(MEMORIES, streams.memories, strict=True)
        if energy is not None or memory not in (None, SRAM)
    )
    return _table(load_table(tech.energy_table), tech.node_nm, tech.voltage_v, tech.dram, named)


_Named = tuple[tuple[str, str | None, float | None], ...]
"""Components of MEMORIES, each with the DRAM that it is or the picojoules of a bit."""


@lru_cache(maxsize=64)
def _table(
    table: EnergyTable, node_nm: float | None, voltage_v: float | None, dram: str | None, named: _Named
) -> EnergyTable:
    if dram is not None:
        table = _with(table, "dram", _of_standard("dram", dram, "tech.dram"))
    for component, memory, energy in named:
        path = f"streams.{MEMORIES[component]}"
        if memory is not None:
            table = _with(table, component, _of_standard(component, memory, f"{path}.memory"))
        elif energy is not None:
            table = _with(table, component, _stated(component, energy, f"{path}.energy_pj_per_bit"))
    if node_nm is None and voltage_v is None:
        return table
    return _scaled(table, node_nm, voltage_v)


def _with(table: EnergyTable, component: str, entries: Iterable[EnergyEntry]) -> EnergyTable:
    """``table`` with these ``entries`` of ``component`` in place of its own."""
    return replace(table, entries=(*(e for e in table.entries if e.component != component), *entries))


def _of_standard(component: str, standard: str, path: str) -> Iterator[EnergyEntry]:
    """The actions of ``component`` from the packaged DRAM that the machine names at ``path``."""
    lender = load_table(DRAM_TABLE)
    known = sorted({entry.component for entry in lender.entries})
    if standard not in known:
        others = "null for the table's own" if component == "dram" else f"{SRAM}, or null for dram"
        raise ConfigError(f"{path}: no DRAM {standard!r}; expected one of {', '.join(known)}, or {others}")
    text = f"from {lender.name} v{lender.version}, {standard}, as {path} asks"
    for entry in lender.entries:
        if entry.component == standard and entry.action in BY_NAME[component].actions:
            yield replace(entry, component=component, fill=text)


def _stated(component: str, energy: float, path: str) -> Iterator[EnergyEntry]:
    """The actions of ``component`` at so many picojoules a bit, which the machine states at ``path``."""
    for action in BY_NAME[component].actions:
        terms = terms_of("linear", energy, {"bits": 1}, {})
        yield EnergyEntry(
            component=component, action=action, law="linear", terms=terms, source=path, node_nm=None, voltage_v=None
        )


def _scaled(table: EnergyTable, node_nm: float | None, voltage_v: float | None) -> EnergyTable:
    from_node, from_voltage = table.node_nm, table.voltage_v
    if from_node is None or from_voltage is None:
        field, unknown = ("node_nm", "node") if from_node is None else ("voltage_v", "voltage")
        raise ConfigError(
            f"tech.{field}: energy table {table.name!r} states no {unknown}, so it cannot be scaled; use another table, or null"
        )
    to_node, to_voltage = node_nm or from_node, voltage_v or from_voltage

    def factor(entry: EnergyEntry) -> float:
        if entry.component in OFF_CHIP:
            return 1.0
        return scale_of(entry, node_from=from_node, voltage_from=from_voltage, node_to=to_node, voltage_to=to_voltage)

    if table.alpha is not None and table.threshold_v is not None:
        clock_scale(
            alpha=table.alpha, threshold_v=table.threshold_v, voltage_from=from_voltage, voltage_to=to_voltage
        )  # refuses a voltage below the threshold
    entries = tuple(
        e if e.component in OFF_CHIP else replace(e, node_nm=to_node, voltage_v=to_voltage)
        for e in table.scaled(factor).entries
    )
    return replace(table, entries=entries, node_nm=to_node, voltage_v=to_voltage)


def technology_notes(arch: Arch) -> tuple[str, ...]:
    """What was assumed to get the machine's table from the one it names: fills, scaling, attainable clock, missing ranges."""
    table, origin = table_of(arch), load_table(arch.tech.energy_table)
    notes = [f"filled {text}" for text in _grouped(table)]
    if (table.node_nm, table.voltage_v) != (origin.node_nm, origin.voltage_v):
        notes.append(_scaling_note(table, origin))
    unsure = sorted(entry.key for entry in table.entries if entry.low is None and entry.action != "area")
    if unsure:
        notes.append(f"taken as exact, since the source gives no range: {', '.join(unsure)}")
    return (*notes, *table.notes)


def middle_notes(table: EnergyTable, entries: Iterable[str]) -> tuple[str, ...]:
    """Which of ``entries`` were moved into the middle of their range, and by what factor; nothing where none was."""
    by_factor: dict[str, list[str]] = {}
    moved = {entry.key: f"x{entry.moved:.3g}" for entry in table.entries if entry.moved != 1}
    for key in sorted(entries):
        if key in moved:
            by_factor.setdefault(moved[key], []).append(key)
    texts = [f"{', '.join(keys)} {factor}" for factor, keys in by_factor.items()]
    return (f"in the middle of its range, of which the table states an end: {'; '.join(texts)}",) if texts else ()


def _grouped(table: EnergyTable) -> list[str]:
    """One sentence per lender and rule, with the components that it fills."""
    by_text: dict[str, list[str]] = {}
    for entry in table.entries:
        if entry.fill:
            by_text.setdefault(entry.fill, []).append(entry.component)
    return [f"{', '.join(dict.fromkeys(components))} {text}" for text, components in by_text.items()]


def _scaling_note(table: EnergyTable, origin: EnergyTable) -> str:
    text = (
        f"scaled from {origin.node_nm:g} nm {origin.voltage_v:g} V to {table.node_nm:g} nm {table.voltage_v:g} V: energy by "
        "Stillmaker & Baas' node factor and V^2, leakage by V, DRAM not"
    )
    if origin.alpha is None or origin.threshold_v is None or table.voltage_v == origin.voltage_v:
        return text
    assert origin.voltage_v is not None
    assert table.voltage_v is not None
    factor = clock_scale(
        alpha=origin.alpha, threshold_v=origin.threshold_v, voltage_from=origin.voltage_v, voltage_to=table.voltage_v
    )
    return f"{text}; attainable clock x{factor:.2f} (alpha-power law), clock_hz is not changed"
