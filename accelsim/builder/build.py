"""From a Graph, a machine and one mapping per layer to a Program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accelsim.arch import Arch
from accelsim.builder.columns import LayerBlock, assemble
from accelsim.builder.mac_layer import build_mac_layer
from accelsim.builder.state import BuildState
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
    state = BuildState(graph, arch, mappings, resident)
    fused = {pair.producer: pair for pair in state.residency.fused}
    inside = {pair.consumer for pair in fused.values()}
    blocks: list[LayerBlock] = []
    for index in range(len(graph.layers)):
        if index in inside:
            continue
        state.begin_layer()
        for block in _build_pair(fused[index], state) if index in fused else _build_layer(index, state):
            state.count += block.count
            blocks.append(block)
    return Program(graph=graph, arch=arch, mappings=tuple(mappings), **assemble(blocks))


def _build_layer(index: int, state: BuildState) -> Iterator[LayerBlock]:
    """The layer on each core that has a share of it; ``state.count`` must be up to date when the next block is asked for."""
    layer = state.graph.layers[index]
    if isinstance(layer, Reshape):
        state.alias(layer.output, layer.inputs[0])
        return
    for share in _shares(layer, state):
        yield _build_share(index, share, state)


def _build_pair(pair: Fused, state: BuildState) -> Iterator[LayerBlock]:
    """Two layers band by band."""
    for band in pair.bands():
        for index, rows in zip((pair.producer, pair.consumer), band, strict=True):
            if rows[0] < rows[1]:
                yield _build_share(index, band_share(state.graph.layers[index], pair.axis, rows), state)


def _shares(layer: Layer, state: BuildState) -> Sequence[MacShare | VectorShare]:
    if isinstance(layer, MacLayer):
        return mac_shares(layer.geometry, bits=operand_bits(layer, state.graph), arch=state.arch)
    assert isinstance(layer, VectorLayer)
    return vector_shares(layer, state.arch)


def _build_share(index: int, share: MacShare | VectorShare, state: BuildState) -> LayerBlock:
    layer, mapping = state.graph.layers[index], state.mappings[index]
    if mapping is None:
        raise ProgramError(f"layer {layer.name!r} ({layer.operator}) needs a mapping", layer=layer.name)
    check_mapping(layer, mapping)
    state.core = share.core
    if isinstance(share, MacShare):
        assert isinstance(layer, MacLayer)
        assert isinstance(mapping, MacMapping)
        return build_mac_layer(index, layer, mapping, state, share)
    assert isinstance(layer, VectorLayer)
    assert isinstance(mapping, VectorMapping)
    return build_vector_layer(index, layer, mapping, state, share)
