"""How many tile operations a layer makes, by arithmetic, and how many are held: what cannot be is refused before it is tried."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from accelsim.arch import Arch
from accelsim.errors import CapacityError, MappingError, QuantityError
from accelsim.graph import Graph, Layer, MacLayer, Reshape, VectorLayer
from accelsim.hardware import (
    Loops,
    Memory,
    Pass,
    accumulator_words,
    ceil_div,
    loops_of,
    operand_bits,
    passes_of,
    slot_capacity,
)
from accelsim.program import (
    LOOP_ORDERS,
    Fused,
    MacMapping,
    MacShare,
    Mapping,
    Program,
    VectorMapping,
    VectorShare,
    band_share,
    fused_layers,
    loads_of,
    mac_shares,
    nest_of,
    vector_shares,
)
from accelsim.units import BYTES, exact_text, parse_bytes

MEMORY = "ACCELSIM_MEMORY"
"""Environment variable: how much memory a run may take, values of tensors apart; ``4 GiB``."""
MEMORY_BYTES = 2**30
"""What it may take unless the variable says otherwise."""
_PROCESS_BYTES = 320 * 2**20
"""Interpreter, libraries and compiled code, the compiler at work included (measured: 304 MiB)."""
_OPERATION_BYTES = 280
_CORE_BYTES = 40
"""Most that a tile operation takes while a Program is built, checked, scheduled and summed up: so much, and so much more for every
core, whose queues its vector clock holds (measured; ``tests/builder/test_size.py``)."""
_LAYER_BYTES = 16 * 2**10
"""What a layer takes beside its operations: its arrays while it is built, its part of the Result."""
_FEW_OPERATIONS = 5
"""Of a MAC layer in one tile: two loads, the products, their requantization, the store."""
_LARGEST_GIB = 1024
"""More memory than that is not advised."""
_APART = "switch passes off (vector.fuse_activations, vector.fuse_elementwise, vector.fuse_pools)"

Share = MacShare | VectorShare


def layer_shares(layer: Layer, graph: Graph, arch: Arch) -> Sequence[Share]:
    """The part of ``layer`` of each core that has one; none of a Reshape."""
    if isinstance(layer, Reshape):
        return ()
    if isinstance(layer, MacLayer):
        return mac_shares(layer.geometry, bits=operand_bits(layer, graph, arch), arch=arch)
    assert isinstance(layer, VectorLayer)
    return vector_shares(layer, arch)


def pair_shares(pair: Fused, graph: Graph) -> Iterator[tuple[int, Share]]:
    """(layer number, share) of a pair, band by band."""
    for band in pair.bands():
        for index, rows in zip((pair.producer, pair.consumer), band, strict=True):
            if rows[0] < rows[1]:
                yield index, band_share(graph.layers[index], pair.axis, rows)


def blocks_of(
    graph: Graph, arch: Arch, mappings: Sequence[Mapping | None]
) -> Iterator[Iterator[tuple[int, Share | None]]]:
    """(layer number, share) of each block of what is built at a time: a layer on all cores, or a pair band by band; None: a Reshape."""
    fused, passes = {pair.producer: pair for pair in fused_layers(graph, mappings)}, passes_of(graph, arch)
    inside = {pair.consumer for pair in fused.values()} | {index for one in passes for index in one.behind}
    _check_passes(graph, mappings, tuple(fused.values()), passes)
    for index, layer in enumerate(graph.layers):
        if index in fused:
            yield pair_shares(fused[index], graph)
        elif index not in inside:
            yield ((index, share) for share in layer_shares(layer, graph, arch) or (None,))


def _check_passes(
    graph: Graph, mappings: Sequence[Mapping | None], fused: Sequence[Fused], passes: Sequence[Pass]
) -> None:
    """MappingError where layers of a pass are cut or put in step otherwise, or windows of a pool cut."""
    in_bands = {index for pair in fused for index in (pair.producer, pair.consumer)}
    for one in passes:
        layer, by = graph.layers[one.consumer], graph.layers[one.producer].name
        given = next((graph.layers[index].name for index in one.behind if mappings[index] is not None), None)
        if given is not None:
            raise MappingError(
                f"layer {given!r}: it is computed on the fly behind layer {by!r}, in that one's tiles; leave it out, or {_APART}",
                layer=given,
            )
        if one.producer in in_bands:
            raise MappingError(
                f"layer {by!r}: it is computed in one pass with layer {layer.name!r}, which no other is in step with; leave band out, or "
                f"{_APART}",
                layer=by,
            )
        tile, (rows, columns) = mappings[one.producer], one.window
        if isinstance(tile, MacMapping) and (tile.oh % rows or tile.ow % columns):
            raise MappingError(
                f"layer {by!r}: its tiles of {tile.oh}x{tile.ow} pixels cut windows of {rows}x{columns} of layer {layer.name!r}, which is "
                f"computed on the fly behind it; make oh and ow multiples of {rows} and {columns}, or {_APART}",
                layer=by,
            )


def operation_counts(
    graph: Graph, arch: Arch, mappings: Sequence[Mapping | None], blocks: Iterable[tuple[int, Share | None]]
) -> list[int]:
    """Most tile operations of each layer: fewer where operands need not be loaded, being padding or weights that still stand."""
    counts, behind = [0] * len(graph.layers), {one.producer: one.consumer for one in passes_of(graph, arch)}
    for index, share in blocks:
        made = block_operations(graph.layers[index], share, mappings[index], in_pass=index in behind)
        if index in behind:  # of four behind a tile's sums the requantization alone is the layer's own
            own = made - 3 * (made - block_operations(graph.layers[index], share, mappings[index])) // 2
            counts[behind[index]], made = counts[behind[index]] + made - own, own
        counts[index] += made
    return counts


def block_operations(layer: Layer, share: Share | None, mapping: Mapping | None, *, in_pass: bool = False) -> int:
    """Most tile operations of one ``share`` of ``layer``, and of what follows it in the same pass."""
    if isinstance(share, MacShare) and isinstance(mapping, MacMapping):
        nest = nest_of(loops_of(share.geometry), tile_of(mapping))
        loads = sum(loads_of(LOOP_ORDERS.index(mapping.order), nest))
        behind = 4 if in_pass else 2  # a load and the vector unit's work more
        return int(nest.computes + loads + behind * nest.spatial * nest.channels)
    if isinstance(share, VectorShare) and isinstance(mapping, VectorMapping):
        return vector_operations(layer, share, mapping.tile)
    return 0  # no tiling of this layer: building it says so


def tile_of(m: MacMapping) -> Loops:
    """The tile that a mapping names."""
    return Loops(m.n, m.oh, m.ow, m.oc, m.ic, m.kh, m.kw, m.groups)


def vector_operations(layer: Layer, share: VectorShare, tile: Sequence[int]) -> int:
    """Most tile operations of a vector layer's ``share`` in tiles of ``tile``: loads of every operand, the work, the store."""
    return int(math.prod(map(ceil_div, share.shape, tile))) * (len(layer.inputs) + 2)


