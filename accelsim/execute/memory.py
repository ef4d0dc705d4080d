"""On-chip memories and DRAM as the Program sees them: every word knows which operation wrote it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import HazardError
from accelsim.numerics import IntFormat
from accelsim.program import Program

NEVER, BUSY = 0, -1
"""Tags of a word never written, and of one that an operation is writing just now; operation ``i`` leaves the tag ``i + 1``."""


class Bytes:
    """A buffer of bytes, or of 64-bit accumulator words; each tagged with the operation that wrote it last.

    Fresh memory is all zeros, so that the system hands out pages only where something is written, whatever the capacity.
    """

    def __init__(self, size: int, dtype: Any) -> None:
        self.data: NDArray[Any] = np.zeros(size, dtype=dtype)
        self.tags: NDArray[np.int32] = np.zeros(size, dtype=np.int32)

    def claim(self, program: Program, operation: int) -> None:
        """``operation`` begins to write its region: what stood there is gone."""
        self.tags[self._region(program, operation)] = BUSY

    def write(self, program: Program, operation: int, values: NDArray[Any]) -> None:
        """``operation`` has written its region."""
        region = self._region(program, operation)
        if values.size != region.stop - region.start:
            raise HazardError(
                f"{program.describe(operation)} produced {values.size} words for a region of {region.stop - region.start}"
            )
        self.data[region] = values
        self.tags[region] = operation + 1

    def read(self, program: Program, reader: int, source: int) -> NDArray[Any]:
        """The words that ``source`` wrote, still untouched; HazardError otherwise."""
        self.check(program, reader, source)
        return self.data[self._region(program, source)]

    def check(self, program: Program, reader: int, source: int) -> None:
        """HazardError unless every word of ``source``'s region is still what ``source`` wrote."""
        tags = self.tags[self._region(program, source)]
        if (tags != source + 1).any():
            found = int(tags[tags != source + 1][0])
            what = {NEVER: "a word never written", BUSY: "a word being overwritten"}.get(
                found, f"a word of operation {found - 1}"
            )
            raise HazardError(
                f"{program.describe(reader)} reads {what} where it expects the result of operation {source}",
                operation=reader,
                source=source,
            )

    def _region(self, program: Program, operation: int) -> slice:
        start = int(program.offset[operation])
        return slice(start, start + int(program.extent[operation]))


class Dram:
    """Tensors in memory, each with a mask of the elements that have been stored; room is taken when something is."""

    def __init__(self) -> None:
        self._values: dict[str, NDArray[Any]] = {}
        self._written: dict[str, NDArray[np.bool_]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._types: dict[str, np.dtype[Any]] = {}
        self._homes: dict[str, str] = {}

    def put(self, name: str, values: NDArray[Any], dtype: Any = np.int64) -> None:
        """A tensor that is there from the start."""
        self.reserve(name, values.shape, dtype)
        self._values[name] = np.ascontiguousarray(values, dtype=dtype).reshape(-1)
        self._written[name] = np.ones(values.size, dtype=np.bool_)

    def reserve(self, name: str, shape: tuple[int, ...], dtype: Any = np.int64) -> None:
        """Room for a tensor that stores will fill, in a type that holds its codes."""
        self._shapes[name], self._types[name], self._homes[name] = shape, np.dtype(dtype), name

    def alias(self, name: str, of: str, shape: tuple[int, ...]) -> None:
        """The same memory under another shape."""
        self._shapes[name], self._homes[name] = shape, self._homes[of]

    def forget(self, name: str) -> None:
        """Nobody reads ``name`` any more, nor what shares its memory."""
        self._values.pop(name, None)
        self._written.pop(name, None)

    def _arrays(self, name: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        home = self._homes[name]
        if home not in self._values:
            size = int(np.prod(self._shapes[home], dtype=np.int64))
            self._values[home] = np.zeros(size, dtype=self._types[home])
            self._written[home] = np.zeros(size, dtype=np.bool_)
        return self._values[home], self._written[home]

    def load(self, name: str, view: tuple[int, ...], box: tuple[slice, ...], reader: str) -> NDArray[Any]:
        """The elements of ``box``; HazardError where one has not been stored yet."""
        values, written = self._arrays(name)
        if not written.reshape(view)[box].all():
            raise HazardError(f"{reader} reads elements of tensor {name!r} that no store has written yet", tensor=name)
        return values.reshape(view)[box]

    def store(
        self, name: str, view: tuple[int, ...], box: tuple[slice, ...], values: NDArray[Any], writer: str
    ) -> None:
        """Write ``box``; HazardError where an element is stored twice."""
        held, mask = self._arrays(name)
        written = mask.reshape(view)
        if written[box].any():
            raise HazardError(f"{writer} stores elements of tensor {name!r} a second time", tensor=name)
        held.reshape(view)[box] = values
        written[box] = True

    def tensor(self, name: str) -> NDArray[Any]:
        """All elements; HazardError where some were never stored."""
        values, written = self._arrays(name)
        if not written.all():
            raise HazardError(f"tensor {name!r} was not stored completely", tensor=name)
        return values.reshape(self._shapes[name])


def pack(values: NDArray[Any], fmt: IntFormat) -> NDArray[np.uint8]:
    """Codes as bytes, little-endian, packed at ``fmt.bits``; a bipolar +1 is a set bit."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if fmt.bipolar:
        return np.packbits(flat > 0, bitorder="little")
    if fmt.bits in (8, 16, 32, 64):
        return flat.astype(fmt.dtype).view(np.uint8)
    bits = (flat.astype(np.int64)[:, None] >> np.arange(fmt.bits)) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little")


def unpack(data: NDArray[np.uint8], shape: tuple[int, ...], fmt: IntFormat) -> NDArray[Any]:
    """The inverse of :func:`pack` for ``shape``."""
    count = int(np.prod(shape, dtype=np.int64))
    if fmt.bits in (8, 16, 32, 64):
        return data.view(fmt.dtype)[:count].reshape(shape)
    if fmt.bipolar:
        signs = np.unpackbits(data, count=count, bitorder="little").astype(fmt.dtype)
        return (2 * signs - 1).reshape(shape)
    bits = np.unpackbits(data, bitorder="little")[: count * fmt.bits].reshape(count, fmt.bits).astype(np.int64)
    values = (bits << np.arange(fmt.bits)).sum(axis=1)
    if fmt.signed:
        values -= bits[:, -1] << fmt.bits
    codes: NDArray[Any] = values.astype(fmt.dtype)
    return codes.reshape(shape)
