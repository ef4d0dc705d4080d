"""The area of a machine: its parts by the table, the table's gaps by a rule, how sure the total is."""

from __future__ import annotations

from accelsim.arch import Arch
from accelsim.energy import Costs, EnergyTable, area_charges, interval, with_areas
from accelsim.result.record import AreaSummary
from accelsim.result.spread import percentiles, ranges_of, summed

LEFT_OUT = "without DMA engines, control, clock tree, wiring between parts, pads"


def area_summary(arch: Arch, table: EnergyTable) -> AreaSummary | None:
    """The areas of ``arch`` by ``table``; None where some part has none, as at a node out of the rule's reach."""
    whole = with_areas(table)
    parts = area_charges(arch, Costs(whole))
    known = {part: charges for part, charges in parts.items() if charges is not None}
    if len(known) < len(parts):
        return None
    entries = summed(known.values())
    ranges = ranges_of(whole, entries)
    bounds, spread = interval(entries, ranges), percentiles(entries, ranges)
    lent = {entry.key: entry.fill for entry in whole.entries if table.find(entry.component, entry.action) is None}
    return AreaSummary(
        total_um2=sum(entries.values()),
        low_um2=bounds.low,
        high_um2=bounds.high,
        percentiles_um2=spread,
        parts_um2={part: float(sum(charges.values())) for part, charges in known.items()},
        entries_um2=entries,
        ranges=ranges,
        filled={key: lent[key] for key in entries if key in lent},
        notes=(*_exact(ranges), LEFT_OUT),
    )


def _exact(ranges: dict[str, tuple[float, float]]) -> list[str]:
    sure = sorted(key for key, (low, high) in ranges.items() if low == high)
    return [f"taken as exact, since the source gives no range: {', '.join(sure)}"] if sure else []
