"""The numbers of one exported core: widths, sizes, counts, as ``config_pkg.sv`` has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.graph import MacLayer, MatMul
from accelsim.handoff.rtl.refuse import compute_tile
from accelsim.handoff.rtl.schemes import Comparison, Unit, fields, unit_label, unit_of, width
from accelsim.hardware import FREED, Engine, Memory, ceil_div, slot_capacity, slots
from accelsim.numerics import IntFormat, Overflow, Requant, Thresholds
from accelsim.timing import Timeline

ENGINES = tuple(engine for engine in Engine if engine < Engine.KEEP)
"""Engines of the core, and the vector unit beside it."""
POLICIES = {Overflow.WRAP: 0, Overflow.SATURATE: 1, Overflow.SATURATE_SYMMETRIC: 2, Overflow.TRAP: 0}
"""Codes of ``fit.sv``; a sum that may trap is refused before."""


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

    def formats(self, memory: Memory) -> list[IntFormat]:
        """Of what is written into ``memory``."""
        program, tensors = self.timeline.program, self.timeline.program.graph.tensors
        if memory is Memory.OUTPUTS:
            return [tensors[layer.output].format for layer in program.graph.layers]
        if memory is Memory.WEIGHTS:
            return [layer.code_format for layer in self.layers.values()]
        return [tensors[name].format for layer in program.graph.layers for name in layer.inputs]

    def word(self, memory: Memory) -> int:
        """Bits of an element of ``memory``, sign included."""
        return max((width(fmt.min, fmt.max) for fmt in self.formats(memory)), default=1)

    def words(self, memory: Memory) -> int:
        """Elements that ``memory`` holds: of the narrowest format."""
        least = min((fmt.bits for fmt in self.formats(memory)), default=8)
        return 8 * slot_capacity(memory, self.arch) * slots(memory, self.arch) // least

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
            pixels, reduction, channels, groups = (
                int(size[0]) for size in (tile.pixels, tile.reduction, tile.channels, tile.groups)
            )
            turned = array.dataflow == "input_stationary"
            streamed, across = (channels, pixels) if turned else (pixels, channels)
            found[i] = 1
            if array.flow.stationary and not array.flow.broadcast and reduction <= array.rows and across <= array.cols:
                found[i] = int(ceil_div(groups, int(program.stream_cycles[i]) // streamed))
        return found

    def lanes(self, *engines: Engine) -> int:
        """Elements of a beat, so that none takes longer than the operation."""
        program = self.timeline.program
        ratios = [
            int(ceil_div(elements_of(self, i), int(program.cycles[i])))
            for engine in engines
            for i in self.of_engine[engine].tolist()
        ]
        return max(ratios, default=1)

    def config(self) -> str:
        """``config_pkg.sv``."""
        arch, array = self.arch, self.arch.array
        numbers = {
            "ROWS": array.rows, "COLS": array.cols, "WEIGHT_BITS": self.weight_bits, "ACTIVATION_BITS": self.activation_bits,
            "ACC_BITS": arch.accumulator.bits,
            "ACCUMULATORS": arch.accumulator.count, "ADDR_BITS": max(1, (arch.accumulator.count - 1).bit_length()),
            "STAGES": array.pipeline_stages, "ZERO_LANES": array.rows if array.dataflow == "input_stationary" else array.cols,
            "TILE_ISSUE": array.issue_cycles, "FOLD_ISSUE": array.fold_issue_cycles,
            "REQUANTIZER_LANES": arch.requantizer.lanes,
            "REQUANTIZER_STAGES": arch.requantizer.pipeline_stages,
            "WEIGHT_WORD": self.word(Memory.WEIGHTS), "ACTIVATION_WORD": self.word(Memory.ACTIVATIONS), "OUTPUT_WORD": self.word(Memory.OUTPUTS),
            "WEIGHT_WORDS": self.words(Memory.WEIGHTS), "ACTIVATION_WORDS": self.words(Memory.ACTIVATIONS),
            "OUTPUT_WORDS": self.words(Memory.OUTPUTS), "WEIGHT_LANES": self.lanes(Engine.LOAD_WEIGHTS),
            "ACTIVATION_LANES": self.lanes(Engine.LOAD_ACTIVATIONS),
            "OUTPUT_LANES": max(arch.requantizer.lanes, self.lanes(Engine.STORE, Engine.VECTOR)),
            "PARAMETERS": max(1, sum(layer.geometry.oc for layer in self.layers.values())),
            **{f"{engine.name}_COUNT": len(self.of_engine[engine]) for engine in ENGINES},
            "RESET_CYCLES": 2 * (array.rows + array.cols) + array.pipeline_stages + arch.requantizer.pipeline_stages + 2,
        }  # fmt: skip
        preload = array.flow.preloads and array.weight_preload == "overlapped"
        flags = {
            "OVERLAPPED": preload, "BEHIND": array.drain == "overlapped" and not preload, "STREAMING": arch.requantizer.streaming,
            "TURNED": array.dataflow == "input_stationary", "WEIGHT_ZEROS": any(zeros.any() for zeros in self.weight_zeros.values()),
        }  # fmt: skip
        rows = ["".join(str(int(FREED[e, o])) for o in reversed(ENGINES)) for e in reversed(ENGINES)]
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
            ",\n".join(f"      {len(ENGINES)}'b{row}" for row in rows),
            "  };",
            "endpackage",
        ]
        return "\n".join(lines) + "\n"


def elements_of(design: Design, i: int) -> int:
    """Elements in the box of operation ``i``."""
    lo, hi = design.timeline.program.box(i)
    return int(np.prod([b - a for a, b in zip(lo, hi, strict=True)], dtype=np.int64))
