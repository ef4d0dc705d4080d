"""The numbers of one exported core: widths, sizes, counts, as ``config_pkg.sv`` has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.execute import Matrices
from accelsim.graph import MacLayer, MatMul
from accelsim.handoff.rtl.refuse import compute_tile
from accelsim.handoff.rtl.schemes import Comparison, Unit, fields, unit_label, unit_of, width
from accelsim.hardware import (
    DMA_QUEUES,
    DRAM_ENGINES,
    FREED,
    ComputeTiles,
    Engine,
    Memory,
    ceil_div,
    slot_capacity,
    slots,
    streaming_of,
)
from accelsim.numerics import IntFormat, Overflow, Requant, Thresholds
from accelsim.program import Place, Program, kept_places
from accelsim.timing import Timeline

ENGINES = tuple(Engine)
"""Engines of the core, and the vector unit beside it."""
POLICIES = {Overflow.WRAP: 0, Overflow.SATURATE: 1, Overflow.SATURATE_SYMMETRIC: 2, Overflow.TRAP: 0}
"""Codes of ``fit.sv``; a sum that may trap is refused before."""


RANK = 6
"""Axes of a box, those in front of it 1."""


@dataclass(frozen=True, eq=False)
class Design:
    """The core that runs the Program of ``timeline``."""

    timeline: Timeline

    @cached_property
    def layers(self) -> dict[int, MacLayer]:
        """MAC layers by number."""
        return {i: layer for i, layer in enumerate(self.timeline.program.graph.layers) if isinstance(layer, MacLayer)}

    @property
    def arch(self) -> Arch:
        """The machine."""
        return self.timeline.program.arch

    @cached_property
    def of_engine(self) -> tuple[NDArray[np.int64], ...]:
        """Operations of each engine, in order."""
        return tuple(np.flatnonzero(self.timeline.program.of_engine(engine)) for engine in ENGINES)

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """Number of each operation in the queue of its engine."""
        found = np.zeros(len(self.timeline.program), dtype=np.int64)
        for operations in self.of_engine:
            found[operations] = np.arange(len(operations))
        return found

    @cached_property
    def matrices(self) -> dict[int, NDArray[np.int64]]:
        """Of the loads that leave a matrix of windows: where each of its elements stands in the load's tensor, -1 for padding (images, rows,
        columns, kernel rows, kernel columns, channels)."""
        program, found = self.timeline.program, {}
        unrolled = Matrices(program)
        for i in filter(unrolled.expands, self.of_engine[Engine.LOAD_ACTIVATIONS].tolist()):
            (lo, hi), (_, view) = program.box(i), moved_tensor(program, i)
            n, c = np.arange(lo[0], hi[0]), np.arange(lo[3], hi[3])
            rows, columns = unrolled.places(i)
            inside = (rows[:, None, :, None] >= 0) & (columns[None, :, None, :] >= 0)
            pixel = (rows[:, None, :, None] + lo[1]) * view[2] + columns[None, :, None, :] + lo[2]
            at = (n[:, None, None, None, None, None] * view[1] * view[2] + pixel[None, ..., None]) * view[3] + c
            found[i] = np.where(inside[None, ..., None], at, -1)
        return found

    @cached_property
    def shared(self) -> NDArray[np.bool_]:
        """[engine][engine]: whether they stand in one queue."""
        queue = np.arange(len(ENGINES))
        queue[list(DRAM_ENGINES)] = DMA_QUEUES[self.arch.dma.queues]
        found: NDArray[np.bool_] = queue[:, None] == queue
        return found

    @cached_property
    def turn(self) -> NDArray[np.int64]:
        """Operations in front of each one in its queue."""
        found = np.zeros(len(self.timeline.program), dtype=np.int64)
        for engines in np.unique(self.shared, axis=0):
            queued = np.sort(np.concatenate([self.of_engine[e] for e in np.flatnonzero(engines)]))
            found[queued] = np.arange(len(queued))
        return found

    @property
    def stores_stream(self) -> bool:
        """Whether codes are stored as the requantizer makes them."""
        return streaming_of(self.arch) > 1

    @cached_property
    def ends(self) -> frozenset[int]:
        """The compute operations whose sums are requantized."""
        program = self.timeline.program
        return frozenset(int(program.operands(i)[0]) for i in self.of_engine[Engine.REQUANTIZE].tolist())

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Arithmetic of a lane of the requantizer."""
        rules = {layer.requant.rule for layer in self.layers.values() if isinstance(layer.requant, Requant)}
        units = {unit for rule in rules if (unit := unit_of(rule)) is not None}
        levels = [
            layer.requant.levels.shape[1] for layer in self.layers.values() if isinstance(layer.requant, Thresholds)
        ]
        if levels:
            units.add(Comparison(max(1, *levels), self.arch.accumulator.bits))
        return tuple(sorted(units, key=lambda unit: (unit_label(unit), str(unit)))) or ("SINGLE",)

    @property
    def unit_names(self) -> tuple[str, ...]:
        """The units in words."""
        return tuple(map(unit_label, self.units))

    def unit(self, layer: MacLayer) -> int:
        """Number of a layer's unit in the lanes."""
        if isinstance(layer.requant, Requant):
            unit = unit_of(layer.requant.rule)
            assert unit is not None
            return self.units.index(unit)
        return next(i for i, unit in enumerate(self.units) if isinstance(unit, Comparison))

    @cached_property
    def operands(self) -> dict[str, int]:
        """Bits of the fields of ``operands_t``: what a channel gives to its lane."""
        return fields(self.units)

    @cached_property
    def parameter_base(self) -> dict[int, int]:
        """Address of the parameters of the first channel of each MAC layer."""
        base, at = {}, 0
        for i, layer in self.layers.items():
            base[i], at = at, at + layer.geometry.oc
        return base

    @cached_property
    def places(self) -> dict[int, Place]:
        """Where the tensors that stay on chip stand, by the layer that makes each."""
        return kept_places(self.timeline.program)

    def formats(self, memory: Memory) -> list[IntFormat]:
        """Of what is written into ``memory``."""
        program, tensors = self.timeline.program, self.timeline.program.graph.tensors
        if memory is Memory.OUTPUTS:
            return [tensors[layer.output].format for layer in program.graph.layers]
        if memory is Memory.RESIDENT:
            return [tensors[program.graph.layers[index].output].format for index in self.places]
        if memory is Memory.WEIGHTS:
            return [layer.code_format for layer in self.layers.values()]
        return [tensors[name].format for layer in program.graph.layers for name in layer.inputs]

    def word(self, memory: Memory) -> int:
        """Bits of an element of ``memory``, sign included."""
        return max((width(fmt.min, fmt.max) for fmt in self.formats(memory)), default=1)

    def words(self, memory: Memory) -> int:
        """Elements that ``memory`` holds: of the narrowest format."""
        return self.element(memory, slot_capacity(memory, self.arch) * slots(memory, self.arch))

    def element(self, memory: Memory, offset: int) -> int:
        """Number of the element that stands at byte ``offset`` of ``memory``, all being as narrow as the narrowest: so regions that lie
        apart in bytes lie apart in elements, of whatever formats."""
        return 8 * int(offset) // min((fmt.bits for fmt in self.formats(memory)), default=8)

    @cached_property
    def weight_zeros(self) -> dict[int, NDArray[np.int64]]:
        """Zero point of the weights of each output channel, by MAC layer."""
        found = {}
        for i, layer in self.layers.items():
            zeros = layer.right_zero_point if isinstance(layer, MatMul) else layer.weight_zero_points
            found[i] = np.broadcast_to(np.asarray(0 if zeros is None else zeros, dtype=np.int64), layer.geometry.oc)
        return found

    @cached_property
    def weight_bits(self) -> int:
        """Of a weight behind the subtractor of its zero point."""
        ends = [
            end - int(zero)
            for i, layer in self.layers.items()
            for end in (layer.code_format.min, layer.code_format.max)
            for zero in (self.weight_zeros[i].min(), self.weight_zeros[i].max())
        ]
        return width(*ends, 0)

    @cached_property
    def activation_bits(self) -> int:
        """Of an activation behind the subtractor of its zero point."""
        tensors = self.timeline.program.graph.tensors
        ends = [
            end - layer.input_zero_point
            for layer in self.layers.values()
            for end in (tensors[layer.inputs[0]].format.min, tensors[layer.inputs[0]].format.max)
        ]
        return width(*ends, 0)

    @cached_property
    def packs(self) -> dict[int, int]:
        """Groups that share a fold, by compute operation."""
        program, array, found = self.timeline.program, self.arch.array, {}
        for i in self.of_engine[Engine.COMPUTE].tolist():
            tile = compute_tile(program, i)
            pixels, channels, groups = (int(size[0]) for size in (tile.pixels, tile.channels, tile.groups))
            found[i] = 1
            if array.flow.broadcast:
                found[i] = max(1, min(groups, array.cols // channels)) if array.group_folds == "side_by_side" else 1
            elif array.flow.stationary:
                streamed = channels if array.dataflow == "input_stationary" else pixels
                found[i] = int(ceil_div(groups, int(program.stream_cycles[i]) // streamed))
        return found

    @property
    def step_folds(self) -> int:
        """Folds of a sum that make a step."""
        array = self.arch.array
        return array.step_folds if array.flow.broadcast and array.reduction == "per_tap" else 1

    def steps_of_taps(self, tile: ComputeTiles) -> bool:
        """Whether the folds of a step are of as many taps, which takes fewer steps than folds of the channels of one."""
        taps, step = int(np.atleast_1d(tile.taps)[0]), self.step_folds
        each = int(ceil_div(int(tile.reduction[0]) // taps, self.arch.array.rows))
        return step > 1 and int(ceil_div(taps, step)) * each < taps * int(ceil_div(each, step))

    def lanes(self, *engines: Engine) -> int:
        """Elements of a beat, so that none takes longer than the operation."""
        program = self.timeline.program
        ratios = [
            int(ceil_div(elements_of(self, i), int(program.cycles[i])))
            for engine in engines
            for i in self.of_engine[engine].tolist()
        ]
        return max(ratios, default=1)

    def moving(self, engine: Engine) -> dict[str, int]:
        """What a mover of kept tensors moves in a cycle: bits (0: all of a box) and elements."""
        buffers = (self.arch.activation_buffer, *([self.arch.output_buffer] if engine is Engine.KEEP else []))
        width = 8 * min((buffer.bytes_per_cycle for buffer in buffers if buffer.bytes_per_cycle is not None), default=0)
        most = max((elements_of(self, i) for i in self.of_engine[engine].tolist()), default=1)
        least = min((fmt.bits for fmt in self.formats(Memory.RESIDENT)), default=8)
        return {"WIDTH": width, "LANES": min(most, int(ceil_div(width, least))) if width else most}

    def config(self) -> str:
        """``config_pkg.sv``."""
        arch, array = self.arch, self.arch.array
        moving = {engine: self.moving(engine) for engine in (Engine.KEEP, Engine.RECALL)}
        into = self.timeline.program.memory[self.of_engine[Engine.RECALL]]
        recalled = {
            at: moving[Engine.RECALL]["LANES"] if at in into else 1 for at in (Memory.WEIGHTS, Memory.ACTIVATIONS)
        }
        numbers = {
            "ROWS": array.rows, "COLS": array.cols, "WEIGHT_BITS": self.weight_bits, "ACTIVATION_BITS": self.activation_bits,
            "ACC_BITS": arch.accumulator.bits,
            "ACCUMULATORS": arch.accumulator.count, "ADDR_BITS": max(1, (arch.accumulator.count - 1).bit_length()),
            "STAGES": array.pipeline_stages, "PRODUCTS": array.dot_products,
            "STEP_FOLDS": self.step_folds, "STRIPE_PIXELS": array.stripe_pixels or 0,
            "ZERO_LANES": array.rows * array.dot_products if array.dataflow == "input_stationary" else array.cols,
            "TILE_ISSUE": array.issue_cycles, "FOLD_ISSUE": array.fold_issue_cycles,
            "REQUANTIZER_LANES": arch.requantizer.lanes,
            "REQUANTIZER_STAGES": arch.requantizer.pipeline_stages,
            "WEIGHT_WORD": self.word(Memory.WEIGHTS), "ACTIVATION_WORD": self.word(Memory.ACTIVATIONS), "OUTPUT_WORD": self.word(Memory.OUTPUTS),
            "WEIGHT_WORDS": self.words(Memory.WEIGHTS), "ACTIVATION_WORDS": self.words(Memory.ACTIVATIONS),
            "OUTPUT_WORDS": self.words(Memory.OUTPUTS), "WEIGHT_LANES": max(self.lanes(Engine.LOAD_WEIGHTS), recalled[Memory.WEIGHTS]),
            "ACTIVATION_LANES": max(self.lanes(Engine.LOAD_ACTIVATIONS), recalled[Memory.ACTIVATIONS]),
            "RESIDENT_WORD": self.word(Memory.RESIDENT), "RESIDENT_WORDS": max(1, self.words(Memory.RESIDENT)),
            **{f"{engine.name}_{name}": value for engine, numbers in moving.items() for name, value in numbers.items()},
            "OUTPUT_LANES": max(arch.requantizer.lanes, self.lanes(Engine.STORE, Engine.VECTOR)),
            "PARAMETERS": max(1, sum(layer.geometry.oc for layer in self.layers.values())),
            **{f"{engine.name}_COUNT": len(self.of_engine[engine]) for engine in ENGINES},
            "RESET_CYCLES": 2 * (array.rows + array.cols) + array.pipeline_stages + arch.requantizer.pipeline_stages + 2,
        }  # fmt: skip
        preload = array.flow.preloads and array.weight_preload == "overlapped"
        flags = {
            "OVERLAPPED": preload, "BEHIND": array.drain == "overlapped" and not preload, "BY_TAP": array.reduction == "per_tap",
            "BESIDE": array.flow.broadcast and array.group_folds == "side_by_side", "STORING": self.stores_stream,
            "STREAMING": arch.requantizer.streaming,
            "TURNED": array.dataflow == "input_stationary", "WEIGHT_ZEROS": any(zeros.any() for zeros in self.weight_zeros.values()),
        }  # fmt: skip

        def matrix(of: NDArray[np.bool_]) -> str:
            rows = ("".join(str(int(of[e, o])) for o in reversed(ENGINES)) for e in reversed(ENGINES))
            return ",\n".join(f"      {len(ENGINES)}'b{row}" for row in rows)

        lines = [
            f"// Machine {arch.name}: numbers of the core. A reset lasts RESET_CYCLES, in which what is under way leaves the array.",
            "package config_pkg;",
            "  // verilator lint_off UNUSEDPARAM",
            *(f"  localparam int {name} /*verilator public*/ = {value};" for name, value in numbers.items()),
            *(f"  localparam bit {name} = 1'b{int(value)};" for name, value in flags.items()),
            "  // verilator lint_on UNUSEDPARAM",
            "  typedef struct packed {  // what a channel gives to its lane of the requantizer",
            *(f"    logic signed [{bits - 1}:0] {name};" for name, bits in self.operands.items()),
            "  } operands_t;",
            f"  localparam logic [1:0] POLICY = 2'd{POLICIES[Overflow(arch.accumulator.overflow)]};",
            "  // [who waits][for whom]: until that lets go of its engine, else until its result is there",
            f"  localparam logic [{len(ENGINES) ** 2 - 1}:0] FREED = {{",
            matrix(FREED),
            "  };",
            "  // [engine][engine] whose transfers stand in one queue",
            f"  localparam logic [{len(ENGINES) ** 2 - 1}:0] SHARED = {{",
            matrix(self.shared),
            "  };",
            "endpackage",
        ]
        return "\n".join(lines) + "\n"


def elements_of(design: Design, i: int) -> int:
    """Elements in the box of operation ``i``, or in the matrix of windows that it leaves."""
    if i in design.matrices:
        return design.matrices[i].size
    lo, hi = design.timeline.program.box(i)
    return int(np.prod([b - a for a, b in zip(lo, hi, strict=True)], dtype=np.int64))


def moved_tensor(program: Program, i: int) -> tuple[str, tuple[int, ...]]:
    """The tensor that an operation moves or makes, and the view in which its box stands."""
    layer, operand = program.graph.layers[program.layer[i]], int(program.operand[i])
    if program.engine[i] == Engine.LOAD_WEIGHTS and operand < 0:
        assert isinstance(layer, MacLayer)
        return weights_of(layer), layer.geometry.weight_shape
    if operand >= 0:
        return layer.inputs[operand], tuple(layer.input_shapes[operand])
    return layer.output, tuple(layer.output_shape)


def weights_of(layer: MacLayer) -> str:
    """Name of constant weights in DRAM."""
    return f"weights of {layer.name}"
