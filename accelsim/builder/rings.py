"""Slots of a double-buffered memory, handed out in turn, each with the operation that frees it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.hardware import Memory, depth, slot_capacity, slots

Index = NDArray[np.int64]


class Ring:
    """The slots of one memory. Fill ``j`` takes slot ``j % slots`` once the last consumer of fill ``j - depth`` has finished.

    ``depth`` is ``slots``, or 1 where a tile is not filled while another is read.
    """

    def __init__(self, memory: Memory, arch: Arch) -> None:
        self.slots, self.capacity = slots(memory, arch), slot_capacity(memory, arch)
        self._count = 0
        self._turns: dict[tuple[int, int], Index] = {}
        self._standing: list[tuple[object, int]] = [(None, -1)] * self.slots
        self._consumers = np.full(depth(memory, arch), -1, dtype=np.int64)

    def fill(self, last_consumers: Index) -> tuple[Index, Index]:
        """Take a slot for each of ``len(last_consumers)`` fills; ``last_consumers`` are global operation numbers.

        Returns each fill's offset and the operation it must wait for (-1 where the slot was never used).
        """
        count = len(last_consumers)
        consumers = np.concatenate([self._consumers, last_consumers])
        offset = self._offsets(self._count % self.slots, count)
        for fill in range(self._count, self._count + min(count, self.slots)):
            self._standing[fill % self.slots] = None, -1
        self._count += count
        self._consumers = consumers[len(consumers) - len(self._consumers) :]
        return offset, consumers[:count]

    def _offsets(self, first: int, count: int) -> Index:
        """Offsets of ``count`` slots in turn, from slot number ``first`` on; nobody may change them."""
        if (first, count) not in self._turns:
            self._turns[first, count] = (first + np.arange(count, dtype=np.int64)) % self.slots * self.capacity
        return self._turns[first, count]

    def standing(self, what: object) -> int:
        """The operation that put ``what`` into the slot whose turn it is, where it still stands; -1 if something else does, or for None.

        Nothing stands for long in a memory that is filled and read in turns.
        """
        known, operation = self._standing[self._count % self.slots]
        stands = what is not None and known == what and len(self._consumers) == self.slots
        return operation if stands else -1

    def put(self, what: object, operation: int) -> None:
        """The slot filled last holds ``what``, which ``operation`` loaded."""
        self._standing[(self._count - 1) % self.slots] = what, operation
