"""The resident memory as the Program sees it: tensors, or windows of their rows, row-major and packed, each byte tagged with its writer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import HazardError
from accelsim.execute.memory import BUSY, NEVER, pack, unpack
from accelsim.hardware import Engine, Memory, slot_capacity
from accelsim.numerics import IntFormat
from accelsim.program import Place, Program, kept_places, producers


class _Part(NamedTuple):
    """A box of a tensor, seen as ``view``, that stands at ``place``."""

    tensor: str
    place: Place
    view: tuple[int, ...]
    box: tuple[Any, ...]
    format: IntFormat

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what stands at the place: the view, or a window of its rows."""
        fused = self.place.fused
        if fused is None:
            return self.view
        return tuple(fused.window if axis == fused.axis else size for axis, size in enumerate(self.view))


class Resident:
    """Tensors kept between layers; KEEP writes a box of one to its place, RECALL reads a box from there."""

    def __init__(self, program: Program) -> None:
        size = slot_capacity(Memory.RESIDENT, program.arch)
        self._program, self._makers, self._places = program, producers(program.graph), kept_places(program)
        self._data: NDArray[np.uint8] = np.zeros(size, dtype=np.uint8)
        self._tags: NDArray[np.int32] = np.zeros(size, dtype=np.int32)

    def holds(self, tensor: str) -> bool:
        """Whether ``tensor`` is one of those kept."""
        return self._makers.get(tensor) in self._places

    def claim(self, keep: int) -> None:
        """``keep`` begins to write its box: what stood there is gone."""
        self._tag(self._part(keep), BUSY)

    def write(self, keep: int, values: NDArray[Any]) -> None:
        """``keep`` has written ``values`` to its box."""
        part = self._part(keep)
        codes = self._codes(part)
        codes[part.box] = values
        self._data[part.place.start : part.place.stop] = pack(codes, part.format)
        self._tag(part, keep + 1)

    def read(self, recall: int) -> NDArray[Any]:
        """The box of ``recall``, still as its tensor's layer wrote it; HazardError otherwise."""
        self.check(recall)
        part = self._part(recall)
        codes: NDArray[Any] = self._codes(part)[part.box].copy()
        return codes

    def check(self, recall: int) -> None:
        """HazardError unless every byte of the box was written by the layer that makes the tensor."""
        part = self._part(recall)
        tags, where = self._tags_of(part)
        tags = tags[where]
        wrong = (
            (tags <= 0) | (self._program.layer[tags - 1] != part.place.layer) | self._of_other_rows(tags, recall, part)
        )
        if wrong.any():
            found = int(tags[wrong][0])
            what = {NEVER: "a byte never written", BUSY: "a byte being overwritten"}.get(
                found, f"a byte of operation {found - 1}"
            )
            raise HazardError(
                f"{self._program.describe(recall)} reads {what} where it expects tensor {part.tensor!r}",
                operation=recall,
                tensor=part.tensor,
            )

    def _of_other_rows(self, tags: NDArray[np.int32], recall: int, part: _Part) -> NDArray[np.bool_] | bool:
        """Where a byte of a window was written for another row than the one that ``recall`` reads there."""
        fused = part.place.fused
        if fused is None:
            return False
        lo, hi = (bounds[:, fused.axis] for bounds in (self._program.lo, self._program.hi))
        rows = np.arange(lo[recall], hi[recall]).reshape(-1, *(1,) * (tags.ndim - 1 - fused.axis))
        return (rows < lo[tags - 1]) | (rows >= hi[tags - 1])

    def _part(self, i: int) -> _Part:
        program = self._program
        layer, index, number = program.graph.layers[program.layer[i]], int(program.layer[i]), int(program.operand[i])
        if program.engine[i] == Engine.KEEP:
            tensor, view, start = layer.output, layer.output_shape, int(program.offset[i])
            size = self._places[index].stop - self._places[index].start
            place = self._places[index]._replace(start=start, stop=start + size)
        else:
            tensor, view = layer.inputs[number], layer.input_shapes[number]
            place = self._places[self._makers[tensor]]
        lo, hi = program.box(i)
        box: tuple[Any, ...] = tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))
        if place.fused is not None:
            axis = place.fused.axis
            box = (*box[:axis], np.arange(lo[axis], hi[axis]) % place.fused.window, *box[axis + 1 :])
        return _Part(tensor, place, view, box, program.graph.tensors[tensor].format)

    def _codes(self, part: _Part) -> NDArray[Any]:
        """The whole tensor, or its window, as it stands."""
        return unpack(self._data[part.place.start : part.place.stop], part.shape, part.format)

    def _tag(self, part: _Part, tag: int) -> None:
        tags, where = self._tags_of(part)
        tags[where] = tag

    def _tags_of(self, part: _Part) -> tuple[NDArray[np.int32], tuple[Any, ...]]:
        """The tags of all bytes of a place, and the index of those of a box.

        A box has whole bytes along the innermost axis (:func:`~accelsim.program.residency.in_whole_bytes`).
        """
        bits = part.format.bits
        view, box = (part.shape, part.box) if part.view else ((1,), (slice(0, 1),))
        tags = self._tags[part.place.start : part.place.stop].reshape(*view[:-1], view[-1] * bits // 8)
        inner = slice(box[-1].start * bits // 8, -(-box[-1].stop * bits // 8))
        return tags, (*box[:-1], inner)
