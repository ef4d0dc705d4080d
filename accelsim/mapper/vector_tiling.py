"""Tiles of a vector layer: whole when it fits, else halved along its outermost axes until it does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from accelsim.arch import Arch
from accelsim.builder import check_least_size, share_boxes, vector_operations
from accelsim.errors import MappingError
from accelsim.graph import VectorLayer
from accelsim.hardware import Memory, packed_bytes, slot_capacity
from accelsim.program import VectorMapping, VectorShare, vector_shares


def vector_mapping(layer: VectorLayer, *, input_bits: Sequence[int], output_bits: int, arch: Arch) -> VectorMapping:
    """The first tile that fits both buffers, cutting axis 0 down to single rows before touching axis 1, and so on.

    MappingError where none fits, CapacityError where it takes more tiles than are held.
    """
    shares = vector_shares(layer, arch)
    tile = list(shares[0].shape)
    splittable = [axis for axis in range(len(tile)) if axis not in layer.whole_axes]
    capacity = slot_capacity(Memory.OUTPUTS, arch)
    while True:
        axis = next((a for a in splittable if tile[a] > 1), None)
        if axis is None or packed_bytes(math.prod(tile), output_bits) <= capacity:
            check_least_size(layer, arch, sum(vector_operations(layer, share, tile) for share in shares))
            missing = _missing(layer, shares, tuple(tile), input_bits, output_bits, arch)
            if not missing:
                break
            if axis is None:
                raise _too_large(layer, *missing)
        tile[axis] = -(-tile[axis] // 2)
    return VectorMapping(tile=tuple(tile))


def _too_large(layer: VectorLayer, memory: Memory, missing: int) -> MappingError:
    return MappingError(
        f"layer {layer.name!r} ({layer.operator}): the smallest tile is {missing} bytes too large for one slot of the "
        f"{memory.label}; enlarge it or switch its double buffering off",
        layer=layer.name,
        memory=memory.label,
        missing=missing,
    )


def _missing(
    layer: VectorLayer,
    shares: Sequence[VectorShare],
    tile: tuple[int, ...],
    input_bits: Sequence[int],
    output_bits: int,
    arch: Arch,
) -> tuple[Memory, int] | None:
    """The buffer that the largest tile of any core overflows, and by how many bytes."""
    needs = {Memory.ACTIVATIONS: 0, Memory.OUTPUTS: 0}
    for share in shares:
        tiles, _ = share_boxes(share, tile)
        reads = zip(layer.reads(tiles), input_bits, strict=True)
        inputs = np.sum([packed_bytes(boxes.volume, bits) for boxes, bits in reads], axis=0)
        needs[Memory.ACTIVATIONS] = max(needs[Memory.ACTIVATIONS], int(inputs.max()))
        needs[Memory.OUTPUTS] = max(needs[Memory.OUTPUTS], int(packed_bytes(tiles.volume, output_bits).max()))
    for memory, size in needs.items():
        capacity = slot_capacity(memory, arch)
        if size > capacity:
            return memory, size - capacity
    return None
