"""The engines of the machine and the memories they work on."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

LONGEST = 15
"""Ones of a quotient in Golomb-Rice code; so many stand for the symbol itself behind them, which bounds what a decoder shifts by."""


class Engine(IntEnum):
    """What executes one kind of tile operation, in order; the number is its priority at the DRAM port, 0 first."""

    STORE = 0
    LOAD_ACTIVATIONS = 1
    LOAD_WEIGHTS = 2
    COMPUTE = 3
    REQUANTIZE = 4
    VECTOR = 5
    KEEP = 6
    RECALL = 7

    @property
    def label(self) -> str:
        """Lower-case name for people."""
        return self.name.lower().replace("_", " ")


DRAM_ENGINES = (Engine.STORE, Engine.LOAD_ACTIVATIONS, Engine.LOAD_WEIGHTS)
DMA_QUEUES = {
    3: DRAM_ENGINES,
    2: (Engine.STORE, Engine.LOAD_ACTIVATIONS, Engine.LOAD_ACTIVATIONS),
    1: (Engine.STORE, Engine.STORE, Engine.STORE),
}
"""By ``dma.queues``, for each of the DRAM engines, the one whose in-order queue its operations stand in."""
WRITE_BACK = (Engine.STORE, Engine.KEEP)
"""Engines that empty the output buffer: to DRAM, or to a tensor's place in the resident memory."""
_FILLS = (Engine.LOAD_ACTIVATIONS, Engine.LOAD_WEIGHTS, Engine.RECALL)
_READS_TILES = (Engine.COMPUTE, Engine.VECTOR)
SLOT_WAITS = {
    **dict.fromkeys(_FILLS, _READS_TILES),
    Engine.COMPUTE: (Engine.REQUANTIZE,),
    Engine.REQUANTIZE: (*WRITE_BACK, Engine.VECTOR),
    Engine.VECTOR: (*WRITE_BACK, Engine.COMPUTE),
    **dict.fromkeys(WRITE_BACK, (Engine.RECALL,)),
}
"""By engine, those whose operations it waits for because it overwrites what they read: until they have read it and let go of their
engine. For all others it waits until their result is there, which it reads."""
FREED = np.array([[other in SLOT_WAITS.get(engine, ()) for other in Engine] for engine in Engine])
"""The same for compiled code: [who waits, for whom]."""

STREAMED = ((), (Engine.REQUANTIZE,), (Engine.REQUANTIZE, Engine.STORE))
"""Engines that may take what they read as it comes, by how far a machine streams (:func:`accelsim.hardware.streaming_of`); the vector unit
does so in every pass."""
READS_FROM = {Engine.REQUANTIZE: Engine.COMPUTE, Engine.VECTOR: Engine.REQUANTIZE, Engine.STORE: Engine.REQUANTIZE}
"""What they take then; a store takes the vector unit's outputs, too, where that works in a pass, else it waits for the whole tile."""


class Memory(IntEnum):
    """Where a tile operation writes. On-chip regions count bytes, those of the accumulators words.

    ``RESIDENT`` is the part of the activation memory that keeps whole tensors between layers. ``ON_THE_FLY`` is none: the way from the
    requantizer into the vector unit, where nothing stands.
    """

    DRAM = -1
    WEIGHTS = 0
    ACTIVATIONS = 1
    ACCUMULATORS = 2
    OUTPUTS = 3
    RESIDENT = 4
    ON_THE_FLY = 5

    @property
    def label(self) -> str:
        """Lower-case name for people."""
        return _LABELS[self.value]


_LABELS = {
    -1: "DRAM",
    0: "weight buffer",
    1: "activation buffer",
    2: "accumulators",
    3: "output buffer",
    4: "resident activations",
    5: "vector unit",
}
