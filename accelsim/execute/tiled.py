"""Integers through the Program's own tiles and buffers, in program order or in the order of a timeline.

Each operation begins (its destination is claimed: what stood there is gone), lets go (it has read its sources, which must still be
untouched) and ends (it writes). In timeline order these stand at its start, at the cycle in which it lets go of its engine and at its
finish, so a forgotten dependency shows as a :class:`~accelsim.errors.HazardError` whatever the values are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.execute.im2col import Matrices, Unrolled
from accelsim.execute.memory import Bytes, Dram, pack, unpack
from accelsim.execute.proof import accumulator_formats
from accelsim.execute.resident import Resident
from accelsim.graph import MacGeometry, MacLayer, MatMul, Reshape, VectorLayer
from accelsim.hardware import (
    Engine,
    Memory,
    accumulator_words,
    held_share,
    passed_through_code,
    space_bytes,
    stored,
)
from accelsim.kernels import accumulate_block, centred, evaluate
from accelsim.numerics import IntFormat, Overflow, requantize
from accelsim.program import Program


class Times(Protocol):
    """When each operation starts, lets go and finishes, int64 cycles; a :class:`~accelsim.timing.Timeline` is one."""

    @property
    def start(self) -> NDArray[np.int64]: ...

    @property
    def until(self) -> NDArray[np.int64]: ...

    @property
    def finish(self) -> NDArray[np.int64]: ...


def run_program(
    program: Program, inputs: Mapping[str, NDArray[Any]], *, timeline: Times | None = None
) -> dict[str, NDArray[Any]]:
    """Every tensor of one inference, by Graph name; ``inputs`` are integer tensors in their Graph shapes.

    Without ``timeline`` the operations run in program order. InputError, HazardError or AccumulatorOverflowError otherwise.
    """
    if program.graph.shape_only:
        raise InputError(f"graph {program.graph.name!r} carries shapes only; it can be timed, not executed")
    reader = TiledReader(program, inputs)
    steps = {_BEGINS: reader.begin, _LETS_GO: reader.let_go, _ENDS: reader.end}
    for operation, step in _program_order(program) if timeline is None else _timeline_order(timeline):
        steps[step](operation)
    return reader.tensors()


_LETS_GO, _ENDS, _BEGINS = range(3)
"""In the order in which they happen within a cycle: nothing begins there before all else has been done."""


def _program_order(program: Program) -> Iterator[tuple[int, int]]:
    for operation in range(len(program)):
        for step in (_BEGINS, _LETS_GO, _ENDS):
            yield operation, step


def _timeline_order(timeline: Times) -> Iterator[tuple[int, int]]:
    """(operation, step) by cycle."""
    count = len(timeline.start)
    cycle = np.concatenate([timeline.until, timeline.finish, timeline.start])
    step = np.repeat([_LETS_GO, _ENDS, _BEGINS], count)
    operation = np.tile(np.arange(count), 3)
    for event in np.lexsort((operation, step, cycle)).tolist():
        yield int(operation[event]), int(step[event])


class ArrayBlock(NamedTuple):
    """What one compute operation brings together: codes ``x`` (n, rows, columns, channels), weights (oc, kh, kw, ic) as the array
    multiplies them, the geometry under which they meet, and where outputs, codes and weights begin in their views."""

    x: NDArray[Any]
    weights: NDArray[Any]
    geometry: MacGeometry
    output_origin: tuple[int, ...]
    input_origin: tuple[int, ...]
    weight_origin: tuple[int, ...]


class TiledReader:
    """The state of one inference: DRAM, each core's buffers and accumulators, tensors kept on chip.

    ``_kept`` is what became of each tensor that never reaches DRAM: for the caller, no operation reads it.
    """

    def __init__(self, program: Program, inputs: Mapping[str, NDArray[Any]]) -> None:
        self._program, self._graph = program, program.graph
        self._accumulators = accumulator_formats(program.graph, program.arch)
        on_chip = [m for m in Memory if m not in (Memory.DRAM, Memory.RESIDENT, Memory.ON_THE_FLY)]
        self._memories: list[dict[Memory, Bytes]] = [
            {memory: _memory(memory, program) for memory in on_chip} for _ in range(program.arch.cores.count)
        ]
        if program.arch.shared_buffer.size_bytes is not None:
            for mine in self._memories:
                mine[Memory.WEIGHTS] = mine[Memory.ACTIVATIONS]
        self._resident, self._matrices = Resident(program), Matrices(program)
        self._dram, self._kept = Dram(), Dram()
        self._taken: dict[tuple[int, int], NDArray[Any]] = {}  # what an operation has read of a source, until it ends
        self._passed: dict[int, NDArray[Any]] = {}  # what a requantizer hands on within a pass
        self._between = {name for one in program.passes for name in one.tensors}
        self._fill_dram(inputs)
        self._actions = {
            Engine.LOAD_WEIGHTS: self._load_weights,
            Engine.LOAD_ACTIVATIONS: self._load_activations,
            Engine.COMPUTE: self._compute,
            Engine.REQUANTIZE: self._requantize,
            Engine.VECTOR: self._vector,
            Engine.STORE: self._store,
            Engine.KEEP: self._keep,
            Engine.RECALL: self._recall,
        }

    def _fill_dram(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        given = self._graph.with_state(inputs)
        for name in self._graph.entries:
            if name not in given:
                raise InputError(f"input {name!r} is missing; the network's inputs are {list(self._graph.entries)}")
            self._dram.put(name, np.asarray(given[name]).reshape(self._graph.tensors[name].shape), self._type(name))
        for name, values in self._graph.constants.items():
            self._dram.put(name, values, self._type(name))
        for layer in self._graph.layers:
            shape, home = self._graph.tensors[layer.output].shape, self._home(layer.output)
            if isinstance(layer, Reshape):
                home.alias(layer.output, layer.inputs[0], shape)
            else:
                home.reserve(layer.output, shape, self._type(layer.output))

    def _type(self, tensor: str) -> np.dtype[Any]:
        return self._graph.tensors[tensor].format.dtype

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All tensors, in their formats."""
        names = [*self._graph.entries, *(layer.output for layer in self._graph.layers)]
        return {name: self._home(name).tensor(name).astype(self._graph.tensors[name].format.dtype) for name in names}

    def _home(self, tensor: str) -> Dram:
        return self._kept if self._resident.holds(tensor) or tensor in self._between else self._dram

    def begin(self, i: int) -> None:
        """Operation ``i`` starts: its sources must be in place, its destination is no longer readable.

        A step of a sum takes over the accumulators of the step before, which therefore stay readable to it; where the array
        pipelines tiles they need not be written yet, nor need what is taken as it comes. So does the vector unit in a pass with the place
        of what it reads beside: element by element.
        """
        continues_a_sum = self._continues_a_sum(i)
        in_place = continues_a_sum or (self._program.engine[i] == Engine.VECTOR and self._program.streamed[i] >= 0)
        follows = continues_a_sum and self._program.arch.array.pipelines_tiles
        for source in self._program.operands(i)[: 2 if follows else None].tolist():
            if source != self._program.streamed[i]:
                self._memory_of(source).check(self._program, i, source)
        if self._program.engine[i] == Engine.RECALL:
            self._resident.check(i)
        if self._program.engine[i] == Engine.KEEP:
            self._resident.claim(i)
            return
        if self._program.memory[i] in self._memories[0] and not in_place:
            self._memory_of(i).claim(self._program, i)

    def let_go(self, i: int) -> None:
        """Operation ``i`` lets go of its engine: it has read its sources, but for sums that it meets behind the array."""
        for source in self._program.operands(i)[: 2 if self._continues_a_sum(i) else None].tolist():
            if self._program.memory[source] == Memory.ON_THE_FLY:
                self._taken[i, source] = self._passed.pop(source)
            else:
                self._taken[i, source] = self._memory_of(source).read(self._program, i, source).copy()

    def _continues_a_sum(self, i: int) -> bool:
        return bool(self._program.engine[i] == Engine.COMPUTE and self._program.sources[i] == 3)

    def end(self, i: int) -> None:
        """Operation ``i`` finishes: its result is in place."""
        self._actions[Engine(self._program.engine[i])](i)

    def _memory_of(self, i: int) -> Bytes:
        return self._memories[int(self._program.core[i])][Memory(self._program.memory[i])]

    def _layer(self, i: int) -> Any:
        return self._graph.layers[self._program.layer[i]]

    def _slices(self, i: int) -> tuple[slice, ...]:
        lo, hi = self._program.box(i)
        return tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))

    def _block(self, reader: int, source: int, fmt: IntFormat) -> NDArray[Any]:
        """What ``source`` put into its region, as an array of its box."""
        lo, hi = self._program.box(source)
        data = self._taken.pop((reader, source))
        return unpack(data, tuple(b - a for a, b in zip(lo, hi, strict=True)), fmt)

    def _load_weights(self, i: int) -> None:
        layer, view = self._layer(i), self._layer(i).geometry.weight_shape
        if self._program.operand[i] == 1:
            values = self._dram.load(layer.inputs[1], view, self._slices(i), self._program.describe(i))
        else:
            values = layer.weights.reshape(view)[self._slices(i)]
            if held_share(layer, self._program.arch) < 1:
                values = passed_through_code(layer, self._slices(i), values)
        kept = stored(layer, self._program.arch)
        self._put(i, pack(kept.encoded(values, self._program.box(i)[0][0]), kept.format))

    def _put(self, i: int, packed: NDArray[np.uint8]) -> None:
        """Write what a load brought, behind weights the padding of whole tiles of them."""
        padding = int(self._program.extent[i]) - packed.size if self._program.memory[i] == Memory.WEIGHTS else 0
        self._memory_of(i).write(self._program, i, np.pad(packed, (0, padding)) if padding > 0 else packed)

    def _load_activations(self, i: int) -> None:
        layer, operand = self._layer(i), int(self._program.operand[i])
        name, view = layer.inputs[operand], layer.input_shapes[operand]
        values: NDArray[Any] = self._dram.load(name, view, self._slices(i), self._program.describe(i))
        self._fill(i, values, self._graph.tensors[name].format)

    def _fill(self, i: int, values: NDArray[Any], fmt: IntFormat) -> None:
        """Write the box of ``values`` that a load brought, or the matrix of its windows."""
        held = self._matrices.unroll(i, values) if self._matrices.expands(i) else values
        self._put(i, pack(held, fmt))

    def _compute(self, i: int) -> None:
        program, layer = self._program, self._layer(i)
        weight_load, input_load, *before = program.operands(i).tolist()
        kept = stored(layer, program.arch)
        weights = kept.decoded(self._block(i, weight_load, kept.format), program.box(weight_load)[0][0])
        if isinstance(layer, MatMul):
            weights = centred(weights, layer.right_zero_point)
        lo, hi = program.box(i)
        weight_origin, input_origin = program.box(weight_load)[0], program.box(input_load)[0]
        if self._matrices.explicit:
            x, geometry = self._windows(i, input_load, lo, weight_origin)
            input_origin = (0, 0, 0, input_origin[3])
        else:
            x, geometry = self._block(i, input_load, self._graph.tensors[layer.inputs[0]].format), layer.geometry
        shape = tuple(b - a for a, b in zip(lo, hi, strict=True))
        sums = self._partial_sums(i, before[0], shape, layer) if before else _bias_block(layer, shape, lo[3], hi[3])
        fmt, begun = self._accumulators[layer.name], self._copy_of(sums)
        accumulate_block(
            sums,
            x,
            weights,
            geometry=geometry,
            output_origin=lo,
            input_origin=input_origin,
            weight_origin=weight_origin,
            input_zero_point=layer.input_zero_point,
            accumulator=fmt,
            overflow=Overflow(program.arch.accumulator.overflow),
            where=layer.name,
            products_per_add=program.arch.accumulator.products_per_add,
        )
        if begun is not None:
            block = ArrayBlock(x, weights, geometry, tuple(lo), tuple(input_origin), tuple(weight_origin))
            self._computed(i, block, begun, sums)
        words = self._words(layer)
        self._memory_of(i).write(program, i, np.repeat(sums.reshape(-1), words) if words > 1 else sums.reshape(-1))

    def _copy_of(self, sums: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Sums before a step, where somebody watches."""
        return None

    def _computed(self, i: int, block: ArrayBlock, before: NDArray[np.int64], after: NDArray[np.int64]) -> None:
        """What a compute operation took and made, where somebody watches."""

    def _windows(self, i: int, load: int, output: tuple[int, ...], weights: tuple[int, ...]) -> Unrolled:
        """The matrix that ``load`` left in the activation buffer, for compute operation ``i``."""
        fmt = self._graph.tensors[self._layer(i).inputs[0]].format
        matrix = unpack(self._taken.pop((i, load)), self._matrices.shape(load), fmt)
        return self._matrices.image(load, matrix, output, weights)

    def _words(self, layer: MacLayer) -> int:
        return accumulator_words(self._graph.tensors[layer.inputs[0]].format.bits, self._program.arch)

    def _partial_sums(self, i: int, source: int, shape: tuple[int, ...], layer: MacLayer) -> NDArray[np.int64]:
        taken = self._taken.pop((i, source), None)
        data = self._memory_of(source).read(self._program, i, source) if taken is None else taken
        return data[:: self._words(layer)].reshape(shape).copy()

    def _requantize(self, i: int) -> None:
        layer, source = self._layer(i), int(self._program.operands(i)[0])
        lo, hi = self._program.box(i)
        sums = self._partial_sums(i, source, tuple(b - a for a, b in zip(lo, hi, strict=True)), layer)
        codes = requantize(sums, layer.requant.channels(lo[3], hi[3]))
        packed = pack(codes, self._graph.tensors[layer.output].format)
        if self._program.memory[i] == Memory.ON_THE_FLY:
            self._passed[i] = packed
            self._kept.store(layer.output, layer.output_shape, self._slices(i), codes, self._program.describe(i))
            return
        self._memory_of(i).write(self._program, i, packed)

    def _vector(self, i: int) -> None:
        program, layer = self._program, self._layer(i)
        assert isinstance(layer, VectorLayer)
        loads = {int(program.operand[source]): source for source in program.operands(i).tolist()}
        if -1 in loads:  # what the requantizer hands on
            self._on_the_fly(i, loads.pop(-1), loads)
            return
        blocks, boxes = [], []
        for k, name in enumerate(layer.inputs):
            fmt, rank = self._graph.tensors[name].format, len(layer.input_shapes[k])
            blocks.append(self._block(i, loads[k], fmt) if k in loads else np.zeros((0,) * rank, fmt.dtype))
            boxes.append(program.box(loads[k]) if k in loads else ((0,) * rank, (0,) * rank))
        codes = evaluate(layer, blocks, boxes, program.box(i))
        self._memory_of(i).write(program, i, pack(codes, self._graph.tensors[layer.output].format))

    def _on_the_fly(self, i: int, handed_on: int, loads: dict[int, int]) -> None:
        """All layers of a pass, one behind the other, on what the requantizer hands on and on what is read beside."""
        program, graph = self._program, self._graph
        first, last = int(program.layer[handed_on]), int(program.layer[i])
        name, box = graph.layers[first].output, program.box(handed_on)
        codes = self._block(i, handed_on, graph.tensors[name].format)
        beside = {source: self._block(i, source, self._format_of(source)) for source in loads.values()}
        for index in range(first + 1, last + 1):
            layer = graph.layers[index]
            assert isinstance(layer, VectorLayer)
            made = {k: (codes, box) for k, tensor in enumerate(layer.inputs) if tensor == name}
            read = {
                k: (beside[source], program.box(source))
                for k, source in loads.items()
                if program.layer[source] == index
            }
            blocks, boxes = zip(*((made | read)[k] for k in range(len(layer.inputs))), strict=True)
            name, fmt, box = layer.output, graph.tensors[layer.output].format, program.box(i) if index == last else box
            codes = evaluate(layer, blocks, boxes, box).astype(fmt.dtype)
            if index < last:
                place = tuple(slice(low, high) for low, high in zip(*box, strict=True))
                self._kept.store(name, layer.output_shape, place, codes, program.describe(i))
        self._memory_of(i).write(program, i, pack(codes, graph.tensors[name].format))

    def _format_of(self, load: int) -> IntFormat:
        """Of the codes that a load of activations brings."""
        return self._graph.tensors[self._layer(load).inputs[int(self._program.operand[load])]].format

    def _store(self, i: int) -> None:
        layer = self._layer(i)
        values = self._block(i, int(self._program.operands(i)[0]), self._graph.tensors[layer.output].format)
        self._dram.store(layer.output, layer.output_shape, self._slices(i), values, self._program.describe(i))

    def _keep(self, i: int) -> None:
        layer = self._layer(i)
        values = self._block(i, int(self._program.operands(i)[0]), self._graph.tensors[layer.output].format)
        self._resident.write(i, values)
        self._kept.store(layer.output, layer.output_shape, self._slices(i), values, self._program.describe(i))

    def _recall(self, i: int) -> None:
        name = self._layer(i).inputs[int(self._program.operand[i])]
        self._fill(i, self._resident.read(i), self._graph.tensors[name].format)


def _memory(memory: Memory, program: Program) -> Bytes:
    size = space_bytes(memory, program.arch)
    return Bytes(size, np.int64 if memory is Memory.ACCUMULATORS else np.uint8)


def _bias_block(layer: MacLayer, shape: tuple[int, ...], lo: int, hi: int) -> NDArray[np.int64]:
    """Accumulators before the first product: the bias of each channel."""
    sums = np.zeros(shape, dtype=np.int64)
    if layer.array_bias is not None:
        sums += layer.array_bias[lo:hi]
    return sums
