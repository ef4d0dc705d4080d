"""The default mapper: the tiling of each layer that promises most by closed forms of its cycles and its energy, in milliseconds.

It always finds a legal tiling where one exists, since the smallest tile (one output, one product) is among those it looks at. With
several cores it maps the largest share that one of them has.
"""

from __future__ import annotations

from accelsim.arch import Arch
from accelsim.errors import MappingError
from accelsim.graph import Graph, Layer, MacLayer, Reshape, VectorLayer
from accelsim.hardware import passes_of
from accelsim.mapper.network import settled
from accelsim.mapper.pairs import in_bands
from accelsim.mapper.tiling import THROUGH_DRAM, OnChip, Tiler, Tiling, Wanted
from accelsim.mapper.vector_tiling import vector_mapping
from accelsim.objective import DEFAULT_OBJECTIVE, OBJECTIVES, Objective
from accelsim.program import Mapping, likely_kept


def map_graph(graph: Graph, *, arch: Arch, objective: Objective = DEFAULT_OBJECTIVE) -> tuple[Mapping | None, ...]:
    """A mapping for every layer that minimises ``objective`` of the network; None for a Reshape, which moves nothing, and for a layer
    that is computed on the fly behind another."""
    tiler = Tiler(graph, arch, objective)
    mappings, _ = layer_by_layer(tiler)
    if arch.activation_buffer.fuse_pairs:
        return in_bands(mappings, tiler)
    return settled(graph, mappings, arch=arch, objective=objective)


def layer_by_layer(tiler: Tiler) -> tuple[tuple[Mapping | None, ...], list[Tiling]]:
    """A mapping for every layer of the tiler's network, none in bands, and the tilings of those with MACs."""
    graph, arch = tiler.graph, tiler.arch
    kept, passes = likely_kept(graph, arch), passes_of(graph, arch)
    last = {graph.layers[one.producer].output: graph.layers[one.consumer].output for one in passes}
    on_the_fly = {graph.layers[index].name for one in passes for index in one.behind}
    wanted = [
        Wanted(layer, layer.geometry, OnChip(layer.inputs[0] in kept, last.get(layer.output, layer.output) in kept))
        for layer in graph.layers
        if isinstance(layer, MacLayer)
    ]
    tilings = tiler.tilings(wanted)
    left, objective = iter(tilings), OBJECTIVES[tiler.objective]
    mappings = (
        next(left).mapping
        if isinstance(layer, MacLayer)
        else None
        if layer.name in on_the_fly
        else _other(layer, graph, arch, objective)
        for layer in graph.layers
    )
    return tuple(mappings), tilings


def map_layer(layer: Layer, *, graph: Graph, arch: Arch, objective: Objective = DEFAULT_OBJECTIVE) -> Mapping | None:
    """The mapping of one layer by itself; MappingError names the buffer and the bytes it lacks where nothing fits."""
    if isinstance(layer, MacLayer):
        wanted = Wanted(layer, layer.geometry, THROUGH_DRAM)
        return Tiler(graph, arch, objective).tilings([wanted])[0].mapping
    return _other(layer, graph, arch, objective)


def _other(layer: Layer, graph: Graph, arch: Arch, objective: Objective) -> Mapping | None:
    if isinstance(layer, Reshape):
        return None
    if isinstance(layer, VectorLayer):
        return vector_mapping(layer, graph=graph, arch=arch, objective=objective)
    raise MappingError(
        f"layer {layer.name!r} ({layer.operator}) is neither a MAC layer nor a vector layer", layer=layer.name
    )
