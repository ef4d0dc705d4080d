"""Slots of a double-buffered memory, handed out in turn, each with the operation that frees it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.program.footprint import depth, slot_capacity, slots
from accelsim.program.kinds import Memory

Index = NDArray[np.int64]


class Ring:
    """The slots of one memory. Fill ``j`` takes slot ``j % slots`` once the last reader of fill ``j - depth`` has finished.

    ``depth`` is ``slots``, or 1 where a tile is not filled while another is read.
    """

    def __init__(self, memory: Memory, arch: Arch) -> None:
        self.slots, self.capacity = slots(memory, arch), slot_capacity(memory, arch)
        self._count = 0
        self._readers = np.full(depth(memory, arch), -1, dtype=np.int64)

    def fill(self, last_readers: Index) -> tuple[Index, Index]:
        """Take a slot for each of ``len(last_readers)`` fills; ``last_readers`` are global operation numbers.

        Returns each fill's offset and the operation it must wait for (-1 where the slot was never used).
        """
        count = len(last_readers)
        readers = np.concatenate([self._readers, last_readers])
        offset = (self._count + np.arange(count, dtype=np.int64)) % self.slots * self.capacity
        self._count += count
        self._readers = readers[len(readers) - len(self._readers) :]
        return offset, readers[:count]
