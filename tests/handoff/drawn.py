"""Random networks on random machines, exported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.graph import Graph, MacLayer
from accelsim.handoff import FileFormat, VectorPlan, export_vectors, plan_vectors
from accelsim.mapper import map_graph
from accelsim.program import Program
from accelsim.timing import schedule
from tests.generate import random_input, random_program
from tests.mixed_formats import mixed_input, mixed_program

MOST_MACS = 20_000
"""Of a network that a reader in plain Python goes through."""


def drawn(seeds: range) -> Iterator[tuple[str, Program, dict[str, np.ndarray]]]:
    """Those with layers for the array: operators and arithmetics of every kind, or formats and overflow of every kind."""
    for seed in seeds:
        for make, draw in ((random_program, random_input), (mixed_program, mixed_input)):
            program = make(seed)
            if any(isinstance(layer, MacLayer) for layer in program.graph.layers) and program.macs <= MOST_MACS:
                yield f"{make.__name__}({seed})", program, draw(np.random.default_rng(seed), program.graph)


def exported(
    program: Program, inputs: dict[str, np.ndarray], folder: Path, *formats: FileFormat, tiles: bool = True
) -> VectorPlan:
    """The vectors of ``program`` in ``folder``."""
    plan = plan_vectors(schedule(program), tiles=tiles, formats=formats or ("hex",))
    export_vectors(plan, inputs, folder)
    return plan


def exported_graph(graph: Graph, folder: Path, *formats: FileFormat, seed: int = 0, **edits: object) -> VectorPlan:
    """The vectors of a network on ``edge_16x16``."""
    arch = load_arch("edge_16x16").with_(edits)
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    return exported(program, random_input(np.random.default_rng(seed), graph), folder, *formats)
