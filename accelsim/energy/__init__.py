"""Action counts of a Program, and what they cost in picojoules by a sourced table."""

from accelsim.energy.costs import Costs
from accelsim.energy.counts import ActionCounts, count_actions
from accelsim.energy.ert import read_ert, to_yaml
from accelsim.energy.laws import Term
from accelsim.energy.machine import area_um2, part_sizes
from accelsim.energy.model import (
    COMPONENT_OF,
    COMPONENTS,
    TENSORS,
    EnergySplit,
    action_charges,
    action_energies,
    idle_energy,
    layer_energy,
)
from accelsim.energy.power import operation_energy, peak_power_w
from accelsim.energy.read import load_table, table_names
from accelsim.energy.table import EnergyEntry, EnergyTable, quantity_of
from accelsim.energy.tech import table_of, technology_notes
from accelsim.energy.uncertainty import Interval, draws, interval, ratio_interval

__all__ = [
    "COMPONENTS",
    "COMPONENT_OF",
    "TENSORS",
    "ActionCounts",
    "Costs",
    "EnergyEntry",
    "EnergySplit",
    "EnergyTable",
    "Interval",
    "Term",
    "action_charges",
    "action_energies",
    "area_um2",
    "count_actions",
    "draws",
    "idle_energy",
    "interval",
    "layer_energy",
    "load_table",
    "operation_energy",
    "part_sizes",
    "peak_power_w",
    "quantity_of",
    "ratio_interval",
    "read_ert",
    "table_names",
    "table_of",
    "technology_notes",
    "to_yaml",
]
