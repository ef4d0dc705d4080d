"""How the activation memory is divided between tiles and tensors that stay on chip, where a machine leaves it to the network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from accelsim.arch import Arch, StreamName
from accelsim.builder import Dram, share_boxes
from accelsim.energy import action_charges, memory_prices, prices
from accelsim.errors import CapacityError, MappingError
from accelsim.graph import Boxes, Graph, VectorLayer, shared_memory
from accelsim.hardware import Pass, activation_share, packed_bytes, passes_of, unit_cycles, vector_of
from accelsim.mapper.default import layer_by_layer
from accelsim.mapper.pairs import best_pairs
from accelsim.mapper.tiling import Tiler
from accelsim.objective import DEFAULT_OBJECTIVE, Objective, value_of
from accelsim.program import (
    Mapping,
    VectorMapping,
    first_fits,
    in_whole_bytes,
    lifetimes,
    likely_kept,
    vector_shares,
)

GAIN = 4 / 3
"""How much more traffic a division must save than the one tried before it, so that a handful are tried."""
LEAST_GAIN = 64
"""A division that saves less than this part of the traffic between layers is not tried."""
_PATH = "activation_buffer.resident_bytes"


class Cost(NamedTuple):
    """Of a network by closed forms: cycles, picojoules, and bytes at the DRAM port."""

    cycles: float
    picojoules: float
    traffic: float

    def by(self, objective: Objective) -> float:
        """What is minimised."""
        return float(value_of(objective, self.cycles, self.picojoules))


def divide_memory(graph: Graph, *, arch: Arch, objective: Objective = DEFAULT_OBJECTIVE) -> Arch:
    """``arch`` with ``activation_buffer.resident_bytes`` decided for ``graph`` where they are ``auto``.

    The default mapper's closed forms say what the network costs for 0 bytes and for a handful of sizes at which more tensors find their
    place; the least by ``objective`` wins, of equal ones the smallest. Several cores exchange tensors through DRAM only and keep none.
    """
    if arch.activation_buffer.is_divided:
        return arch
    least = arch.with_({_PATH: 0})
    sizes = () if arch.cores.count > 1 else tuple(divisions(graph, arch))
    if not sizes:
        return least
    best, value = least, network_cost(graph, arch=least, objective=objective).by(objective)
    for size in sizes:
        tried = arch.with_({_PATH: size})
        try:
            found = network_cost(graph, arch=tried, objective=objective).by(objective)
        except (MappingError, CapacityError):
            break  # with more bytes set aside the slots for tiles are smaller still
        if found < value:
            best, value = tried, found
    return best


def divisions(graph: Graph, arch: Arch) -> Iterator[int]:
    """The sizes that are tried, ascending: those at which first fit keeps enough traffic more on chip, the least that keeps everything
    among them, and where layers are fused powers of two for the windows between them.

    Those of a larger memory begin with those of a smaller one.
    """
    wanted, most = lifetimes(graph, passes_of(graph, arch)), arch.most_kept_bytes
    traffic = _between_layers(graph, {lifetime.tensor: lifetime.size for lifetime in wanted})
    total, last, taken = sum(traffic.values()), 0, 0
    fused = arch.activation_buffer.fuse_pairs and len(graph.layers) > 1
    for size, kept in first_fits(wanted, most):
        saved = sum(traffic[name] for name in kept)
        if LEAST_GAIN * saved >= total and (saved >= GAIN * last or len(kept) == len(wanted)):
            yield from _powers(taken, size) if fused else ()
            yield size
            last, taken = saved, size
    yield from _powers(taken, most + 1) if fused else ()


def _powers(above: int, below: int) -> Iterator[int]:
    """Powers of two from 1 KiB in between."""
    size = max(1024, 1 << above.bit_length())
    while size < below:
        yield size
        size *= 2


def _between_layers(graph: Graph, sizes: dict[str, int]) -> dict[str, int]:
    """Bytes written and read, once by each layer, of every tensor that may be kept, which have these ``sizes``."""
    home = shared_memory(graph.layers)
    moved = dict(sizes)
    for layer in graph.layers:
        for name in layer.inputs if layer.output == home[layer.output] else ():
            at = home.get(name, name)
            moved |= {at: moved[at] + sizes[at]} if at in sizes else {}
    return moved


def network_cost(graph: Graph, *, arch: Arch, objective: Objective = DEFAULT_OBJECTIVE) -> Cost:
    """What ``graph`` costs on one core of ``arch`` as the default mapper cuts it, by closed forms; MappingError where nothing fits.

    Infinite where a tensor that the mapper counts on is not kept, because tiles cut its narrow codes inside a byte.
    """
    tiler = Tiler(graph, arch, objective)
    mappings, tilings = layer_by_layer(tiler)
    costs, dram = [Cost(0, 0.0, 0), *(Cost(*one[1:4]) for one in tilings)], Dram(graph, arch)
    kept, passes = likely_kept(graph, arch), passes_of(graph, arch)
    wanted = [lifetime for lifetime in lifetimes(graph, passes) if lifetime.tensor in kept]
    if not all(in_whole_bytes(graph, x.tensor, mappings[x.first], passes) for x in wanted):
        return Cost(math.inf, math.inf, math.inf)
    for layer, mapping in zip(graph.layers, mappings, strict=True):
        if isinstance(layer, VectorLayer) and isinstance(mapping, VectorMapping):
            costs.append(_vector_cost(layer, mapping, kept, tiler, dram))
    costs += [_beside_cost(one, kept, tiler, dram) for one in passes if one.operand >= 0]
    if arch.activation_buffer.fuse_pairs:
        costs += _saved(mappings, tiler)
    return Cost(*(sum(parts) for parts in zip(*costs, strict=True)))


def _vector_cost(layer: VectorLayer, mapping: VectorMapping, kept: frozenset[str], tiler: Tiler, dram: Dram) -> Cost:
    graph, arch = tiler.graph, tiler.arch
    pj = prices(action_charges(layer, graph=graph, arch=arch, costs=tiler.costs))
    boxes = share_boxes(vector_shares(layer, arch)[0], mapping.tile)
    inputs = zip(layer.inputs, layer.reads(boxes), layer.input_shapes, strict=True)
    reads = [_moved(graph, dram, kept, tensor, "activations") for tensor in inputs]
    write = _moved(graph, dram, kept, (layer.output, boxes, layer.output_shape), "outputs")
    filled, recalled = sum(one.held for one in reads), sum(one.held for one in reads if one.kept)
    read, written = sum(one.bus for one in reads), write.bus
    steps = int(boxes.volume.sum()) * layer.steps_per_output
    cycles = float(
        max(unit_cycles(vector_of(arch), steps, 0), _at_port(sum(one.port for one in reads), write.port, arch))
    )
    stays = write.held if write.kept else 0
    bits = {
        "activation_buffer_write": filled + stays,
        "activation_buffer_read": filled + recalled,
        "output_buffer_write": write.held,
        "output_buffer_read": write.held,
        **_outside(read, written, arch),
    }
    energy = steps * pj["vector_step"] + sum(8 * count * pj[name] for name, count in bits.items())
    return Cost(cycles, energy + cycles * tiler.idle, read + written)


def _beside_cost(one: Pass, kept: frozenset[str], tiler: Tiler, dram: Dram) -> Cost:
    """What a pass reads beside, once: by its port, as if nothing hid it."""
    layer, name = tiler.graph.layers[one.reader], tiler.graph.layers[one.reader].inputs[one.operand]
    pj, view = (
        prices(action_charges(layer, graph=tiler.graph, arch=tiler.arch, costs=tiler.costs)),
        layer.input_shapes[one.operand],
    )
    whole = Boxes(np.zeros((1, len(view)), dtype=np.int64), np.array([view], dtype=np.int64).reshape(1, len(view)))
    moved = _moved(tiler.graph, dram, kept, (name, whole, view), "activations")
    bits = {
        "output_buffer_write": moved.held,
        "output_buffer_read": moved.held,
        **_outside(moved.bus, 0, tiler.arch),
    }
    bits["activation_buffer_read"] = moved.held if moved.kept else 0
    cycles = float(moved.port)
    return Cost(cycles, sum(8 * count * pj[key] for key, count in bits.items()) + cycles * tiler.idle, moved.bus)


def _outside(read: int, written: int, arch: Arch) -> dict[str, int]:
    """Bytes of activations that pass the DMA, by what is charged for them."""
    memory = "activation_memory" if arch.streams.apart.activations else "dram"
    return {f"{memory}_read": read, f"{memory}_write": written, "dma_transfer": read + written}


def _at_port(loads: int, stores: int, arch: Arch) -> int:
    """Cycles at the busier port of loads of activations and stores."""
    ports = arch.streams.ports
    return loads + stores if ports["activations"] == ports["outputs"] else max(loads, stores)


class _Moved(NamedTuple):
    """Bytes of a tensor's boxes, whether they are ``kept`` on chip, else bytes on the DRAM's bus and cycles at its port."""

    held: int
    kept: bool
    bus: int
    port: int


def _moved(
    graph: Graph, dram: Dram, kept: frozenset[str], of: tuple[str, Boxes, tuple[int, ...]], stream: StreamName
) -> _Moved:
    name, boxes, view = of
    bits = graph.tensors[name].format.bits
    size = packed_bytes(boxes.volume, bits)
    if name in kept:
        return _Moved(int(size.sum()), True, 0, 0)
    moved = dram.tensor(name, boxes, view, bits, size, stream=stream)
    return _Moved(int(size.sum()), False, int(moved.bus_bytes.sum()), int(moved.cycles.sum()))


def _saved(mappings: tuple[Mapping | None, ...], tiler: Tiler) -> list[Cost]:
    """What pairs of fused layers save, below 0: each byte a store or a load, in whose place the window is written or read."""
    saved = []
    for candidate in best_pairs(mappings, tiler):
        layer = tiler.graph.layers[candidate.pair.producer]
        pj = prices(action_charges(layer, graph=tiler.graph, arch=tiler.arch, costs=tiler.costs))
        of = memory_prices(pj, tiler.arch.streams.apart)
        outside = (of.inputs + of.outputs + 2 * pj["dma_transfer"]) * float(activation_share(tiler.arch))
        each = 8 * (outside - pj["activation_buffer_read"] - pj["activation_buffer_write"]) / 2
        energy = candidate.saved * each + candidate.cycles * tiler.idle
        saved.append(Cost(-candidate.cycles, -energy, -candidate.saved))
    return saved
