"""Buffers that know who wrote each word, DRAM that knows what was stored, and codes packed at any width."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.errors import HazardError, InputError
from accelsim.execute import run_program
from accelsim.execute.memory import Bytes, Dram, pack, unpack
from accelsim.hardware import Engine
from accelsim.mapper import map_graph
from accelsim.numerics import BIPOLAR, IntFormat
from accelsim.program import MacMapping, Program
from tests.networks import conv


@given(st.integers(1, 32), st.booleans(), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_packing_keeps_every_code_in_the_fewest_bytes(bits: int, signed: bool, count: int, seed: int) -> None:
    fmt = IntFormat(bits, signed)
    codes = np.random.default_rng(seed).integers(fmt.min, fmt.max, count, endpoint=True)
    data = pack(codes, fmt)
    assert data.dtype == np.uint8
    assert len(data) == -(-count * bits // 8)
    np.testing.assert_array_equal(unpack(data, (count,), fmt), codes)


@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_a_bipolar_code_is_one_bit(count: int, seed: int) -> None:
    codes = 2 * np.random.default_rng(seed).integers(0, 2, (count, 1)) - 1
    data = pack(codes, BIPOLAR)
    assert (data.dtype, len(data)) == (np.uint8, -(-count // 8))
    assert np.unpackbits(data, bitorder="little")[:count].tolist() == (codes.ravel() > 0).tolist()
    back = unpack(data, (count, 1), BIPOLAR)
    assert back.dtype == np.int8
    np.testing.assert_array_equal(back, codes)


@pytest.fixture
def program() -> Program:
    mapping = MacMapping(oh=2, ow=8, oc=8, ic=4, kh=3, kw=3)
    return build_program(conv(size=10, ic=8, oc=24), arch=load_arch("edge_16x16"), mappings=(mapping,))


def loads(program: Program) -> list[int]:
    return np.flatnonzero(program.engine == Engine.LOAD_ACTIVATIONS).tolist()


def test_reading_before_writing(program: Program) -> None:
    first = loads(program)[0]
    with pytest.raises(HazardError, match="reads a word never written where it expects the result of operation"):
        Bytes(1 << 16, np.uint8).read(program, first + 1, first)


def test_reading_while_it_is_overwritten(program: Program) -> None:
    first, _, third = loads(program)[:3]
    memory = Bytes(1 << 16, np.uint8)
    memory.write(program, first, np.zeros(program.extent[first], np.uint8))
    memory.check(program, first + 1, first)
    memory.claim(program, third)  # the same slot, two fills later
    with pytest.raises(HazardError, match="a word being overwritten"):
        memory.check(program, first + 1, first)
    memory.write(program, third, np.zeros(program.extent[third], np.uint8))
    with pytest.raises(HazardError, match=f"a word of operation {third} "):
        memory.check(program, first + 1, first)


def test_writing_more_than_the_region(program: Program) -> None:
    first = loads(program)[0]
    with pytest.raises(HazardError, match=r"produced 3 words for a region of \d+"):
        Bytes(1 << 16, np.uint8).write(program, first, np.zeros(3, np.uint8))


def test_dram_stores_once_and_loads_only_what_was_stored() -> None:
    dram = Dram()
    dram.reserve("t", (2, 3))
    row = (slice(0, 1), slice(0, 3))
    dram.store("t", (2, 3), row, np.array([[1, 2, 3]]), "store 0")
    assert dram.load("t", (2, 3), row, "load 1").tolist() == [[1, 2, 3]]
    with pytest.raises(HazardError, match="store 1 stores elements of tensor 't' a second time"):
        dram.store("t", (2, 3), row, np.array([[1, 2, 3]]), "store 1")
    with pytest.raises(HazardError, match="load 2 reads elements of tensor 't' that no store has written yet"):
        dram.load("t", (2, 3), (slice(0, 2), slice(0, 1)), "load 2")
    with pytest.raises(HazardError, match="'t' was not stored completely"):
        dram.tensor("t")
    dram.alias("u", "t", (3, 2))
    dram.store("u", (3, 2), (slice(2, 3), slice(0, 2)), np.array([[8, 9]]), "store 2")
    assert dram.load("t", (2, 3), (slice(1, 2), slice(1, 3)), "load 3").tolist() == [[8, 9]]


def test_inputs_are_needed_and_shapes_alone_do_not_run(program: Program) -> None:
    with pytest.raises(InputError, match=r"input 'x' is missing"):
        run_program(program, {})
    graph = conv(shape_only=True)
    arch = load_arch("edge_16x16")
    shapes = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    with pytest.raises(InputError, match="carries shapes only"):
        run_program(shapes, {})
