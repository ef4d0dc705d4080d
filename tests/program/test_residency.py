"""Which tensors are kept, where, what that costs to the cycle, and that every wrong place is caught."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.energy import count_actions
from accelsim.errors import HazardError, ProgramError
from accelsim.execute import WholeReader, run_program
from accelsim.graph import Dense, Graph, HostPort, MacGeometry, MatMul, Tensor
from accelsim.hardware import Engine, Memory, slot_capacity
from accelsim.mapper.default import layer_by_layer
from accelsim.mapper.tiling import Tiler
from accelsim.numerics import INT8, IntFormat
from accelsim.program import MacMapping, Program, check_program
from accelsim.program.places import kept_places
from accelsim.program.residency import STEP, Lifetime, first_fit, first_fits, in_whole_bytes, lifetimes
from accelsim.result import NOT_KEPT
from accelsim.simulation import run
from accelsim.timing import schedule, schedule_simpy, stalls
from tests.networks import branches, chain, skip_connection

PLAIN = {"dram.bandwidth_bytes_per_s": 500_000_000, "dram.latency_ns": 20.0, "activation_buffer.bytes_per_cycle": 2}
"""At 500 MHz: one byte of DRAM and two of the activation memory per cycle, ten cycles of latency."""


def lifetime(tensor: str, first: int, last: int, size: int) -> Lifetime:
    return Lifetime(tensor=tensor, first=first, last=last, size=size)


def test_lives_run_from_the_maker_to_the_last_reader() -> None:
    graph = skip_connection()
    assert lifetimes(graph) == (lifetime("a", 0, 3, 8), lifetime("b", 1, 2, 8), lifetime("c", 2, 3, 8))


def test_a_reshape_shares_the_place_and_prolongs_the_life() -> None:
    graph = chain(reshape=True)
    assert [layer.operator for layer in graph.layers] == ["FULLY_CONNECTED", "RESHAPE", "FULLY_CONNECTED"]
    assert lifetimes(graph) == (lifetime("t", 0, 2, 8),)


@pytest.mark.parametrize(("width", "sizes"), [(8, [6]), (4, [3]), (3, []), (6, [])])
def test_rows_that_end_inside_a_byte_have_no_life_on_chip(width: int, sizes: list[int]) -> None:
    assert [x.size for x in lifetimes(chain(width=width, middle=IntFormat(6)))] == sizes


def test_outputs_are_not_kept_even_under_another_name() -> None:
    graph = chain(reshape=True, outputs=("y", "t2"))
    assert lifetimes(graph) == ()


def test_first_fit_takes_the_lowest_gap() -> None:
    a, b, c, d = lifetime("a", 0, 1, 4), lifetime("b", 0, 5, 4), lifetime("c", 2, 5, 3), lifetime("d", 2, 5, 2)
    assert first_fit((a, b, c, d), 10) == {"a": 0, "b": 4, "c": 0, "d": 8}
    assert first_fit((a, b, c, d), 9) == {"a": 0, "b": 4, "c": 0}
    assert first_fit((a, b, c, d), 3) == {"c": 0}


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 20)), max_size=8), st.integers(0, 90))
def test_first_fits_finds_every_capacity_at_which_others_are_kept(spans: list[tuple[int, int, int]], most: int) -> None:
    """Those below STEP bytes that keep other tensors than a byte less, then none much closer, and the least that keeps all."""
    wanted = [lifetime(f"t{i}", first, first + length, size) for i, (first, length, size) in enumerate(sorted(spans))]
    kept = [frozenset(first_fit(wanted, capacity)) for capacity in range(most + 1)]
    changes = [(n, kept[n]) for n in range(1, most + 1) if kept[n] != kept[n - 1]]
    found = list(first_fits(wanted, most))
    assert [pair for pair in found if pair[0] < STEP] == [pair for pair in changes if pair[0] < STEP]
    assert found == [(size, kept[size]) for size, _ in found]
    if changes and len(kept[-1]) == len(wanted):
        assert found[-1] == changes[-1]


def test_a_layer_does_not_write_over_what_it_reads() -> None:
    assert first_fit((lifetime("in", 0, 1, 4), lifetime("out", 1, 2, 4)), 8) == {"in": 0, "out": 4}
    assert first_fit((lifetime("in", 0, 1, 4), lifetime("late", 2, 3, 4)), 8) == {"in": 0, "late": 0}


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5), st.integers(1, 40)), max_size=14), st.integers(1, 100))
def test_no_two_tensors_that_live_together_share_a_byte(spans: list[tuple[int, int, int]], capacity: int) -> None:
    wanted = [lifetime(f"t{i}", first, first + length, size) for i, (first, length, size) in enumerate(sorted(spans))]
    places = first_fit(wanted, capacity)
    kept = [w for w in wanted if w.tensor in places]
    assert all(0 <= places[w.tensor] <= capacity - w.size for w in kept)
    for a in kept:
        for b in kept:
            if a is not b and a.first <= b.last and b.first <= a.last:
                assert places[a.tensor] + a.size <= places[b.tensor] or places[b.tensor] + b.size <= places[a.tensor]
    left_out = [w for w in wanted if w.tensor not in places]
    assert all(w.size > capacity or any(k.first <= w.last and w.first <= k.last for k in kept) for w in left_out)


@pytest.mark.parametrize(
    ("bits", "tile", "whole"), [(8, 3, True), (16, 1, True), (4, 2, True), (4, 3, False), (1, 8, True), (2, 6, False)]
)
def test_narrow_codes_are_kept_where_tile_rows_fill_bytes(bits: int, tile: int, whole: bool) -> None:
    graph = chain(middle=IntFormat(bits))
    assert in_whole_bytes(graph, "t", MacMapping(oh=1, ow=1, oc=tile, ic=16, kh=1, kw=1)) is whole


def test_tensors_narrower_than_a_byte_in_odd_rows_go_through_dram() -> None:
    """Rows of five 4-bit codes end in the middle of a byte."""
    graph = chain(middle=IntFormat(4), width=5)
    assert not in_whole_bytes(graph, "t", MacMapping(oh=1, ow=1, oc=5, ic=16, kh=1, kw=1))
    assert kept_places(built(graph, resident=64)) == {}


def built(graph: Graph, *, resident: int, **edits: object) -> Program:
    """Dense layers in one tile each; the slots of the activation memory are as large with ``resident`` bytes as without."""
    size = {"activation_buffer.size_bytes": 256 + resident, "activation_buffer.resident_bytes": resident}
    arch = load_arch("edge_16x16").with_(PLAIN | size | edits)
    mappings, _ = layer_by_layer(Tiler(graph, arch, "edp"))
    return build_program(graph, arch=arch, mappings=mappings)


def test_two_layers_worked_out_by_hand() -> None:
    """Weights of layer 1 arrive at 154, its sums are ready at 201, its 8 outputs at 202.

    Through DRAM: store 202-210, there at 220, load 220-228, there at 238. On chip at 2 bytes per cycle: keep 202-206,
    recall 206-210. Then 47 cycles of array, one of requantization, a store of 4 and the latency of 10.
    """
    off, on = (schedule(built(chain(), resident=bytes_)) for bytes_ in (0, 8))
    assert off.total_cycles == 238 + 47 + 1 + 4 + 10
    assert on.total_cycles == 210 + 47 + 1 + 4 + 10
    keep, recall = (int(np.flatnonzero(on.program.engine == e)[0]) for e in (Engine.KEEP, Engine.RECALL))
    assert (on.start[keep], on.finish[keep], on.start[recall], on.finish[recall]) == (202, 206, 206, 210)
    assert stalls(on).by_cause()["keep"] == 4
    assert stalls(on).by_cause()["recall"] == 4
    assert stalls(off).by_cause()["store"] == 8 + stalls(on).by_cause()["store"]


def test_two_layers_count_what_they_move() -> None:
    """Weights 128 + 32 bytes and the input's 16 are read from DRAM, the output's 4 written; the 8 between them stay."""
    off, on = (built(chain(), resident=bytes_) for bytes_ in (0, 8))
    before, after = count_actions(off), count_actions(on)
    assert ((before.dram_read.sum(), before.dram_write.sum())) == (8 * (128 + 16 + 32 + 8), 8 * (8 + 4))
    assert ((after.dram_read.sum(), after.dram_write.sum())) == (8 * (128 + 16 + 32), 8 * 4)
    assert (after.activation_buffer_write - before.activation_buffer_write).tolist() == [8 * 8, 0]
    assert (after.activation_buffer_read - before.activation_buffer_read).tolist() == [0, 8 * 8]
    np.testing.assert_array_equal(after.output_buffer_read, before.output_buffer_read)
    np.testing.assert_array_equal(after.output_buffer_write, before.output_buffer_write)


def test_one_byte_too_few_keeps_nothing() -> None:
    assert kept_places(built(chain(), resident=7)) == {}
    (place,) = kept_places(built(chain(), resident=8)).values()
    assert (place.start, place.stop) == (0, 8)


def test_a_port_as_wide_as_needed_moves_a_tile_in_a_cycle() -> None:
    program = built(chain(), resident=8, **{"activation_buffer.bytes_per_cycle": None})
    assert program.cycles[np.isin(program.engine, (Engine.KEEP, Engine.RECALL))].tolist() == [1, 1]


def test_the_output_buffer_limits_keeps_as_it_limits_stores() -> None:
    program = built(chain(), resident=8, **{"output_buffer.bytes_per_cycle": 1})
    assert program.cycles[program.of_engine(Engine.KEEP)].tolist() == [8]
    assert program.cycles[program.of_engine(Engine.RECALL)].tolist() == [4]


def test_slots_share_what_is_left() -> None:
    arch = load_arch("edge_16x16").with_({"activation_buffer.resident_bytes": "48 KiB"})
    assert slot_capacity(Memory.ACTIVATIONS, arch) == 8 * 1024
    assert slot_capacity(Memory.RESIDENT, arch) == 48 * 1024


def test_a_tensor_added_later_stays_until_then() -> None:
    """``a`` is read by layers 1 and 3; ``b`` and ``c`` must not take its place, and 16 bytes have no room for ``c``."""
    places = kept_places(built(skip_connection(), resident=24))
    assert {i: p.start for i, p in places.items()} == {0: 0, 1: 8, 2: 16}
    assert {i: p.start for i, p in kept_places(built(skip_connection(), resident=16)).items()} == {0: 0, 1: 8}


def test_the_result_no_longer_lists_it_as_not_modelled() -> None:
    simulations = [run(chain(), arch=built(chain(), resident=r).arch) for r in (0, 8)]
    assert [NOT_KEPT in s.result.not_modelled for s in simulations] == [True, False]
    assert simulations[1].result.layers[0].busy_cycles["keep"] == 4
    assert simulations[1].result.layers[1].busy_cycles["recall"] == 4


def moved(program: Program, layer: int, to: int) -> Program:
    """All KEEPs of ``layer`` at another place."""
    mine = (program.layer == layer) & program.of_engine(Engine.KEEP)
    return program.replace(offset=np.where(mine, to, program.offset))


@pytest.mark.parametrize(("layer", "onto"), [(1, 0), (2, 0), (2, 8), (1, 4)])
def test_an_overlap_is_caught_by_the_checker_and_by_the_bytes_themselves(layer: int, onto: int) -> None:
    """Layers 1 and 2 keep their outputs while ``a`` (0..8) and ``b`` (8..16) have consumers to come."""
    program = tiled_skip()
    check_program(program)
    broken = moved(program, layer, onto)
    with pytest.raises(HazardError, match=r"the places overlap|may overwrite a tensor"):
        check_program(broken)
    inputs = {"x": np.arange(16, dtype=np.int8).reshape(1, 16)}
    assert run_program(program, inputs)["y"].tolist() == WholeReader(program.graph).run(inputs)["y"].tolist()
    with pytest.raises(HazardError, match="where it expects tensor"):
        run_program(broken, inputs)


def tiled_skip() -> Program:
    """Two tiles per layer, so that a layer still reads while it already writes."""
    whole = built(skip_connection(), resident=24)
    halves = [MacMapping(oh=1, ow=1, oc=4, ic=n, kh=1, kw=1) for n in (8, 4, 4)]
    return build_program(whole.graph, arch=whole.arch, mappings=(*halves, whole.mappings[3]))


def test_a_keep_that_does_not_wait_for_the_readers_of_its_place_is_caught() -> None:
    """``a`` is added to itself on the vector unit while the array makes ``b``, which takes the place of ``a``."""
    mapped = built(branches(), resident=8)
    whole, half = (MacMapping(oh=1, ow=1, oc=8, ic=n, kh=1, kw=1) for n in (16, 8))
    program = build_program(mapped.graph, arch=mapped.arch, mappings=(whole, mapped.mappings[1], whole, half))
    check_program(program)
    places = kept_places(program)
    assert [(p.layer, p.start) for p in places.values()] == [(0, 0), (2, 0)]
    keep = places[2].first_keep
    waits = program.waits_for(keep).tolist()
    assert [Engine(program.engine[on]) for on in waits] == [Engine.REQUANTIZE, Engine.RECALL]
    broken = without_last_wait(program, keep)
    with pytest.raises(HazardError, match="may overwrite a tensor that operation .* may still be reading"):
        check_program(broken)
    inputs = {"x": np.arange(16, dtype=np.int8).reshape(1, 16)}
    slow = broken.replace(cycles=np.where(broken.engine == Engine.RECALL, 10_000, broken.cycles))
    expected = run_program(program, inputs)
    late = run_program(program, inputs, timeline=schedule(program.replace(cycles=slow.cycles)))
    assert all(np.array_equal(late[name], values) for name, values in expected.items())
    assert expected.keys() == late.keys()
    with pytest.raises(HazardError, match="where it expects tensor 'a'"):
        run_program(broken, inputs, timeline=schedule(slow))


def without_last_wait(program: Program, operation: int) -> Program:
    start = program.dependency_start.copy()
    start[operation + 1 :] -= 1
    dependencies = np.delete(program.dependencies, int(program.dependency_start[operation + 1]) - 1)
    return program.replace(dependency_start=start, dependencies=dependencies)


def edited(program: Program, column: str, index: int, value: int) -> Program:
    values = getattr(program, column).copy()
    values[index] = value
    return program.replace(**{column: values})


def first(program: Program, engine: Engine) -> int:
    return int(np.flatnonzero(program.engine == engine)[0])


def test_places_outside_the_memory_and_torn_tensors() -> None:
    program = tiled_skip()
    with pytest.raises(ProgramError, match=r"keeps its output at 17\.\.25, past the resident activations' 24"):
        check_program(moved(program, 2, 17))
    with pytest.raises(ProgramError, match=r"writes elsewhere than operation \d+, which put the tensor at 0"):
        check_program(edited(program, "offset", int(np.flatnonzero(program.engine == Engine.KEEP)[1]), 1))


def test_tensors_are_read_from_where_they_are() -> None:
    program = built(chain(), resident=8)
    recall = first(program, Engine.RECALL)
    with pytest.raises(ProgramError, match=r"reads tensor 't', which is kept on chip"):
        check_program(edited(program, "engine", recall, Engine.LOAD_ACTIVATIONS))
    with pytest.raises(ProgramError, match=r"reads tensor 'x', which is in DRAM"):
        check_program(edited(program, "engine", first(program, Engine.LOAD_ACTIVATIONS), Engine.RECALL))


def test_the_host_finds_outputs_in_dram() -> None:
    program = built(chain(), resident=8)
    with pytest.raises(ProgramError, match="keeps 'y' on chip, an output of the network"):
        check_program(edited(program, "engine", first(program, Engine.STORE), Engine.KEEP))


def test_the_right_operand_of_a_product_is_recalled_into_the_weight_buffer() -> None:
    """A network of shapes: k = dense(x), y = x k^T."""
    geometry = MacGeometry(n=1, ih=4, iw=1, ic=16, oh=4, ow=1, oc=8)
    left = MacGeometry(n=1, ih=8, iw=1, ic=16, oh=8, ow=1, oc=16)
    layers = (
        Dense(name="k", inputs=("x",), output="k", geometry=left, weights=None, weight_format=INT8),
        MatMul(name="y", inputs=("q", "k"), output="y", geometry=geometry, weights=None, weight_format=INT8),
    )
    shapes = {"x": (8, 16), "q": (4, 16), "k": (8, 16), "y": (4, 8)}
    graph = Graph(
        name="product", arithmetic="tflite-micro", tensors={n: Tensor(n, s, INT8) for n, s in shapes.items()},
        layers=layers, inputs=(HostPort("x", "x"), HostPort("q", "q")), outputs=(HostPort("y", "y"),), shape_only=True,
    )  # fmt: skip
    program = built(graph, resident=128)
    check_program(program)
    recalls = program.of_engine(Engine.RECALL)
    assert set(program.memory[recalls].tolist()) == {Memory.WEIGHTS}
    sizes = {"activation_buffer.size_bytes": 256, "activation_buffer.resident_bytes": 0}
    apart = build_program(graph, arch=program.arch.with_(sizes), mappings=program.mappings)
    counts, plain = count_actions(program), count_actions(apart)
    np.testing.assert_array_equal(counts.weight_buffer_write, plain.weight_buffer_write)
    assert (counts.activation_buffer_read - plain.activation_buffer_read).tolist() == [0, 8 * 128]
    assert (plain.dram_read - counts.dram_read).tolist() == [0, 8 * 128]
    np.testing.assert_array_equal(schedule(program).finish, schedule_simpy(program).finish)
