"""From a Graph, a machine and one mapping per layer to a Program."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder.mac_layer import build_mac_layer, mac_job
from accelsim.builder.records import NEEDS, NONE
from accelsim.builder.size import Share, blocks_of, check_size, operation_counts
from accelsim.builder.state import BuildState
from accelsim.builder.transfers import price_transfers
from accelsim.builder.vector_layer import build_vector_layer, share_boxes
from accelsim.errors import MappingError, ProgramError
from accelsim.graph import Graph, MacLayer, VectorLayer
from accelsim.hardware import capacity_of, machine_of, operand_bits, passes_of
from accelsim.program import (
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
    steps = [list(step) for step in blocks_of(graph, arch, mappings)]
    counts = operation_counts(graph, arch, mappings, chain.from_iterable(steps))
    check_size(graph, arch, counts)
    state = BuildState(graph, arch, mappings, resident, most=sum(counts), blocks=sum(map(len, steps)))
    division = _divide(graph, arch, mappings, steps)
    for step in steps:
        state.begin_layer(*(division[step[0][0]] for _ in range(bool(division))))
        for index, share in step:
            base = state.ends.operations
            _build_share(index, share, mappings[index], state)
            price_transfers(index, base, state)
            for behind in state.passes[index].behind if index in state.passes else ():
                price_transfers(behind, base, state)
    return Program(graph=graph, arch=arch, mappings=tuple(mappings), weight_banks=division, **state.finish())


def weight_banks(graph: Graph, *, arch: Arch, mappings: Sequence[Mapping | None]) -> tuple[int, ...]:
    """Banks of a shared memory that the weights of each layer have, the others being of activations; () where there is none.

    MappingError where a layer's tiles need more than there are.
    """
    if arch.shared_buffer.weight_banks is not None:
        return (arch.shared_buffer.weight_banks,) * len(graph.layers)
    return _divide(graph, arch, mappings, [list(step) for step in blocks_of(graph, arch, mappings)])


def _divide(
    graph: Graph, arch: Arch, mappings: Sequence[Mapping | None], steps: Sequence[Sequence[tuple[int, Share | None]]]
) -> tuple[int, ...]:
    """As :func:`weight_banks` where each layer has banks of its own, else (); ``steps``: layers in program order, or two in step, which are
    divided alike."""
    from accelsim.builder._banks import divisions

    if not capacity_of(arch).bank:
        return ()
    needs = np.full((len(steps), NEEDS), NONE, dtype=np.int64)
    for need, step in zip(needs, steps, strict=True):
        for index, share in step:
            _note_need(index, share, mappings[index], graph, arch, need)
        if need.sum() > arch.tile_banks:
            raise _too_many(graph.layers[step[0][0]].name, need.tolist(), arch)
    found = np.empty(len(steps), dtype=np.int64)
    divisions(needs, arch.tile_banks, found)
    banks = {index: int(each) for each, step in zip(found, steps, strict=True) for index, _ in step}
    banks |= {index: banks[one.producer] for one in passes_of(graph, arch) for index in one.behind}
    return tuple(banks[index] for index in range(len(graph.layers)))


def _note_need(
    index: int, share: Share | None, mapping: Mapping | None, graph: Graph, arch: Arch, need: NDArray[np.int64]
) -> None:
    """Raise ``need`` to the banks that the tiles of a share take; of what is no tiling, building the layer says so."""
    from accelsim.builder._banks import mac_needs, vector_needs

    layer = graph.layers[index]
    if share is None or mapping is None:
        return
    check_mapping(layer, mapping)
    if isinstance(layer, MacLayer) and isinstance(mapping, MacMapping) and isinstance(share, MacShare):
        mac_needs(mac_job(share.geometry, mapping), machine_of(operand_bits(layer, graph, arch), arch), need)
    elif isinstance(layer, VectorLayer) and isinstance(mapping, VectorMapping) and isinstance(share, VectorShare):
        reads = np.concatenate([read.volume for read in layer.reads(share_boxes(share, mapping.tile))])
        bits = np.array([graph.tensors[name].format.bits for name in layer.inputs], dtype=np.int64)
        vector_needs(reads, bits, capacity_of(arch), need)


def _too_many(layer: str, need: list[int], arch: Arch) -> MappingError:
    return MappingError(
        f"layer {layer!r}: its tiles need {need[0]} banks of shared_buffer for weights and {need[1]} for activations, and there are "
        f"{arch.tile_banks} for tiles; take smaller tiles, or more banks",
        layer=layer,
        needed=sum(need),
        banks=arch.tile_banks,
    )


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
