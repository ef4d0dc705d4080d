"""What a transfer costs at the DRAM: bytes on the bus, cycles at the port, activated rows.

Tensors stand in DRAM packed and row-major: the weights of each layer, then each tensor, all from the start of a row of every bank
group on (of a burst, without row buffers); tensors that only reshape another share its place. A box of a tensor is as many runs of
consecutive addresses as its outer axes have positions; inner axes that it spans whole are one run. Every run is rounded out to
whole, aligned bursts. With ``dram.standard`` a transfer then takes the longer of

    bytes on the bus x clock / bandwidth    and    clocks of its commands x nREFI / (nREFI - nRFC)

behind ``dma.setup_cycles``, the second in the standard's command clock, by the commands of :mod:`accelsim.hardware._dram`. Against a
real controller that is pessimistic between transfers (each finds and leaves all banks closed) and optimistic within one (the
rows ahead are known, and the command bus is never the bottleneck). A refresh takes its share of every transfer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import STREAMS, Arch, StreamName
from accelsim.graph import Boxes, Graph, MacLayer, shared_memory
from accelsim.hardware import (
    Machine,
    Memory,
    Packets,
    Streams,
    Windows,
    activation_share,
    bus_cycles,
    dma_cycles,
    dma_of,
    dram_of,
    packs,
    scaled_up,
    slot_capacity,
    stored_bits,
    streams_of,
    written_bytes,
)

Index = NDArray[np.int64]


class Transfer(NamedTuple):
    """Per transfer: bytes asked for, cycles at the port, bytes on the DRAM's bus, rows activated; int64 arrays of one shape."""

    amount: Index
    cycles: Index
    bus_bytes: Index
    activates: Index


class Dram:
    """The DRAM of a machine with the tensors of a graph laid out in it."""

    def __init__(self, graph: Graph, arch: Arch) -> None:
        self._arch = arch
        self._record = dram_of(arch)
        self._weights, self._tensors = layout(graph, arch)
        most = max(slot_capacity(memory, arch) for memory in (Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.OUTPUTS))
        # The few machines whose cycles int64 does not hold on the way.
        self._wraps = most * max(dma.clock for dma in streams_of(arch)) >= 2**63
        self._shares = {stream: activation_share(arch, stream) for stream in STREAMS}
        self.is_plain = (
            self._record is None and not packs(arch) and not self._wraps and self._shares["activations"] == 1
        )

    def unpriced(self, machine: Machine) -> Machine:
        """``machine`` as it stands, or with a pace at which no transfer's cycles wrap: all of these are priced apart then."""
        if not self._wraps:
            return machine
        streams = (dma._replace(setup_cycles=0, clock=1, bandwidth=1) for dma in machine.streams)
        return machine._replace(streams=Streams(*streams))

    def weights(self, layer: int, boxes: Boxes, shape: tuple[int, ...], bits: int, size: Index) -> Transfer:
        """Loads of boxes of the weights of layer number ``layer``; ``size``: the bytes asked for."""
        return self._moved(self._weights[layer], boxes, shape, bits, size, "weights")

    def tensor(
        self, name: str, boxes: Boxes, shape: tuple[int, ...], bits: int, size: Index, *, stream: StreamName
    ) -> Transfer:
        """Loads or stores of boxes of a tensor seen as ``shape``."""
        if self._record is None and stream == "outputs":
            channels = boxes.hi[:, -1] - boxes.lo[:, -1]
            pixels = boxes.volume // np.maximum(1, channels)
            written = written_bytes(dma_of(self._arch, stream), pixels, channels, bits)
            return self._unrounded(size, written, stream)
        return self._moved(self._tensors[name], boxes, shape, bits, size, stream)

    def packets(self, layer: int, packets: Packets) -> Transfer:
        """Loads of coded tiles of the weights of a layer."""
        lo, size = packets.start.reshape(-1, 1), packets.size
        span = int((packets.start + size).max(initial=1))
        return self._moved(self._weights[layer], Boxes(lo, lo + size.reshape(-1, 1)), (span,), 8, size, "weights")

    def windows(self, name: str, windows: Windows, bits: int, size: Index) -> Transfer:
        """Loads of a tensor window by window."""
        if self._record is None:
            return self._unrounded(size, size, "activations")
        from accelsim.hardware.compiled import gathers

        g = windows.geometry
        shape, axes = np.array(g.input_shape, dtype=np.int64), (g.axis("h"), g.axis("w"))
        found = gathers(self._record, 8 * self._tensors[name], bits, shape, *axes, windows.ranges)
        return self._transfer(size, found, "activations")

    def _moved(
        self, address: int, boxes: Boxes, shape: tuple[int, ...], bits: int, size: Index, stream: StreamName
    ) -> Transfer:
        if self._record is None:
            return self._unrounded(size, size, stream)
        from accelsim.hardware.compiled import transfers

        base = np.full(len(boxes), 8 * address, dtype=np.int64)
        lo, hi = (np.ascontiguousarray(corner, dtype=np.int64) for corner in (boxes.lo, boxes.hi))
        found = transfers(
            self._record, stream == "outputs", base, bits, lo, hi, np.array(shape, dtype=np.int64).reshape(-1)
        )
        return self._transfer(size, found, stream)

    def _unrounded(self, size: Index, moved: Index, stream: StreamName) -> Transfer:
        """Of a DRAM without bursts, that moves so many bytes."""
        return Transfer(size, dma_cycles(moved, self._arch, stream), self._coded(moved, stream), np.zeros_like(size))

    def _coded(self, bus: Index, stream: StreamName) -> Index:
        """What the bus sees of bytes, whose cycles the stream's pace has coded already."""
        coded: Index = scaled_up(bus, self._shares[stream])
        return coded

    def _transfer(self, size: Index, found: tuple[Index, Index, Index], stream: StreamName) -> Transfer:
        bursts, clocks, activates = found
        bus = bursts * self._arch.dram.bytes_per_burst
        cycles = bus_cycles(bus, clocks, self._arch, stream)
        return Transfer(size, cycles, self._coded(bus, stream), activates)


def alignment(arch: Arch) -> int:
    """Bytes to a multiple of which tensors are aligned: a row of every bank group, or a burst."""
    standard = arch.dram.channel
    row = 1 if standard is None else standard.row_bytes * standard.bank_groups
    return max(row, arch.dram.bytes_per_burst)


def layout(graph: Graph, arch: Arch) -> tuple[dict[int, int], dict[str, int]]:
    """First byte of the weights of each layer, by number, and of each tensor, by name."""
    weights: dict[int, int] = {}
    end, align = 0, alignment(arch)
    for index, layer in enumerate(graph.layers):
        if isinstance(layer, MacLayer) and len(layer.inputs) == 1:
            weights[index] = end
            size = layer.geometry.oc * layer.geometry.reduction * stored_bits(layer, arch)
            end = -(-(end + -(-size // 8)) // align) * align
    home, tensors = shared_memory(graph.layers), dict[str, int]()
    for name, tensor in graph.tensors.items():
        if home.get(name, name) == name:
            tensors[name] = end
            end = -(-(end + tensor.bytes) // align) * align
    return weights, tensors | {name: tensors[of] for name, of in home.items() if of in tensors}
