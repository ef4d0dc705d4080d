"""The streamed schedule is the schedule of the Program: cycles, and what every layer did, over random networks, machines and tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import ActionCounts, Work, actions_of, count_actions, kinds_of
from accelsim.errors import MappingError
from accelsim.graph import Graph
from accelsim.hardware import passes_of
from accelsim.program import Mapping
from accelsim.timing import (
    CHIP,
    COUNTS,
    WIDTH,
    Cuts,
    chip_of,
    kept_of,
    network_of,
    queues_of,
    schedule,
    supported,
    tilings_of,
    width_of,
)
from accelsim.timing.compiled import network_cycles
from tests.generate import random_arch, random_graph, random_mappings, roomy
from tests.mixed_formats import mixed_arch, mixed_graph

PLAIN = {
    "cores.count": 1, "dram.standard": None, "dram.burst_bytes": 1, "dma.weight_compression": None, "dma.write_bytes": 1,
    "dma.activation_compression": None,
    "weight_buffer.coding": None, "requantizer.parameter_bytes": 0,
    "activation_buffer.im2col": "implicit", "activation_buffer.fuse_pairs": False,
}  # fmt: skip
"""Makes of any machine one that the streamed schedule knows."""
seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


def drawn(seed: int) -> tuple[Graph, Arch, tuple[Mapping | None, ...]]:
    """A network, a machine and tiles, of mixed widths half of the time."""
    rng = np.random.default_rng(seed)
    mixed = bool(rng.integers(2))
    graph = mixed_graph(rng) if mixed else random_graph(rng)
    arch = (mixed_arch(rng) if mixed else roomy(random_arch(rng), graph)).with_(PLAIN)
    if any(tensor.format.bits % 8 for tensor in graph.tensors.values()):
        arch = arch.with_({"activation_buffer.resident_bytes": 0})
    try:
        return graph, arch, random_mappings(rng, graph, arch)
    except MappingError:
        assume(False)
        raise


def streamed(graph: Graph, arch: Arch, mappings: tuple[Mapping | None, ...]) -> tuple[int, np.ndarray]:
    """(cycles, records of COUNTS)."""
    (network, widths), cuts = network_of(graph, passes_of(graph, arch)), Cuts(graph)
    tilings, counts = tilings_of(mappings, cuts), np.zeros(len(graph.layers), COUNTS)
    chip = np.array([tuple(chip_of(arch).values())], CHIP)[0]
    each = np.array([width_of(arch, *bits) for bits in widths], WIDTH)
    queue = queues_of(arch)
    return network_cycles(network, chip, each, tilings, cuts.tiles(), kept_of(graph, arch), queue, counts), counts


def actions(graph: Graph, arch: Arch, counts: np.ndarray) -> ActionCounts:
    found = {name: counts[name] for name in COUNTS.names or ()}
    found |= {"weight_bus": counts["weight_bytes"], "input_bus": counts["input_bytes"]}
    found |= {"output_bus": counts["stored_bytes"], "activates": np.zeros(len(counts), np.int64)}
    work = Work(**{name: found[name] for name in Work.__dataclass_fields__})
    return actions_of(work, kinds_of(graph, arch), stationary=arch.array.flow.stationary, apart=arch.streams.apart)


@relaxed
@given(seeds)
def test_the_streamed_schedule_is_the_programs(seed: int) -> None:
    graph, arch, mappings = drawn(seed)
    assert supported(arch)
    program = build_program(graph, arch=arch, mappings=mappings)
    timeline = schedule(program)
    cycles, counts = streamed(graph, arch, mappings)
    assert cycles == timeline.total_cycles
    assert counts["operations"].tolist() == np.bincount(program.layer, minlength=len(graph.layers)).tolist()
    assert counts["finish"].tolist() == timeline.layer_finish.tolist()
    expected, found = count_actions(program).columns(), actions(graph, arch, counts).columns()
    assert {name: column.tolist() for name, column in found.items()} == {
        name: column.tolist() for name, column in expected.items()
    }


@pytest.mark.parametrize(
    "edit",
    [
        {"cores.count": 2},
        {"dram.standard": "DDR4_3200"},
        {"dram.burst_bytes": 8},
        {"dma.weight_compression": "zero_run_length"},
        {"activation_buffer.im2col": "buffer"},
        {"activation_buffer.fuse_pairs": True, "activation_buffer.resident_bytes": 1024},
    ],
)
def test_a_machine_that_does_more_is_not_streamed(edit: dict[str, object]) -> None:
    assert supported(load_arch("edge_16x16"))
    assert not supported(load_arch("edge_16x16").with_(edit))
