"""Gaps of one table filled from another, each by a named rule that is printed with every result."""

from __future__ import annotations

from dataclasses import replace

from accelsim.energy.scaling import area_factor, dynamic_scale, leakage_scale
from accelsim.energy.table import AREA, LEAK, EnergyEntry, EnergyTable
from accelsim.errors import ConfigError

SAME_NODE, STILLMAKER_BAAS, OFF_CHIP_RULE = "same_node", "stillmaker_baas", "off_chip"


def filled(table: EnergyTable, lender: EnergyTable, *, component: str, entry: str | None, rule: str) -> EnergyTable:
    """``table`` with the entries of ``component`` that it lacks, lent by ``lender`` (there: of component ``entry``).

    ``same_node``: both tables are of one node, energies follow the square of the voltage; ``stillmaker_baas``: scaled to
    another node as well; ``off_chip``: unchanged, for parts in a process of their own. ConfigError where the lender has
    nothing to lend, or the rule does not apply.
    """
    lent = [e for e in lender.entries if e.component == (entry or component)]
    if not lent:
        known = sorted({e.component for e in lender.entries})
        raise ConfigError(f"table {lender.name!r} has no component {entry or component!r}; it has {', '.join(known)}")
    new = [_lent(e, table, lender, component, rule) for e in lent if table.find(component, e.action) is None]
    return replace(table, entries=(*table.entries, *new))


def _lent(entry: EnergyEntry, table: EnergyTable, lender: EnergyTable, component: str, rule: str) -> EnergyEntry:
    factor, how = _factor(entry, table, lender, rule)
    text = f"from {lender.name} v{lender.version} by rule {rule}{how}"
    made = replace(entry.scaled(factor), component=component, fill=text)
    return made if rule == OFF_CHIP_RULE else replace(made, node_nm=table.node_nm, voltage_v=table.voltage_v)


def _factor(entry: EnergyEntry, table: EnergyTable, lender: EnergyTable, rule: str) -> tuple[float, str]:
    if rule == OFF_CHIP_RULE:
        return 1.0, ""
    if table.node_nm is None or lender.node_nm is None:
        raise ConfigError(f"rule {rule} needs the node of both tables; use off_chip for a process of its own")
    if rule == SAME_NODE and table.node_nm != lender.node_nm:
        raise ConfigError(
            f"rule same_node: {lender.node_nm:g} nm into a table of {table.node_nm:g} nm; use stillmaker_baas"
        )
    if table.voltage_v is None or lender.voltage_v is None:
        if rule == SAME_NODE:
            return 1.0, ", unscaled since one voltage is not known"
        raise ConfigError(f"rule {rule} needs the voltage of both tables; use same_node within one node")
    factor = scale_of(
        entry,
        node_from=lender.node_nm,
        voltage_from=lender.voltage_v,
        node_to=table.node_nm,
        voltage_to=table.voltage_v,
    )
    return (
        factor,
        f", {lender.node_nm:g} nm {lender.voltage_v:g} V to {table.node_nm:g} nm {table.voltage_v:g} V, x{factor:.3g}",
    )


def scale_of(entry: EnergyEntry, *, node_from: float, voltage_from: float, node_to: float, voltage_to: float) -> float:
    """Factor of one entry between two technologies: of an area by node, of a leakage by voltage, of an energy by both."""
    if entry.action == AREA:
        return area_factor(node_to) / area_factor(node_from) if node_to != node_from else 1.0
    if entry.action == LEAK:
        return leakage_scale(voltage_from=voltage_from, voltage_to=voltage_to)
    return dynamic_scale(node_from=node_from, voltage_from=voltage_from, node_to=node_to, voltage_to=voltage_to)
