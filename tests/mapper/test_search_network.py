"""The search of a whole network: never worse than the default mapper, exactly costed, over when its time is, with a bound that holds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.cli import main
from accelsim.energy import count_actions, layer_energy, table_of
from accelsim.errors import AccelsimError
from accelsim.graph import Graph, MacGeometry
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import OBJECTIVES, Objective, map_graph, search_network
from accelsim.mapper.exhaustive.clock import Clock
from accelsim.mapper.exhaustive.layer import LayerSearch
from accelsim.mapper.exhaustive.problem import alone_of, mapping_of, scheduled, shares_of
from accelsim.mapper.network import Programs, Streamed, exact_costs
from accelsim.mapper.tiling import Weigh
from accelsim.program import check_program
from accelsim.testing import random_mappings
from accelsim.timing import schedule
from tests.generate import random_arch, random_graph, roomy
from tests.mapper.test_search import KEPT, TABLE, geometries, layer_of, space_on

relaxed = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32 - 1)
DIGITS = load_graph(resolve_model("digits_cnn"))


def random_case(seed: int) -> tuple[Graph, Arch]:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    return graph, roomy(random_arch(rng), graph)


def cost(graph: Graph, arch: Arch, mappings: object, objective: Objective) -> float:
    """Of the Program, which is checked."""
    program = build_program(graph, arch=arch, mappings=mappings)
    check_program(program)
    timeline = schedule(program)
    split = layer_energy(program, count_actions(program), table_of(arch), cycles=timeline.layer_cycles)
    energy, cycles = sum(layer.total for layer in split), timeline.total_cycles
    return {"cycles": float(cycles), "energy": energy, "edp": cycles * energy}[objective]


@relaxed
@given(seeds, st.sampled_from(OBJECTIVES))
def test_the_search_is_never_worse_than_the_default_mapper(seed: int, objective: Objective) -> None:
    """Of random networks on random machines, those of the streamed schedule and others; by their Programs."""
    graph, arch = random_case(seed)
    found = search_network(graph, arch=arch, objective=objective, seconds=0.5)
    default = cost(graph, arch, map_graph(graph, arch=arch, objective=objective), objective)
    value = cost(graph, arch, found.mappings, objective)
    assert value <= default
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.default == pytest.approx(default, rel=1e-12)
    assert found.bound <= found.value


@relaxed
@given(seeds, st.sampled_from(OBJECTIVES))
def test_no_mapping_beats_the_bound(seed: int, objective: Objective) -> None:
    """Neither after the search nor after none."""
    graph, arch = random_case(seed)
    tried = random_mappings(np.random.default_rng(seed), graph, arch)
    try:
        value = cost(graph, arch, tried, objective)
    except AccelsimError:  # too many tiles
        return
    for seconds in (0.0, 0.3):
        assert search_network(graph, arch=arch, objective=objective, seconds=seconds).bound <= value * (1 + 1e-12)


@relaxed
@given(geometries(), seeds)
def test_floors_are_below_every_tiling_and_prune_nothing_that_counts(g: MacGeometry, seed: int) -> None:
    """Before and after all tilings were looked at; with room for few the same ones are best as with room for all."""
    rng = np.random.default_rng(seed)
    layer, graph = layer_of(g)
    arch = random_arch(rng)
    shares = shares_of(layer, graph, arch)
    kept = KEPT[seed % 4] if len(shares) == 1 else KEPT[0]
    alone, space = alone_of(layer, graph, arch), space_on(arch, *shares)
    with pytest.MonkeyPatch.context() as patch:
        searches = []
        for room in (4, 1 << 16):
            patch.setattr("accelsim.mapper.exhaustive.layer.FINALISTS", room)
            weigh = Weigh(float(seed % 2), float(seed % 3 == 0), seed % 5 == 0)
            searches.append(LayerSearch(layer, graph, arch, TABLE, weigh, lambda mapping: (0, 0.0), kept))
    few, every = searches
    first = few.least
    assert few.walk(Clock())
    assert every.walk(Clock())
    assert few.bounds == every.bounds[: len(few.bounds)]
    fitting = set(every.likely(1 << 16))
    for _ in range(4):
        p, t, c = (int(rng.integers(n)) for n in (len(space.pixels), len(space.taps), len(space.channels)))
        (oh, ow, _, _, n), (kh, kw, _, _), (oc, ic, groups) = space.pixels[p], space.taps[t], space.channels[c]
        mapping = mapping_of(np.array([oh, ow, oc, ic, kh, kw, groups, n, int(rng.integers(2))]))
        if mapping not in fitting:  # fits nowhere
            continue
        cycles, energy = scheduled(alone, mapping, arch, TABLE, kept)
        for least in (first, few.least):
            assert max(least.array, least.port) <= cycles
            assert least.spent <= energy * (1 + 1e-12)


@pytest.mark.parametrize("preset", ["edge_16x16", "edge_lpddr4"])
@pytest.mark.parametrize("tick", [0.01, 0.2, 30.0])
def test_the_search_ends_when_its_time_is_over(preset: str, tick: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by ``tick`` whenever it is looked at: how often it is says how long the search took."""
    looks = [0]

    def perf_counter() -> float:
        looks[0] += 1
        return looks[0] * tick

    search_network(DIGITS, arch=load_arch(preset), objective="edp", seconds=0.0)
    monkeypatch.setattr("accelsim.mapper.exhaustive.clock.time", SimpleNamespace(perf_counter=perf_counter))
    arch, macs = load_arch(preset), 5
    found = search_network(DIGITS, arch=arch, objective="edp", seconds=1.0)
    assert found.stopped == 1.0
    assert "stopped after 1 s" in found.summary
    assert (
        looks[0] * tick <= 1.0 + 100 * macs * tick
    )  # afterwards each layer asks a few times whether there is any left
    assert cost(DIGITS, arch, found.mappings, "edp") <= cost(DIGITS, arch, map_graph(DIGITS, arch=arch), "edp")


