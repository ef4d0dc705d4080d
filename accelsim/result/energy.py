"""What follows from the energy of the layers: entries, tensors, ranges, rates, peak power, area."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from accelsim.energy import (
    LACKING,
    PARTS,
    TENSORS,
    Costs,
    EnergySplit,
    EnergyTable,
    area_um2,
    draws,
    interval,
    peak_power_w,
    technology_notes,
)
from accelsim.result.record import EnergySummary
from accelsim.timing import Timeline

PERCENTILES = (5, 50, 95)
_OPERATIONS_PER_MAC = 2


def energy_summary(
    timeline: Timeline, splits: Sequence[EnergySplit], *, table: EnergyTable, costs: Costs, latency_s: float
) -> EnergySummary:
    """The summary of ``splits``, the energies of the timeline's layers by ``table``."""
    program = timeline.program
    entries = _sums(split.entries for split in splits)
    held = {entry.key: entry.range for entry in table.entries}
    ranges = {key: held.get(key, (1.0, 1.0)) for key in entries}
    total, bounds = sum(entries.values()), interval(entries, ranges)
    spread = np.percentile(draws(entries, ranges), PERCENTILES)
    operations = _OPERATIONS_PER_MAC * program.graph.macs
    return EnergySummary(
        node_nm=None if table.node_nm is None else float(table.node_nm),
        voltage_v=None if table.voltage_v is None else float(table.voltage_v),
        low_pj=bounds.low,
        high_pj=bounds.high,
        percentiles_pj={f"p{p}": float(pj) for p, pj in zip(PERCENTILES, spread, strict=True)},
        entries_pj=entries,
        ranges=ranges,
        tensors_pj=dict.fromkeys(TENSORS, 0.0) | _sums(split.tensors for split in splits),
        tops_per_w=operations / total
        if total and operations
        else None,  # operations per pJ are tera-operations per joule
        energy_delay_js=total * 1e-12 * latency_s,
        peak_power_w=peak_power_w(program, table, start=timeline.start, costs=costs),
        area_um2=area_um2(program.arch, costs),
        notes=technology_notes(program.arch),
    )


def _sums(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for key, value in part.items():
            total[key] = total.get(key, 0.0) + value
    return {key: float(value) for key, value in total.items()}


def not_held(costs: Costs) -> tuple[str, ...]:
    """What the table does not hold of what costs energy, in words."""
    leaks = sorted(key.partition(".")[0].replace("_", " ") for key in costs.missing if key.endswith(".leak"))
    named = [text for key, text in LACKING.items() if key in costs.missing]
    some = f" of {', '.join(leaks)}" if len(leaks) < len(PARTS) else ""
    return (*named, *((f"leakage{some}",) if leaks else ()))
