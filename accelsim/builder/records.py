"""What the compiled loops that emit tile operations read and write: plain arrays and named records of integers.

One emitter serves the Program and the schedule that is streamed without one (:mod:`accelsim.timing.stream`): the same operations in
the same order, of which the latter keeps the engine, the times and the waits alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from accelsim.arch import MOST_SLOTS
from accelsim.graph import Axis
from accelsim.hardware import Loops, PerMemory, Unit

NONE = -1
ENGINE, MEMORY, OPERAND, SOURCES = KINDS = range(4)
"""Rows of ``State.kinds``; the first alone where no Program is made."""
(
    CYCLES, LATENCY, LAG, AMOUNT, BUS_BYTES, ACTIVATES, OFFSET, EXTENT, STREAM_CYCLES, WEIGHT_READS, ACTIVATION_READS,
    ACCUMULATOR_WRITES,
) = FIGURES = range(12)  # fmt: skip
"""Rows of ``State.figures``; the first three alone where no Program is made. ``LAG`` is that of tiles and requantizations."""
TIMES = 3
LO, HI = range(2)
"""Corners of ``State.boxes``."""
BEHIND, FILLS = range(MOST_SLOTS, MOST_SLOTS + 2)
"""Of ``State.consumers``, behind the readers: an operation for which the next so many fills wait as well, and how many do."""
CONSUMERS = MOST_SLOTS + 2
NEEDS = 2
"""Of a layer in a shared memory: banks for weights, banks for activations; NONE where it holds nothing."""
LAYER, CHANNEL, OPERATION = range(3)
"""Of what stands in a slot of the weight memory: the layer, its first output channel, and the operation that loaded it."""


class Ends(NamedTuple):
    """Where the operations, their waits and the stores written so far end."""

    operations: int
    waits: int
    stores: int


class Grids(NamedTuple):
    """The stores of one block of a layer each, in a grid of tiles (arrays (grids,) or (grids, rank)), ``count`` from ``first`` on in
    ``State.stores``; ``next``: another grid of the same tensor.

    The grid covers ``begin`` to ``end`` of the view. Along an axis element ``i`` behind ``begin`` stands in tile
    ``i // unit * per_unit + i % unit // tile``; ``stride`` tiles lie between two of it.
    """

    first: Any
    count: Any
    next: Any
    begin: Any
    end: Any
    unit: Any
    per_unit: Any
    tile: Any
    stride: Any


class State(NamedTuple):
    """Operations in program order, and what the blocks of a network share.

    ``kinds`` (KINDS, operations), ``figures`` (FIGURES, operations) and ``boxes`` (corners, operations, axes) are columns of the
    Program; operation ``i`` waits for ``waits[first[i] : first[i + 1]]``. ``earlier``: the RECALL of the same tensor before each one.
    ``consumers`` (cores, memories, CONSUMERS): the operation that reads the fill under way of each memory, those that read the
    fills before, and :data:`BEHIND` them; ``fills`` (cores, memories) so far; ``standing`` (cores, slots, 3): what stands in the weight
    memory. ``stores``: operations that store tiles; ``recalled``: the last RECALL of each kept tensor.
    """

    kinds: Any
    figures: Any
    boxes: Any
    first: Any
    waits: Any
    earlier: Any
    consumers: Any
    fills: Any
    standing: Any
    stores: Any
    recalled: Any
    grids: Grids


class Source(NamedTuple):
    """Where operand ``number`` of a layer comes from.

    ``grid``: the first grid of stores that it waits for; ``boxwise``: for those under each tile alone, both views being the same.
    ``keeper``: its number in ``State.recalled`` where it is kept on chip. NONE where there is none.
    """

    number: int
    grid: int
    boxwise: bool
    keeper: int


NOWHERE = Source(NONE, NONE, False, NONE)
"""An operand that nobody makes and that is no tensor: constant weights."""


class Follower(NamedTuple):
    """The layer behind a MAC layer in the same pass: its ``steps`` per output (0: none), and what it reads beside (``operand``, of number
    NONE where nothing), of ``bits`` each and the last ``rank`` axes of the output, of which those in the bits of ``stretched`` have one
    element for all."""

    steps: int
    operand: Source
    bits: int
    rank: int
    stretched: int


ALONE = Follower(0, NOWHERE, 0, 0, 0)
"""No layer follows in the same pass."""


class MacJob(NamedTuple):
    """A block of a MAC layer: its loop nest and tile, the windows along rows and columns, and what follows in the same pass."""

    layer: Loops
    tile: Loops
    weights_outer: bool
    down: Axis
    across: Axis
    follower: Follower


class Port(NamedTuple):
    """What emitting asks of a machine beside :class:`accelsim.hardware.Machine`: slots of each memory, the vector unit, the read port of
    the output memory, and whether tiles follow each other through the array."""

    slots: PerMemory
    vector: Unit
    output: Unit
    pipelined: bool


class Block(NamedTuple):
    """Where a block stands: on which core, where it begins in the layer's views, ``grid`` of its stores.

    The output is kept on chip at ``address`` (NONE: in DRAM), whose first store waits for operation ``freed``; where only ``window``
    rows along ``axis`` of it are kept (0: all), every store waits for the last RECALL of those that it takes the place of.
    ``keeper``: its number in ``State.recalled``. ``vector``: the last operation of the vector unit before a pass, which takes it next;
    NONE where none is to be waited for.
    """

    layer: int
    core: int
    grid: int
    image: int
    row: int
    channel: int
    input_channel: int
    address: int
    freed: int
    window: int
    axis: int
    keeper: int
    vector: int


class VectorJob(NamedTuple):
    """A block of a vector layer: lane-steps and bits per element of its output, which has ``rank`` axes."""

    steps: int
    output_bits: int
    rank: int


GRID, BOXWISE, KEEPER, BITS, RANK = OPERANDS = range(5)
"""Columns of the operands (inputs, OPERANDS) of a vector layer: those of :class:`Source`, bits of an element, axes of the view."""


class VectorTiles(NamedTuple):
    """Tiles of a vector layer: elements computed in each (``volume``), those of operand ``k`` in ``elements[k * tiles + tile]``, and the
    corners of the boxes that it reads of it in ``low`` and ``high`` (rows, rank), 0 and 1 beyond an operand's rank.

    ``out_low``, ``out_high`` (tiles, rank): of the output. ``shape``, ``tile`` (rank): sizes of the block and of a tile, 1 beyond its
    rank.
    """

    volume: Any
    elements: Any
    low: Any
    high: Any
    out_low: Any
    out_high: Any
    shape: Any
    tile: Any


class Did(NamedTuple):
    """What a block did: bytes asked for by its loads and stores, bytes filled into buffers, elements and words, and busy cycles.

    Of what follows it in the same pass: stores, steps and cycles of the vector unit, and what is read beside, all of which else is its own.
    """

    operations: int
    tiles: int
    macs: int
    weight_bytes: int
    input_bytes: int
    recalled_bytes: int
    recalled_weight_bytes: int
    stored_bytes: int
    kept_bytes: int
    weight_fill: int
    input_fill: int
    output_fill: int
    weight_reads: int
    activation_reads: int
    sum_writes: int
    requants: int
    vector_steps: int
    stream: int
    store_busy: int
    load_activations_busy: int
    load_weights_busy: int
    compute_busy: int
    requantize_busy: int
    vector_busy: int
    keep_busy: int
    recall_busy: int
    beside_bytes: int
    beside_busy: int