def test_without_time_the_mappings_are_the_default_mappers() -> None:
    arch = load_arch("edge_16x16")
    found = search_network(DIGITS, arch=arch, objective="energy", seconds=0)
    assert found.mappings == map_graph(DIGITS, arch=arch, objective="energy")
    assert found.value == found.default > found.bound > 0
    assert found.stopped == 0


def test_a_search_that_ends_by_itself_is_the_same_again_and_proves_layers() -> None:
    arch = load_arch("edge_16x16")
    first, second = (search_network(DIGITS, arch=arch, objective="energy", seconds=600) for _ in range(2))
    assert first == second
    assert first.stopped is None
    assert all(found.proved for found in first.layers.values())
    assert "searched to the end" in first.summary


@relaxed
@given(seeds)
def test_streamed_costs_are_those_of_programs(seed: int) -> None:
    graph, arch = random_case(seed)
    costs = exact_costs(graph, arch)
    mappings = random_mappings(np.random.default_rng(seed), graph, arch)
    cycles, energy = costs.of(mappings)
    expected = Programs(graph, arch).of(mappings)
    assert cycles == expected[0]
    assert energy == pytest.approx(expected[1], rel=1e-12)
    for index, mapping in enumerate(mappings):
        alone = costs.alone(index, mapping) if isinstance(costs, Streamed) and hasattr(mapping, "oc") else None
        if alone is not None and not arch.activation_buffer.resident_bytes:
            by_program = scheduled(alone_of(graph.layers[index], graph, arch), mapping, arch, table_of(arch))
            assert alone == (by_program[0], pytest.approx(by_program[1], rel=1e-12))


def test_the_command_says_that_it_stopped_and_how_far_it_may_be_from_the_least() -> None:
    done = CliRunner().invoke(main, ["map", "digits_cnn", "--objective", "cycles", "--seconds", "0"])
    assert done.exit_code == 0, done.output
    assert "stopped after 0 s: best" in done.output
    assert "from the least" in done.output
