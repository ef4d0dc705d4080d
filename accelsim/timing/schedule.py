"""The numba scheduler: an exact lazy merge, no event heap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ProgramError
from accelsim.hardware import DRAM_ENGINES, Engine, stream_ports, streaming_of
from accelsim.program import Program
from accelsim.timing.timeline import Timeline

MAX_CYCLES = 2**62


def queues(program: Program) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Operations grouped by queue (:attr:`Program.queue`), in program order, and where each group begins (CSR over queues)."""
    count = len(Engine) * program.arch.cores.count
    own = program.arch.cores.count == 1 and program.arch.dma.queues == len(DRAM_ENGINES)
    number = program.engine if own else program.queue  # bytes sort faster
    order = np.argsort(number, kind="stable").astype(np.int64)
    start = np.zeros(count + 1, dtype=np.int64)
    start[1:] = np.cumsum(np.bincount(number, minlength=count))
    return order, start


def ports(program: Program) -> int:
    """How many queues, the first ones, use a port."""
    return len(DRAM_ENGINES) * program.arch.cores.count


def port_of(program: Program) -> NDArray[np.int64]:
    """The port of each engine (int64), that of its stream; 0 for those at none."""
    of = np.zeros(len(Engine), dtype=np.int64)
    of[list(DRAM_ENGINES)] = stream_ports(program.arch)
    return of


def check_horizon(program: Program) -> None:
    """Refuse a Program whose cycle numbers, added up over cores, could pass 2^62, long before int64 would wrap."""
    cores = program.arch.cores.count
    if cores * (program.cycles.sum(dtype=np.float64) + program.latency.sum(dtype=np.float64)) < MAX_CYCLES / 2:
        return
    longest = int(sum(program.cycles.tolist())) + int(sum(program.latency.tolist()))  # exact near the limit
    if cores * longest > MAX_CYCLES:
        each = f" on each of {cores} cores" if cores > 1 else ""
        raise ProgramError(
            f"the Program could take {longest} cycles{each}, more than 2^62; shorten the latency or the work"
        )


def schedule(program: Program) -> Timeline:
    """Start and finish of every operation; ProgramError where dependencies can never be met."""
    from accelsim.timing._merge import Queues, Times, merge_schedule

    check_horizon(program)
    order, begin = queues(program)
    of_queue = program.arch.dma.queues == len(DRAM_ENGINES)
    priority = np.zeros(0, dtype=np.int64) if of_queue else program.port_priority
    lanes = Queues(order, begin, ports(program), port_of(program), priority)
    times = Times(
        program.engine, program.cycles, program.latency, streaming_of(program.arch), bool(program.passes), program.lag
    )
    start, finish, done = merge_schedule(lanes, times, *program.waits)
    if done < len(program):
        stuck = int(np.flatnonzero(finish < 0)[0])
        raise ProgramError(f"{program.describe(stuck)} never starts: what it waits for waits for it", operation=stuck)
    return Timeline(program, start, finish)
