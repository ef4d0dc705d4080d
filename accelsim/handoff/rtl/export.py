"""The RTL of a machine: sources, memory images of a network or of one of its layers, and a bench that plays them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.execute import run_program
from accelsim.handoff.rtl.design import Design
from accelsim.handoff.rtl.images import images
from accelsim.handoff.rtl.outside import DramImage, matrices_text, numbers_text, operations_text, outputs_text
from accelsim.handoff.rtl.refuse import check_machine, check_network
from accelsim.handoff.rtl.schemes import requantize_lane
from accelsim.timing import Timeline

COMMON = (
    *(
        "isa_pkg",
        "requantize_pkg",
        "output_stages_pkg",
        "delay",
        "fit",
        "skew",
        "accumulators",
        "op_queue",
        "scoreboard",
    ),
    *(
        "element_memory",
        "load_engine",
        "store_engine",
        "box_mover",
        "resident",
        "requantize",
        "output_stage",
        "thresholds",
        "requantizer",
    ),
)
"""Sources of every core, packages first; ``config_pkg`` comes before all of them."""
ARRAYS = {
    "weight_stationary": ("pe_ws", "array_ws", "stationary_sums", "row_taps", "fold_feeder"),
    "output_stationary": ("pe_os", "array_os", "row_taps", "sum_feeder"),
    "input_stationary": ("pe_ws", "array_ws", "stationary_sums", "row_taps", "input_feeder"),
    "adder_tree": ("adder_tree", "array_tree", "row_taps", "fold_feeder"),
}
"""Those of a dataflow's compute engine, beside its ``array_core``."""
CORES = {
    "weight_stationary": "array_core_ws",
    "output_stationary": "array_core_os",
    "input_stationary": "array_core_is",
    "adder_tree": "array_core_tree",
}
"""The compute engine of a dataflow, a module ``array_core``."""


@dataclass(frozen=True, eq=False)
class RtlPlan:
    """An export whose machine and network have RTL; ``tensors`` of one inference by Graph name."""

    design: Design
    tensors: Mapping[str, NDArray[Any]]

    @property
    def files(self) -> Iterator[tuple[str, str]]:
        """(path, text) of everything that is written."""
        dram = DramImage(self.design, self.tensors)
        yield from _sources(self.design)
        for name, text in images(self.design):
            yield f"images/{name}", text
        for name in ("bench.cpp", "lanes.h"):
            yield f"bench/{name}", _packaged("bench", name)
        yield "bench/operations.txt", operations_text(self.design, dram)
        yield "bench/matrices.txt", matrices_text(self.design, dram)
        yield "bench/outputs.txt", outputs_text(self.design, dram)
        yield "bench/dram.txt", numbers_text(dram.before)
        yield "bench/expected.txt", numbers_text(dram.after)
        for name in ("Makefile", "README.md"):
            yield name, _packaged("bench", name)


def plan_rtl(timeline: Timeline, inputs: Mapping[str, NDArray[Any]]) -> RtlPlan:
    """The RTL that runs the Program of ``timeline`` on ``inputs``, codes of one inference by Graph name.

    ConfigError for what has no RTL yet, InputError for a graph without values.
    """
    program = timeline.program
    if program.graph.shape_only:
        raise InputError(f"graph {program.graph.name!r} carries shapes only; a bench of its RTL needs values")
    check_machine(program.arch)
    check_network(program)
    return RtlPlan(Design(timeline), run_program(program, inputs, timeline=timeline))


def _packaged(folder: str, name: str) -> str:
    return (files("accelsim") / "handoff" / "rtl" / folder / name).read_text(encoding="utf-8")


def _sources(design: Design) -> Iterator[tuple[str, str]]:
    dataflow = design.arch.array.dataflow
    names = ["config_pkg", *COMMON, "requantize_lane", *ARRAYS[dataflow], "array_core", "accel_core"]
    unit = "requantizer_streaming" if design.arch.requantizer.streaming else "requantizer"
    made = {
        "config_pkg": design.config(),
        "requantize_lane": requantize_lane(design.units),
        "store_engine": _packaged("sv", f"{'store_engine_streaming' if design.stores_stream else 'store_engine'}.sv"),
        "requantizer": _packaged("sv", f"{unit}.sv"),
        "array_core": _packaged("sv", f"{CORES[dataflow]}.sv"),
    }
    for name in names:
        yield f"rtl/{name}.sv", made[name] if name in made else _packaged("sv", f"{name}.sv")
    yield "rtl/sources.txt", "".join(f"rtl/{name}.sv\n" for name in names)
