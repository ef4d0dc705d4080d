"""Action counts of a Program, and what they cost in picojoules by a sourced table."""

from accelsim.energy.counts import ActionCounts, count_actions
from accelsim.energy.model import COMPONENTS, EnergySplit, action_energies, layer_energy
from accelsim.energy.table import EnergyEntry, EnergyTable, load_table

__all__ = [
    "COMPONENTS",
    "ActionCounts",
    "EnergyEntry",
    "EnergySplit",
    "EnergyTable",
    "action_energies",
    "count_actions",
    "layer_energy",
    "load_table",
]
