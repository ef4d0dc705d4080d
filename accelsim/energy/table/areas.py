"""The areas that a table does not hold, by one rule from the packaged tables that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

from accelsim.energy.table.components import AREA
from accelsim.energy.table.entries import EnergyEntry, EnergyTable
from accelsim.energy.table.read import load_table
from accelsim.energy.table.scaling import AREA_FACTORS, area_factor

AREA_GAP = "area_gap"
"""Name of the rule."""
SPREAD = 4.0
"""Factor either way within which a filled area lies: packaged tables, scaled to one node, differ by up to 3.1 for one unit (32-bit
multipliers), and TPUv1's memories take 2.4 and 3.0 times the area that the rule gives them (tests/energy/test_area.py)."""
_LENDERS: Mapping[str, str] = MappingProxyType(
    {
        "multiplier": "horowitz_45nm",
        "adder": "horowitz_45nm",
        "register": "aladdin_40nm",
        "shifter": "ihp_130nm",
        "sram": "ihp_130nm",
    }
)
"""Which table's area stands in for that of a primitive: the nearest to most nodes that is measured or published."""


@lru_cache(maxsize=64)
def with_areas(table: EnergyTable) -> EnergyTable:
    """``table`` with the area of every primitive that it lacks, at its own node; itself where it states none within reach.

    Stillmaker & Baas' area factors take a lender's area to the node; the range is the lender's, :data:`SPREAD` times wider both ways.
    """
    if table.node_nm is None or not min(AREA_FACTORS) <= table.node_nm <= max(AREA_FACTORS):
        return table
    return replace(table, entries=(*table.entries, *_lent(table, table.node_nm)))


def _lent(table: EnergyTable, node_nm: float) -> Iterator[EnergyEntry]:
    for component, name in _LENDERS.items():
        if table.find(component, AREA) is not None:
            continue
        lender = load_table(name)
        assert lender.node_nm is not None  # packaged, and a machine's own
        entry, factor = lender.entry(component, AREA), area_factor(node_nm) / area_factor(lender.node_nm)
        low, high = entry.range
        text = (
            f"from {lender.name} v{lender.version} by rule {AREA_GAP}, {lender.node_nm:g} nm to {node_nm:g} nm, x{factor:.3g}, "
            f"within a factor of {SPREAD:g}"
        )
        yield replace(
            entry.scaled(factor), low=low / SPREAD, high=high * SPREAD, fill=text, node_nm=node_nm,
            voltage_v=table.voltage_v,
        )  # fmt: skip
