"""Schedules small enough to be worked out by hand; both schedulers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.errors import ProgramError
from accelsim.hardware import Engine
from accelsim.program import MacMapping, Program
from accelsim.timing import Timeline, schedule, schedule_simpy, stalls
from tests.generate import random_program
from tests.networks import dense

Scheduler = Callable[[Program], Timeline]
both = pytest.mark.parametrize("scheduler", [schedule, schedule_simpy])


def program_of(
    engines: list[Engine], cycles: list[int], waits: list[list[int]], latency: list[int] | None = None
) -> Program:
    """A Program with just these operations; everything that no scheduler reads is left as it was."""
    base = build_program(
        dense(), arch=load_arch("edge_16x16"), mappings=(MacMapping(oh=1, ow=1, oc=8, ic=16, kh=1, kw=1),)
    )
    n = len(engines)
    start = np.concatenate([[0], np.cumsum([len(w) for w in waits])]).astype(np.int64)
    columns = {
        name: np.zeros(n, dtype=getattr(base, name).dtype)
        for name in ("core", "layer", "amount", "lag", "memory", "offset", "extent", "operand")
    }
    zeros = np.zeros((n, 8), dtype=np.int32)
    return base.replace(
        **columns,
        lo=zeros,
        hi=zeros,
        engine=np.array(engines, dtype=np.int8),
        cycles=np.array(cycles, dtype=np.int64),
        latency=np.array(latency or [0] * n, dtype=np.int64),
        sources=np.zeros(n, dtype=np.int8),
        dependency_start=start,
        dependencies=np.array([d for w in waits for d in w], dtype=np.int32),
    )


W, A, C, S = Engine.LOAD_WEIGHTS, Engine.LOAD_ACTIVATIONS, Engine.COMPUTE, Engine.STORE


@both
def test_loads_share_the_port_and_compute_overlaps(scheduler: Scheduler) -> None:
    timeline = scheduler(program_of([W, A, C, W, C], [10, 5, 20, 10, 20], [[], [], [0, 1], [], [2, 3]]))
    assert timeline.start.tolist() == [5, 0, 15, 15, 35]
    assert timeline.finish.tolist() == [15, 5, 35, 25, 55]


@both
def test_ties_go_to_stores_then_activations_then_weights(scheduler: Scheduler) -> None:
    timeline = scheduler(program_of([W, A, S], [3, 3, 3], [[], [], []]))
    assert timeline.start.tolist() == [6, 3, 0]


@both
def test_the_port_serves_by_ready_cycle_before_priority(scheduler: Scheduler) -> None:
    """The store becomes ready at 4 while the port is busy until 10; the weight load has been ready since 2."""
    timeline = scheduler(program_of([C, A, C, W, S], [2, 10, 2, 5, 5], [[], [], [], [0], [2]]))
    assert timeline.start.tolist() == [0, 0, 2, 10, 15]


@both
def test_latency_delays_the_data_not_the_engine(scheduler: Scheduler) -> None:
    timeline = scheduler(program_of([W, W, C], [4, 4, 1], [[], [], [0]], latency=[100, 100, 0]))
    assert timeline.start.tolist() == [0, 4, 104]
    assert timeline.finish.tolist() == [104, 108, 105]


@both
def test_an_engine_finishes_in_order(scheduler: Scheduler) -> None:
    timeline = scheduler(program_of([W, W], [1, 1], [[], []], latency=[50, 0]))
    assert timeline.finish.tolist() == [51, 51]


@both
def test_a_circle_is_refused(scheduler: Scheduler) -> None:
    with pytest.raises(ProgramError, match="operation 0 .*never starts"):
        scheduler(program_of([C, A], [1, 1], [[1], [0]]))


@both
def test_cycle_numbers_cannot_overflow(scheduler: Scheduler) -> None:
    with pytest.raises(ProgramError, match=r"more than 2\^62"):
        scheduler(program_of([C, C], [2**62, 2**62], [[], []]))
    with pytest.raises(ProgramError, match=rf"could take {2**62 + 2} cycles, more than 2\^62"):
        scheduler(program_of([C, C], [1, 1], [[], [0]], latency=[2**61, 2**61]))
    assert scheduler(program_of([C], [2**62], [[]])).total_cycles == 2**62


@both
def test_cycle_numbers_of_all_cores_together_cannot_overflow(scheduler: Scheduler) -> None:
    """Four arrays of which one computes for 2^60 cycles: the idle cycles of the others add up to three times as many, exactly."""
    arch = load_arch("edge_16x16").with_({"cores.count": 4})
    longest = program_of([C], [2**60], [[]]).replace(arch=arch)
    assert sum(stalls(scheduler(longest)).by_cause().values()) == 3 * 2**60
    with pytest.raises(ProgramError, match=rf"could take {2**60 + 1} cycles on each of 4 cores, more than 2\^62"):
        scheduler(program_of([C], [2**60 + 1], [[]]).replace(arch=arch))


@both
def test_an_empty_program_takes_no_time(scheduler: Scheduler) -> None:
    assert scheduler(program_of([], [], [])).total_cycles == 0


def test_observer_sees_every_start_with_its_wait() -> None:
    log: list[tuple[int, Engine, int, int, int]] = []
    schedule_simpy(program_of([W, A, C], [10, 5, 1], [[], [], [0, 1]]), observer=lambda *event: log.append(event))
    assert log == [(1, A, 0, 0, -1), (0, W, 0, 5, 1), (2, C, 15, 15, 0)]


@pytest.mark.parametrize("seed", range(12))
def test_what_held_an_operation_lets_go_when_it_starts(seed: int) -> None:
    """Of generated Programs: the result arrived, or the engine or the port became free, in the cycle of the start."""
    program, log = random_program(seed), []
    timeline = schedule_simpy(program, observer=lambda *event: log.append(event))
    assert sorted(event[0] for event in log) == list(range(len(program)))
    for operation, _, ready, start, held_by in log:
        assert start == timeline.start[operation] >= ready
        if held_by < 0:
            assert start == 0
        else:
            begun = timeline.arrivals[program.waits[0][operation] : program.waits[0][operation + 1]].tolist()
            assert start in (timeline.finish[held_by], timeline.until[held_by], *begun)
