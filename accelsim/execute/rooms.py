"""Rooms to compute values in, one inference at a time, and many inferences in several of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execute.tape import TapeWriter
from accelsim.graph import Graph, Tensor
from accelsim.kernels.compiled import Constants, frame_of, play

Array = NDArray[Any]

PART = 64
"""Inferences that a thread takes at a time, at most: a call for each would cost more than a small network."""
NO_MOVES: NDArray[np.int64] = np.empty((0, 4), dtype=np.int64)


class Room:
    """Memory of one inference at a time: all tensors, as views by name, and the scratch of compiled loops."""

    def __init__(self, graph: Graph, offsets: Mapping[str, int], writer: TapeWriter, constants: Constants) -> None:
        size = max((offsets[name] + graph.tensors[name].elements for name in offsets), default=0)
        self.memory: Array = np.zeros(size, dtype=writer.memory_type)
        self.offsets = offsets
        self.views = {name: self._view(graph.tensors[name]) for name in offsets}
        for name, values in graph.constants.items():
            self.views[name][...] = values
        self.copies = {name: self._copying(view, graph.tensors[name]) for name, view in self.views.items()}
        self.scratch = writer.scratch()
        self._constants = constants
        self._frames: dict[Tape, Array] = {}

    def _view(self, tensor: Tensor) -> Array:
        first = self.offsets[tensor.name]
        codes = self.memory[first : first + tensor.elements]
        return (codes.view(tensor.format.dtype) if codes.itemsize == 1 else codes).reshape(tensor.shape)

    @staticmethod
    def _copying(view: Array, tensor: Tensor) -> Callable[[], Array]:
        kind = tensor.format.dtype
        return view.copy if view.dtype == kind else lambda: view.astype(kind)

    def frame(self, tape: Tape) -> Array:
        """What plays ``tape`` here, without moves."""
        if tape not in self._frames:
            self._frames[tape] = self.frame_with(tape, NO_MOVES)
        return self._frames[tape]

    def frame_with(self, tape: Tape, moves: NDArray[np.int64]) -> Array:
        """As :meth:`frame`; the frame has no more than addresses, so ``moves`` must live as long as it."""
        frame: NDArray[np.int64] = frame_of(self._constants, self.scratch, tape.records, moves)
        return frame

    def held(self, batch: Array) -> Array:
        """``batch`` in one piece, its codes as memory holds them."""
        kind = self.memory.dtype
        return np.ascontiguousarray(batch).view(kind) if kind.itemsize == 1 else np.ascontiguousarray(batch, dtype=kind)


Step = Callable[[Room], None]


@dataclass(frozen=True, eq=False)
class Tape:
    """A run of layers in one compiled call."""

    records: NDArray[np.int64]

    def __call__(self, room: Room) -> None:
        play(room.memory, room.frame(self), 1)

    def play_all(self, room: Room, inputs: Mapping[str, Array], results: Mapping[str, Array]) -> None:
        """Inference after inference, of arrays that :meth:`Room.held` may have made, into others like that."""
        rows = [
            (batch.ctypes.data, room.offsets[name], batch[0].size, out)
            for out, batches in enumerate((inputs, results))
            for name, batch in batches.items()
        ]
        moves = np.array(rows, dtype=np.int64)
        play(room.memory, room.frame_with(self, moves), len(next(iter(results.values()))))


def run_part(steps: tuple[Step, ...], room: Room, inputs: Mapping[str, Array], results: Mapping[str, Array]) -> None:
    """Inferences one after another, in one call where they can be."""
    if len(steps) == 1 and isinstance(steps[0], Tape):
        steps[0].play_all(room, inputs, results)
        return
    views = {name: room.held(room.views[name]) for name in (*inputs, *results)}  # one memory, one type
    for i in range(len(next(iter(results.values())))):
        for name, batch in inputs.items():
            views[name][...] = batch[i]
        for step in steps:
            step(room)
        for name, batch in results.items():
            batch[i] = views[name]


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_parts(
    run: Callable[[Room, slice], None], rooms: list[Room], count: int, progress: Callable[[int], None] | None
) -> None:
    """``run`` for all of ``count`` inferences, part by part, each in a room that is free; ``progress`` hears how many are done."""
    size = max(1, min(PART, -(-count // (2 * len(rooms)))))
    parts = [slice(first, min(first + size, count)) for first in range(0, count, size)]
    free: SimpleQueue[Room] = SimpleQueue()
    for room in rooms:
        free.put(room)

    def one(part: slice) -> slice:
        room = free.get()
        try:
            run(room, part)
        finally:
            free.put(room)
        return part

    with ThreadPoolExecutor(len(rooms)) as pool:
        for done in map(one, parts) if len(rooms) == 1 else pool.map(one, parts):
            if progress is not None:
                progress(done.stop)
