"""Choosing tiles that fit: the default mapper, the search of every tiling, and mapping files."""

from accelsim.mapper.greedy import map_graph, map_layer
from accelsim.mapper.mac_tiling import CYCLE_SLACK
from accelsim.mapper.mapping_file import read_mappings, write_mappings
from accelsim.mapper.search import OBJECTIVES, Found, Objective, search_graph, search_layers, search_mapping
