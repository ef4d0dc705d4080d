"""What follows from the energy of the layers: entries, tensors, ranges, rates, peak power, area."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.arch import Arch
from accelsim.energy import (
    LACKING,
    TENSORS,
    Costs,
    EnergySplit,
    EnergyTable,
    area_um2,
    interval,
    middle_notes,
    parts_of,
    peak_power_w,
    technology_notes,
)
from accelsim.result.record import EnergySummary
from accelsim.result.spread import percentiles, ranges_of, summed
from accelsim.timing import Timeline

_OPERATIONS_PER_MAC = 2


def energy_summary(
    timeline: Timeline, splits: Sequence[EnergySplit], *, table: EnergyTable, costs: Costs, latency_s: float
) -> EnergySummary:
    """The summary of ``splits``, the energies of the timeline's layers by ``table``."""
    program = timeline.program
    entries = summed(split.entries for split in splits)
    ranges = ranges_of(table, entries)
    total, bounds = sum(entries.values()), interval(entries, ranges)
    operations = _OPERATIONS_PER_MAC * program.graph.macs
    return EnergySummary(
        node_nm=None if table.node_nm is None else float(table.node_nm),
        voltage_v=None if table.voltage_v is None else float(table.voltage_v),
        low_pj=bounds.low,
        high_pj=bounds.high,
        percentiles_pj=percentiles(entries, ranges),
        entries_pj=entries,
        ranges=ranges,
        tensors_pj=dict.fromkeys(TENSORS, 0.0) | summed(split.tensors for split in splits),
        tops_per_w=operations / total
        if total and operations
        else None,  # operations per pJ are tera-operations per joule
        energy_delay_js=total * 1e-12 * latency_s,
        peak_power_w=peak_power_w(program, table, start=timeline.start, costs=costs),
        area_um2=area_um2(program.arch, costs),
        notes=(*technology_notes(program.arch), *middle_notes(table, entries)),
    )


def not_held(arch: Arch, costs: Costs) -> tuple[str, ...]:
    """What the table does not hold of what costs energy on ``arch``, in words."""
    leaks = sorted(key.partition(".")[0].replace("_", " ") for key in costs.missing if key.endswith(".leak"))
    named = [text for key, text in LACKING.items() if key in costs.missing]
    some = f" of {', '.join(leaks)}" if len(leaks) < len(parts_of(arch)) else ""
    return (*named, *((f"leakage{some}",) if leaks else ()))
