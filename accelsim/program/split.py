"""Parts of a layer, each a box of its output: what every core computes, by channels or by rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from accelsim.arch import Arch
from accelsim.graph import MacGeometry, VectorLayer
from accelsim.hardware import (
    ComputeTiles,
    Loops,
    Machine,
    OperandBits,
    array_cost,
    dma_cycles,
    footprint,
    loops_of,
    machine_of,
)

_CHANNELS, _ROWS = "channels", "rows"


@dataclass(frozen=True, kw_only=True)
class MacShare:
    """The part of a MAC layer that ``core`` computes, as a layer of its own.

    ``geometry`` reads the same input rows and columns; its first output is the layer's at ``image``, ``row`` and ``channel``, its
    first input channel the layer's at ``input_channel``.
    """

    core: int
    geometry: MacGeometry
    image: int = 0
    row: int = 0
    channel: int = 0
    input_channel: int = 0

    @property
    def begin(self) -> tuple[int, int, int, int]:
        """Where the share begins in the layer's output view."""
        return self.image, self.row, 0, self.channel


@dataclass(frozen=True, kw_only=True)
class VectorShare:
    """The part of a vector layer that ``core`` computes: ``shape`` of the output view from ``begin`` on."""

    core: int
    begin: tuple[int, ...]
    shape: tuple[int, ...]


def mac_shares(g: MacGeometry, *, bits: OperandBits, arch: Arch) -> tuple[MacShare, ...]:
    """What each core computes, largest first; cores that are left over compute nothing.

    With ``cores.split`` auto the split of fewer estimated cycles, then of less traffic, then by channels. The cycles are the
    longer of the largest share on the array, as one tile, and of all shares' operands and outputs at the DRAM port.
    """
    if arch.cores.count == 1:
        return (MacShare(core=0, geometry=g),)
    by = {_CHANNELS: _by_channels(g, arch.cores.count), _ROWS: _by_rows(g, arch.cores.count, bits.window[0])}
    if arch.cores.split in by:
        return by[arch.cores.split]
    return min(by.values(), key=lambda shares: _estimate(shares, bits, arch))


def vector_shares(layer: VectorLayer, arch: Arch) -> tuple[VectorShare, ...]:
    """What each core computes, largest first: pieces of the first axis that has enough for all cores, else of the longest.

    An axis that tiles must cover whole is not cut.
    """
    shape, cores = layer.output_shape, arch.cores.count
    free = [axis for axis in range(len(shape)) if axis not in layer.whole_axes]
    whole = VectorShare(core=0, begin=(0,) * len(shape), shape=shape)
    if cores == 1 or not free:
        return (whole,)
    axis = next((a for a in free if shape[a] >= cores), max(free, key=lambda a: shape[a]))
    return tuple(
        VectorShare(
            core=core,
            begin=(*whole.begin[:axis], lo, *whole.begin[axis + 1 :]),
            shape=(*shape[:axis], hi - lo, *shape[axis + 1 :]),
        )
        for core, (lo, hi) in enumerate(_pieces(shape[axis], cores))
    )


def _pieces(size: int, parts: int) -> list[tuple[int, int]]:
    """``size`` in at most ``parts`` pieces (lo, hi) that differ by one at most, the longer ones first."""
    least, more = divmod(size, parts)
    stops = np.cumsum([least + (part < more) for part in range(min(parts, size))]).tolist()
    return list(zip([0, *stops], stops, strict=False))


def _by_rows(g: MacGeometry, cores: int, window: int) -> tuple[MacShare, ...]:
    """Pieces of whole windows of a pool in the same pass, of so many rows."""
    return tuple(
        MacShare(core=core, geometry=g.output_rows(lo * window, hi * window), row=lo * window)
        for core, (lo, hi) in enumerate(_pieces(g.oh // window, cores))
    )


def _by_channels(g: MacGeometry, cores: int) -> tuple[MacShare, ...]:
    """Pieces of the output channels of one group, or of whole groups."""
    if g.groups == 1:
        pieces = enumerate(_pieces(g.oc, cores))
        return tuple(MacShare(core=i, geometry=replace(g, oc=hi - lo), channel=lo) for i, (lo, hi) in pieces)
    ic, oc = g.ic_per_group, g.oc_per_group
    return tuple(
        MacShare(
            core=core,
            geometry=replace(g, ic=(hi - lo) * ic, oc=(hi - lo) * oc, groups=hi - lo),
            channel=lo * oc,
            input_channel=lo * ic,
        )
        for core, (lo, hi) in enumerate(_pieces(g.groups, cores))
    )


def _estimate(shares: tuple[MacShare, ...], bits: OperandBits, arch: Arch) -> tuple[int, int]:
    """(cycles, cycles at the DRAM port) of a split."""
    machine = machine_of(bits, arch)
    traffic = np.array([_traffic(share.geometry, machine) for share in shares], dtype=np.int64)
    port = sum(dma_cycles(traffic, arch, "activations").tolist())
    return max(port, _array_cycles(loops_of(shares[0].geometry), machine)), port


def _traffic(g: MacGeometry, machine: Machine) -> int:
    """Bytes of weights, inputs and outputs, each moved once; inputs once per window that they are in, where those are fetched."""
    area = g.n * int(g.axis("h").span(g.oh, g.kh)) * int(g.axis("w").span(g.ow, g.kw))
    moved = footprint(machine.operands, machine.im2col, loops_of(g), area)
    return int(moved.weights + moved.inputs + moved.outputs)


def _array_cycles(layer: Loops, machine: Machine) -> int:
    """Cycles of a share on the array, as one tile."""
    one = np.ones(1, dtype=np.int64)
    tile = ComputeTiles(
        pixels=one * layer.n * layer.oh * layer.ow,
        reduction=one * layer.kh * layer.kw * layer.ic,
        channels=one * layer.oc,
        groups=one * layer.groups,
        weights_kept=one < 0,
        taps=one * layer.kh * layer.kw,
    )
    return int(array_cost(tile, machine.array).cycles[0])
