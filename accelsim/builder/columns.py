"""Columns of a Program while it is being built: what layers put is noted, and written many thousand operations at a time.

Notes take more memory than what they become, and writing each at once would take longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ProgramError
from accelsim.graph import Boxes
from accelsim.hardware import Engine, Memory

Index = NDArray[np.int64]
Key = TypeVar("Key")

_COLUMNS: dict[str, Any] = {
    "core": np.int16,
    "engine": np.int8,
    "layer": np.int32,
    "amount": np.int64,
    "cycles": np.int64,
    "latency": np.int64,
    "bus_bytes": np.int64,
    "activates": np.int64,
    "memory": np.int8,
    "offset": np.int64,
    "extent": np.int64,
    "operand": np.int8,
    "stream_cycles": np.int64,
    "weight_reads": np.int64,
    "activation_reads": np.int64,
    "accumulator_writes": np.int64,
    "sources": np.int8,
}
_CORNERS = ("lo", "hi")
_NO_OPERAND = -1
_ALIGNMENT = 64
"""Bytes at a multiple of which a column begins: a cache line."""
_NOTED = 2**17
"""Operations of which as many are noted before they are written."""


class _Put(NamedTuple):
    """Operations at global ``rows``: the boxes that they cover, columns of one value for all, and columns of one value each."""

    rows: Index
    boxes: Boxes
    same: dict[str, int]
    own: dict[str, Index]


class _Wait(NamedTuple):
    """Operations at local ``rows`` of a block at ``base`` that wait for the global operations ``on``."""

    base: int
    rows: Index
    on: Index
    source: bool


class Columns:
    """The columns of a Program of at most ``most`` operations, whose boxes have at most ``rank`` axes, filled block after block."""

    def __init__(self, most: int, rank: int) -> None:
        self._columns = _zeros(most, rank)
        self._start = np.zeros(most + 1, dtype=np.int64)
        self._dependencies: list[NDArray[np.int32]] = []
        self._puts: list[_Put] = []
        self._waits: list[_Wait] = []
        self._noted = self._begin = self._end = 0

    def put(self, put: _Put) -> None:
        """Note a put."""
        self._puts.append(put)
        self._noted += len(put.rows)
        if self._noted >= _NOTED:
            self._write()

    def wait(self, wait: _Wait) -> None:
        """Note dependencies of the block at work."""
        self._waits.append(wait)

    def begin(self, block: LayerBlock) -> None:
        """Make room for the operations of ``block``, the next one."""
        self._end = block.base + block.count
        if self._end >= len(self._start):
            raise ProgramError(f"{self._end} operations were made where {len(self._start) - 1} had been counted")

    def is_full(self) -> bool:
        """Whether there is much to be written at the end of a block."""
        return self._end - self._begin >= _NOTED

    def write(self) -> None:
        """Write all that is noted; blocks must be whole."""
        from accelsim.builder._assembly import compressed_rows

        self._write()
        waits, begin, end = self._waits, self._begin, self._end
        base, source = np.array([(wait.base - begin, wait.source) for wait in waits], dtype=np.int64).reshape(-1, 2).T
        rows, on = [wait.rows for wait in waits], [wait.on for wait in waits]
        start, dependencies, sources = compressed_rows(
            _first(rows), base, source, _joined(rows), _joined(on), end - begin
        )
        self._start[begin + 1 : end + 1] = self._start[begin] + start[1:]
        self._columns["sources"][begin:end] = sources
        self._dependencies.append(dependencies)
        self._waits, self._begin = [], end

    def finish(self) -> dict[str, Any]:
        """All columns of the Program, dependencies as CSR with the sources of each operation first."""
        self.write()
        columns = {name: column[: self._end] for name, column in self._columns.items()}
        return columns | {
            "dependency_start": self._start[: self._end + 1],
            "dependencies": _joined(self._dependencies),
        }

    def _write(self) -> None:
        puts, self._puts, self._noted = self._puts, [], 0
        _write_shared_values(self._columns, puts)
        _write_own_values(self._columns, puts)
        _write_corners(self._columns, puts)


class LayerBlock:
    """The operations of one layer on one core: ``count`` rows, global index ``base`` + local row; filled kind by kind."""

    def __init__(self, columns: Columns, layer: int, base: int, count: int, core: int = 0) -> None:
        self.layer, self.base, self.count, self.core = layer, base, count, core
        self._columns = columns
        columns.begin(self)

    def put(self, rows: Index, engine: Engine, memory: Memory, boxes: Boxes, **columns: Any) -> None:
        """Write the operations at local ``rows``, all of one engine; columns not named are 0, ``operand`` -1."""
        own: dict[str, Index] = {}
        same = {"engine": engine, "memory": memory, "core": self.core, "layer": self.layer, "operand": _NO_OPERAND}
        for name, values in columns.items():
            (own if isinstance(values, np.ndarray) else same)[name] = values
        self._columns.put(_Put(rows + self.base, boxes, same, own))

    def wait(self, rows: Index, on: Index, *, source: bool = False) -> None:
        """Operations at local ``rows`` wait for the global operations ``on``; entries of -1 are no dependency."""
        self._columns.wait(_Wait(self.base, rows, on, source))


def _zeros(count: int, rank: int) -> dict[str, NDArray[Any]]:
    """Every column, in one piece of memory: many that are returned to the system and fetched again took longer than the work."""
    kinds = {name: np.dtype(dtype) for name, dtype in _COLUMNS.items()}
    kinds |= dict.fromkeys(_CORNERS, np.dtype((np.int32, rank)))
    sizes = [-(-count * kind.itemsize // _ALIGNMENT) * _ALIGNMENT for kind in kinds.values()]
    memory, first = np.zeros(sum(sizes), dtype=np.uint8), np.cumsum([0, *sizes]).tolist()
    return {
        name: np.ndarray(count, dtype=kind, buffer=memory, offset=at)
        for (name, kind), at in zip(kinds.items(), first, strict=False)
    }


def _write_shared_values(columns: dict[str, Any], puts: list[_Put]) -> None:
    """The values that all operations of a put have in common."""
    rows, lengths = _joined([put.rows for put in puts]), [len(put.rows) for put in puts]
    for name in {name for put in puts for name in put.same}:
        values = np.array([put.same.get(name, 0) for put in puts], dtype=_COLUMNS[name])
        if values.any():
            columns[name][rows] = values if len(puts) == 1 else values.repeat(lengths)


def _write_own_values(columns: dict[str, Any], puts: list[_Put]) -> None:
    for names, alike in _grouped(puts, lambda put: tuple(put.own)).items():
        rows = _joined([put.rows for put in alike])
        for name in names:
            columns[name][rows] = _joined([put.own[name] for put in alike])


def _write_corners(columns: dict[str, Any], puts: list[_Put]) -> None:
    """Lower and upper corners of all boxes, axes beyond their rank 0."""
    for rank, alike in _grouped(puts, lambda put: put.boxes.lo.shape[1]).items():
        rows = _joined([put.rows for put in alike])
        for side in _CORNERS:
            columns[side][rows, :rank] = _joined([getattr(put.boxes, side) for put in alike])


def _grouped(puts: list[_Put], key: Callable[[_Put], Key]) -> dict[Key, list[_Put]]:
    groups: dict[Key, list[_Put]] = {}
    for put in puts:
        groups.setdefault(key(put), []).append(put)
    return groups


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One array of all ``parts``, int64 where there are none."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts or [np.zeros(0, dtype=np.int64)])


def _first(parts: Sequence[Index]) -> Index:
    """Where each of ``parts`` begins when they are joined, and where the last one ends."""
    return np.cumsum([0, *(len(part) for part in parts)], dtype=np.int64)
