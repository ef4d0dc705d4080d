"""Contracts that prove an extension, and the random networks, machines and Programs that they draw; see docs/extending.md."""

from accelsim.testing.contract import Contract
from accelsim.testing.dataflow import DataflowContract
from accelsim.testing.energy_table import EnergyTableContract
from accelsim.testing.importer import ImporterContract
from accelsim.testing.machines import cut_further, random_arch, random_mapping, random_mappings, random_program, roomy
from accelsim.testing.mapper import MapperContract
from accelsim.testing.networks import NetworkBuilder, random_codes, random_graph, random_input
from accelsim.testing.scheme import SchemeContract
