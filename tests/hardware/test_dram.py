"""DRAM transfers: bursts under a box, and the clocks of their commands against a command-level simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.arch import Arch, json_schema, load_arch
from accelsim.arch.dram import DramStandard, dram_standards
from accelsim.builder import build_program
from accelsim.builder.dram import Dram, layout
from accelsim.energy import count_actions
from accelsim.errors import ConfigError
from accelsim.graph import Boxes
from accelsim.hardware import DRAM_ENGINES, dram_of
from accelsim.hardware.compiled import transfers
from accelsim.mapper import map_graph
from accelsim.program import Program
from accelsim.result.summary import NO_ROWS
from accelsim.simulation import simulate
from tests.hardware.dram_reference import closing_clock, constraints, legal, serve
from tests.networks import chain

STANDARDS = sorted(dram_standards())
EDGE = load_arch("edge_16x16")


def machine(standard: str | None, **edits: Any) -> Arch:
    return EDGE.with_({"dram.standard": standard, **edits})


def touched(
    shape: tuple[int, ...], lo: list[int], hi: list[int], *, bits: int, base: int, burst_bits: int
) -> list[int]:
    """Bursts under a box, element by element and bit by bit."""
    flat = np.arange(int(np.prod(shape))).reshape(shape)[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))]
    return sorted({(base + int(e) * bits + bit) // burst_bits for e in flat.ravel() for bit in (0, bits - 1)})


Box = tuple[tuple[int, ...], list[int], list[int]]


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=0, max_size=4)))
    ends = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    return shape, [a for a, _ in ends], [b for _, b in ends]


def moved(
    arch: Arch, shape: tuple[int, ...], lo: list[int], hi: list[int], *, bits: int, base: int, write: bool
) -> list[int]:
    record = dram_of(arch)
    corners = (np.array([corner], dtype=np.int64).reshape(1, len(shape)) for corner in (lo, hi))
    found = transfers(record, write, np.array([base]), bits, *corners, np.array(shape, dtype=np.int64).reshape(-1))
    return [int(n) for n in found[:, 0]]


@given(boxes(), st.integers(1, 32), st.integers(0, 300), st.sampled_from([4, 8, 16, 64]))
@settings(max_examples=200, deadline=None)
def test_bursts_are_those_under_the_elements(box: Box, bits: int, base: int, burst: int) -> None:
    """Each burst once, however many runs lie in it."""
    want = touched(*box, bits=bits, base=base, burst_bits=8 * burst)
    got = moved(machine(None, **{"dram.burst_bytes": burst}), *box, bits=bits, base=base, write=False)
    assert got == [len(want), 0, 0]


@st.composite
def strided(draw: st.DrawFn, standard: DramStandard) -> tuple[int, int, int, int]:
    """(first burst, runs, bursts between their starts, bursts in each): 60 bursts at most, near and far apart."""
    length = draw(st.integers(1, 20))
    count = draw(st.integers(1, max(1, 60 // length)))
    row = standard.bank_groups * standard.row_bytes // standard.burst_bytes
    apart = draw(
        st.sampled_from(
            [length, length + 1, standard.bank_groups, row // 2, row, 3 * row + 1, row * standard.banks_per_group]
        )
    )
    return draw(st.integers(0, 3 * row)), count, max(length, apart), length


@pytest.mark.parametrize("name", STANDARDS)
@given(data=st.data(), write=st.booleans())
@settings(max_examples=40, deadline=None)
def test_clocks_are_those_of_the_commands(name: str, data: st.DataObject, write: bool) -> None:
    """Equal to a simulation that issues whatever the constraint table allows, clock by clock."""
    standard = dram_standards()[name]
    first, count, apart, length = data.draw(strided(standard))
    bursts = [first + i * apart + k for i in range(count) for k in range(length)]
    size = standard.burst_bytes
    got = moved(
        machine(name), (count, apart * size), [0, 0], [count, length * size], bits=8, base=8 * size * first, write=write
    )
    commands = serve(standard, bursts, write=write)
    assert got == [len(bursts), closing_clock(standard, commands), sum(c.kind == "ACT" for c in commands)]


@pytest.mark.parametrize("name", STANDARDS)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_transfers_one_after_another_break_no_constraint(name: str, data: st.DataObject) -> None:
    """The next may begin when the law says that the one before has ended: reads behind writes, the same banks, nFAW and all."""
    standard = dram_standards()[name]
    table, issued, start = constraints(standard), [], 0
    for _ in range(3):
        first, count, apart, length = data.draw(strided(standard))
        bursts = [first + i * apart + k for i in range(count) for k in range(length)][:12]
        commands = serve(standard, bursts, write=data.draw(st.booleans()), start=start)
        for command in sorted(commands, key=lambda c: c.clock):
            assert legal(command, issued, table), command
            issued.append(command)
        start = closing_clock(standard, commands)


@pytest.mark.parametrize("name", STANDARDS)
def test_one_command_per_clock_changes_little(name: str) -> None:
    """The law takes the command bus to be no bottleneck; with one command per clock a long read is within 5 % of it."""
    standard = dram_standards()[name]
    bursts = list(range(7, 7 + 256))
    ideal, shared = (closing_clock(standard, serve(standard, bursts, write=False, per_clock=n)) for n in (64, 1))
    assert ideal <= shared <= 1.05 * ideal


@pytest.mark.parametrize("name", STANDARDS)
def test_long_reads_reach_the_peak_but_for_refresh(name: str) -> None:
    """1 MiB in address order: the channel's peak, less refresh, less 1 %."""
    standard, size = dram_standards()[name], 2**20
    arch = machine(name, **{"clock_hz": standard.clock_hz, "dram.bandwidth_bytes_per_s": standard.peak_bytes_per_s})
    whole = np.array([[0]]), np.array([[size]])
    cost = Dram(chain(), arch).tensor("x", Boxes(*whole), (size,), 8, np.array([size]), stream="activations")
    least = size / standard.peak_bytes_per_s * standard.clock_hz
    refreshed = least * standard.timing.nREFI / (standard.timing.nREFI - standard.timing.nRFC)
    assert refreshed <= int(cost.cycles[0]) <= 1.01 * refreshed + 100
    assert cost.bus_bytes.tolist() == [size]
    assert cost.activates.tolist() == [size // standard.row_bytes]


@pytest.mark.parametrize("name", STANDARDS)
def test_a_row_of_one_bank_after_another_costs_its_row_cycle(name: str) -> None:
    """One burst in each of 32 rows of one bank: nRAS + nRP, or what reading and closing takes, for each."""
    standard = dram_standards()[name]
    t, size = standard.timing, standard.burst_bytes
    stride = standard.row_bytes * standard.bank_groups * standard.banks_per_group
    got = moved(machine(name), (32, stride), [0, 0], [32, size], bits=8, base=0, write=False)
    assert got == [32, 32 * (max(t.nRAS, t.nRCD + t.nRTP) + t.nRP), 32]


@pytest.mark.parametrize("name", STANDARDS)
def test_the_file_of_standards(name: str) -> None:
    """Sizes are powers of two, a burst fills the data bus for whole clocks, and the schema offers the same names."""
    standard = dram_standards()[name]
    sizes = standard.burst_bytes, standard.row_bytes, standard.bank_groups, standard.banks_per_group
    assert all(size & (size - 1) == 0 for size in sizes)
    assert standard.burst_clocks * standard.beats_per_clock == standard.burst_beats
    assert standard.row_bytes % standard.burst_bytes == 0
    assert standard.timing.nRFC < standard.timing.nREFI
    assert standard.source.startswith("JESD")
    assert name in str(json_schema()["$defs"]["DramConfig"]["properties"]["standard"])


def test_peaks_are_those_of_the_names() -> None:
    peaks = {name: standard.peak_bytes_per_s / 1e9 for name, standard in dram_standards().items()}
    assert peaks == {
        "DDR4_2400": 19.2, "DDR4_3200": 25.6, "LPDDR4_3200": 6.4, "LPDDR5_6400": 12.8, "HBM2_2000": 32.0,
    }  # fmt: skip
    bursts = {name: standard.burst_bytes for name, standard in dram_standards().items()}
    assert bursts == {"DDR4_2400": 64, "DDR4_3200": 64, "LPDDR4_3200": 32, "LPDDR5_6400": 32, "HBM2_2000": 64}


def test_no_faster_than_the_channel() -> None:
    message = "dram: bandwidth_bytes_per_s of 19200000001 with standard DDR4_2400: expected at most the 19200000000"
    with pytest.raises(ConfigError, match=message):
        machine("DDR4_2400", **{"dram.bandwidth_bytes_per_s": 19_200_000_001})
    assert machine("DDR4_2400", **{"dram.bandwidth_bytes_per_s": 19_200_000_000}).dram.bytes_per_burst == 64
    with pytest.raises(ConfigError, match=r"dram\.burst_bytes: expected a power of two, got 48"):
        machine(None, **{"dram.burst_bytes": 48})
    with pytest.raises(ConfigError, match=r"dram\.standard: expected .*DDR4_2400.*did you mean 'DDR4_3200'"):
        machine("DDR4_3300")


def programs(standard: str | None, **edits: Any) -> Program:
    graph = chain()
    arch = machine(standard, **edits)
    return build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))


