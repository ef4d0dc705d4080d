"""What the blocks of a Program under construction share: its columns, memories, finished stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import MOST_SLOTS, Arch
from accelsim.builder.dram import Dram
from accelsim.builder.records import (
    ACCUMULATOR_WRITES,
    ACTIVATES,
    ACTIVATION_READS,
    AMOUNT,
    BUS_BYTES,
    CONSUMERS,
    CYCLES,
    ENGINE,
    EXTENT,
    FIGURES,
    FILLS,
    HI,
    KINDS,
    LAG,
    LATENCY,
    LO,
    MEMORY,
    NONE,
    OFFSET,
    OPERAND,
    SOURCES,
    STREAM_CYCLES,
    WEIGHT_READS,
    Block,
    Ends,
    Grids,
    Port,
    Source,
    State,
)
from accelsim.graph import Graph, Layer
from accelsim.hardware import (
    WRITE_BACK,
    Engine,
    Machine,
    Memory,
    OperandBits,
    PerMemory,
    divided,
    machine_of,
    output_of,
    passes_of,
    slots,
    vector_of,
)
from accelsim.program import MacShare, Residency, VectorShare
from accelsim.program import Mapping as Tiling

Index = NDArray[np.int64]
Made = TypeVar("Made")
_ON_CHIP = (Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.ACCUMULATORS, Memory.OUTPUTS)
"""Most of any memory."""
_WAITS = 4
"""Most of an operation beside those for stores of what it reads."""
_KINDS: Mapping[str, int] = {"engine": ENGINE, "memory": MEMORY, "operand": OPERAND, "sources": SOURCES}
_FIGURES: Mapping[str, int] = {
    "amount": AMOUNT, "cycles": CYCLES, "latency": LATENCY, "lag": LAG, "bus_bytes": BUS_BYTES, "activates": ACTIVATES, "offset": OFFSET,
    "extent": EXTENT, "stream_cycles": STREAM_CYCLES, "weight_reads": WEIGHT_READS, "activation_reads": ACTIVATION_READS,
    "accumulator_writes": ACCUMULATOR_WRITES,
}  # fmt: skip


class BuildState:
    """Where a Program of at most ``most`` operations in so many ``blocks`` is built, block after block."""

    def __init__(
        self,
        graph: Graph,
        arch: Arch,
        mappings: Sequence[Tiling | None],
        resident: Sequence[str] = (),
        *,
        most: int,
        blocks: int,
    ) -> None:
        self.graph, self.arch = graph, arch
        self.dram = Dram(graph, arch)
        self.residency = Residency(graph, arch, mappings, resident)
        views = (view for layer in graph.layers for view in (*layer.input_shapes, layer.output_shape))
        self.rank = max(map(len, views), default=1)
        self.port = Port(
            PerMemory(*(slots(memory, arch) for memory in _ON_CHIP)),
            vector_of(arch),
            output_of(arch),
            arch.array.pipelines_tiles,
        )
        self.core, self.layer = np.zeros(most, dtype=np.int16), np.zeros(most, dtype=np.int32)
        self.columns = _room(most, _no_grids(blocks, self.rank), arch.cores.count, len(graph.tensors) + len(resident))
        self.ends = Ends(0, 0, 0)
        self._blocks = 0
        self._stored = np.zeros(len(graph.layers), dtype=np.int64)
        self._grids: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._last_stored = self._before = self._weight_banks = NONE
        self._made: dict[object, object] = {}
        self.passes = {one.producer: one for one in passes_of(graph, arch)}
        self._vector = np.full(arch.cores.count, NONE, dtype=np.int64)

    def once(self, key: object, make: Callable[[], Made]) -> Made:
        """What ``make`` gives for ``key``, made for the first layer that asks and shared with those like it; nobody may change it."""
        if key not in self._made:
            self._made[key] = make()
        return cast(Made, self._made[key])

    def machine(self, bits: OperandBits) -> Machine:
        """The machine for operands of these widths, a shared memory divided for the layer under way."""
        machine = self.once(bits, lambda: self.dram.unpriced(machine_of(bits, self.arch)))
        if not machine.capacity.bank:
            return machine
        return machine._replace(capacity=divided(machine.capacity, self._weight_banks))

    def begin_layer(self, weight_banks: int = NONE) -> None:
        """The layers until now are those before the one that all cores turn to, whose weights have so many banks of a shared memory."""
        from accelsim.builder._banks import change_divisions

        self._before = self._last_stored
        if self._weight_banks not in (NONE, weight_banks):
            change_divisions(self.columns.consumers)
        self._weight_banks = weight_banks

    def bits(self, tensor: str) -> int:
        """Width of a tensor's elements."""
        return self.graph.tensors[tensor].format.bits

    def alias(self, tensor: str, of: str) -> None:
        """``tensor`` is the same memory as ``of`` under another shape."""
        if of in self._grids:
            self._grids[tensor] = self._grids[of]

    def source(self, layer: Layer, number: int) -> Source:
        """Where input ``number`` of ``layer`` comes from.

        In a graph of shapes only, a layer's unknown input is taken to be whatever the layer before it made.
        """
        tensor = layer.inputs[number]
        grid, view = self._grids.get(tensor, (self._before if self.graph.shape_only else NONE, ()))
        boxwise = tensor in self._grids and view == layer.input_shapes[number]
        return Source(number, grid, boxwise, self.residency.number(tensor))

    def block(self, index: int, share: MacShare | VectorShare, operations: int) -> Block:
        """Where the next block stands, a ``share`` of layer ``index`` that makes so many ``operations`` at most."""
        self._make_room(operations)
        output, input_channel = self.graph.layers[self._last_of(index)].output, 0
        image, row, channel = 0, 0, 0
        if isinstance(share, MacShare):
            image, row, channel, input_channel = share.image, share.row, share.channel, share.input_channel
        address, keeper, freed, window, axis = self.residency.offset(output), NONE, NONE, 0, 0
        if address is not None:
            keeper, pair = self.residency.number(output), self.residency.window(output)
            freed = max(
                (int(self.columns.recalled[other]) for other in self.residency.neighbours(output)), default=NONE
            )
            window, axis = (0, 0) if pair is None else (pair.window, pair.axis)
        place = NONE if address is None else address
        vector = int(self._vector[share.core]) if index in self.passes else NONE
        return Block(
            index,
            share.core,
            self._blocks,
            image,
            row,
            channel,
            input_channel,
            place,
            freed,
            window,
            axis,
            keeper,
            vector,
        )

    def _last_of(self, index: int) -> int:
        """The layer that stores what layer ``index`` leads to: that behind it in the same pass, or itself."""
        return self.passes[index].consumer if index in self.passes else index

    def _make_room(self, operations: int) -> None:
        """For what so many more operations wait for: the stores of each block that made what they read, at most."""
        waits, most = self.columns.waits, self.ends.waits + operations * (_WAITS + int(self._stored.max(initial=1)))
        if most > len(waits):
            longer = np.empty(max(most, 2 * len(waits)), dtype=waits.dtype)
            longer[: self.ends.waits] = waits[: self.ends.waits]
            self.columns = self.columns._replace(waits=longer)

    def end_block(self, block: Block, ends: Ends) -> None:
        """The operations of ``block`` go up to ``ends``."""
        base, self.ends = self.ends.operations, Ends(*ends)
        self.core[base : self.ends.operations] = block.core
        self.layer[base : self.ends.operations] = block.layer
        last, following = self._last_of(block.layer), self.columns.grids.next
        self._note_vector(base, block, last)
        layer = self.graph.layers[last]
        first, _ = self._grids.setdefault(layer.output, (block.grid, layer.output_shape))
        if first != block.grid:  # behind those of other cores, or bands
            end = first
            while following[end] != NONE:
                end = int(following[end])
            following[end] = block.grid
        self._last_stored = first
        self._stored[last] += 1
        self._blocks += 1

    def _note_vector(self, base: int, block: Block, last: int) -> None:
        """The operations from ``base`` on that the vector unit, or what it reads and makes, takes part in are those of layer ``last``."""
        if not self.arch.vector.passes:
            return
        mine = slice(base, self.ends.operations)
        engine, memory = self.columns.kinds[ENGINE, mine], self.columns.kinds[MEMORY, mine]
        if last != block.layer:
            behind = (memory == Memory.OUTPUTS) | np.isin(engine, WRITE_BACK)
            self.layer[mine][behind] = last
        worked = np.flatnonzero(engine == Engine.VECTOR)
        if len(worked):
            self._vector[block.core] = base + worked[-1]

    def finish(self) -> dict[str, Any]:
        """All columns of the Program, dependencies as CSR with the sources of each operation first."""
        columns, (count, waits, _) = self.columns, self.ends
        columns.first[count] = waits
        found: dict[str, Any] = {name: columns.kinds[row, :count] for name, row in _KINDS.items()}
        found |= {name: columns.figures[row, :count] for name, row in _FIGURES.items()}
        found |= {
            "core": self.core[:count],
            "layer": self.layer[:count],
            "lo": columns.boxes[LO, :count],
            "hi": columns.boxes[HI, :count],
        }
        return found | {"dependency_start": columns.first[: count + 1], "dependencies": columns.waits[:waits].copy()}


