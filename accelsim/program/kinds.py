"""The engines of the machine and the memories they work on."""

from __future__ import annotations

from enum import IntEnum


class Engine(IntEnum):
    """An in-order queue that executes one kind of tile operation; the number is its priority at the DRAM port, 0 first."""

    STORE = 0
    LOAD_ACTIVATIONS = 1
    LOAD_WEIGHTS = 2
    COMPUTE = 3
    REQUANTIZE = 4
    VECTOR = 5

    @property
    def label(self) -> str:
        """Lower-case name for people."""
        return self.name.lower().replace("_", " ")


DRAM_ENGINES = (Engine.STORE, Engine.LOAD_ACTIVATIONS, Engine.LOAD_WEIGHTS)


class Memory(IntEnum):
    """Where a tile operation writes. On-chip regions count bytes, those of the accumulators words."""

    DRAM = -1
    WEIGHTS = 0
    ACTIVATIONS = 1
    ACCUMULATORS = 2
    OUTPUTS = 3

    @property
    def label(self) -> str:
        """Lower-case name for people."""
        return {-1: "DRAM", 0: "weight buffer", 1: "activation buffer", 2: "accumulators", 3: "output buffer"}[
            self.value
        ]
