"""Laws of layers computed in step, over images tall enough for windows, random tiles and machines that keep rows."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.builder import build_program
from accelsim.energy import count_actions
from accelsim.mapper import map_graph
from accelsim.program import Program, check_program
from accelsim.program.fusion import fused_layers
from tests.generate import cut_further, random_arch, roomy, with_bands
from tests.laws.test_laws import (
    check_a_forgotten_dependency,
    check_values_and_schedules,
)
from tests.program.test_fusion import images

seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))


def in_step(seed: int) -> Program:
    """Two to four layers of 3x3 convolutions and 2x2 pools, most of them in pairs."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["conv", "conv", "pool"], int(rng.integers(2, 5))).tolist()
    graph = images(
        *kinds, size=int(rng.integers(12, 16)), channels=int(rng.integers(1, 5)), stride=int(rng.integers(1, 3))
    )
    machine = random_arch(rng, sharing=0.0).with_({"cores.count": 1})
    slots = machine.activation_buffer.size_bytes - machine.activation_buffer.resident_bytes
    resident = int(rng.integers(300, 1200))
    sizes = {"activation_buffer.size_bytes": slots + resident, "activation_buffer.resident_bytes": resident}
    arch = roomy(machine.with_(sizes), graph)
    mappings = map_graph(graph, arch=arch)
    if rng.random() < 0.7:
        mappings = cut_further(rng, graph, arch, mappings)
    return build_program(graph, arch=arch, mappings=with_bands(rng, graph, mappings, arch))


@relaxed
@given(seeds)
def test_values_and_schedules_are_those_of_any_program(seed: int) -> None:
    check_values_and_schedules(in_step(seed), seed)


@relaxed
@given(seeds)
def test_a_forgotten_dependency_is_found_by_the_checker_or_changes_nothing(seed: int) -> None:
    check_a_forgotten_dependency(in_step(seed), seed)


def test_most_of_these_programs_have_windows_smaller_than_their_tensors() -> None:
    smaller = 0
    for seed in range(60):
        program = in_step(seed)
        pairs = fused_layers(program.graph, program.mappings)
        smaller += any(pair.window < program.graph.layers[pair.producer].output_shape[1] for pair in pairs)
    assert smaller > 30


UNDERESTIMATED: set[int] = set()
"""A known fault: the estimate takes all bands to be as tall as the tallest, and so counts too few loads of weights that do not stay."""


def test_the_mapper_fuses_only_where_less_is_moved() -> None:
    """On the same machine with and without ``fuse_pairs``; what is kept whole stays so."""
    fused = 0
    for seed in range(120):
        program = in_step(seed)
        moved = {}
        for pairs in (False, True):
            arch = program.arch.with_(
                {"activation_buffer.fuse_pairs": pairs, "dram.burst_bytes": 1, "dram.standard": "none"}
            )
            built = build_program(program.graph, arch=arch, mappings=map_graph(program.graph, arch=arch))
            check_program(built)
            counts = count_actions(built)
            moved[pairs] = int(counts.dram_read_asked.sum() + counts.dram_write_asked.sum())
        fused += len(fused_layers(built.graph, built.mappings)) > 0
        assert (moved[True] <= moved[False]) == (seed not in UNDERESTIMATED), seed
    assert fused > 12
