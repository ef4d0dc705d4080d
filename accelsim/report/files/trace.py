"""Chrome trace-event JSON of a Timeline; opens in https://ui.perfetto.dev.

Format: "Trace Event Format" (Google, 2016). One thread per core and engine with a complete event ("X") per tile operation, one
thread of layer spans, counters ("C") for the fill of each core's on-chip memories and for DRAM bandwidth, flows ("s" to "f")
from the operation that made data to the one that reads it. Timestamps are microseconds at the machine's clock; cycles
stand in ``args``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware import Engine, Memory, space_bytes
from accelsim.report.files.occupancy import ON_CHIP, TRACKS, dram_rate, memory_fill, source_edges, tensor_edges
from accelsim.timing import Timeline

Event = dict[str, Any]

MAX_OPERATIONS = 100_000
"""Tile operations that a trace shows at most (about 700 bytes each); of a longer Program it shows the first ones."""

_PROCESS = 1
_LAYERS = 0
_PICOSECONDS = 10**12
_BATCH = 4096


def write_trace(timeline: Timeline, stream: IO[str], *, max_operations: int = MAX_OPERATIONS) -> int:
    """Write the trace of ``timeline`` to ``stream`` and return how many tile operations it shows.

    The first ``max_operations`` in program order are shown; ``otherData`` says how many there are. Layer spans are
    always complete.
    """
    shown = min(len(timeline.program), max_operations)
    stream.write('{"displayTimeUnit":"ns","otherData":' + _dumps(_facts(timeline, shown)) + ',"traceEvents":[\n')
    batch: list[str] = []
    separator = ""
    for event in trace_events(timeline, max_operations=max_operations):
        batch.append(_dumps(event))
        if len(batch) == _BATCH:
            stream.write(separator + ",\n".join(batch))
            separator = ",\n"
            batch.clear()
    stream.write((separator if batch else "") + ",\n".join(batch) + "\n]}\n")
    return shown


def trace_events(timeline: Timeline, *, max_operations: int = MAX_OPERATIONS) -> Iterator[Event]:
    """Every event of the trace, as dictionaries."""
    shown = min(len(timeline.program), max_operations)
    clock = _Clock(timeline.program.arch.clock_hz)
    yield from _names(timeline)
    yield from _layer_spans(timeline, clock)
    yield from _operations(timeline, clock, shown)
    yield from _flows(timeline, clock, shown)
    yield from _fill_counters(timeline, clock, shown)
    yield from _bandwidth_counters(timeline, clock, shown)


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class _Clock:
    """Cycles to microseconds, rounded down to picoseconds so that events which touch never overlap."""

    def __init__(self, clock_hz: float) -> None:
        self._hz = round(clock_hz)

    def us(self, cycle: int) -> float:
        return cycle * _PICOSECONDS // self._hz / 1e6

    def span(self, start: int, stop: int) -> dict[str, float]:
        first, last = (cycle * _PICOSECONDS // self._hz for cycle in (start, stop))
        return {"ts": first / 1e6, "dur": (last - first) / 1e6}


def _facts(timeline: Timeline, shown: int) -> Event:
    program = timeline.program
    return {
        "model": program.graph.name,
        "arch": program.arch.name,
        "clock_hz": program.arch.clock_hz,
        "cores": program.arch.cores.count,
        "total_cycles": timeline.total_cycles,
        "operations": len(program),
        "operations_shown": shown,
        "capacity": {memory.label: space_bytes(memory, program.arch) for memory in ON_CHIP},
    }


def _names(timeline: Timeline) -> Iterator[Event]:
    program = timeline.program
    yield _meta("process_name", _LAYERS, name=f"{program.graph.name} on {program.arch.name}")
    cores = program.arch.cores.count
    threads = {_LAYERS: "layers"} | {
        _thread(engine, core): _of_core(core, cores, engine.label) for core in range(cores) for engine in Engine
    }
    for thread, name in threads.items():
        yield _meta("thread_name", thread, name=name)
        yield _meta("thread_sort_index", thread, sort_index=thread)


def _meta(kind: str, thread: int, **args: Any) -> Event:
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": thread, "args": args}


def _thread(engine: Engine, core: int) -> int:
    """Tracks in the order of the data: load weights, load activations, compute, requantize, vector, store, keep, recall."""
    return core * len(TRACKS) + TRACKS.index(engine) + 1


def _of_core(core: int, cores: int, what: str) -> str:
    return f"core {core} {what}" if cores > 1 else what


def _layer_spans(timeline: Timeline, clock: _Clock) -> Iterator[Event]:
    """Each layer's share of the total: from the finish of all before it to its own."""
    program = timeline.program
    finish = timeline.layer_finish.tolist()
    for index, (layer, start, stop) in enumerate(zip(program.graph.layers, [0, *finish], finish, strict=False)):
        args = {
            "layer": index,
            "operator": layer.operator,
            "macs": layer.macs,
            "start_cycle": start,
            "cycles": stop - start,
        }
        span = clock.span(start, stop)
        yield {"ph": "X", "name": layer.name, "cat": "layer", "pid": _PROCESS, "tid": _LAYERS, **span, "args": args}


