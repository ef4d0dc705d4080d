"""Laws of tensors kept on chip, over generated networks x machines x mappings (those of all Programs: test_laws.py)."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.builder import build_program
from accelsim.energy import count_actions
from accelsim.errors import HazardError, ProgramError
from accelsim.execute import run_program
from accelsim.graph import MacLayer, Reshape
from accelsim.hardware import DRAM_ENGINES, WRITE_BACK, Engine, Memory, packed_bytes
from accelsim.program import Program, check_program
from accelsim.program.places import kept_places, producers
from accelsim.timing import schedule
from tests.generate import random_program
from tests.laws.test_laws import assert_same, reference
from tests.mixed_formats import mixed_program

seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


def without_residency(program: Program) -> Program:
    """The same network and mappings on a machine with the same slots whose tensors all go through DRAM."""
    buffer, shared = program.arch.activation_buffer, program.arch.shared_buffer
    alone = buffer.size_bytes is not None
    edits = {
        **(
            {"activation_buffer.size_bytes": buffer.size_bytes - buffer.kept_bytes}
            if alone
            else {
                "shared_buffer.size_bytes": shared.bank_bytes * program.arch.tile_banks,
                "shared_buffer.banks": program.arch.tile_banks,
            }
        ),
        "activation_buffer.resident_bytes": 0,
        "activation_buffer.fuse_pairs": False,
    }
    return build_program(program.graph, arch=program.arch.with_(edits), mappings=program.mappings)


def in_plain_dram(program: Program) -> Program:
    """The same where activations stand in DRAM, uncoded."""
    edits = dict.fromkeys(
        ("dma.activation_compression", "streams.activations.memory", "streams.activations.memory_bytes")
    )
    return build_program(program.graph, arch=program.arch.with_(edits), mappings=program.mappings)


def moved_bytes(program: Program, *engines: Engine) -> int:
    return int(program.amount[np.isin(program.engine, engines)].sum())


@relaxed
@given(seeds)
def test_residency_takes_from_dram_exactly_what_it_keeps_and_recalls(seed: int) -> None:
    """All operations stay the same but for where they store to and load from."""
    program = in_plain_dram(random_program(seed, bands=False))
    plain = without_residency(program)
    on, off = count_actions(program), count_actions(plain)
    assert off.dram_write_asked.sum() - on.dram_write_asked.sum() == 8 * moved_bytes(program, Engine.KEEP)
    assert off.dram_read_asked.sum() - on.dram_read_asked.sum() == 8 * moved_bytes(program, Engine.RECALL)
    extra = on.activation_buffer_write - off.activation_buffer_write
    assert extra.sum() == 8 * moved_bytes(program, Engine.KEEP)
    assert (on.activation_buffer_read - off.activation_buffer_read).sum() == 8 * moved_bytes(program, Engine.RECALL)
    for action in ("array_mac", "weight_buffer_read", "weight_buffer_write", "accumulator_write", "vector_step"):
        np.testing.assert_array_equal(getattr(on, action), getattr(off, action))
    assert len(program) == len(plain)
    np.testing.assert_array_equal(program.lo, plain.lo)
    np.testing.assert_array_equal(program.hi, plain.hi)
    changed = np.isin(program.engine, (Engine.KEEP, Engine.RECALL))
    np.testing.assert_array_equal(program.engine[~changed], plain.engine[~changed])
    np.testing.assert_array_equal(program.cycles[~changed], plain.cycles[~changed])


@relaxed
@given(seeds)
def test_law_4_every_element_is_stored_once_somewhere_and_read_from_there(seed: int) -> None:
    program = random_program(seed)
    places, at = kept_places(program), producers(program.graph)
    outputs = {at.get(port.tensor) for port in program.graph.outputs}
    for index, layer in enumerate(program.graph.layers):
        if isinstance(layer, Reshape):
            continue
        times = np.zeros(layer.output_shape, dtype=np.int64)
        for i in np.flatnonzero((program.layer == index) & np.isin(program.engine, WRITE_BACK)).tolist():
            times[tuple(slice(a, b) for a, b in zip(*program.box(i), strict=True))] += 1
            assert (program.engine[i] == Engine.KEEP) == (index in places)
        assert (times == (0 if any(one.producer <= index < one.consumer for one in program.passes) else 1)).all()
        assert index not in outputs or index not in places
        for number, name in enumerate(layer.inputs):
            loads = (program.layer == index) & (program.operand == number)
            engines = set(program.engine[loads].tolist())
            assert engines <= ({Engine.RECALL} if at.get(name) in places else set(DRAM_ENGINES))
            if isinstance(layer, MacLayer) and number == 0 and program.arch.activation_buffer.im2col == "dram":
                continue  # fetched window by window: tests/hardware/test_im2col.py
            if isinstance(layer, MacLayer) and number == 1 and program.arch.dma.whole_weight_tiles:
                continue  # fetched with the padding of their tiles
            volume = np.array([np.prod(np.subtract(*program.box(i)[::-1])) for i in np.flatnonzero(loads)])
            bits = program.graph.tensors[name].format.bits
            np.testing.assert_array_equal(program.amount[loads], packed_bytes(volume.astype(np.int64), bits))


@relaxed
@given(seeds)
def test_what_stays_on_chip_uses_no_port_and_has_no_latency(seed: int) -> None:
    program = random_program(seed)
    timeline = schedule(program)
    inside = np.flatnonzero(np.isin(program.engine, (Engine.KEEP, Engine.RECALL)))
    weights = program.memory[inside] == Memory.WEIGHTS  # which an adder tree's registers are filled with
    assert (program.latency[inside[~weights]] == 0).all()
    width = program.arch.activation_buffer.bytes_per_cycle or 2**40
    least = np.maximum(1, -(-program.amount[inside] // width))
    assert (program.cycles[inside] >= least).all()
    first, arrivals = program.waits[0], timeline.arrivals
    ready = [arrivals[first[i] : first[i + 1]].max(initial=0) for i in inside.tolist()]
    before = [
        int((timeline.start + program.cycles)[:i][program.engine[:i] == program.engine[i]].max(initial=0))
        for i in inside.tolist()
    ]
    np.testing.assert_array_equal(timeline.start[inside], np.maximum(ready, before))


def displaced(program: Program, rng: np.random.Generator) -> Program | None:
    """One kept tensor at another place inside the memory; None where there is no other."""
    places, capacity = kept_places(program), program.arch.activation_buffer.resident_bytes
    free = [p for p in places.values() if capacity > p.stop - p.start]
    if len(places) < 2 or not free:
        return None
    place = free[int(rng.integers(len(free)))]
    onto = [p.start for p in places.values() if p.layer != place.layer]
    to = min(int(rng.choice(onto)), capacity - (place.stop - place.start))
    mine = (program.layer == place.layer) & program.of_engine(Engine.KEEP)
    return program.replace(offset=np.where(mine, to, program.offset))


@relaxed
@given(seeds)
def test_a_wrong_place_is_found_by_the_checker_or_changes_nothing(seed: int) -> None:
    """Wherever a tensor is put: if some latencies make the tiled consumer fail, the checker must have said so."""
    program = random_program(seed, most_layers=8)
    rng = np.random.default_rng(seed)
    broken = displaced(program, rng)
    if broken is None:
        return
    inputs, expected = reference(program, seed)
    try:
        check_program(broken)
    except (HazardError, ProgramError):
        return
    slow = broken.replace(cycles=rng.integers(1, 300, len(program)).astype(np.int64))
    assert_same(run_program(broken, inputs, timeline=schedule(slow)), expected)


def test_wrong_places_are_caught_both_ways() -> None:
    caught_by_checker = caught_by_reader = 0
    for seed in range(200):
        program = random_program(seed, most_layers=8)
        broken = displaced(program, np.random.default_rng(seed))
        if broken is None:
            continue
        try:
            check_program(broken)
        except HazardError:
            caught_by_checker += 1
            try:
                run_program(broken, reference(program, seed)[0])
            except HazardError:
                caught_by_reader += 1
    assert caught_by_checker >= 20
    assert caught_by_reader >= 20


def test_generated_programs_keep_tensors_and_reuse_places() -> None:
    """The generator does its work: tensors kept, several at once, places taken again after their consumers."""
    programs = [random_program(seed, most_layers=8) for seed in range(120)]
    kept = [kept_places(p) for p in programs]
    assert sum(len(places) > 0 for places in kept) > 20
    assert sum(len(places) > 2 for places in kept) > 10
    waits = 0
    for program in programs:
        consumer = np.repeat(np.arange(len(program)), np.diff(program.dependency_start))
        pairs = program.engine[consumer], program.engine[program.dependencies]
        waits += bool(((pairs[0] == Engine.KEEP) & (pairs[1] == Engine.RECALL)).any())
    assert waits > 5


def test_narrow_tensors_are_kept_too() -> None:
    """Codes of less than a byte, which the laws of mixed formats then find unchanged."""
    narrow = set()
    for seed in range(250):
        program = mixed_program(seed)
        layers = [program.graph.layers[i] for i in kept_places(program)]
        narrow |= {program.graph.tensors[layer.output].format.bits for layer in layers}
    assert any(bits < 8 for bits in narrow)
    assert any(bits > 8 and bits % 8 for bits in narrow)
