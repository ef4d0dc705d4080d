"""Choosing tiles that fit: from a layer and a machine to a Mapping."""

from accelsim.mapper.greedy import map_graph, map_layer

__all__ = ["map_graph", "map_layer"]
