"""The parts of a machine as compiled code reads them: one named record a part, and how each is made of an Arch.

All that a tile of one layer asks of the machine stands in a :class:`Machine` (:mod:`accelsim.hardware.machine`).

Numba passes a NamedTuple as its fields, so that naming them costs the loops nothing (measured: 1.5 us a call from Python). Every
integer is an int64, every share or estimate a float: a field keeps its type from machine to machine, or each would compile anew.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from accelsim.arch import STREAMS, Arch, StreamName
from accelsim.hardware.activation_coding import activation_share
from accelsim.hardware.im2col import MODES


class Loops(NamedTuple):
    """Bounds of the loop nest of a MAC layer, or the sizes of a tile of it; ``oc`` and ``ic`` are per group."""

    n: Any
    oh: Any
    ow: Any
    oc: Any
    ic: Any
    kh: Any
    kw: Any
    groups: Any


class Array(NamedTuple):
    """The MAC array for operands of these widths: ``passes`` per product, ``products`` that one MAC makes at once.

    ``drains_behind``: sums leave a fold behind the operands of the next; ``by_tap``: every kernel tap fills rows of its own;
    ``step``: folds of a sum that make a step; ``beside``: groups stand beside each other in the columns of an adder tree;
    ``stripe``: pixels that pass a fold before the next one of their sums (0: all);
    ``tile_issue``, ``fold_issue``: cycles of issue. ``weight_port``, ``activation_port``: bits that the buffers deliver per cycle; 0: as
    many as the array needs. ``extra``: 1 where each sum has one product more, of the sum of its inputs and a zero point. ``decoders``: weights
    decoded per cycle, 0: as many as come.
    """

    dataflow: int
    rows: int
    cols: int
    stages: int
    overlapped: bool
    drains_behind: bool
    by_tap: bool
    step: int
    beside: bool
    stripe: int
    tile_issue: int
    fold_issue: int
    passes: int
    products: int
    weight_bits: int
    weight_port: int
    activation_bits: int
    activation_port: int
    extra: int
    decoders: int


class PerMemory(NamedTuple):
    """One figure for each memory beside the array, such as tiles at work at once."""

    weights: int
    activations: int
    accumulators: int
    outputs: int


class Capacity(NamedTuple):
    """What a slot of each memory holds at most: bytes, words of the accumulators.

    ``bank``: bytes of a bank where weights and activations share ``banks`` of them, divided anew for each layer (0: they do not), in
    ``weight_slots`` and ``activation_slots``; ``weights_at``: where the slots of weights begin.
    """

    weights: int
    activations: int
    accumulators: int
    outputs: int
    bank: int
    banks: int
    weight_slots: int
    activation_slots: int
    weights_at: int


class Operands(NamedTuple):
    """Widths of a MAC layer's operands and result in bits, and accumulator words per sum; weights of a group fill whole blocks of so many
    steps of a sum (``block_rows``) and channels (``block_cols``). Of ``pool_rows`` x ``pool_cols`` pixels one leaves the pass, 1 x 1 where
    no pool is in it; ``pool_share`` is that share of them, since a division takes as long as all else that is asked of a tiling."""

    weight_bits: int
    activation_bits: int
    output_bits: int
    sum_words: int
    block_rows: int
    block_cols: int
    pool_rows: int
    pool_cols: int
    pool_share: float


class Dma(NamedTuple):
    """The DMA and the port of a stream: bytes x ``clock`` / ``bandwidth`` are cycles, a fraction in its lowest terms; streams with the same
    ``port`` take turns. Stores move whole writes of ``write`` bytes."""

    setup_cycles: int
    clock: int
    bandwidth: int
    latency_cycles: int
    queues: int
    port: int
    write: int


class Streams(NamedTuple):
    """The ways to and from memories outside the buffers."""

    weights: Dma
    activations: Dma
    outputs: Dma


class Dram(NamedTuple):
    """A DRAM channel: bits of a ``burst`` at the port, DRAM bursts in it (``units``, 0: no row buffers), bank ``groups``, ``banks`` of
    a group, bursts of a row (``columns``), and the standard's distances in its own clocks; ``close_read``, ``close_write``: from a
    column command to the precharge of its bank."""

    burst: int
    units: int
    groups: int
    banks: int
    columns: int
    bl: int
    rcd: int
    rp: int
    ras: int
    close_read: int
    close_write: int
    ccd_s: int
    ccd_l: int
    rrd_s: int
    rrd_l: int
    faw: int


class Bursts(NamedTuple):
    """The DRAM as estimates see it: bytes of a burst, and cycles of the commands around a ``read`` or ``write`` and of ``each`` burst.

    ``row``: bytes in the open rows of a bank of every group (0: no rows). A row opened behind others takes ``opened`` cycles more, and
    of the same bank ``read_again`` or ``write_again``; rows that follow each other in memory are of ``banks`` in turn.
    """

    size: float
    read: float
    write: float
    each: float
    row: float
    banks: float
    opened: float
    read_again: float
    write_again: float


class Im2col(NamedTuple):
    """Where windows are unrolled, by its place in :data:`accelsim.hardware.im2col.MODES`, and the bytes written per cycle (0: any)."""

    mode: int
    width: int


class Unit(NamedTuple):
    """A unit of so many ``lanes``, whose operands come in ``width`` bytes per cycle (0: as it needs)."""

    lanes: int
    width: int


class Requantizer(NamedTuple):
    """The requantization unit: outputs per cycle, how far what is behind the array takes it as it comes (:func:`streaming_of`), and
    registers behind it; ``steps``: of each output on the ``vector_lanes`` that follow in the same pass, 0 where none do."""

    lanes: int
    streams: int
    stages: int
    vector_lanes: int
    steps: int


class Machine(NamedTuple):
    """What a tile of a MAC layer holds, moves and takes depends on no more than this."""

    array: Array
    capacity: Capacity
    depth: PerMemory
    operands: Operands
    streams: Streams
    im2col: Im2col
    requantizer: Requantizer
    resident: Unit


def dma_of(arch: Arch, stream: StreamName, *, turns: int = 1) -> Dma:
    """The DMA of one core as a stream has it, of so many cores that take ``turns`` at its port."""
    own = arch.streams.of(stream)
    bandwidth = own.bandwidth_bytes_per_s or arch.dram.bandwidth_bytes_per_s
    pace = Fraction(turns * arch.clock_hz, bandwidth) * activation_share(arch, stream)
    latency = dram_latency_cycles(arch) if own.latency_ns is None else _cycles(own.latency_ns, arch)
    setup = turns * arch.dma.setup_cycles
    write = arch.dma.write_bytes if arch.dram.bytes_per_burst == 1 else 1  # bursts round out every run by themselves
    return Dma(
        setup,
        pace.numerator,
        pace.denominator,
        latency,
        arch.dma.queues,
        arch.streams.ports[stream],
        write,
    )


def streams_of(arch: Arch, *, turns: int = 1) -> Streams:
    """All streams of a machine."""
    return Streams(*(dma_of(arch, stream, turns=turns) for stream in STREAMS))


def stream_ports(arch: Arch) -> tuple[int, ...]:
    """The port of each of the engines at one, in the order of :data:`accelsim.hardware.kinds.DRAM_ENGINES`."""
    return tuple(arch.streams.ports[stream] for stream in ("outputs", "activations", "weights"))


def streaming_of(arch: Arch) -> int:
    """0, every tile is done before it is requantized; 1, sums are requantized as they come; 2, and outputs stored as they come: at a port
    that stores share with no loads, and in a queue of their own."""
    ports = arch.streams.ports
    alone = ports["outputs"] not in (ports["weights"], ports["activations"]) and arch.dma.queues > 1
    return (2 if alone else 1) if arch.requantizer.streaming else 0


def im2col_of(arch: Arch) -> Im2col:
    """The unit that unrolls windows."""
    buffer = arch.activation_buffer
    return Im2col(MODES.index(buffer.im2col), buffer.bytes_per_cycle or 0)


def requantizer_of(arch: Arch, *, steps: int = 0) -> Requantizer:
    """The requantization unit, whose outputs take so many ``steps`` of the vector unit in the same pass."""
    unit = arch.requantizer
    return Requantizer(unit.lanes, streaming_of(arch), unit.pipeline_stages, arch.vector.lanes, steps)


def vector_of(arch: Arch) -> Unit:
    """The vector unit, which reads its operands from the activation memory."""
    return Unit(arch.vector.lanes, arch.activation_buffer.bytes_per_cycle or 0)


def resident_of(arch: Arch) -> Unit:
    """What moves bytes into and out of the resident memory, at the activation memory's width."""
    return Unit(1, arch.activation_buffer.bytes_per_cycle or 0)


def output_of(arch: Arch) -> Unit:
    """The read port of the output buffer."""
    return Unit(1, arch.output_buffer.bytes_per_cycle or 0)


def dram_latency_cycles(arch: Arch) -> int:
    """Cycles from the end of a transfer at the port until its data is there: ``dram.latency_ns``, and nCL of a standard."""
    return _cycles(arch.dram.latency_ns, arch) + _column_latency(arch)


def _cycles(ns: float, arch: Arch) -> int:
    return int(np.ceil(ns * arch.clock_hz / 1e9))


def _column_latency(arch: Arch) -> int:
    channel = arch.dram.channel
    return 0 if channel is None else -(-channel.timing.nCL * arch.clock_hz // channel.clock_hz)
