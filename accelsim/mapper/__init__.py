"""Choosing tiles that fit: the default mapper, the search of every tiling, and mapping files."""

from accelsim.mapper.default import map_graph, map_layer
from accelsim.mapper.division import Cost, divide_memory, divisions, network_cost
from accelsim.mapper.exhaustive import SECONDS, Found, Searched, search_graph, search_mapping, search_network
from accelsim.mapper.mapping_file import MappingFile, read_mapping_file, read_mappings, write_mappings
from accelsim.mapper.tiling import RATES, rate_records, rates_of, space_of
from accelsim.objective import DEFAULT_OBJECTIVE, OBJECTIVES, Objective, checked_objective