def least_mac_operations(layer: MacLayer, graph: Graph, arch: Arch) -> int:
    """Fewest tile operations of any tiling: a tile has no more products than its accumulators hold sums times its weights."""
    bits = operand_bits(layer, graph, arch)
    sums = slot_capacity(Memory.ACCUMULATORS, arch) // accumulator_words(bits.activation, arch)
    weights = 8 * slot_capacity(Memory.WEIGHTS, arch) // bits.held
    return -(-layer.macs // max(1, sums * weights))


def check_size(graph: Graph, arch: Arch, counts: Sequence[int]) -> None:
    """CapacityError that names the largest layer where the tile operations of a network, ``counts`` by layer, are more than is held."""
    total, most = sum(counts), _most_operations(arch, len(counts))
    if total <= most:
        return
    count, index = max((count, -index) for index, count in enumerate(counts))
    layer = graph.layers[-index]
    rest = "" if count == total else f" of the {total:,} of the network's {len(counts):,} layers"
    raise CapacityError(
        f"layer {layer.name!r} ({layer.operator}) makes {count:,} tile operations on {arch.name!r}{rest}; "
        f"{_remedy(total, most, arch, len(counts))}",
        layer=layer.name,
        operations=count,
        total=total,
        most=most,
    )


def check_layers(graph: Graph, arch: Arch) -> None:
    """CapacityError where a network has more layers than are held, whatever their tile operations, before they are mapped."""
    layers, most = len(graph.layers), max(0, _memory() - _PROCESS_BYTES) // _LAYER_BYTES
    if layers > most:
        raise CapacityError(
            f"network {graph.name!r} has {layers:,} layers; {most:,} are held in {exact_text(_memory(), BYTES)}: take a part of the "
            f"network{_more(_FEW_OPERATIONS * layers, arch, layers)}",
            layers=layers,
            most=most,
        )


def check_beside(program: Program, needed: int, *, what: str, remedy: str, layer: str) -> None:
    """CapacityError where ``needed`` bytes, which ``what`` takes for ``layer``, are more than is held beside the Program."""
    taken = _PROCESS_BYTES + sum(column.nbytes for column in vars(program).values() if isinstance(column, np.ndarray))
    most = max(0, _memory() - taken)
    if needed > most:
        raise CapacityError(
            f"{what} takes {_mib(needed)}, and {_mib(most)} of {exact_text(_memory(), BYTES)} are left for it: "
            f"{remedy}{_allow(taken + needed)}",
            layer=layer,
            needed=needed,
            most=most,
        )


def check_least_size(layer: Layer, arch: Arch, operations: int) -> None:
    """CapacityError where ``operations``, the fewest of any tiling of the layer, are more than are held."""
    most = _most_operations(arch, 1)
    if operations > most:
        raise CapacityError(
            f"layer {layer.name!r} ({layer.operator}) makes at least {operations:,} tile operations on {arch.name!r}; "
            f"{_remedy(operations, most, arch, 1)}",
            layer=layer.name,
            operations=operations,
            most=most,
        )


def _remedy(total: int, most: int, arch: Arch, layers: int) -> str:
    return (
        f"{max(most, 0):,} are held in {exact_text(_memory(), BYTES)}: take a machine with larger buffers, larger tiles, or a part of "
        f"the network{_more(total, arch, layers)}"
    )


def _mib(size: int) -> str:
    return f"{-(-size // 2**20):,} MiB"


def _more(operations: int, arch: Arch, layers: int) -> str:
    """The advice to allow what so many operations of so many layers take."""
    return _allow(_PROCESS_BYTES + operations * _bytes_each(arch) + layers * _LAYER_BYTES)


def _allow(needed: int) -> str:
    """The advice to allow ``needed`` bytes, where a computer can have as many."""
    gib = -(-needed // 2**30)
    return f"; or set {MEMORY}='{gib} GiB' where there is as much memory" if gib <= _LARGEST_GIB else ""


def _most_operations(arch: Arch, layers: int) -> int:
    return (_memory() - _PROCESS_BYTES - layers * _LAYER_BYTES) // _bytes_each(arch)


def _bytes_each(arch: Arch) -> int:
    return _OPERATION_BYTES + arch.cores.count * _CORE_BYTES


def _memory() -> int:
    given = os.environ.get(MEMORY)
    try:
        return MEMORY_BYTES if given is None else parse_bytes(given)
    except QuantityError as error:
        raise QuantityError(f"{MEMORY}: {error}") from error
