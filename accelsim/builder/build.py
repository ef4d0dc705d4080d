"""From a Graph, a machine and one mapping per layer to a Program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accelsim.arch import Arch
from accelsim.builder.columns import LayerBlock, assemble
from accelsim.builder.mac_layer import build_mac_layer
from accelsim.builder.site import Site
from accelsim.builder.vector_layer import build_vector_layer
from accelsim.errors import ProgramError
from accelsim.graph import Graph, Layer, MacLayer, Reshape, VectorLayer
from accelsim.hardware import operand_bits
from accelsim.program import (
    Fused,
    MacMapping,
    MacShare,
    Mapping,
    Program,
    VectorMapping,
    VectorShare,
    band_share,
    check_mapping,
    mac_shares,
    vector_shares,
)


def build_program(
    graph: Graph, *, arch: Arch, mappings: Sequence[Mapping | None], resident: Sequence[str] = ()
) -> Program:
    """The tile operations of ``graph`` on ``arch``, each layer cut as its mapping says (None for a Reshape).

    Layer by layer, but for pairs that a mapping's ``band`` puts in step. ``resident`` tensors are taken to stand on chip, side by
    side, as they would in the network that ``graph`` is a part of.
    """
    if len(mappings) != len(graph.layers):
        raise ProgramError(f"graph {graph.name!r} has {len(graph.layers)} layers but {len(mappings)} mappings came")
    site = Site(graph, arch, mappings, resident)
    fused = {pair.maker: pair for pair in site.residency.fused}
    inside = {pair.reader for pair in fused.values()}
    blocks: list[LayerBlock] = []
    for index in range(len(graph.layers)):
        if index in inside:
            continue
        site.begin_layer()
        for block in _build_pair(fused[index], site) if index in fused else _build_layer(index, site):
            site.count += block.count
            blocks.append(block)
    return Program(graph=graph, arch=arch, mappings=tuple(mappings), **assemble(blocks))


def _build_layer(index: int, site: Site) -> Iterator[LayerBlock]:
    """The layer on each core that has a share of it; ``site.count`` must be up to date when the next block is asked for."""
    layer = site.graph.layers[index]
    if isinstance(layer, Reshape):
        site.alias(layer.output, layer.inputs[0])
        return
    for share in _shares(layer, site):
        yield _build_share(index, share, site)


def _build_pair(pair: Fused, site: Site) -> Iterator[LayerBlock]:
    """Two layers band by band."""
    for band in pair.bands():
        for index, rows in zip((pair.maker, pair.reader), band, strict=True):
            if rows[0] < rows[1]:
                yield _build_share(index, band_share(site.graph.layers[index], pair.axis, rows), site)


def _shares(layer: Layer, site: Site) -> Sequence[MacShare | VectorShare]:
    if isinstance(layer, MacLayer):
        return mac_shares(layer.geometry, bits=operand_bits(layer, site.graph), arch=site.arch)
    assert isinstance(layer, VectorLayer)
    return vector_shares(layer, site.arch)


def _build_share(index: int, share: MacShare | VectorShare, site: Site) -> LayerBlock:
    layer, mapping = site.graph.layers[index], site.mappings[index]
    if mapping is None:
        raise ProgramError(f"layer {layer.name!r} ({layer.operator}) needs a mapping", layer=layer.name)
    check_mapping(layer, mapping)
    site.core = share.core
    if isinstance(share, MacShare):
        assert isinstance(layer, MacLayer)
        assert isinstance(mapping, MacMapping)
        return build_mac_layer(index, layer, mapping, site, share)
    assert isinstance(layer, VectorLayer)
    assert isinstance(mapping, VectorMapping)
    return build_vector_layer(index, layer, mapping, site, share)
