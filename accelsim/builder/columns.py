"""Columns of a Program while it is being built: what each layer puts is noted, and written all at once in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Boxes
from accelsim.hardware import Engine, Memory
from accelsim.program import MAX_RANK

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
}
_CORNERS = ("lo", "hi")
_NO_OPERAND = -1
_ALIGNMENT = 64
"""Bytes at a multiple of which a column begins: a cache line."""


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


class LayerBlock:
    """The operations of one layer on one core: ``count`` rows, global index ``base`` + local row; filled kind by kind."""

    def __init__(self, layer: int, base: int, count: int, core: int = 0) -> None:
        self.layer, self.base, self.count, self.core = layer, base, count, core
        self.puts: list[_Put] = []
        self.waits: list[_Wait] = []

    def put(self, rows: Index, engine: Engine, memory: Memory, boxes: Boxes, **columns: Any) -> None:
        """Write the operations at local ``rows``, all of one engine; columns not named are 0, ``operand`` -1."""
        own: dict[str, Index] = {}
        same = {"engine": engine, "memory": memory, "core": self.core, "layer": self.layer, "operand": _NO_OPERAND}
        for name, values in columns.items():
            (own if isinstance(values, np.ndarray) else same)[name] = values
        self.puts.append(_Put(rows + self.base, boxes, same, own))

    def wait(self, rows: Index, on: Index, *, source: bool = False) -> None:
        """Operations at local ``rows`` wait for the global operations ``on``; entries of -1 are no dependency."""
        self.waits.append(_Wait(self.base, rows, on, source))


def assemble(blocks: list[LayerBlock]) -> dict[str, Any]:
    """All columns of a Program, dependencies as CSR with the sources of each operation first."""
    from accelsim.builder._assembly import compressed_rows

    count, puts = sum(block.count for block in blocks), [put for block in blocks for put in block.puts]
    columns: dict[str, Any] = _zeros(count)
    _write_shared_values(columns, puts, count)
    _write_own_values(columns, puts)
    _write_corners(columns, puts)
    waits = [wait for block in blocks for wait in block.waits]
    base, source = np.array([(wait.base, wait.source) for wait in waits], dtype=np.int64).reshape(-1, 2).T
    rows, on = [wait.rows for wait in waits], [wait.on for wait in waits]
    found = compressed_rows(_first(rows), base, source, _joined(rows), _joined(on), count)
    columns["dependency_start"], columns["dependencies"], columns["sources"] = found
    return columns


def _zeros(count: int) -> dict[str, NDArray[Any]]:
    """Every column, in one piece of memory: many that are returned to the system and fetched again took longer than the work."""
    kinds = {name: np.dtype(dtype) for name, dtype in _COLUMNS.items()}
    kinds |= dict.fromkeys(_CORNERS, np.dtype((np.int32, MAX_RANK)))
    sizes = [-(-count * kind.itemsize // _ALIGNMENT) * _ALIGNMENT for kind in kinds.values()]
    memory, first = np.zeros(sum(sizes), dtype=np.uint8), np.cumsum([0, *sizes]).tolist()
    return {
        name: np.ndarray(count, dtype=kind, buffer=memory, offset=at)
        for (name, kind), at in zip(kinds.items(), first, strict=False)
    }


def _write_shared_values(columns: dict[str, Any], puts: list[_Put], count: int) -> None:
    """The values that all operations of a put have in common."""
    from accelsim.builder._assembly import part_of

    rows = [put.rows for put in puts]
    put_of = part_of(_joined(rows), _first(rows), count)
    for name in {name for put in puts for name in put.same}:
        values = np.array([put.same.get(name, 0) for put in puts], dtype=_COLUMNS[name])
        if values.any():
            values.take(put_of, out=columns[name], mode="clip")


def _write_own_values(columns: dict[str, Any], puts: list[_Put]) -> None:
    for names, alike in _grouped(puts, lambda put: tuple(put.own)).items():
        rows = _joined([put.rows for put in alike])
        for name in names:
            columns[name][rows] = np.concatenate([put.own[name] for put in alike])


def _write_corners(columns: dict[str, Any], puts: list[_Put]) -> None:
    """Lower and upper corners of all boxes, axes beyond their rank 0."""
    from accelsim.builder._assembly import put_corners

    for alike in _grouped(puts, lambda put: put.boxes.lo.shape[1]).values():
        rows = _joined([put.rows for put in alike])
        for side in _CORNERS:
            put_corners(rows, np.concatenate([getattr(put.boxes, side) for put in alike]), columns[side])


def _grouped(puts: list[_Put], key: Callable[[_Put], Key]) -> dict[Key, list[_Put]]:
    groups: dict[Key, list[_Put]] = {}
    for put in puts:
        groups.setdefault(key(put), []).append(put)
    return groups


def _joined(parts: Sequence[Index]) -> Index:
    """One array of all ``parts``, int64 where there are none."""
    return np.concatenate(parts or [np.zeros(0, dtype=np.int64)])


def _first(parts: Sequence[Index]) -> Index:
    """Where each of ``parts`` begins when they are joined, and where the last one ends."""
    return np.cumsum([0, *(len(part) for part in parts)], dtype=np.int64)
