"""From a Graph, a machine and one mapping per layer to a Program."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from accelsim.arch import Arch
from accelsim.builder.mac_layer import build_mac_layer
from accelsim.builder.size import Share, blocks_of, check_size, operation_counts
from accelsim.builder.state import BuildState
from accelsim.builder.transfers import price_transfers
from accelsim.builder.vector_layer import build_vector_layer
from accelsim.errors import ProgramError
from accelsim.graph import Graph, MacLayer, VectorLayer
from accelsim.program import (
    MacMapping,
    MacShare,
    Mapping,
    Program,
    VectorMapping,
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
    steps = [list(step) for step in blocks_of(graph, arch, mappings)]
    counts = operation_counts(graph, arch, mappings, chain.from_iterable(steps))
    check_size(graph, arch, counts)
    state = BuildState(graph, arch, mappings, resident, most=sum(counts), blocks=sum(map(len, steps)))
    for step in steps:
        state.begin_layer()
        for index, share in step:
            base = state.ends.operations
            _build_share(index, share, mappings[index], state)
            price_transfers(index, base, state)
            if index in state.passes:
                price_transfers(state.passes[index].consumer, base, state)
    return Program(graph=graph, arch=arch, mappings=tuple(mappings), **state.finish())


def _build_share(index: int, share: Share | None, mapping: Mapping | None, state: BuildState) -> None:
    layer = state.graph.layers[index]
    if share is None:
        state.alias(layer.output, layer.inputs[0])
        return
    if mapping is None:
        raise ProgramError(f"layer {layer.name!r} ({layer.operator}) needs a mapping", layer=layer.name)
    check_mapping(layer, mapping)
    if isinstance(share, MacShare):
        assert isinstance(layer, MacLayer)
        assert isinstance(mapping, MacMapping)
        build_mac_layer(index, layer, mapping, state, share)
        return
    assert isinstance(layer, VectorLayer)
    assert isinstance(mapping, VectorMapping)
    build_vector_layer(index, layer, mapping, state, share)
