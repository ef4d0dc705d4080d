"""What a Result says of its energy beyond the total, for the text, the HTML and the terminal table."""

from __future__ import annotations

from accelsim.report.numbers import NONE, area, energy, power, share
from accelsim.result import AreaSummary, EnergySummary, Result


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
        *_area_facts(result.area, found),
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


def _area_facts(found: AreaSummary | None, held: EnergySummary) -> list[tuple[str, str]]:
    """The area, its interval, and how much of it a rule filled; without a total what the table holds."""
    if found is None:
        return [("area", area_text(held.area_um2))]
    low, high = (area(found.percentiles_um2[name]) for name in ("p5", "p95"))
    span = f"{area(found.low_um2)} to {area(found.high_um2)} by the tables' ranges; 90 % of draws {low} to {high}"
    filled = ", ".join(key.removesuffix(".area") for key in found.filled)
    by_rule = f"{share(found.filled_um2 / found.total_um2)}: {filled}" if filled else "nothing"
    return [("area", area(found.total_um2)), ("area range", span), ("area filled by rule", by_rule)]


def area_text(area_um2: dict[str, float | None]) -> str:
    """The area that the table holds, and the parts that it does not; NONE where it holds none."""
    known = [um2 for um2 in area_um2.values() if um2 is not None]
    lacking = [part.replace("_", " ") for part, um2 in area_um2.items() if um2 is None]
    if not known:
        return NONE
    text = area(sum(known))
    return f"{text} without {', '.join(lacking)}" if lacking else text


def area_line(found: AreaSummary | None) -> list[str]:
    """How the area came about, in one line; none without a total."""
    if found is None:
        return []
    lent: dict[str, list[str]] = {}
    for key, how in found.filled.items():
        lent.setdefault(how, []).append(key)
    filled = [f"{', '.join(keys)} {how}" for how, keys in lent.items()]
    return [f"area: {'; '.join([*filled, *found.notes])}"]
