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
from accelsim.numerics import SCHEMES, Requant
from accelsim.timing import schedule
from tests.generate import random_arch, random_graph, random_input, random_mappings, roomy
from tests.rtl.test_rtl_requantize import random_requant

BUILD = 'VERILATOR_FLAGS=-MAKEFLAGS "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"'
"""Compiling takes longer than so few cycles."""
MOST_OPERATIONS, MOST_CYCLES = 400, 60_000
SIDES = 6
INTEGER = [name for name, scheme in SCHEMES.items() if not scheme.family.is_float and name != "vta_shift"]
NARROW = [name for name in INTEGER if SCHEMES[name].wide >= 32]
_OWN: dict[str, Any] = {
    "cores.count": 1, "dma.queues": 3, "activation_buffer.resident_bytes": 0, "activation_buffer.fuse_pairs": False,
    "activation_buffer.im2col": "implicit", "requantizer.streaming": False,
    "requantizer.parameter_bytes": 0, "array.step_folds": 1,
    "vector.fuse_activations": False, "vector.fuse_elementwise": False, "vector.fuse_pools": False,
    "array.group_folds": "apart", "array.reduction": "flat", "array.issue_cycles": 0,
    "array.fold_issue_cycles": 0, "array.stripe_pixels": None, "array.dot_products": 1, "weight_buffer.coding": None,
    "weight_buffer.bytes_per_cycle": None, "activation_buffer.bytes_per_cycle": None, "array.weight_bits": 16,
    "array.activation_bits": 16,
}  # fmt: skip


def drawn_arch(rng: np.random.Generator) -> Arch:
    """Every dataflow, small sides; accumulators of any policy, which add as many products at once as the array does."""
    arch = random_arch(rng).with_(_OWN)
    rows, cols = (int(side) for side in rng.integers(1, SIDES + 1, 2))
    own = arch.array.dataflow == "output_stationary"
    return arch.with_(
        {
            "array.rows": rows,
            "array.cols": cols,
            "array.weight_zero_points": "subtract",
            "accumulator.products_per_add": 1 if own else rows,
            "accumulator.bits": int(rng.choice([16, 18, 24, 32])),
            "accumulator.overflow": str(rng.choice(["wrap", "saturate", "saturate_symmetric"])),
            "requantizer.lanes": int(rng.integers(1, 5)),
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


def drawn_plan(seed: int) -> RtlPlan | None:
    """The export of a random network on a random machine; None where it is too long, has no tiling, or no array layer."""
    rng = np.random.default_rng(seed)
    try:
        graph = drawn_graph(rng)
        arch = roomy(drawn_arch(rng), graph)
        program = build_program(graph, arch=arch, mappings=random_mappings(rng, graph, arch))
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


def play(folder: Path) -> str:
    """What the bench says of an export, built with every lint warning an error; AssertionError where anything differs."""
    done = subprocess.run(["make", "run", BUILD], cwd=folder, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"{folder}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout.splitlines()[-1]
