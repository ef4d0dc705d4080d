"""DMA queues shared by engines: schedules by hand, against a cycle-by-cycle simulation, and what sharing costs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.errors import ConfigError
from accelsim.hardware import DRAM_ENGINES, SLOT_WAITS, Engine
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import map_graph
from accelsim.program import MacMapping, Program, check_program
from accelsim.timing import Timeline, schedule, schedule_simpy, stalls
from tests.generate import random_program
from tests.networks import conv
from tests.timing.test_schedulers import A, C, S, Scheduler, W, both, program_of

LANES = {1: {W: 0, A: 0, S: 0}, 2: {W: 0, A: 0, S: 1}, 3: {W: 0, A: 1, S: 2}}
"""For each number of queues, the one that each engine stands in."""


def on_queues(program: Program, queues: int) -> Program:
    """The same operations with so many DMA queues."""
    return program.replace(arch=program.arch.with_({"dma.queues": queues}))


@both
@pytest.mark.parametrize(
    ("queues", "starts"),
    [(3, [2, 0, 4, 14, 6, 4, 14]), (2, [0, 2, 4, 14, 4, 6, 14]), (1, [0, 2, 4, 14, 18, 20, 22])],
)
def test_a_store_blocks_the_loads_behind_it_in_one_queue(scheduler: Scheduler, queues: int, starts: list[int]) -> None:
    program = program_of([W, A, C, S, W, A, C], [2, 2, 10, 4, 2, 2, 10], [[], [], [0, 1], [2], [], [], [4, 5]])
    assert scheduler(on_queues(program, queues)).start.tolist() == starts


@both
@pytest.mark.parametrize(("queues", "starts"), [(3, [3, 8, 18, 0]), (2, [0, 5, 15, 17]), (1, [0, 5, 15, 17])])
def test_loads_wait_for_each_other_in_one_queue(scheduler: Scheduler, queues: int, starts: list[int]) -> None:
    """A weight load waits for the array; the activation load behind it need not, and in a queue of its own goes first."""
    program = program_of([W, C, W, A], [2, 10, 2, 3], [[], [0], [1], []], latency=[3, 0, 0, 0])
    assert scheduler(on_queues(program, queues)).start.tolist() == starts


@both
def test_the_port_serves_by_engine_whatever_the_queue(scheduler: Scheduler) -> None:
    """Two cores with a queue each, both ready at 0: the second core's store goes before the first core's load."""
    program = program_of([W, S], [3, 3], [[], []])
    machine = program.arch.with_({"dma.queues": 1, "cores.count": 2})
    assert scheduler(program.replace(arch=machine, core=np.array([0, 1], dtype=np.int16))).start.tolist() == [3, 0]


def simulated(program: Program) -> list[int]:
    """Start of each operation, cycle by cycle: every queue looks at its next operation, the port takes the first of those ready."""
    queues: dict[tuple[int, object], list[int]] = {}
    for i, (core, engine) in enumerate(zip(program.core.tolist(), program.engine.tolist(), strict=True)):
        lane = ("dma", LANES[program.arch.dma.queues][engine]) if engine in DRAM_ENGINES else engine
        queues.setdefault((core, lane), []).append(i)
    start, until, finish, ready = ([-1] * len(program) for _ in range(4))
    free, in_order = dict.fromkeys(queues, 0), dict.fromkeys(queues, 0)
    named = program.arch.streams.ports
    port_of = {S: named["outputs"], A: named["activations"], W: named["weights"]}
    port, now = dict.fromkeys(named.values(), 0), 0

    def begin(queue: tuple[int, object], i: int) -> None:
        start[i], until[i] = now, now + int(program.cycles[i])
        free[queue] = until[i]
        in_order[queue] = finish[i] = max(in_order[queue], free[queue] + int(program.latency[i]))
        queues[queue].pop(0)

    def there(i: int, on: int) -> bool:
        """A slot that ``on`` has read and ``i`` overwrites is free when ``on`` lets go; a result is there when it is finished."""
        slot = Engine(program.engine[on]) in SLOT_WAITS.get(Engine(program.engine[i]), ())
        return 0 <= (until if slot else finish)[on] <= now

    while any(queues.values()):
        waiting = []
        for queue, operations in queues.items():
            if not operations or free[queue] > now:
                continue
            i = operations[0]
            if all(there(i, on) for on in program.waits_for(i).tolist()):
                ready[i] = now if ready[i] < 0 else ready[i]
                if program.engine[i] in DRAM_ENGINES:
                    waiting.append((ready[i], int(program.engine[i]), int(program.core[i]), i, queue))
                else:
                    begin(queue, i)
        for at, busy_until in port.items():
            here = [request for request in waiting if port_of[Engine(request[1])] == at]
            if here and busy_until <= now:
                *_, i, queue = min(here)
                port[at] = now + int(program.cycles[i])
                begin(queue, i)
        now += 1
    return start


NO_PASSES = {"vector.fuse_activations": False, "vector.fuse_elementwise": False, "vector.fuse_pools": False}
"""In which the vector unit takes outputs as they come, as in a machine that streams."""


@pytest.mark.parametrize("queues", [1, 2, 3])
def test_schedules_are_those_of_a_simulation_cycle_by_cycle(queues: int) -> None:
    """Random Programs of one to five cores, with short operations, so that many are ready in the same cycle."""
    for seed in range(25):
        rng, program = np.random.default_rng(seed), random_program(seed, most_layers=3)
        times = {"cycles": rng.integers(1, 5, len(program)), "latency": rng.integers(0, 4, len(program))}
        short = on_queues(program.replace(**{name: t.astype(np.int64) for name, t in times.items()}), queues)
        short = short.replace(arch=short.arch.with_({"requantizer.streaming": False, **NO_PASSES}))
        expected = simulated(short)
        assert schedule(short).start.tolist() == expected
        assert schedule_simpy(short).start.tolist() == expected


@pytest.mark.parametrize("queues", [1, 2])
def test_transfers_of_a_queue_start_in_program_order(queues: int) -> None:
    reordered = 0
    for seed in range(30):
        program = on_queues(random_program(seed), queues)
        check_program(program)
        timeline, own = schedule(program), schedule(on_queues(program, 3))
        for core in range(program.arch.cores.count):
            for lane in set(LANES[queues].values()):
                engines = [engine for engine, place in LANES[queues].items() if place == lane]
                mine = np.flatnonzero(np.isin(program.engine, engines) & (program.core == core))
                assert (np.diff(timeline.start[mine]) > 0).all()
                reordered += bool((np.diff(own.start[mine]) < 0).any())
    assert reordered > 10


def cut(queues: int) -> Timeline:
    """A layer of four output tiles."""
    tile = MacMapping(oh=3, ow=3, oc=8, ic=4, kh=3, kw=3)
    arch = load_arch("edge_16x16").with_({"dma.queues": queues})
    return schedule(build_program(conv(), arch=arch, mappings=(tile,)))


def test_one_queue_takes_the_tiles_of_the_output_in_turn() -> None:
    """Load, latency, compute, requantize, store, and again; the array waits for stores, too, and for nothing without a name."""
    own, shared = cut(3), cut(1)
    program = shared.program
    stores, loads = (np.flatnonzero(program.of_engine(engine)) for engine in (S, A))
    for store, load in zip(stores[:-1], loads[1:], strict=True):
        assert shared.start[load] == shared.start[store] + program.cycles[store]
        assert own.start[load] < own.start[store]
    latency = int(program.latency[loads[0]])
    assert shared.total_cycles == program.cycles.sum() + latency * (len(loads) + 1)
    waits = stalls(shared)
    assert waits.by_cause()["store"] > stalls(own).by_cause()["store"]
    assert waits.cycles.sum() + shared.busy_cycles(Engine.COMPUTE) == shared.total_cycles
    for column in ("amount", "bus_bytes", "extent", "cycles"):
        np.testing.assert_array_equal(getattr(program, column), getattr(own.program, column))


def test_fewer_queues_make_these_layers_no_faster() -> None:
    totals = [cut(queues).total_cycles for queues in (3, 2, 1)]
    assert all(a <= b for a, b in pairwise(totals))
    assert totals[2] > totals[0]


def test_the_mapper_knows_a_single_queue() -> None:
    """Its tiles for one queue take no more cycles there than those for three, to speak of."""
    graph, arch = load_graph(resolve_model("resnet18")), load_arch("edge_16x16")
    one = arch.with_({"dma.queues": 1})
    own, others = (
        schedule(build_program(graph, arch=one, mappings=map_graph(graph, arch=machine, objective="cycles")))
        for machine in (one, arch)
    )
    assert own.total_cycles < 1.001 * others.total_cycles


@pytest.mark.parametrize("queues", [0, 4])
def test_other_numbers_of_queues_are_refused(queues: int) -> None:
    with pytest.raises(ConfigError, match=rf"dma\.queues: expected at (least 1|most 3), got {queues}"):
        load_arch("edge_16x16").with_({"dma.queues": queues})