def _room(most: int, grids: Grids, cores: int, kept: int) -> State:
    """Room for so many operations; regions, boxes and what few operations have are 0 until they are written."""
    memories = len(_ON_CHIP)
    return State(
        np.zeros((len(KINDS), most), np.int8), np.zeros((len(FIGURES), most), np.int64),
        np.zeros((2, most, grids.begin.shape[1]), np.int32), np.zeros(most + 1, np.int64), np.empty(_WAITS * most, np.int32),
        np.empty(most, np.int32), _no_consumers(cores, memories), np.zeros((cores, memories), np.int64),
        np.full((cores, MOST_SLOTS, 3), NONE, np.int64), np.empty(most, np.int64), np.full(kept, NONE, np.int64), grids,
    )  # fmt: skip


def _no_consumers(cores: int, memories: int) -> Index:
    """Nothing read yet, and nothing to wait for besides."""
    consumers = np.full((cores, memories, CONSUMERS), NONE, np.int64)
    consumers[:, :, FILLS] = 0
    return consumers


def _no_grids(blocks: int, rank: int) -> Grids:
    """Nothing stored yet: grids of a single tile along every axis."""
    zero, one = np.zeros((blocks, rank), np.int64), np.ones((blocks, rank), np.int64)
    count = np.zeros(blocks, np.int64)
    return Grids(count, count.copy(), count + NONE, zero, one, one.copy(), one.copy(), one.copy(), zero.copy())
