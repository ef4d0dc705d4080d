"""Laws of layers computed on the fly behind a requantizer: bits, schedules, dependencies, bytes, and what a search makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import count_actions
from accelsim.errors import MappingError
from accelsim.graph import Graph, HostPort, MacLayer
from accelsim.hardware import Engine, Memory, passes_of
from accelsim.importers import load_for
from accelsim.mapper import map_graph, search_network
from accelsim.program import Program
from accelsim.testing.networks import NetworkBuilder
from tests.generate import MOST_OPERATIONS, cut_further, random_arch, random_graph, roomy
from tests.laws.test_laws import (
    check_a_forgotten_dependency,
    check_values_and_schedules,
)

PASSES = {"vector.fuse_activations": True, "vector.fuse_elementwise": True, "vector.fuse_pools": True}
NONE = dict.fromkeys(PASSES, False)
PLAIN = {
    "dram.standard": None, "dram.burst_bytes": 1, "dma.write_bytes": 1, "activation_buffer.resident_bytes": 0, "cores.count": 1,
    "activation_buffer.fuse_pairs": False, "dma.activation_compression": None,
    **dict.fromkeys(("streams.activations.memory", "streams.activations.memory_bytes")),
}  # fmt: skip
EDGE = load_arch("edge_16x16")
seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=8, suppress_health_check=list(HealthCheck))


def drawn(seed: int, **edits: object) -> tuple[Graph, Arch]:
    """A network and a machine that computes a layer of it on the fly."""
    rng = np.random.default_rng(seed)
    while True:
        graph = random_graph(rng, most_layers=2)
        if not any(isinstance(graph.layers[i], MacLayer) and not one.obstacle for i, one in graph.followers.items()):
            continue
        arch = roomy(random_arch(rng).with_(PASSES | edits), graph)
        if passes_of(graph, arch):
            return graph, arch


def in_passes(seed: int) -> Program:
    """On any machine with passes, in the mapper's tiles or smaller ones."""
    graph, arch = drawn(seed)
    rng, mappings = np.random.default_rng(seed), map_graph(graph, arch=arch)
    if rng.random() < 0.7:
        mappings = cut_further(rng, graph, arch, [mapping and replace(mapping, band=0) for mapping in mappings])
    program = build_program(graph, arch=arch, mappings=mappings)
    assert program.passes
    return program if len(program) <= MOST_OPERATIONS else in_passes(seed + 2**32)


@relaxed
@given(seeds)
def test_values_and_schedules_are_those_of_any_program(seed: int) -> None:
    check_values_and_schedules(in_passes(seed), seed)


@relaxed
@given(seeds)
def test_a_forgotten_dependency_is_found_by_the_checker_or_changes_nothing(seed: int) -> None:
    check_a_forgotten_dependency(in_passes(seed), seed)


@relaxed
@given(seeds)
def test_what_lies_between_moves_nowhere(seed: int) -> None:
    """In the same tiles of the layers with MACs: each tensor between is stored and loaded once less, and all work stays."""
    graph, arch = drawn(seed, **PLAIN)
    assume(all(tensor.format.bits % 8 == 0 for tensor in graph.tensors.values()))  # else each tile ends with a byte
    mappings = map_graph(graph, arch=arch)
    apart = map_graph(graph, arch=arch.with_(NONE))
    tiles = tuple(other if mine is None else mine for mine, other in zip(mappings, apart, strict=True))
    program, other = (
        build_program(graph, arch=arch, mappings=mappings),
        build_program(graph, arch=arch.with_(NONE), mappings=tiles),
    )
    now, before = count_actions(program), count_actions(other)
    between = sum(graph.tensors[name].bytes for one in program.passes for name in one.tensors)
    assert now.dram_write_asked.sum() == before.dram_write_asked.sum() - 8 * between
    assert now.dram_read_asked.sum() <= before.dram_read_asked.sum()
    for name in ("array_mac", "requantizer_requant"):
        assert getattr(now, name).tolist() == getattr(before, name).tolist()
    for one in program.passes:  # the last layer has the steps of all
        assert now.vector_step[one.consumer] == before.vector_step[list(one.behind)].sum()
    assert now.vector_step.sum() == before.vector_step.sum()


