"""What a component of the catalogue must have elsewhere: each test names the component and the file that lacks something."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import accelsim.energy
from accelsim.arch import load_arch
from accelsim.energy import CATALOGUE, CHARGES, COMPONENTS, TENSORS, ActionCounts, Costs, load_table, table_names
from accelsim.energy import part_sizes as sizes_of_part
from accelsim.energy.costs import compound_of
from accelsim.energy.machine import charges_of
from accelsim.energy.model import _by_tensor
from accelsim.energy.table.components import (
    ACTIONS,
    ALL_LAYERS,
    LEAK,
    MAC_LAYERS,
    MEMORIES,
    PARTS,
    SIZES,
    VECTOR_LAYERS,
    Charge,
    Component,
)
from accelsim.energy.table.read import machine_compounds
from tests.networks import skip_connection

MACHINE_YAML = "accelsim/energy/machine.yaml"
ALADDIN = load_table("aladdin_40nm")
GRAPH = skip_connection()


def ids(rows: object) -> list[str]:
    return [row.key if isinstance(row, Charge) else row.name for row in rows]  # type: ignore[attr-defined]


@pytest.mark.parametrize("component", CATALOGUE, ids=ids(CATALOGUE))
def test_each_part_that_runs_need_has_a_compound(component: Component) -> None:
    """Only tables say what the primitives cost, what is made elsewhere, and what may be left out."""
    needed = not component.off_chip and any(not charge.optional for charge in component.charges)
    made = {(c.component, c.action) for c in machine_compounds()}
    for action in component.actions if needed else ():
        assert (component.name, action) in made, f"{component.name}.{action}: {MACHINE_YAML} lacks a compound"


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_a_size_and_an_area(part: str) -> None:
    assert sizes_of_part(part, load_arch("edge_16x16")), f"{part}: accelsim/energy/machine.py, part_sizes"
    assert compound_of(ALADDIN, part, "area"), f"{part}.area: {MACHINE_YAML} lacks a compound"
    assert part in COMPONENTS or part == "shared_buffer"  # whose accesses are of weights or of activations


@pytest.mark.parametrize("charge", CHARGES.values(), ids=ids(CHARGES.values()))
def test_each_charge_is_counted_priced_and_serves_a_tensor(charge: Charge) -> None:
    """By a packaged table, and by the layers that it names."""
    columns = [field.name for field in fields(ActionCounts)]
    assert charge.count in columns, f"{charge.key}: accelsim/energy/counts.py has no column {charge.count}"
    assert charge.layers in (MAC_LAYERS, VECTOR_LAYERS, ALL_LAYERS)
    own = {
        f"streams.{name}.{key}": value
        for name in MEMORIES.values()
        for key, value in (("memory", "sram"), ("memory_bytes", 2**20))
    }
    costs, arch = Costs(ALADDIN), load_arch("edge_16x16").with_(own)
    for layer in GRAPH.layers:
        found = charges_of(charge, layer, graph=GRAPH, arch=arch, costs=costs)
        pays = charge.layers in (ALL_LAYERS, MAC_LAYERS if layer.macs else VECTOR_LAYERS)
        assert bool(found) == pays or charge.optional, f"{charge.key}: {ALADDIN.name} and {MACHINE_YAML} give no price"
    shares = _by_tensor(charge, dict.fromkeys(columns, 1), "weights")  # type: ignore[arg-type]
    assert {tensor for tensor, _ in shares} <= set(TENSORS), charge.key


@pytest.mark.parametrize("name", table_names())
def test_each_packaged_entry_is_asked_for(name: str) -> None:
    """By the machine or by a compound, of the table or of the machine; leakage and areas as well."""
    table = load_table(name)
    asked = {(p.component, p.action) for c in (*machine_compounds(), *table.compounds) for p in c.parts}
    asked |= {(c.component, c.action) for c in CHARGES.values()} | {("clock", "tick")}
    asked |= {(c.component, c.action) for c in machine_compounds()}
    unasked = {entry.key for entry in table.entries if (entry.component, entry.action) not in asked}
    standards = {f"{s}.{a}" for s in ("lpddr", "lpddr4", "ddr3", "gddr5", "hbm2", "eyeriss") for a in ("read", "write")}
    assert unasked <= standards | {"sram.leak"}, f"{name}.yaml holds what nothing asks for"


def test_the_catalogue_is_the_only_list() -> None:
    """No other module of the folder spells the names of several components in one literal."""
    names = "|".join(component.name for component in CATALOGUE)
    listed = re.compile(rf"[({{\[](?:\s*[\"'](?:{names})[\"']\s*,){{3}}")
    for path in Path(accelsim.energy.__file__).parent.glob("*.py"):
        assert path.stem == "components" or not listed.search(path.read_text()), path.name
    assert (*ACTIONS[:3], *ACTIONS[-2:]) == ("multiply", "add", "mac", LEAK, "area")
    assert SIZES == ("left_bits", "right_bits", "bits", "capacity_bytes", "length_um", "pes")
