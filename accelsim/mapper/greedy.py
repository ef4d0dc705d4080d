"""The default mapper: for each layer the best of a few thousand tilings by a closed-form estimate, in milliseconds.

It always finds a legal tiling where one exists, since the smallest tile (one output, one product) is among the candidates. With
several cores it maps the largest share that one of them has.
"""

from __future__ import annotations

from accelsim.arch import Arch
from accelsim.builder import check_least_size, least_mac_operations
from accelsim.errors import MappingError
from accelsim.graph import Graph, Layer, MacLayer, Reshape, VectorLayer
from accelsim.hardware import Machine, OperandBits, coded_share, machine_of, operand_bits
from accelsim.mapper.mac_tiling import OnChip, Tiling, best_mac_mapping
from accelsim.mapper.pairs import in_bands
from accelsim.mapper.vector_tiling import vector_mapping
from accelsim.program import Mapping, likely_kept, mac_shares

Machines = dict[tuple[OperandBits, int], Machine]
"""The machine for operands of some widths, its DRAM port shared by so many cores: the same for most layers of a network."""


def map_graph(graph: Graph, *, arch: Arch) -> tuple[Mapping | None, ...]:
    """A mapping for every layer (None for a Reshape, which moves nothing); equal layers are mapped once."""
    known: dict[object, Tiling] = {}
    machines: Machines = {}
    kept = likely_kept(graph, arch)
    mappings: list[Mapping | None] = []
    for layer in graph.layers:
        if isinstance(layer, MacLayer):
            stays = OnChip(layer.inputs[0] in kept, layer.output in kept)
            coded = coded_share(layer, arch)
            key = (layer.geometry, operand_bits(layer, graph), stays, coded)
            if key not in known:
                known[key] = _map_mac(layer, graph, stays, coded, arch, machines)
            mappings.append(known[key].mapping)
        else:
            mappings.append(map_layer(layer, graph=graph, arch=arch))
    return in_bands(graph, mappings, arch=arch) if arch.activation_buffer.fuse_pairs else tuple(mappings)


def map_layer(layer: Layer, *, graph: Graph, arch: Arch) -> Mapping | None:
    """The mapping of one layer; MappingError names the buffer and the bytes it lacks where nothing fits."""
    if isinstance(layer, Reshape):
        return None
    if isinstance(layer, MacLayer):
        return _map_mac(layer, graph, OnChip(False, False), coded_share(layer, arch), arch, {}).mapping
    if isinstance(layer, VectorLayer):
        widths = [graph.tensors[name].format.bits for name in layer.inputs]
        return vector_mapping(layer, input_bits=widths, output_bits=graph.tensors[layer.output].format.bits, arch=arch)
    raise MappingError(
        f"layer {layer.name!r} ({layer.operator}) is neither a MAC layer nor a vector layer", layer=layer.name
    )


def _map_mac(layer: MacLayer, graph: Graph, kept: OnChip, coded: float, arch: Arch, machines: Machines) -> Tiling:
    check_least_size(layer, arch, least_mac_operations(layer, graph, arch))
    bits = operand_bits(layer, graph)
    shares = mac_shares(layer.geometry, bits=bits, arch=arch)
    key = bits, len(shares)
    if key not in machines:
        machines[key] = machine_of(bits, arch, turns=len(shares))
    return best_mac_mapping(
        layer.name,
        shares[0].geometry,
        whole=layer.geometry,
        machine=machines[key],
        kept=kept,
        arch=arch,
        shares=len(shares),
        coded=coded,
    )
