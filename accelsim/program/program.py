"""The Program: every tile operation of a network on a machine, as plain arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.graph import Graph
from accelsim.hardware import (
    DMA_QUEUES,
    READS_FROM,
    STREAMED,
    WRITE_BACK,
    Engine,
    Memory,
    Pass,
    passes_of,
    streaming_of,
)
from accelsim.program.fusion import Fused, fused_layers
from accelsim.program.mapping import Mapping


class Groups(NamedTuple):
    """Operations that agree in core, engine, memory, operand and layer (arrays of one value per group): those of group ``g`` are
    ``order[begin[g] : begin[g + 1]]``, ascending; groups in ascending order of those columns."""

    order: NDArray[np.int64]
    begin: NDArray[np.int64]
    core: NDArray[np.int16]
    engine: NDArray[np.int8]
    memory: NDArray[np.int8]
    operand: NDArray[np.int8]
    layer: NDArray[np.int32]

    def sums(self, values: NDArray[np.int64], of: np.ufunc = np.add) -> NDArray[np.int64]:
        """The sum (or another reduction) of ``values``, one per operation, over each group."""
        total: NDArray[np.int64] = of.reduceat(values[self.order], self.begin[:-1], dtype=np.int64)
        return total


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """Tile operations in program order, one array element each; ``len(program)`` of them.

    ``core``, ``engine``, ``layer`` (index into the graph) and ``amount`` (bytes moved, MACs, elements requantized, vector lane-steps)
    say what is done; ``cycles`` is how long the engine (and the DRAM port, for the DMA engines) is busy, ``latency`` how much
    later the result is there; ``lag``, where the requantizer streams, how long after the start of a tile its first sums are there,
    and how long a requantization or store, or the vector unit in a pass, goes on behind the last of what it reads. The operation
    writes ``extent`` bytes (accumulator words) at ``offset`` of ``memory`` (a KEEP: as many bytes of its tensor's place, which begins
    at ``offset``, where the box stands in the packed row-major tensor); ``lo`` and ``hi`` are the box it covers: of input
    ``operand``'s view for a load (of the weights' view for a weight load), of the layer's output view for all others. It waits for
    ``dependencies[dependency_start[i] : dependency_start[i + 1]]``, all earlier in program order; the first ``sources[i]`` of them
    made the on-chip data that it reads.
    ``bus_bytes`` are what the DRAM's bus moves in whole bursts for the ``amount`` asked for, ``activates`` the DRAM rows opened.
    ``stream_cycles``, ``weight_reads``, ``activation_reads`` (elements) and ``accumulator_writes`` (words) belong to compute
    operations and are 0 elsewhere. ``weight_banks``: of a memory that weights and activations share, the banks behind those of activations
    that each layer's weights have; () where it is not divided by layer. Program order is layer by layer, or band by band of two fused layers
    (:class:`~accelsim.program.fusion.Fused`), and within a layer core by core; engines and on-chip memories are the core's own.
    """

    graph: Graph
    arch: Arch
    mappings: tuple[Mapping | None, ...]
    core: NDArray[np.int16]
    engine: NDArray[np.int8]
    layer: NDArray[np.int32]
    amount: NDArray[np.int64]
    cycles: NDArray[np.int64]
    latency: NDArray[np.int64]
    lag: NDArray[np.int64]
    bus_bytes: NDArray[np.int64]
    activates: NDArray[np.int64]
    memory: NDArray[np.int8]
    offset: NDArray[np.int64]
    extent: NDArray[np.int64]
    operand: NDArray[np.int8]
    lo: NDArray[np.int32]
    hi: NDArray[np.int32]
    stream_cycles: NDArray[np.int64]
    weight_reads: NDArray[np.int64]
    activation_reads: NDArray[np.int64]
    accumulator_writes: NDArray[np.int64]
    sources: NDArray[np.int8]
    dependency_start: NDArray[np.int64]
    dependencies: NDArray[np.int32]
    weight_banks: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.engine)

    def __repr__(self) -> str:
        return f"<Program {self.graph.name!r} on {self.arch.name!r}: {len(self)} tile operations, {len(self.dependencies)} dependencies>"

    def banks_of(self, layer: int) -> tuple[int, int] | None:
        """Banks of weights and of activations while layer number ``layer`` runs; None where they share no memory."""
        if self.arch.shared_buffer.size_bytes is None:
            return None
        weights = self.weight_banks[layer] if self.weight_banks else self.arch.shared_buffer.weight_banks or 0
        return weights, self.arch.tile_banks - weights

    def of_engine(self, engine: Engine) -> NDArray[np.bool_]:
        """Mask of the operations that ``engine`` executes."""
        return np.equal(self.engine, engine)

    def of_layer(self, index: int) -> NDArray[np.int64]:
        """The operations of layer number ``index``, ascending."""
        order, start = self._layers
        return order[start[index] : start[index + 1]]

    @cached_property
    def _layers(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Operations grouped by layer, and where each group begins."""
        start = np.zeros(len(self.graph.layers) + 1, dtype=np.int64)
        start[1:] = np.cumsum(np.bincount(self.layer, minlength=len(start))[: len(start) - 1])
        return np.argsort(self.layer, kind="stable"), start

    @cached_property
    def queue(self) -> NDArray[np.int64]:
        """The in-order queue of each operation: ``engine * cores + core``; DRAM engines may share one (``dma.queues``)."""
        shared = np.arange(len(Engine))
        shared[: len(DMA_QUEUES[3])] = DMA_QUEUES[self.arch.dma.queues]
        return shared[self.engine] * self.arch.cores.count + self.core

    @cached_property
    def port_priority(self) -> NDArray[np.int64]:
        """``engine * cores + core``: of the operations that are ready in the same cycle, the least goes first at the DRAM port."""
        return self.engine.astype(np.int64) * self.arch.cores.count + self.core

    def operands(self, i: int) -> NDArray[np.int32]:
        """The operations whose on-chip results operation ``i`` reads."""
        start = self.dependency_start[i]
        return self.dependencies[start : start + self.sources[i]]

    def waits_for(self, i: int) -> NDArray[np.int32]:
        """All operations for which operation ``i`` waits: for their results, or until they let go of a slot
        (:data:`accelsim.hardware.SLOT_WAITS`)."""
        start, waits = self.waits
        return waits[start[i] : start[i + 1]]

    @cached_property
    def waits(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """``dependency_start`` and ``dependencies`` without those that order on one engine satisfies.

        In an array that pipelines tiles the next step of a sum enters behind the step before, and meets its sums at the
        accumulators in the same order: it follows, but does not wait until they are finished.
        """
        if not self.arch.array.pipelines_tiles:
            return self.dependency_start, self.dependencies
        waiting = np.repeat(np.arange(len(self)), np.diff(self.dependency_start))
        on, compute = self.dependencies, self.of_engine(Engine.COMPUTE)
        kept = ~(compute[waiting] & compute[on] & (self.core[waiting] == self.core[on]))
        start = np.concatenate([[0], np.cumsum(np.bincount(waiting[kept], minlength=len(self)))]).astype(np.int64)
        return start, on[kept]

    @cached_property
    def streamed(self) -> NDArray[np.int32]:
        """The operation whose results each one takes as they come, -1 where it waits for all of them (int32)."""
        taken = np.full(len(self), -1, dtype=np.int32)
        streamed = STREAMED[streaming_of(self.arch)]
        for engine in (Engine.VECTOR, *streamed) if self.passes else streamed:
            takes = np.flatnonzero(self.of_engine(engine))
            first = self.dependencies[self.dependency_start[takes]]
            comes = self.engine[first] == READS_FROM[engine]
            if engine == Engine.STORE:
                comes |= taken[first] >= 0  # of the vector unit in a pass
            taken[takes[comes]] = first[comes]
        return taken

    @cached_property
    def passes(self) -> tuple[Pass, ...]:
        """The layers that are computed on the fly, each in one pass with the one before."""
        return passes_of(self.graph, self.arch)

    @cached_property
    def fused(self) -> tuple[Fused, ...]:
        """The pairs of layers that are computed in step."""
        return fused_layers(self.graph, self.mappings)

    @cached_property
    def groups(self) -> Groups:
        """Operations grouped by what figures are summed over."""
        columns: list[NDArray[Any]] = [self.core, self.engine, self.memory, self.operand, self.layer]
        lows = [int(column.min(initial=0)) for column in columns]
        sizes = [int(column.max(initial=0)) - low + 1 for column, low in zip(columns, lows, strict=True)]
        short = math.prod(sizes) < 2**16  # which are faster to sort
        key: NDArray[Any] = np.zeros(len(self), dtype=np.uint16 if short else np.int64)
        for column, low, size in zip(columns, lows, sizes, strict=True):
            key *= key.dtype.type(size)
            key += (column.astype(np.int32) - low).astype(key.dtype)
        order = np.argsort(key, kind="stable")
        key = key[order]
        begin = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1], [True]]) if len(key) else np.ones(1))
        at = order[begin[:-1]]
        return Groups(order, begin, self.core[at], self.engine[at], self.memory[at], self.operand[at], self.layer[at])

    @cached_property
    def write_backs(self) -> NDArray[np.int64]:
        """The operations that empty the output buffer, ascending."""
        return np.flatnonzero(np.isin(np.arange(len(Engine)), WRITE_BACK)[self.engine])

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of all compute operations."""
        return int(self.amount[self.of_engine(Engine.COMPUTE)].sum())

    @cached_property
    def rank(self) -> NDArray[np.int8]:
        """Dimensions of each operation's box: 4 for MAC layers, that of the view for the others."""
        layers = self.graph.layers
        columns = 1 + max([len(layer.inputs) for layer in layers] or [0])
        table = np.zeros((len(layers), columns), dtype=np.int8)
        for row, layer in zip(table, layers, strict=True):
            row[:] = len(layer.output_shape)
            row[1 : 1 + len(layer.inputs)] = [len(view) for view in layer.input_shapes]
        return table[self.layer, self.operand + 1]

    def box(self, i: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(lo, hi) of operation ``i``."""
        rank = self.rank[i]
        return tuple(self.lo[i, :rank].tolist()), tuple(self.hi[i, :rank].tolist())

    def replace(self, **columns: Any) -> Program:
        """A copy with some columns replaced, as tests do to break it on purpose."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Program(**(values | columns))

    def describe(self, i: int) -> str:
        """Operation ``i`` in words, for error messages."""
        lo, hi = self.box(i)
        ranges = ", ".join(f"{a}:{b}" for a, b in zip(lo, hi, strict=True))
        where = Memory(self.memory[i]).label
        by = f"core {self.core[i]}, " if self.arch.cores.count > 1 else ""
        layer = self.graph.layers[self.layer[i]].name
        return f"operation {i} ({by}{Engine(self.engine[i]).label} [{ranges}] of layer {layer!r} into the {where})"
