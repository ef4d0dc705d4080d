"""Searching for mappings: every tiling bounded, the promising ones scheduled, the best one proved where it can be."""

from accelsim.search.mapping_file import read_mappings, write_mappings
from accelsim.search.search import OBJECTIVES, Found, Objective, search_graph, search_layers, search_mapping

__all__ = [
    "OBJECTIVES",
    "Found",
    "Objective",
    "read_mappings",
    "search_graph",
    "search_layers",
    "search_mapping",
    "write_mappings",
]
