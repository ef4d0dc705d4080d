"""DRAM transfers: bursts under a box, and the clocks of their commands against a command-level simulation."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.arch import Arch, load_arch
from accelsim.arch.dram import DramStandard, dram_standards
from accelsim.errors import ConfigError
from accelsim.graph import Boxes
from accelsim.program._dram import transfers
from accelsim.program.dram import Dram, dram_record
from tests.program.dram_reference import closing_clock, constraints, legal, serve

STANDARDS = sorted(dram_standards())
EDGE = load_arch("edge_16x16")


def machine(standard: str | None, **edits: Any) -> Arch:
    return EDGE.with_({"dram.standard": standard, **edits})


def touched(shape: tuple[int, ...], lo: list[int], hi: list[int], *, bits: int, base: int, burst_bits: int) -> list[int]:
    """Bursts under a box, element by element and bit by bit."""
    flat = np.arange(int(np.prod(shape))).reshape(shape)[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))]
    return sorted({(base + int(e) * bits + bit) // burst_bits for e in flat.ravel() for bit in (0, bits - 1)})


@st.composite
def boxes(draw: st.DrawFn) -> tuple[tuple[int, ...], list[int], list[int]]:
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=0, max_size=4)))
    ends = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    return shape, [a for a, _ in ends], [b for _, b in ends]


def moved(arch: Arch, shape: tuple[int, ...], lo: list[int], hi: list[int], *, bits: int, base: int, write: bool) -> list[int]:
    record = dram_record(arch)
    corners = (np.array([corner], dtype=np.int64).reshape(1, len(shape)) for corner in (lo, hi))
    found = transfers(
        record, write, np.array([base]), bits, *corners, np.array(shape, dtype=np.int64).reshape(-1)
    )
    return [int(n) for n in found[:, 0]]


@given(boxes(), st.integers(1, 33), st.integers(0, 300), st.sampled_from([2, 4, 16, 64]))
@settings(max_examples=200, deadline=None)
def test_bursts_are_those_under_the_elements(
    box: tuple[tuple[int, ...], list[int], list[int]], bits: int, base: int, burst: int
) -> None:
    """Each burst once, however many runs lie in it."""
    shape, lo, hi = box
    want = [] if any(a == b for a, b in zip(lo, hi, strict=True)) else touched(
        shape, lo, hi, bits=bits, base=base, burst_bits=8 * burst
    )
    got = moved(machine(None, **{"dram.burst_bytes": burst}), shape, lo, hi, bits=bits, base=base, write=False)
    # bits in between first and last of an element may lie in a burst of their own, when it is wider than one
    assert got[0] == (len(want) if bits <= 8 * burst else len(_filled(want, shape, lo, hi, bits, base, 8 * burst)))
    assert got[1:] == [0, 0]


def _filled(want: list[int], shape: Any, lo: Any, hi: Any, bits: int, base: int, burst_bits: int) -> set[int]:
    flat = np.arange(int(np.prod(shape))).reshape(shape)[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))]
    return {(base + int(e) * bits + bit) // burst_bits for e in flat.ravel() for bit in range(bits)} if want else set()


@st.composite
def strided(draw: st.DrawFn, standard: DramStandard) -> tuple[int, int, int, int]:
    """(first burst, runs, bursts between their starts, bursts in each): 60 bursts at most, near and far apart."""
    length = draw(st.integers(1, 20))
    count = draw(st.integers(1, max(1, 60 // length)))
    row = standard.bank_groups * standard.row_bytes // standard.burst_bytes
    apart = draw(st.sampled_from([length, length + 1, standard.bank_groups, row // 2, row, 3 * row + 1, row * standard.banks_per_group]))
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
    """1 MiB in address order: the channel's peak, less refresh, less 1 %; every second row of one bank: far from it."""
    standard, size = dram_standards()[name], 2**20
    arch = machine(name, **{"clock_hz": standard.clock_hz, "dram.bandwidth_bytes_per_s": standard.peak_bytes_per_s})
    whole = np.array([[0]]), np.array([[size]])
    dram = Dram(_graph_of(size), arch)
    cost = dram.tensor("x", Boxes(*whole), (size,), 8, np.array([size]), write=False)
    least = size / standard.peak_bytes_per_s * standard.clock_hz
    refreshed = least * standard.timing.nREFI / (standard.timing.nREFI - standard.timing.nRFC)
    assert refreshed <= int(cost.cycles[0]) <= 1.01 * refreshed + 100
    assert cost.bus_bytes.tolist() == [size]
    assert cost.activates.tolist() == [size // standard.row_bytes]


def _graph_of(size: int) -> Any:
    from accelsim.graph import Graph, HostPort, Reshape, Tensor
    from accelsim.numerics import INT8

    raise NotImplementedError
