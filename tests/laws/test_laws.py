"""The laws of the design, over generated networks x machines x mappings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.energy import count_actions, layer_energy, load_table
from accelsim.errors import HazardError
from accelsim.execute import WholeReader, accumulator_formats, run_program
from accelsim.graph import MacLayer
from accelsim.hardware import FREED, Engine, Memory, packed_bytes, packs, stored_bits
from accelsim.program import Program, check_program
from accelsim.result import summarize
from accelsim.timing import Timeline, schedule, schedule_simpy
from accelsim.timing.schedule import port_of
from tests.generate import random_input, random_program

seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
many = settings(relaxed, max_examples=220)


def reference(program: Program, seed: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Random inputs and the mapping-independent values of every tensor."""
    inputs = random_input(np.random.default_rng(seed + 1), program.graph)
    reader = WholeReader(program.graph, accumulators=accumulator_formats(program.graph, program.arch))
    return inputs, reader.run(inputs, keep="all")


def assert_same(values: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert values.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(values[name], expected[name], err_msg=name)


def agreed(program: Program) -> Timeline:
    """The Timeline of both schedulers."""
    fast, observable = schedule(program), schedule_simpy(program)
    np.testing.assert_array_equal(fast.start, observable.start)
    np.testing.assert_array_equal(fast.finish, observable.finish)
    return fast


@many
@given(seeds)
def test_law_1_simpy_schedule_equals_numba_schedule(seed: int) -> None:
    agreed(random_program(seed))


@relaxed
@given(seeds)
def test_law_2_and_3_values_do_not_depend_on_tiles_machine_or_order(seed: int) -> None:
    program = random_program(seed)
    inputs, expected = reference(program, seed)
    assert_same(run_program(program, inputs), expected)
    assert_same(run_program(program, inputs, timeline=schedule(program)), expected)


@relaxed
@given(seeds)
def test_law_2_values_survive_random_latencies(seed: int) -> None:
    program = random_program(seed)
    inputs, expected = reference(program, seed)
    rng = np.random.default_rng(seed + 2)
    slow = program.replace(
        cycles=rng.integers(1, 200, len(program)).astype(np.int64),
        latency=rng.integers(0, 300, len(program)).astype(np.int64),
    )
    assert_same(run_program(program, inputs, timeline=schedule(slow)), expected)


@relaxed
@given(seeds)
def test_law_4_conservation(seed: int) -> None:
    program = random_program(seed)
    check_program(program)
    assert program.macs == program.graph.macs
    loads = program.memory == Memory.WEIGHTS
    plain = program.extent if packs(program.arch) else program.amount
    for index, layer in enumerate(program.graph.layers):
        if isinstance(layer, MacLayer):
            whole = packed_bytes(np.prod(layer.geometry.weight_shape), stored_bits(layer, program.arch))
            assert plain[loads & (program.layer == index)].sum() >= whole


@relaxed
@given(seeds)
def test_law_5_total_is_at_least_every_engine_and_every_chain(seed: int) -> None:
    program = random_program(seed)
    timeline = schedule(program)
    cores = range(program.arch.cores.count)
    assert all(timeline.total_cycles >= timeline.busy_cycles(e, core=core) for e in Engine for core in cores)
    ports = port_of(program)
    for port in set(ports.tolist()):
        sharing = [e for e in (Engine.STORE, Engine.LOAD_ACTIVATIONS, Engine.LOAD_WEIGHTS) if ports[e] == port]
        assert timeline.total_cycles >= sum(timeline.busy_cycles(e) for e in sharing)
    chain, freed = np.zeros(len(program), dtype=np.int64), np.zeros(len(program), dtype=np.int64)
    for i in range(len(program)):
        begins = 0
        for on in program.waits_for(i).tolist():
            slot = FREED[program.engine[i], program.engine[on]] or program.streamed[i] == on
            begins = max(
                begins, freed[on] - (program.cycles[on] if program.streamed[i] == on else 0) if slot else chain[on]
            )
        freed[i] = begins + program.cycles[i]
        chain[i] = freed[i] + program.latency[i]
    assert timeline.total_cycles >= chain.max(initial=0)
    assert timeline.layer_cycles.sum() == timeline.total_cycles
    assert (timeline.layer_cycles >= 0).all()


@relaxed
@given(seeds)
def test_law_5_no_operation_starts_before_what_it_waits_for(seed: int) -> None:
    program = random_program(seed)
    timeline = schedule(program)
    first, waits = program.waits
    waiting = np.repeat(np.arange(len(program)), np.diff(first))
    whole = program.streamed[waiting] != waits
    slot = FREED[program.engine[waiting], program.engine[waits]]
    there = np.where(slot, timeline.until[waits], timeline.finish[waits])
    assert (timeline.start[waiting] >= there)[whole].all()
    assert (timeline.start[waiting] > timeline.start[waits]).all()
    assert (timeline.finish[waiting] > timeline.finish[waits])[~slot].all()
    dram = np.flatnonzero(program.engine <= Engine.LOAD_WEIGHTS)
    ports = port_of(program)[program.engine[dram]]
    for port in set(ports.tolist()):
        mine = dram[ports == port]
        order = mine[np.argsort(timeline.start[mine], kind="stable")]
        assert (timeline.start[order][1:] >= timeline.until[order][:-1]).all()


@relaxed
@given(seeds, st.floats(0.1, 10))
def test_law_6_energy_is_linear_in_the_table_and_additive_over_layers(seed: int, factor: float) -> None:
    program = random_program(seed)
    table = load_table("horowitz_45nm")
    scaled = table.scaled(factor)
    counts = count_actions(program)
    base, more = layer_energy(program, counts, table), layer_energy(program, counts, scaled)
    for a, b in zip(base, more, strict=True):
        assert b.total == pytest.approx(a.total * factor)
    result = summarize(schedule(program), table=table)
    assert result.total.energy_pj == pytest.approx(sum(layer.total for layer in base))
    assert sum(result.total.energy_split_pj.values()) == pytest.approx(result.total.energy_pj)


def drop_dependency(program: Program, edge: int) -> Program:
    """``program`` without one dependency; one that was not a source, so that the data flow stays."""
    waiting = np.repeat(np.arange(len(program)), np.diff(program.dependency_start))
    start = program.dependency_start.copy()
    start[waiting[edge] + 1 :] -= 1
    return program.replace(dependency_start=start, dependencies=np.delete(program.dependencies, edge))


def non_source_edges(program: Program) -> np.ndarray:
    waiting = np.repeat(np.arange(len(program)), np.diff(program.dependency_start))
    rank = np.arange(len(program.dependencies)) - program.dependency_start[waiting]
    return np.flatnonzero(rank >= program.sources[waiting])


@relaxed
@given(seeds)
def test_a_forgotten_dependency_is_found_by_the_checker_or_changes_nothing(seed: int) -> None:
    check_a_forgotten_dependency(random_program(seed, most_layers=3), seed)


def check_values_and_schedules(program: Program, seed: int) -> None:
    """Both schedulers agree, and the values are the reference's in their order and in that of random cycles."""
    check_program(program)
    inputs, expected = reference(program, seed)
    assert_same(run_program(program, inputs, timeline=agreed(program)), expected)
    rng = np.random.default_rng(seed)
    slow = program.replace(cycles=rng.integers(1, 300, len(program)).astype(np.int64))
    assert_same(run_program(program, inputs, timeline=schedule(slow)), expected)


def check_a_forgotten_dependency(program: Program, seed: int) -> None:
    """Whatever dependency is dropped: if some latencies make the tiled reader fail, the checker must have said so."""
    edges = non_source_edges(program)
    if not len(edges):
        return
    rng = np.random.default_rng(seed)
    broken = drop_dependency(program, int(rng.choice(edges)))
    inputs, expected = reference(program, seed)
    try:
        check_program(broken)
    except HazardError:
        return
    lazy = broken.replace(latency=rng.integers(0, 500, len(program)).astype(np.int64))
    assert_same(run_program(broken, inputs, timeline=schedule(lazy)), expected)


def finished_before(program: Program) -> np.ndarray:
    """For each operation and queue, the last operation of that queue which has let go before it starts, or -1."""
    queues = len(Engine) * program.arch.cores.count
    known = np.full((len(program), queues), -1, dtype=np.int64)
    before = dict.fromkeys(range(queues), -1)
    for i, queue in enumerate(program.queue.tolist()):
        if before[queue] >= 0:
            known[i] = known[before[queue]]
            known[i, queue] = before[queue]
        for other in program.waits_for(i).tolist():
            known[i] = np.maximum(known[i], known[other])
            if program.streamed[i] == other:
                continue
            taken = int(program.streamed[other])
            while taken >= 0:
                known[i, program.queue[taken]] = max(known[i, program.queue[taken]], taken)
                taken = int(program.streamed[taken])
            known[i, program.queue[other]] = max(known[i, program.queue[other]], other)
        before[queue] = i
    return known


def test_a_missing_double_buffer_dependency_is_caught_both_ways() -> None:
    """Loads that no longer wait for their slot: the checker names it, and timeline order trips over it."""
    caught_by_checker = caught_by_reader = 0
    for seed in range(40):
        program = random_program(seed)
        edges = non_source_edges(program)
        waiting = np.repeat(np.arange(len(program)), np.diff(program.dependency_start))
        loads = np.isin(program.engine[waiting], (Engine.LOAD_ACTIVATIONS, Engine.LOAD_WEIGHTS))
        slots = [
            e for e in edges if loads[e] and program.engine[program.dependencies[e]] in (Engine.COMPUTE, Engine.VECTOR)
        ]
        if not slots:
            continue
        keep = np.setdiff1d(np.arange(len(program.dependencies)), slots)
        start = np.concatenate([[0], np.cumsum(np.bincount(waiting[keep], minlength=len(program)))]).astype(np.int64)
        broken = program.replace(dependency_start=start, dependencies=program.dependencies[keep])
        dropped = waiting[slots], program.dependencies[slots]
        if (finished_before(broken)[dropped[0], program.queue[dropped[1]]] >= dropped[1]).all():
            check_program(broken)  # one tile a layer: loads wait for stores that follow what was dropped
            continue
        with pytest.raises(HazardError, match=r"may (over|still)|no longer"):
            check_program(broken)
        caught_by_checker += 1
        inputs, expected = reference(program, seed)
        slow = broken.replace(cycles=np.where(broken.engine >= Engine.COMPUTE, 400, 1))
        try:
            assert_same(run_program(broken, inputs, timeline=schedule(slow)), expected)
        except HazardError:
            caught_by_reader += 1
        assert_same(run_program(broken, inputs), expected)  # program order hides the fault
    assert caught_by_checker >= 20
    assert caught_by_reader >= 20


def test_generated_programs_are_split_and_varied() -> None:
    """The generator does its work: all engines, several tiles per layer, wide and narrow machines."""
    programs = [random_program(seed) for seed in range(600)]
    engines = set(np.concatenate([p.engine for p in programs]).tolist())
    assert engines == {int(e) for e in Engine}
    assert {len(set(p.core.tolist())) for p in programs if len(p)} == {1, 2, 3, 4, 5}
    assert np.median([len(p) / len(p.graph.layers) for p in programs]) > 10
    assert isinstance(schedule(programs[0]), Timeline)