def test_counts_and_latency_of_a_program() -> None:
    """Loads and stores of few bytes move a burst each; nCL comes on top of the latency; nothing else changes."""
    plain, rows = programs(None), programs("DDR4_2400")
    moves = np.isin(rows.engine, DRAM_ENGINES)
    assert (rows.bus_bytes[moves] == -(-rows.amount[moves] // 64) * 64).all()
    assert (rows.activates[moves] >= 1).all()
    assert not rows.bus_bytes[~moves].any()
    assert (plain.bus_bytes == np.where(moves, plain.amount, 0)).all()
    assert set((rows.latency - plain.latency)[moves].tolist()) == {7}  # 16 / 1.2 GHz at 500 MHz
    before, after = count_actions(plain), count_actions(rows)
    assert (after.dram_read_asked == before.dram_read).all()
    assert (after.dram_read == 8 * np.array([rows.bus_bytes[_loads(rows, i)].sum() for i in range(2)])).all()
    assert (after.dram_activate > before.dram_activate).all()
    assert (rows.cycles >= plain.cycles).all()


def _loads(program: Program, layer: int) -> NDArray[np.bool_]:
    return np.isin(program.engine, DRAM_ENGINES[1:]) & (program.layer == layer)


def test_the_layout_puts_weights_first_and_overlaps_nothing() -> None:
    """Every tensor at the beginning of a row of all bank groups; a reshape where its input is."""
    graph, arch = chain(reshape=True), machine("DDR4_2400")
    weights, tensors = layout(graph, arch)
    places = sorted({*weights.values(), *tensors.values()})
    assert places == [32768 * i for i in range(len(places))]
    assert max(weights.values()) < min(tensors.values())
    assert tensors["t"] == tensors["t2"]


def test_a_result_says_what_was_modelled() -> None:
    graph = chain()
    results = [simulate(graph, arch=machine(name)) for name in (None, "DDR4_2400")]
    assert [NO_ROWS in result.not_modelled for result in results] == [True, False]
    assert results[0].total.dram_read_bytes == results[1].total.dram_read_bytes
    assert results[0].total.energy_pj < results[1].total.energy_pj
