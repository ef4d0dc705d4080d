"""Columns of a Program while it is being built: blocks of operations appended one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Boxes
from accelsim.program.kinds import Engine, Memory
from accelsim.program.program import MAX_RANK

Index = NDArray[np.int64]

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


class LayerBlock:
    """The operations of one layer on one core: ``count`` rows, global index ``base`` + local row; filled kind by kind."""

    def __init__(self, layer: int, base: int, count: int, core: int = 0) -> None:
        self.layer, self.base, self.count = layer, base, count
        self.columns = {name: np.zeros(count, dtype=dtype) for name, dtype in _COLUMNS.items()}
        self.columns["layer"][:], self.columns["core"][:] = layer, core
        self.columns["operand"][:] = -1
        self.lo = np.zeros((count, MAX_RANK), dtype=np.int32)
        self.hi = np.zeros((count, MAX_RANK), dtype=np.int32)
        self._edges: list[tuple[Index, Index, bool]] = []

    def put(self, rows: Index, engine: Engine, memory: Memory, boxes: Boxes, **columns: Any) -> None:
        """Write the operations at local ``rows``, all of one engine."""
        rank = boxes.lo.shape[1]
        self.lo[rows, :rank], self.hi[rows, :rank] = boxes.lo, boxes.hi
        self.columns["engine"][rows], self.columns["memory"][rows] = engine, memory
        for name, values in columns.items():
            self.columns[name][rows] = values

    def wait(self, rows: Index, on: Index, *, source: bool = False) -> None:
        """Operations at local ``rows`` wait for the global operations ``on``; entries of -1 are no dependency."""
        real = on >= 0
        self._edges.append((rows[real] + self.base, on[real], source))

    def edges(self) -> tuple[Index, Index, NDArray[np.bool_]]:
        """All dependencies: waiting operation, awaited operation, whether its data is read."""
        rows = np.concatenate([e[0] for e in self._edges]) if self._edges else np.zeros(0, dtype=np.int64)
        on = np.concatenate([e[1] for e in self._edges]) if self._edges else np.zeros(0, dtype=np.int64)
        source = [np.full(len(e[0]), e[2]) for e in self._edges]
        return rows, on, np.concatenate(source) if source else np.zeros(0, dtype=np.bool_)


def assemble(blocks: list[LayerBlock]) -> dict[str, Any]:
    """All columns of a Program, dependencies as CSR with the sources of each operation first."""
    count = sum(block.count for block in blocks)
    columns: dict[str, Any] = {
        name: np.concatenate([b.columns[name] for b in blocks] or [np.zeros(0, dtype)])
        for name, dtype in _COLUMNS.items()
    }
    empty = np.zeros((0, MAX_RANK), dtype=np.int32)
    columns["lo"] = np.concatenate([b.lo for b in blocks] or [empty])
    columns["hi"] = np.concatenate([b.hi for b in blocks] or [empty])
    edges = [b.edges() for b in blocks]
    rows = np.concatenate([e[0] for e in edges] or [np.zeros(0, np.int64)])
    on = np.concatenate([e[1] for e in edges] or [np.zeros(0, np.int64)])
    source = np.concatenate([e[2] for e in edges] or [np.zeros(0, np.bool_)])
    order = np.lexsort((~source, rows))
    columns["dependency_start"] = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))]).astype(np.int64)
    columns["dependencies"] = on[order].astype(np.int32)
    columns["sources"] = np.bincount(rows[source], minlength=count).astype(np.int8)
    return columns
