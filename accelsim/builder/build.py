"""From a Graph, a machine and one mapping per layer to a Program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accelsim.arch import Arch
from accelsim.builder.columns import Columns, LayerBlock
from accelsim.builder.mac_layer import build_mac_layer
from accelsim.builder.size import check_size, layer_shares, operation_counts, pair_shares
from accelsim.builder.state import BuildState
from accelsim.builder.vector_layer import build_vector_layer
from accelsim.errors import ProgramError
from accelsim.graph import Graph, MacLayer, Reshape, VectorLayer
from accelsim.program import (
    Fused,
    MacMapping,
    MacShare,
    Mapping,
    Program,
    VectorMapping,
    VectorShare,
    check_mapping,
)


def build_program(
    graph: Graph, *, arch: Arch, mappings: Sequence[Mapping | None], resident: Sequence[str] = ()
) -> Program:
    """The tile operations of ``graph`` on ``arch``, each layer cut as its mapping says (None for a Reshape).

    Layer by layer, but for pairs that a mapping's ``band`` puts in step. ``resident`` tensors are taken to stand on chip, side by
    side, as they would in the network that ``graph`` is a part of. ProgramError where it has more operations than are held.
    """
    if len(mappings) != len(graph.layers):
        raise ProgramError(f"graph {graph.name!r} has {len(graph.layers)} layers but {len(mappings)} mappings came")
    counts = operation_counts(graph, arch, mappings)
    check_size(graph, arch, counts)
    columns = Columns(sum(counts), _rank(graph))
    state = BuildState(graph, arch, mappings, resident, columns=columns)
    fused = {pair.producer: pair for pair in state.residency.fused}
    inside = {pair.consumer for pair in fused.values()}
    for index in range(len(graph.layers)):
        if index in inside:
            continue
        state.begin_layer()
        for block in _build_pair(fused[index], state) if index in fused else _build_layer(index, state):
            state.end_block(block.count)
    return Program(graph=graph, arch=arch, mappings=tuple(mappings), **columns.finish())


def _build_layer(index: int, state: BuildState) -> Iterator[LayerBlock]:
    """The layer on each core that has a share of it; the last block must have been ended when the next one is asked for."""
    layer = state.graph.layers[index]
    if isinstance(layer, Reshape):
        state.alias(layer.output, layer.inputs[0])
    for share in layer_shares(layer, state.graph, state.arch):
        yield _build_share(index, share, state)


def _build_pair(pair: Fused, state: BuildState) -> Iterator[LayerBlock]:
    """Two layers band by band."""
    for index, share in pair_shares(pair, state.graph):
        yield _build_share(index, share, state)


def _rank(graph: Graph) -> int:
    """Most axes of any view."""
    return max((len(view) for layer in graph.layers for view in (*layer.input_shapes, layer.output_shape)), default=1)


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
