"""Other nodes, voltages and clocks: named rules between what a table was measured at and what a machine is built in.

By such a rule one table also fills the gaps of another; it is printed with every result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from accelsim.energy.table.components import AREA, LEAK
from accelsim.energy.table.entries import EnergyEntry, EnergyTable
from accelsim.errors import ConfigError

SAME_NODE, STILLMAKER_BAAS, OFF_CHIP_RULE = "same_node", "stillmaker_baas", "off_chip"
ENERGY_COEFFICIENTS: Mapping[int, tuple[float, float, float]] = MappingProxyType(
    {
        130: (7.171, -6.709, 2.904),
        90: (4.762, -4.781, 2.092),
        65: (3.755, -4.398, 1.975),
        45: (1.103, -0.362, 0.2767),
        32: (0.9559, -0.7823, 0.471),
        20: (0.373, -0.1582, 0.04104),
        16: (0.2958, -0.1241, 0.03024),
        14: (0.2363, -0.09675, 0.02239),
        10: (0.2068, -0.09311, 0.02375),
        7: (0.1776, -0.09097, 0.02447),
    }
)
"""a, b, c of the energy factor ``a V**2 + b V + c`` of a node: Stillmaker & Baas, Integration 58 (2017) 74-81."""
AREA_FACTORS: Mapping[int, float] = MappingProxyType(
    {130: 6.4, 90: 2.8, 65: 1.5, 45: 1.0, 32: 0.46, 20: 0.21, 16: 0.19, 14: 0.17, 10: 0.1, 7: 0.059}
)
"""Area of a circuit relative to 45 nm: Stillmaker & Baas 2017, the row of 45 nm."""


def energy_factor(node_nm: float, voltage_v: float) -> float:
    """Stillmaker & Baas' energy factor; log-log interpolation (our assumption) between their nodes.

    ConfigError beyond 7 to 130 nm.
    """
    return _between(node_nm, {n: a * voltage_v**2 + b * voltage_v + c for n, (a, b, c) in ENERGY_COEFFICIENTS.items()})


def area_factor(node_nm: float) -> float:
    """Area relative to 45 nm, interpolated likewise."""
    return _between(node_nm, AREA_FACTORS)


def dynamic_scale(*, node_from: float, voltage_from: float, node_to: float, voltage_to: float) -> float:
    """Factor of an energy per action: the node's at the table's own voltage, times the square of the voltages' ratio."""
    node: float = 1.0
    if node_to != node_from:
        node = energy_factor(node_to, voltage_from) / energy_factor(node_from, voltage_from)
    return node * float((voltage_to / voltage_from) ** 2)


def leakage_scale(*, voltage_from: float, voltage_to: float) -> float:
    """Factor of a leakage power: leakage current is taken to stay, so power follows the voltage (our assumption)."""
    return voltage_to / voltage_from


def clock_scale(*, alpha: float, threshold_v: float, voltage_from: float, voltage_to: float) -> float:
    """Factor of the attainable clock, ``f ~ (V - Vt)**alpha / V`` (Sakurai & Newton, JSSC 25(2), 1990).

    ConfigError at or below the threshold.
    """
    if voltage_to <= threshold_v:
        raise ConfigError(
            f"tech.voltage_v of {voltage_to:g}: the alpha-power law ends at the threshold of {threshold_v:g} V; raise the voltage"
        )
    return _speed(voltage_to, alpha, threshold_v) / _speed(voltage_from, alpha, threshold_v)


def _speed(voltage_v: float, alpha: float, threshold_v: float) -> float:
    return float((voltage_v - threshold_v) ** alpha / voltage_v)


def _between(node_nm: float, known: Mapping[int, float]) -> float:
    nodes = sorted(known)
    if not nodes[0] <= node_nm <= nodes[-1]:
        raise ConfigError(
            f"node of {node_nm:g} nm: Stillmaker & Baas' factors reach from {nodes[0]} to {nodes[-1]} nm; choose one between"
        )
    below = max(n for n in nodes if n <= node_nm)
    above = min(n for n in nodes if n >= node_nm)
    if below == above:
        return known[below]
    share = math.log(node_nm / below) / math.log(above / below)
    return float(known[below] * (known[above] / known[below]) ** share)


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
