"""What a Result says of its energy beyond the total, for the text, the HTML and the terminal table."""

from __future__ import annotations

from accelsim.report.numbers import NONE, energy, power, share
from accelsim.result import EnergySummary, Result


def energy_facts(result: Result) -> list[tuple[str, str]]:
    """How sure the energy is, what it buys, what it is spent on, and the area, as (name, value); none without a summary."""
    found = result.energy
    if found is None:
        return []
    return [
        ("energy range", f"{energy(found.low_pj)} to {energy(found.high_pj)} by the table's ranges; {_middle(found)}"),
        ("efficiency", efficiency(found.tops_per_w)),
        ("energy x delay", f"{found.energy_delay_js:.3g} J s"),
        ("peak power", power(found.peak_power_w)),
        ("energy spent on", _spent_on(found, result.total.energy_pj)),
        ("area", area_text(found.area_um2)),
    ]


def efficiency(tops_per_w: float | None) -> str:
    """Tera-operations per watt; NONE where nothing was multiplied or spent."""
    return NONE if tops_per_w is None else f"{tops_per_w:.3g} TOPS/W"


def _middle(found: EnergySummary) -> str:
    low, high = found.percentiles_pj["p5"], found.percentiles_pj["p95"]
    return f"90 % of draws {energy(low)} to {energy(high)}"


def _spent_on(found: EnergySummary, total_pj: float) -> str:
    parts = sorted(found.tensors_pj.items(), key=lambda part: -part[1])
    texts = [f"{name.replace('_', ' ')} {share(pj / total_pj)}" for name, pj in parts if pj and total_pj]
    return ", ".join(texts) or NONE


def area_text(area_um2: dict[str, float | None]) -> str:
    """The area that the table holds, and the parts that it does not; NONE where it holds none."""
    known = [um2 for um2 in area_um2.values() if um2 is not None]
    lacking = [part.replace("_", " ") for part, um2 in area_um2.items() if um2 is None]
    if not known:
        return NONE
    total = sum(known)
    text = f"{total / 1e6:.3g} mm²" if total >= 1e4 else f"{total:.3g} µm²"
    return f"{text} without {', '.join(lacking)}" if lacking else text