@pytest.mark.parametrize("seed", [2, 4, 9])
def test_passes_never_cost_energy_under_search(seed: int) -> None:
    """Of a convolution and a sum, or two."""
    rng = np.random.default_rng(seed)
    builder = NetworkBuilder(rng)
    builder.followed()
    graph = builder.graph()
    arch = roomy(random_arch(rng).with_(PASSES | PLAIN), graph)
    assert passes_of(graph, arch)
    with_passes = search_network(graph, arch=arch, objective="energy", seconds=600)
    without = search_network(graph, arch=arch.with_(NONE), objective="energy", seconds=600)
    assert with_passes.stopped is None
    assert without.stopped is None
    assert with_passes.value <= without.value * (1 + 1e-9)
    assert with_passes.bound <= with_passes.value


@pytest.mark.parametrize("field", ["vector.fuse_elementwise", "vector.fuse_pools"])
@pytest.mark.parametrize(("lanes", "vector"), [(16, 16), (16, 4), (4, 16), (7, 3)])
def test_a_pass_takes_what_its_slower_unit_takes(field: str, lanes: int, vector: int) -> None:
    """The closed form of docs/passes.md, at every tile of a convolution and an addition, or a pool."""
    edits = {field: True, "requantizer.lanes": lanes, "vector.lanes": vector, "requantizer.pipeline_stages": 3}
    arch = EDGE.with_(edits)
    run = accelsim.run("digits_cnn", arch=arch)
    program, timeline = run.program, run.timeline
    (one,) = program.passes
    first = np.flatnonzero(program.memory == Memory.ON_THE_FLY)
    second = np.flatnonzero(program.of_engine(Engine.VECTOR) & (program.layer == one.consumer))
    steps, outputs = one.steps, program.amount[first]
    assert len(first) == len(second) > int(field.endswith("elementwise"))
    assert steps == (1 if field.endswith("pools") else program.graph.layers[one.consumer].steps_per_output)
    assert program.amount[second].tolist() == (outputs * steps).tolist()
    pace = np.maximum(-(-outputs // lanes), -(-outputs * steps // vector))
    assert program.cycles[first].tolist() == pace.tolist()
    tail = -(-np.minimum(outputs, lanes) * steps // vector)
    assert timeline.finish[second].tolist() == (timeline.finish[first] + tail).tolist()
    assert (timeline.start[second] >= timeline.start[first] + 3 + 1).all()


def test_a_tensor_that_others_read_is_stored_and_the_run_says_so() -> None:
    arch = EDGE.with_({"vector.fuse_elementwise": True})
    graph, arch = load_for("digits_cnn", arch)
    (one,) = passes_of(graph, arch)
    (between,) = one.tensors
    shared = replace(graph, outputs=(*graph.outputs, HostPort(between, "between")))
    result = accelsim.simulate(shared, arch=arch)
    text = "\n".join(result.notes)
    assert f"vector.fuse_elementwise of true changes nothing: 'add': {between!r} is read elsewhere, too" in text
    assert not [layer for layer in result.layers if layer.mapping == "on the fly"]


def test_tiles_for_a_layer_on_the_fly_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tiles.yaml"
    graph, arch = load_for("digits_cnn", EDGE.with_(PASSES))
    name = graph.layers[passes_of(graph, arch)[0].consumer].name
    file.write_text(f"layers:\n  {name}: {{tile: [1, 1, 1, 1]}}\n", encoding="utf-8")
    with pytest.raises(MappingError, match="computed on the fly behind layer"):
        accelsim.simulate("digits_cnn", arch=arch, mapping=file)
    result = accelsim.simulate("digits_cnn", arch=arch)
    assert [layer.mapping for layer in result.layers if layer.name == name] == ["on the fly"]


def test_passes_evaluate_as_they_simulate() -> None:
    edits = [PASSES, PASSES | {"activation_buffer.resident_bytes": "16 KiB"}, PASSES | {"requantizer.streaming": True}]
    rows = accelsim.evaluate("digits_cnn", arch=EDGE, edits=edits)
    for row, edit in zip(rows, edits, strict=True):
        total = accelsim.simulate("digits_cnn", arch=EDGE.with_(edit)).total
        assert (row["cycles"], row["dram_read_bytes"], row["dram_write_bytes"]) == (
            total.cycles,
            total.dram_read_bytes,
            total.dram_write_bytes,
        )
        assert row["energy_pj"] == pytest.approx(total.energy_pj, rel=1e-12)
