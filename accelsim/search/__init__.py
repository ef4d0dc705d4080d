"""Searching for mappings: every tiling bounded, the promising ones scheduled, the best one proved where it can be."""

from accelsim.search.search import OBJECTIVES, Found, Objective, search_graph, search_mapping

__all__ = ["OBJECTIVES", "Found", "Objective", "search_graph", "search_mapping"]
