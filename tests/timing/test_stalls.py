"""Every idle cycle of the array has one cause: schedules worked out by hand, and the sum over generated Programs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.arch import load_arch
from accelsim.errors import ProgramError
from accelsim.hardware import Engine
from accelsim.program import Program
from accelsim.timing import Timeline, schedule, stalls
from tests.generate import random_program
from tests.timing.test_schedulers import A, C, S, W, program_of

R, V = Engine.REQUANTIZE, Engine.VECTOR


def causes(program: Program) -> dict[str, int]:
    """Causes that have cycles."""
    return {cause: cycles for cause, cycles in stalls(schedule(program)).by_cause().items() if cycles}


def test_the_loads_before_the_first_tile() -> None:
    """Activations 0-5, weights 5-15, compute 15-35: one port, so both loads delay it."""
    assert causes(program_of([W, A, C], [10, 5, 20], [[], [], [0, 1]])) == {"load activations": 5, "load weights": 10}


def test_latency_is_apart_from_the_transfer() -> None:
    assert causes(program_of([W, C], [4, 1], [[], [0]], latency=[100, 0])) == {"load weights": 4, "DRAM latency": 100}


def test_work_behind_the_array_counts_when_nothing_else_runs() -> None:
    """Compute 0-10, requantize 10-13, store 13-20 with 5 more under way: the array waits for the end of the network."""
    program = program_of([C, R, S], [10, 3, 7], [[], [0], [1]], latency=[0, 0, 5])
    assert causes(program) == {"requantize": 3, "store": 7, "DRAM latency": 5}


def test_only_the_part_of_a_load_that_the_array_waits_for() -> None:
    """Weights 0-4, compute 4-14 while the next weights load 4-24; the array waits from 14 to 24."""
    program = program_of([W, C, W, C], [4, 10, 20, 1], [[], [0], [], [2]])
    assert causes(program) == {"load weights": 4 + 10}


def test_a_full_buffer_blames_what_frees_it() -> None:
    """The second weights wait for the slot that a store frees: compute 4-6, store 6-16, weights 16-20."""
    program = program_of([W, C, S, W, C], [4, 2, 10, 4, 1], [[], [0], [1], [2], [3]])
    assert causes(program) == {"load weights": 4 + 4, "store": 10}


def test_an_engine_in_order_blames_its_earlier_work() -> None:
    """Two loads of one queue; the second is needed first, and the array waits for both."""
    assert causes(program_of([W, W, C], [7, 3, 1], [[], [], [1]])) == {"load weights": 10}


@pytest.mark.parametrize(("kept", "shift"), [(False, 16 + 16), (True, 16 + 6)])
def test_a_shift_is_hidden_by_what_streams_and_by_nothing_else(kept: bool, shift: int) -> None:
    """Weights 0-50 and 50-100 for a 16 x 16 array that shifts them in for 16 cycles and streams 10: from 66 to 76, from 116 to 126. It lets
    go of a tile with weights of its own when 16 cycles are over; before one that keeps them it waits the other 6 for nothing."""
    drain, stream, held = 16 + 16 - 2, 10, 10 if kept else 16
    late = [16 + stream - cycles + drain for cycles in (16, held)]
    program = program_of([W, C, W, C], [50, 16, 50, held], [[], [0], [], [2]], latency=[0, late[0], 0, late[1]])
    arch = load_arch("edge_16x16").with_({"array.weight_preload": "overlapped"})
    found = causes(replace(program, arch=arch, weight_reads=np.array([0, 1, 0, 0 if kept else 1])))
    assert 16 + held - 2 * stream + found.pop("weight shift") == shift
    assert found == {"load weights": 50 + 100 - 66 - (0 if kept else stream), "drain": drain}


def test_a_network_without_macs_is_all_stall() -> None:
    assert causes(program_of([A, V, S], [3, 5, 2], [[], [0], [1]])) == {"load activations": 3, "vector": 5, "store": 2}


def test_other_engines_wait_as_well() -> None:
    """Weights 0-10 and activations 10-15 at one port, compute 15-35; the activations wait for the weights, then for the end."""
    timeline = schedule(program_of([W, A, C], [10, 5, 20], [[], [0], [0, 1]]))
    waits = stalls(timeline, engine=A).by_cause()
    assert {cause: cycles for cause, cycles in waits.items() if cycles} == {"load weights": 10, "compute": 20}


def test_an_empty_program_has_no_stalls() -> None:
    assert stalls(schedule(program_of([], [], []))).cycles.sum() == 0


def test_a_timeline_that_waits_for_nothing_is_refused() -> None:
    program = program_of([W, C], [4, 1], [[], [0]])
    late = Timeline(program, np.array([0, 9]), np.array([4, 10]))
    with pytest.raises(ProgramError, match="have no cause"):
        stalls(late)


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1))
def test_busy_and_stalled_cycles_add_up_to_the_total(seed: int) -> None:
    program = random_program(seed)
    timeline = schedule(program)
    cores = program.arch.cores.count
    for engine in Engine:
        found = stalls(timeline, engine=engine)
        assert (found.cycles >= 0).all()
        assert cores > 1 or found.cycles[engine].sum() == 0
        assert found.cycles.sum() + timeline.busy_cycles(engine) == cores * timeline.total_cycles
    per_layer = [found.of_layer(i) for i in range(len(program.graph.layers))]
    assert {cause: sum(layer[cause] for layer in per_layer) for cause in found.causes} == found.by_cause()
