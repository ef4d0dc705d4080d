"""Other nodes, voltages and clocks: named rules between what a table was measured at and what a machine is built in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from accelsim.errors import ConfigError

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
