"""From a Graph, a machine and one mapping per layer to a Program."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.arch import Arch
from accelsim.errors import ProgramError
from accelsim.graph import Graph, Layer, MacLayer, Reshape, VectorLayer
from accelsim.program.columns import LayerBlock, assemble
from accelsim.program.mac_layer import build_mac_layer
from accelsim.program.mapping import MacMapping, Mapping, VectorMapping, check_mapping
from accelsim.program.program import Program
from accelsim.program.site import Site
from accelsim.program.vector_layer import build_vector_layer


def build_program(graph: Graph, *, arch: Arch, mappings: Sequence[Mapping | None]) -> Program:
    """The tile operations of ``graph`` on ``arch``, layer by layer, each cut as its mapping says (None for a Reshape)."""
    if len(mappings) != len(graph.layers):
        raise ProgramError(f"graph {graph.name!r} has {len(graph.layers)} layers but {len(mappings)} mappings came")
    site = Site(graph, arch, mappings)
    blocks = []
    for index, (layer, mapping) in enumerate(zip(graph.layers, mappings, strict=True)):
        block = _build_layer(index, layer, mapping, site)
        site.count += block.count
        blocks.append(block)
    return Program(graph=graph, arch=arch, mappings=tuple(mappings), **assemble(blocks))


def _build_layer(index: int, layer: Layer, mapping: Mapping | None, site: Site) -> LayerBlock:
    if isinstance(layer, Reshape):
        site.alias(layer.output, layer.inputs[0])
        return LayerBlock(index, site.count, 0)
    if mapping is None:
        raise ProgramError(f"layer {layer.name!r} ({layer.operator}) needs a mapping", layer=layer.name)
    check_mapping(layer, mapping)
    if isinstance(layer, MacLayer) and isinstance(mapping, MacMapping):
        return build_mac_layer(index, layer, mapping, site)
    assert isinstance(layer, VectorLayer)
    assert isinstance(mapping, VectorMapping)
    return build_vector_layer(index, layer, mapping, site)