def _operations(timeline: Timeline, clock: _Clock, shown: int) -> Iterator[Event]:
    program = timeline.program
    names = [layer.name for layer in program.graph.layers]
    columns: list[NDArray[Any]] = [
        program.core,
        program.engine,
        program.layer,
        timeline.start,
        timeline.until - timeline.start,
        timeline.finish,
        program.amount,
        program.memory,
    ]
    for i, row in enumerate(zip(*(column[:shown].tolist() for column in columns), strict=True)):
        core, engine, layer, start, cycles, finish, amount, memory = row
        lo, hi = program.box(i)
        args = {
            "operation": i,
            "layer": layer,
            _UNITS[engine]: amount,
            "box": ", ".join(f"{a}:{b}" for a, b in zip(lo, hi, strict=True)),
            "into": _MEMORIES[memory],
            "start_cycle": start,
            "cycles": cycles,
            "finish_cycle": finish,
        }
        span = clock.span(start, start + cycles)
        yield {
            "ph": "X",
            "name": names[layer],
            "cat": _ENGINES[engine],
            "pid": _PROCESS,
            "tid": _THREADS[engine] + len(TRACKS) * core,
            **span,
            "args": args,
        }


_MEMORIES = {int(memory): memory.label for memory in Memory}
_ENGINES = {int(engine): engine.label for engine in Engine}
_THREADS = {int(engine): _thread(engine, 0) for engine in Engine}
_UNITS = {int(engine): "bytes" for engine in Engine} | {
    int(Engine.COMPUTE): "macs",
    int(Engine.REQUANTIZE): "elements",
    int(Engine.VECTOR): "lane_steps",
}


def _flows(timeline: Timeline, clock: _Clock, shown: int) -> Iterator[Event]:
    """One arrow per data dependency; those between layers have categories of their own, so that they can be hidden."""
    program = timeline.program
    edges = (
        ("data", source_edges(program)),
        ("through DRAM", tensor_edges(program, Engine.STORE)),
        ("kept on chip", tensor_edges(program, Engine.KEEP)),
    )
    number = 0
    for category, (consumer, source) in edges:
        inside = consumer < shown
        for end, begin in zip(consumer[inside].tolist(), source[inside].tolist(), strict=True):
            streams = program.streamed[end] == begin
            yield _flow("s", category, number, begin, timeline, clock, at_once=bool(streams))
            yield _flow("f", category, number, end, timeline, clock) | {"bp": "e"}
            number += 1


def _flow(
    phase: str, category: str, number: int, i: int, timeline: Timeline, clock: _Clock, *, at_once: bool = False
) -> Event:
    """A flow binds to the slice around its timestamp: the producer's middle (its start if short, or if it is read as it comes), the
    consumer's start."""
    program = timeline.program
    into = int(program.cycles[i]) // 2 if phase == "s" and not at_once else 0
    at = clock.us(int(timeline.start[i]) + into)
    thread = _thread(Engine(program.engine[i]), int(program.core[i]))
    return {"ph": phase, "name": category, "cat": category, "id": number, "pid": _PROCESS, "tid": thread, "ts": at}


def _fill_counters(timeline: Timeline, clock: _Clock, shown: int) -> Iterator[Event]:
    cores = timeline.program.arch.cores.count
    for core, memory in product(range(cores), ON_CHIP):
        steps = memory_fill(timeline, memory, core=core, operations=shown)
        unit = "words" if memory is Memory.ACCUMULATORS else "bytes"
        name = _of_core(core, cores, f"{memory.label} ({unit})")
        yield from _counter(name, unit, clock, steps.cycles, steps.values)


def _bandwidth_counters(timeline: Timeline, clock: _Clock, shown: int) -> Iterator[Event]:
    gigabytes = timeline.program.arch.clock_hz / 1e9
    for name, write in (("DRAM read", False), ("DRAM write", True)):
        cycles, rate = dram_rate(timeline, write=write, operations=shown)
        yield from _counter(f"{name} (GB/s)", "GB/s", clock, cycles, np.round(rate * gigabytes, 6))


def _counter(name: str, unit: str, clock: _Clock, cycles: NDArray[np.int64], values: NDArray[Any]) -> Iterator[Event]:
    for cycle, value in zip(cycles.tolist(), values.tolist(), strict=True):
        yield {"ph": "C", "name": name, "pid": _PROCESS, "ts": clock.us(cycle), "args": {unit: value}}
