"""The Chrome trace: its structure by the rules of the format, its numbers by the Timeline."""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.arch import load_arch
from accelsim.hardware import Engine, Memory, activation_share, slot_capacity, slots
from accelsim.program.places import kept_places
from accelsim.report.files.occupancy import ON_CHIP, dram_rate, memory_fill, region_release, source_edges
from accelsim.report.files.trace import MAX_OPERATIONS, trace_events, write_trace
from accelsim.simulation import Simulation, run
from accelsim.timing import Timeline, schedule
from tests.generate import random_program
from tests.report.networks import separable_network

PICOSECOND_US = 1e-6


def trace_of(timeline: Timeline, **options: Any) -> dict[str, Any]:
    text = io.StringIO()
    write_trace(timeline, text, **options)
    return json.loads(text.getvalue())


def of_phase(trace: dict[str, Any], phase: str) -> list[dict[str, Any]]:
    return [event for event in trace["traceEvents"] if event["ph"] == phase]


def check_structure(trace: dict[str, Any]) -> None:
    """What every trace must hold: touching spans per track, paired flows inside spans, counters within capacity."""
    spans = defaultdict(list)
    for event in of_phase(trace, "X"):
        assert event["dur"] >= 0
        spans[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for track in spans.values():
        for (_, end), (begin, _) in pairwise(sorted(track)):
            assert begin >= end - PICOSECOND_US
    starts = {event["id"]: event for event in of_phase(trace, "s")}
    ends = {event["id"]: event for event in of_phase(trace, "f")}
    assert len(starts) == len(of_phase(trace, "s"))
    assert len(ends) == len(of_phase(trace, "f"))
    assert starts.keys() == ends.keys()
    for number, start in starts.items():
        assert start["ts"] <= ends[number]["ts"]
        assert ends[number]["bp"] == "e"
        for event in (start, ends[number]):
            assert any(a <= event["ts"] < b for a, b in spans[event["tid"]])
    capacity = {label.split(" (")[0]: value for label, value in trace["otherData"]["capacity"].items()}
    for event in of_phase(trace, "C"):
        (value,) = event["args"].values()
        assert value >= 0
        assert value <= capacity.get(re.sub(r"^core \d+ ", "", event["name"]).split(" (")[0], np.inf)


def test_trace_has_one_named_track_per_engine(small: Simulation) -> None:
    trace = trace_of(small.timeline)
    names = {e["tid"]: e["args"]["name"] for e in of_phase(trace, "M") if e["name"] == "thread_name"}
    assert sorted(names.values()) == sorted(["layers", *(engine.label for engine in Engine)])
    assert {e["tid"] for e in of_phase(trace, "X")} <= names.keys()


def test_several_cores_have_tracks_and_counters_of_their_own() -> None:
    simulation = run(separable_network(1), arch=load_arch("edge_16x16").with_({"cores.count": 2}))
    trace = trace_of(simulation.timeline)
    check_structure(trace)
    names = {e["tid"]: e["args"]["name"] for e in of_phase(trace, "M") if e["name"] == "thread_name"}
    assert sorted(names.values()) == sorted(["layers", *(f"core {c} {e.label}" for c in range(2) for e in Engine)])
    operations = [e for e in of_phase(trace, "X") if "operation" in e["args"]]
    owners = [names[e["tid"]] for e in operations]
    cores, engines = simulation.program.core.tolist(), simulation.program.engine.tolist()
    assert owners == [f"core {c} {Engine(e).label}" for c, e in zip(cores, engines, strict=True)]
    counters = {e["name"] for e in of_phase(trace, "C")}
    assert {f"core {c} weight buffer (bytes)" for c in range(2)} < counters
    assert {"DRAM read (GB/s)", "DRAM write (GB/s)"} < counters


def test_trace_shows_every_operation_at_its_time(small: Simulation) -> None:
    trace, timeline = trace_of(small.timeline), small.timeline
    operations = [e for e in of_phase(trace, "X") if "operation" in e["args"]]
    assert [e["args"]["operation"] for e in operations] == list(range(len(small.program)))
    assert [e["args"]["start_cycle"] for e in operations] == timeline.start.tolist()
    assert [e["args"]["finish_cycle"] for e in operations] == timeline.finish.tolist()
    us_per_cycle = 1e6 / small.arch.clock_hz
    np.testing.assert_allclose([e["ts"] for e in operations], timeline.start * us_per_cycle, atol=2 * PICOSECOND_US)
    np.testing.assert_allclose(
        [e["dur"] for e in operations], small.program.cycles * us_per_cycle, atol=2 * PICOSECOND_US
    )


def test_trace_arguments_name_layer_amount_and_box(small: Simulation) -> None:
    events = [e for e in of_phase(trace_of(small.timeline), "X") if e["cat"] == "compute"]
    assert sum(e["args"]["macs"] for e in events) == small.graph.macs
    first = events[0]
    assert first["name"] == small.graph.layers[0].name
    assert first["args"]["box"].count(":") == 4
    assert first["args"]["into"] == "accumulators"


def test_layer_spans_partition_the_total(small: Simulation) -> None:
    spans = [e["args"] for e in of_phase(trace_of(small.timeline), "X") if e["cat"] == "layer"]
    assert [span["cycles"] for span in spans] == [layer.cycles for layer in small.result.layers]
    assert sum(span["cycles"] for span in spans) == small.result.total.cycles


def test_flows_are_the_data_dependencies(small: Simulation) -> None:
    trace = trace_of(small.timeline)
    data = [e for e in of_phase(trace, "s") if e["cat"] == "data"]
    assert len(data) == int(small.program.sources.sum())
    assert [e for e in of_phase(trace, "s") if e["cat"] == "through DRAM"]


def test_kept_tensors_have_arrows_and_a_counter_of_their_own(small: Simulation, keeping: Simulation) -> None:
    trace = trace_of(keeping.timeline)
    check_structure(trace)
    kept = [e for e in of_phase(trace, "s") if e["cat"] == "kept on chip"]
    assert kept
    assert not [e for e in of_phase(trace, "s") if e["cat"] == "through DRAM"]
    assert not [e for e in of_phase(trace_of(small.timeline), "s") if e["cat"] == "kept on chip"]
    fill = [e["args"]["bytes"] for e in of_phase(trace, "C") if e["name"] == "resident activations (bytes)"]
    sizes = {place.stop - place.start for place in kept_places(keeping.program).values()}
    assert max(fill) >= max(sizes)
    assert fill[-1] == 0
    keeps = [e["args"] for e in of_phase(trace, "X") if e["cat"] == "keep"]
    assert {e["into"] for e in keeps} == {"resident activations"}
    assert sum(e["bytes"] for e in keeps) == sum(
        place.stop - place.start for place in kept_places(keeping.program).values()
    )


def test_structure(small: Simulation, deep: Simulation) -> None:
    check_structure(trace_of(small.timeline))
    check_structure(trace_of(deep.timeline))


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_structure_of_any_program(seed: int) -> None:
    check_structure(trace_of(schedule(random_program(seed, most_layers=3))))


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_fill_stays_within_every_memory_and_ends_empty(seed: int) -> None:
    timeline = schedule(random_program(seed, most_layers=4))
    for core, memory in product(range(timeline.program.arch.cores.count), ON_CHIP):
        fill = memory_fill(timeline, memory, core=core)
        capacity = slot_capacity(memory, timeline.program.arch) * slots(memory, timeline.program.arch)
        assert np.all(fill.values >= 0)
        assert np.all(fill.values <= capacity)
        assert np.all(np.diff(fill.cycles) > 0)
        assert not len(fill.values) or fill.values[-1] == 0


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_dram_rate_carries_every_byte(seed: int) -> None:
    timeline = schedule(random_program(seed, most_layers=3))
    program = timeline.program
    for write, mask in ((True, program.of_engine(Engine.STORE)), (False, np.isin(program.engine, [1, 2]))):
        cycles, rate = dram_rate(timeline, write=write)
        moved = float(np.sum(np.diff(cycles) * rate[:-1]))
        weights = program.engine[mask] == Engine.LOAD_WEIGHTS
        coded = np.where(weights, 1.0, float(activation_share(program.arch, "outputs" if write else "activations")))
        assert moved == pytest.approx(float((program.amount[mask] * coded).sum()))
        assert not len(rate) or rate[-1] == 0
    arch, ports = program.arch, program.arch.streams.ports
    rates = [
        arch.streams.of(name).bandwidth_bytes_per_s or arch.dram.bandwidth_bytes_per_s
        for name in ("weights", "activations")
    ]
    most = max(rates) if ports["weights"] == ports["activations"] else sum(rates)
    assert np.all(dram_rate(timeline, write=False)[1] <= most / arch.clock_hz * (1 + 1e-9))


def test_a_region_is_held_until_its_last_reader_finishes(small: Simulation) -> None:
    program, timeline = small.program, small.timeline
    release = region_release(timeline)
    reader, source = source_edges(program)
    loads = program.memory[source] == Memory.WEIGHTS
    assert np.all(release[source[loads]] >= timeline.finish[reader[loads]])


def test_a_long_program_is_cut_and_says_so(small: Simulation) -> None:
    trace = trace_of(small.timeline, max_operations=10)
    assert trace["otherData"]["operations"] == len(small.program) > 10
    assert trace["otherData"]["operations_shown"] == 10
    assert sum("operation" in e["args"] for e in of_phase(trace, "X")) == 10
    check_structure(trace)
    assert MAX_OPERATIONS == 100_000


def test_writing_in_batches_equals_the_events(deep: Simulation) -> None:
    events = list(trace_events(deep.timeline))
    assert len(events) > 4096
    assert trace_of(deep.timeline)["traceEvents"] == json.loads(json.dumps(events))
