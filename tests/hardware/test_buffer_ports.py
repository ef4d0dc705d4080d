"""Banks and ports of the buffers: when a tile may be filled while another is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.errors import ConfigError
from accelsim.hardware import Engine, Memory, depth
from accelsim.mapper import map_graph
from accelsim.program import MacMapping, Program, check_program
from accelsim.timing import Timeline, schedule, schedule_simpy
from tests.networks import chain

EDGE = load_arch("edge_16x16")
BUFFERS = {
    "weight_buffer": (Memory.WEIGHTS, (Engine.LOAD_WEIGHTS,), (Engine.COMPUTE,)),
    "activation_buffer": (Memory.ACTIVATIONS, (Engine.LOAD_ACTIVATIONS,), (Engine.COMPUTE, Engine.VECTOR)),
    "output_buffer": (Memory.OUTPUTS, (Engine.REQUANTIZE, Engine.VECTOR), (Engine.STORE,)),
}


def program(name: str, **edits: Any) -> Program:
    """Two layers in many small tiles of what ``name`` holds, the same ones on every machine, that wait for their memory."""
    pace = 20_000_000 if name == "output_buffer" else 1_000_000_000  # a store holds its slot for as long as it reads it
    arch = EDGE.with_({"dram.bandwidth_bytes_per_s": pace, "dram.latency_ns": 1000.0, **edits})
    graph = chain()
    cut = tuple(
        MacMapping(oh=1, ow=1, oc=2, ic=4 if name == "activation_buffer" else m.ic, kh=1, kw=1)
        if isinstance(m, MacMapping)
        else m
        for m in map_graph(graph, arch=EDGE)
    )
    return build_program(graph, arch=arch, mappings=cut)


def overlap(timeline: Timeline, fills: tuple[Engine, ...], reads: tuple[Engine, ...]) -> bool:
    """Whether some fill runs while some read runs."""
    engine = timeline.program.engine
    filling, reading = (np.flatnonzero(np.isin(engine, which)) for which in (fills, reads))
    start, finish = timeline.start, timeline.until
    return bool(
        (
            (start[filling][:, None] < finish[reading][None, :]) & (start[reading][None, :] < finish[filling][:, None])
        ).any()
    )


@pytest.mark.parametrize("name", BUFFERS)
@pytest.mark.parametrize(
    ("ports", "banks", "double", "both"),
    [
        (2, 1, True, True), (2, 3, True, True), (1, 2, True, True), (1, 6, True, True),
        (1, 1, True, False), (1, 3, True, False), (1, 2, False, False), (2, 2, False, False),
    ],
)  # fmt: skip
def test_fills_and_reads_overlap_where_ports_or_banks_allow(
    name: str, ports: int, banks: int, double: bool, both: bool
) -> None:
    memory, fills, reads = BUFFERS[name]
    edits = {f"{name}.ports": ports, f"{name}.banks": banks, f"{name}.double_buffered": double}
    built = program(name, **edits)
    check_program(built)
    timeline = schedule(built)
    assert depth(memory, built.arch) == (2 if both else 1)
    assert overlap(timeline, fills, reads) is both
    assert (schedule_simpy(built).start == timeline.start).all()


@pytest.mark.parametrize("name", BUFFERS)
def test_taking_turns_costs_cycles_and_no_byte(name: str) -> None:
    plain, turns = program(name), program(name, **{f"{name}.ports": 1})
    assert schedule(turns).total_cycles > schedule(plain).total_cycles
    assert (plain.amount == turns.amount).all()
    assert (plain.offset == turns.offset).all()
    banked = program(name, **{f"{name}.ports": 1, f"{name}.banks": 2})
    assert (schedule(banked).start == schedule(plain).start).all()


def test_more_than_two_ports_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"weight_buffer\.ports: expected at most 2, got 3"):
        EDGE.with_({"weight_buffer.ports": 3})
