"""Action counts of a Program, and what they cost in picojoules by a sourced table."""

from accelsim.energy.costs import Costs
from accelsim.energy.counts import ActionCounts, Kinds, Work, actions_of, count_actions, kinds_of
from accelsim.energy.machine import area_charges, area_um2, idle_charges, is_corrected, part_sizes, parts_of
from accelsim.energy.model import (
    TENSORS,
    EnergySplit,
    action_charges,
    action_energies,
    charged_kind,
    idle_energy,
    layer_charges,
    layer_energy,
    memory_prices,
    prices,
)
from accelsim.energy.power import operation_energy, peak_power_w
from accelsim.energy.table.areas import AREA_GAP, SPREAD, with_areas
from accelsim.energy.table.clock import check_clock, clock_note
from accelsim.energy.table.components import CATALOGUE, CHARGES, COMPONENTS, LACKING, MEMORIES, SCRATCHPADS
from accelsim.energy.table.entries import EnergyEntry, EnergyTable, quantity_of
from accelsim.energy.table.ert import read_ert, to_yaml
from accelsim.energy.table.laws import Term
from accelsim.energy.table.read import load_table, table_names
from accelsim.energy.table.scaling import area_factor
from accelsim.energy.table.tech import middle_notes, table_of, technology_notes
from accelsim.energy.table.uncertainty import Interval, draws, interval, ratio_interval
