"""The SimPy scheduler: one process per core and queue, an explicit arbiter at the DRAM port; slower, and open to observers."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from typing import Any, Protocol

import numpy as np
import simpy
from simpy.events import EventPriority

from accelsim.errors import ProgramError
from accelsim.hardware import SLOT_WAITS, Engine
from accelsim.program import Program
from accelsim.timing.schedule import check_horizon, port_of, ports, queues
from accelsim.timing.timeline import Timeline

AFTER_ALL_ELSE = EventPriority(5)
"""SimPy event priority behind every ordinary event of the same cycle (NORMAL is 1)."""


class Observer(Protocol):
    """Called once per operation as it starts: ``observer(operation, engine, ready_cycle, start_cycle, held_by)``.

    ``held_by`` is the operation whose result or whose turn on the engine or at the port it waited for last, -1 for none.
    """

    def __call__(self, operation: int, engine: Engine, ready_cycle: int, start_cycle: int, held_by: int, /) -> None: ...


class _Decision(simpy.Event):
    """An event of this cycle that is processed after all ordinary ones, when every request of the cycle is known."""

    def __init__(self, env: simpy.Environment, callback: Callable[[simpy.Event], None]) -> None:
        super().__init__(env)
        self.callbacks.append(callback)
        self._ok, self._value = True, None
        env.schedule(self, priority=AFTER_ALL_ELSE)


class _Port:
    """One port, granted to the waiting request with the smallest (ready cycle, engine priority, core, operation number)."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._waiting: list[tuple[int, int, int]] = []
        self._granted: dict[int, simpy.Event] = {}
        self._busy = False
        self._deciding = False
        self.last = -1
        """The operation that was served last."""

    def request(self, priority: int, operation: int) -> simpy.Event:
        self._granted[operation] = self._env.event()
        heapq.heappush(self._waiting, (int(self._env.now), priority, operation))
        self._decide_later()
        return self._granted[operation]

    def release(self) -> None:
        self._busy = False
        self._decide_later()

    def _decide_later(self) -> None:
        if not self._deciding:
            self._deciding = True
            _Decision(self._env, self._decide)

    def _decide(self, _: simpy.Event) -> None:
        self._deciding = False
        if self._waiting and not self._busy:
            self._busy = True
            operation = heapq.heappop(self._waiting)[2]
            self._granted.pop(operation).succeed()


class _Milestones:
    """Events of every operation: its ``first`` results are there, it lets go of its engine (``until``), its result is there (``finish``)."""

    def __init__(self, env: simpy.Environment, program: Program) -> None:
        self._env, self._program = env, program
        self._events = {name: [env.event() for _ in range(len(program))] for name in ("first", "until", "finish")}

    def awaited(self, operation: int, dependency: int) -> simpy.Event:
        """What ``operation`` waits for of ``dependency``."""
        engine, other = Engine(self._program.engine[operation]), Engine(self._program.engine[dependency])
        if self._program.streamed[operation] == dependency:
            return self._events["first"][dependency]
        return self._events["until" if other in SLOT_WAITS.get(engine, ()) else "finish"][dependency]

    def reach(self, operation: int, **cycles: int) -> None:
        """The event of each name comes at that cycle."""
        for name, cycle in cycles.items():
            self._succeed_at(self._events[name][operation], cycle)

    def _succeed_at(self, event: simpy.Event, cycle: int) -> None:
        def succeed(_: simpy.Event) -> None:
            event.succeed()

        self._env.timeout(cycle - self._env.now).callbacks.append(succeed)


def schedule_simpy(program: Program, *, observer: Observer | None = None) -> Timeline:
    """The same Timeline as :func:`accelsim.timing.schedule`, from a discrete-event simulation."""
    check_horizon(program)
    env = simpy.Environment()
    milestones, port = _Milestones(env, program), port_of(program)
    granted = [_Port(env) for _ in range(int(port.max()) + 1)]
    start = np.full(len(program), -1, dtype=np.int64)
    finish = np.full(len(program), -1, dtype=np.int64)
    order, begin = queues(program)
    for queue in range(len(begin) - 1):
        operations = order[begin[queue] : begin[queue + 1]].tolist()
        at = [granted[port[program.engine[i]]] if queue < ports(program) else None for i in operations]
        env.process(_queue(env, list(zip(operations, at, strict=True)), program, milestones, start, finish, observer))
    env.run()
    stuck = np.flatnonzero(start < 0)
    if len(stuck):
        raise ProgramError(
            f"{program.describe(int(stuck[0]))} never starts: what it waits for waits for it", operation=int(stuck[0])
        )
    return Timeline(program, start, finish)


def _queue(
    env: simpy.Environment,
    operations: list[tuple[int, _Port | None]],
    program: Program,
    milestones: _Milestones,
    start: Any,
    finish: Any,
    observer: Observer | None,
) -> Generator[simpy.Event, None, None]:
    last_finish, held_by = 0, -1
    for operation, port in operations:
        for dependency in program.waits_for(operation).tolist():
            event = milestones.awaited(operation, dependency)
            if not event.processed:
                yield event
                held_by = dependency
        ready = int(env.now)
        if port is not None:
            yield port.request(int(program.port_priority[operation]), operation)
            held_by = port.last if env.now > ready else held_by
            port.last = operation
        now = int(env.now)
        start[operation] = now
        if observer is not None:
            observer(operation, Engine(program.engine[operation]), ready, now, held_by)
        until, lag = now + int(program.cycles[operation]), int(program.lag[operation])
        latency, taken = int(program.latency[operation]), int(program.streamed[operation])
        if taken >= 0:
            until = max(until, int(finish[taken]) + lag)
        last_finish = max(last_finish, until + latency)
        finish[operation] = last_finish
        first = lag if program.engine[operation] == Engine.COMPUTE else latency + 1
        milestones.reach(operation, first=now + first, until=until, finish=last_finish)
        yield env.timeout(until - now)
        held_by = operation
        if port is not None:
            port.release()
