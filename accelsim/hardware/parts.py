"""The parts of a machine as compiled code reads them: one named record a part, all of one layer's operands in a :class:`Machine`.

Numba passes a NamedTuple as its fields, so that naming them costs the loops nothing (measured: 1.5 us a call from Python). Every
integer is an int64, every share or estimate a float: a field keeps its type from machine to machine, or each would compile anew.
"""

from __future__ import annotations

from typing import Any, NamedTuple


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

    ``weight_port``, ``activation_port``: bits that the buffers deliver per cycle; 0: as many as the array needs.
    """

    dataflow: int
    rows: int
    cols: int
    stages: int
    overlapped: bool
    passes: int
    products: int
    weight_bits: int
    weight_port: int
    activation_bits: int
    activation_port: int


class PerMemory(NamedTuple):
    """One figure for each memory beside the array: bytes of a slot (words of the accumulators), or tiles at work at once."""

    weights: int
    activations: int
    accumulators: int
    outputs: int


class Operands(NamedTuple):
    """Widths of a MAC layer's operands and result in bits, and accumulator words per sum."""

    weight_bits: int
    activation_bits: int
    output_bits: int
    sum_words: int


class Dma(NamedTuple):
    """The DMA and the DRAM's port: bytes x ``clock`` / ``bandwidth`` are cycles, a fraction in its lowest terms."""

    setup_cycles: int
    clock: int
    bandwidth: int
    latency_cycles: int
    queues: int


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
    """The DRAM as estimates see it: bytes of a burst, and cycles of the commands around a ``read`` or ``write`` and of ``each`` burst."""

    size: float
    read: float
    write: float
    each: float


class Im2col(NamedTuple):
    """Where windows are unrolled, by its place in :data:`accelsim.hardware.im2col.MODES`, and the bytes written per cycle (0: any)."""

    mode: int
    width: int


class Unit(NamedTuple):
    """A unit of so many ``lanes``, whose operands come in ``width`` bytes per cycle (0: as it needs)."""

    lanes: int
    width: int


class Machine(NamedTuple):
    """What a tile of a MAC layer holds, moves and takes depends on no more than this."""

    array: Array
    capacity: PerMemory
    depth: PerMemory
    operands: Operands
    dma: Dma
    im2col: Im2col
    requantizer: Unit
    resident: Unit
