"""From a Graph, a machine and one mapping per layer to a Program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accelsim.arch import Arch
from accelsim.errors import ProgramError
from accelsim.graph import Graph, Layer, MacLayer, Reshape, VectorLayer
from accelsim.program.columns import LayerBlock, assemble
from accelsim.program.footprint import operand_bits
from accelsim.program.mac_layer import build_mac_layer
from accelsim.program.mapping import MacMapping, Mapping, VectorMapping, check_mapping
from accelsim.program.program import Program
from accelsim.program.site import Site
from accelsim.program.split import mac_shares, vector_shares
from accelsim.program.vector_layer import build_vector_layer


def build_program(graph: Graph, *, arch: Arch, mappings: Sequence[Mapping | None]) -> Program:
    """The tile operations of ``graph`` on ``arch``, layer by layer, each cut as its mapping says (None for a Reshape)."""
    if len(mappings) != len(graph.layers):
        raise ProgramError(f"graph {graph.name!r} has {len(graph.layers)} layers but {len(mappings)} mappings came")
    site = Site(graph, arch, mappings)
    blocks: list[LayerBlock] = []
    for index, (layer, mapping) in enumerate(zip(graph.layers, mappings, strict=True)):
        site.begin_layer()
        for block in _build_layer(index, layer, mapping, site):
            site.count += block.count
            blocks.append(block)
    return Program(graph=graph, arch=arch, mappings=tuple(mappings), **assemble(blocks))


def _build_layer(index: int, layer: Layer, mapping: Mapping | None, site: Site) -> Iterator[LayerBlock]:
    """The layer on each core that has a share of it; ``site.count`` must be up to date when the next one is asked for."""
    if isinstance(layer, Reshape):
        site.alias(layer.output, layer.inputs[0])
        return
    if mapping is None:
        raise ProgramError(f"layer {layer.name!r} ({layer.operator}) needs a mapping", layer=layer.name)
    check_mapping(layer, mapping)
    if isinstance(layer, MacLayer) and isinstance(mapping, MacMapping):
        for share in mac_shares(layer.geometry, bits=operand_bits(layer, site.graph), arch=site.arch):
            site.core = share.core
            yield build_mac_layer(index, layer, mapping, site, share)
        return
    assert isinstance(layer, VectorLayer)
    assert isinstance(mapping, VectorMapping)
    for part in vector_shares(layer, site.arch):
        site.core = part.core
        yield build_vector_layer(index, layer, mapping, site, part)
