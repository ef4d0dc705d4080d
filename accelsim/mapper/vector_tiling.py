"""Tiles of a vector layer: as large as the memories allow, or halved a few times more where that promises less of the objective."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder import check_least_size, share_boxes, vector_operations
from accelsim.errors import MappingError
from accelsim.graph import Graph, VectorLayer
from accelsim.hardware import (
    Memory,
    depth,
    packed_bytes,
    slot_capacity,
    streams_of,
    transfer_cycles,
    unit_cycles,
    vector_of,
)
from accelsim.objective import Objective, value_of
from accelsim.program import VectorMapping, VectorShare, vector_shares

FINER = 3
"""Times that the largest tile which fits is halved at most."""
ENOUGH = 32
"""Tiles from which on none is halved: what the first and the last one take matters little."""
WORK = np.dtype([(name, np.int64) for name in ("tiles", "loads", "loaded", "stored", "steps")])
"""What the core that has most of a vector layer does: tiles, loads of operands, bytes loaded and stored, steps of the vector unit; no
tiles: no cut."""


class VectorTiling(NamedTuple):
    """A tile of a vector layer, and the fields of WORK."""

    tile: tuple[int, ...]
    work: tuple[int, ...]


def vector_mapping(layer: VectorLayer, *, graph: Graph, arch: Arch, objective: Objective) -> VectorMapping:
    """The tile that promises most of :func:`vector_tilings`, whose errors are raised."""
    tilings = vector_tilings(layer, graph=graph, arch=arch)
    works = np.array([one.work for one in tilings], dtype=WORK)
    return VectorMapping(tile=tilings[int(best_work(works, arch, objective))].tile)


def vector_tilings(layer: VectorLayer, *, graph: Graph, arch: Arch) -> list[VectorTiling]:
    """The first tile that fits both buffers, cutting axis 0 down to single rows before touching axis 1, and so on, and the next ones.

    MappingError where none fits, CapacityError where the first takes more tiles than are held.
    """
    shares = vector_shares(layer, arch)
    bits = [graph.tensors[name].format.bits for name in (*layer.inputs, layer.output)]
    capacity, found = slot_capacity(Memory.OUTPUTS, arch), list[VectorTiling]()
    lacking = None
    for tile, last in _halved(shares[0].shape, layer):
        if found and (len(found) > FINER or found[-1].work[0] >= ENOUGH):
            break
        if not found and packed_bytes(math.prod(tile), bits[-1]) > capacity and not last:
            continue
        if not found:
            check_least_size(layer, arch, sum(vector_operations(layer, share, tile) for share in shares))
        moved = [_moved(layer, share, tile, bits) for share in shares]
        lacking = _missing(moved, arch)
        if lacking is None:
            found.append(VectorTiling(tile, _work(layer, shares[0], moved[0])))
    if not found and lacking is not None:
        raise _too_large(layer, *lacking)
    return found


def _halved(shape: Sequence[int], layer: VectorLayer) -> Iterator[tuple[tuple[int, ...], bool]]:
    """``shape``, then each axis in turn halved down to 1, but for those that a tile must cover; and whether none is left to halve."""
    tile = list(shape)
    while True:
        axis = next((a for a in range(len(tile)) if a not in layer.whole_axes and tile[a] > 1), None)
        yield tuple(tile), axis is None
        if axis is None:
            return
        tile[axis] = -(-tile[axis] // 2)


class _Moved(NamedTuple):
    """Bytes of each tile's operands (inputs, tiles) and of its outputs (tiles,)."""

    inputs: NDArray[np.int64]
    outputs: NDArray[np.int64]


def _moved(layer: VectorLayer, share: VectorShare, tile: tuple[int, ...], bits: Sequence[int]) -> _Moved:
    """Of a core's tiles; ``bits`` of every input and of the output."""
    tiles = share_boxes(share, tile)
    reads = [packed_bytes(boxes.volume, width) for boxes, width in zip(layer.reads(tiles), bits[:-1], strict=True)]
    return _Moved(np.stack(reads), packed_bytes(tiles.volume, bits[-1]))


def _work(layer: VectorLayer, share: VectorShare, moved: _Moved) -> tuple[int, ...]:
    """The fields of WORK."""
    inputs, outputs = moved
    loads, steps = int(np.count_nonzero(inputs)), math.prod(share.shape) * layer.steps_per_output
    return len(outputs), loads, int(inputs.sum()), int(outputs.sum()), steps


def _missing(moved: Sequence[_Moved], arch: Arch) -> tuple[Memory, int] | None:
    """The buffer that the largest tile of any core overflows, and by how many bytes."""
    needs = {
        Memory.ACTIVATIONS: max(int(one.inputs.sum(axis=0).max()) for one in moved),
        Memory.OUTPUTS: max(int(one.outputs.max()) for one in moved),
    }
    for memory, size in needs.items():
        capacity = slot_capacity(memory, arch)
        if size > capacity:
            return memory, size - capacity
    return None


def best_work(works: NDArray[np.void], arch: Arch, objective: Objective) -> NDArray[np.intp]:
    """Which of the last axis of ``works`` (..., K), records of WORK, promises least: cycles, or bytes, with which energy goes, or the
    product; the first of those that promise the same.

    Cycles are the longest of port, vector unit and round trips of a slot, behind the first tile's loads and before the last one's
    store; with one queue loads stand behind the stores of the tiles before them, so that everything is done in turn.
    """
    streams, tiles = streams_of(arch), np.maximum(1, works["tiles"])
    dma, shared = streams.activations, streams.activations.port == streams.outputs.port
    load, store = (
        transfer_cycles(dma, works["loads"], works["loaded"], 0),
        transfer_cycles(streams.outputs, tiles, works["stored"], 0),
    )
    port = load + store if shared else np.maximum(load, store)
    work = np.maximum(tiles, unit_cycles(vector_of(arch), works["steps"], works["loaded"]))
    if dma.queues == 1:
        cycles = load + work + store + (tiles + 1) * dma.latency_cycles
    else:
        waits = tiles * dma.latency_cycles
        trips = (
            (load + waits + work) / depth(Memory.ACTIVATIONS, arch),
            (work + store + waits) / depth(Memory.OUTPUTS, arch),
        )
        ends = (load + store) / tiles + 2 * dma.latency_cycles
        cycles = np.maximum(port + dma.latency_cycles + work / tiles, ends + np.maximum(work, np.maximum(*trips)))
    moved = (works["loaded"] + works["stored"]).astype(np.float64)
    value = value_of(objective, cycles, moved)
    found: NDArray[np.intp] = np.argmin(np.where(works["tiles"] > 0, value, np.inf), axis=-1)
    return found


def _too_large(layer: VectorLayer, memory: Memory, missing: int) -> MappingError:
    return MappingError(
        f"layer {layer.name!r} ({layer.operator}): the smallest tile is {missing} bytes too large for one slot of the "
        f"{memory.label}; enlarge it or switch its double buffering off",
        layer=layer.name,
        memory=memory.label,
        missing=missing,
    )
