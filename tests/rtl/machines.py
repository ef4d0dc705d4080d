"""Random machines whose structures have RTL, random networks on them, and their export built and run under Verilator."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.arch import Arch
from accelsim.builder import build_program
from accelsim.errors import AccelsimError
from accelsim.graph import Graph, MacLayer
from accelsim.handoff import RtlPlan, plan_rtl
from accelsim.numerics import SCHEMES, Operand, Requant
from accelsim.timing import schedule
from tests.generate import random_arch, random_graph, random_input, random_mappings, roomy, with_bands
from tests.rtl.build import keep_runtime, make_flags
from tests.rtl.test_rtl_requantize import random_requant
from tests.stages_drawn import drawn_requant, drawn_scheme

MOST_OPERATIONS, MOST_CYCLES = 400, 60_000
SIDES = 6
STAGED = 0.3
"""Share of machines whose requantization unit is a list of stages."""
INTEGER = [name for name, scheme in SCHEMES.items() if not scheme.family.is_float and name != "vta_shift"]
NARROW = [name for name in INTEGER if SCHEMES[name].wide >= 32]
_OWN: dict[str, Any] = {
    "cores.count": 1,
    "requantizer.parameter_bytes": 0,
    "vector.fuse_activations": False, "vector.fuse_elementwise": False, "vector.fuse_pools": False,
    "weight_buffer.coding": None,
    "weight_buffer.bytes_per_cycle": None, "array.weight_bits": 16,
    "array.activation_bits": 16,
}  # fmt: skip


def drawn_arch(rng: np.random.Generator) -> Arch:
    """Every dataflow, small sides; accumulators of any policy, which add as many products at once as the array does."""
    arch = random_arch(rng).with_(_OWN)
    if arch.activation_buffer.im2col == "buffer":
        arch = arch.with_({"activation_buffer.im2col": "dram"})
    rows, cols = (int(side) for side in rng.integers(1, SIDES + 1, 2))
    own = arch.array.dataflow == "output_stationary"
    return arch.with_(
        {
            "array.rows": rows,
            "array.cols": cols,
            "array.weight_zero_points": "subtract",
            "accumulator.products_per_add": (1 if own else rows) * arch.array.dot_products,
            "accumulator.bits": int(rng.choice([16, 18, 24, 32])),
            "accumulator.overflow": str(rng.choice(["wrap", "saturate", "saturate_symmetric"])),
            "requantizer.lanes": int(rng.integers(1, 5)),
            "activation_buffer.bytes_per_cycle": [None, 16, 40][int(rng.integers(3))],
            "requantizer.streaming": bool(rng.random() < 0.4),
        }
    )


def drawn_graph(rng: np.random.Generator) -> Graph:
    """A network of a few layers; those of the array with a scheme of integers each."""
    graph = random_graph(rng, most_layers=4)
    layers = [
        replace(layer, requant=_requant(rng, layer))
        if isinstance(layer, MacLayer) and isinstance(layer.requant, Requant)
        else layer
        for layer in graph.layers
    ]
    return replace(graph, layers=tuple(layers))


def _requant(rng: np.random.Generator, layer: MacLayer) -> Requant:
    """Of another scheme, or the layer's own; with its zero point and clamp."""
    own = layer.requant
    assert isinstance(own, Requant)
    if rng.random() < 0.3:
        return own
    rule = SCHEMES[str(rng.choice(NARROW))]
    made = [random_requant(rng, rule) for _ in range(layer.geometry.oc if rng.random() < 0.5 else 1)]
    ends = {"zero_point": own.zero_point, "clamp_min": own.clamp_min, "clamp_max": own.clamp_max}
    return Requant(
        scheme=rule.name,
        multiplier=np.concatenate([one.multiplier for one in made]),
        shift=np.concatenate([one.shift for one in made]),
        **ends,
    )


def staged(rng: np.random.Generator, graph: Graph, arch: Arch) -> tuple[Graph, Arch]:
    """Both with a random list of output stages, behind accumulators of its width, under the layers' own clamps."""
    rule = drawn_scheme(rng)
    has_zero = rule.named(Operand.ZERO_POINT) is not None
    layers = []
    for layer in graph.layers:
        if isinstance(layer, MacLayer) and isinstance(layer.requant, Requant):
            made, own = drawn_requant(rng, rule, int(rng.choice([1, layer.geometry.oc]))), layer.requant
            ends = {
                "clamp_min": own.clamp_min,
                "clamp_max": own.clamp_max,
                "zero_point": made.zero_point if has_zero else 0,
            }
            layer = replace(layer, requant=replace(made, **ends))
        layers.append(layer)
    edits = {"requantizer.stages": str(rule.stages), "accumulator.bits": rule.wide}
    return replace(graph, layers=tuple(layers)), arch.with_(edits)


def drawn_plan(seed: int) -> RtlPlan | None:
    """The export of a random network on a random machine; None where it is too long, has no tiling, or no array layer."""
    rng = np.random.default_rng(seed)
    try:
        graph = drawn_graph(rng)
        arch = drawn_arch(rng)
        if rng.random() < STAGED:
            graph, arch = staged(rng, graph, arch)
        arch = roomy(arch, graph)
        mappings = with_bands(rng, graph, random_mappings(rng, graph, arch), arch)
        program = build_program(graph, arch=arch, mappings=mappings)
        timeline = schedule(program)
        if not any(isinstance(layer, MacLayer) for layer in graph.layers):
            return None
        if len(program) > MOST_OPERATIONS or timeline.total_cycles > MOST_CYCLES:
            return None
        return plan_rtl(timeline, random_input(rng, graph))
    except AccelsimError:
        return None


def write_plan(plan: RtlPlan, folder: Path) -> None:
    """All files of ``plan``."""
    for name, text in plan.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def play(folder: Path, runtime: Path | None = None) -> str:
    """What the bench says of an export, built with every lint warning an error; AssertionError where anything differs.

    ``runtime``: an archive of Verilator's own objects, the same for every machine, made where it is not there yet; beside ``folder`` unless
    it is named.
    """
    done = _run(folder, runtime)
    assert done.returncode == 0, f"{folder}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout.splitlines()[-1]


def played(folder: Path, runtime: Path, *options: str) -> str:
    """The same where numbers and cycles may differ; AssertionError where it was not built."""
    done = _run(folder, runtime, *options)
    assert (folder / "build" / "Vaccel_core").exists(), f"{folder}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout.splitlines()[-1]


def _run(folder: Path, runtime: Path | None, *options: str) -> subprocess.CompletedProcess[str]:
    runtime = runtime or folder.parent / "verilated.a"
    command = ["make", "run", "JOBS=1", " ".join([f'VERILATOR_FLAGS=-MAKEFLAGS "{make_flags(runtime)}"', *options])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=900)
    keep_runtime(folder / "build", runtime)
    return done
