"""A memory that weights and activations share: whose bytes stand where, who waits where the division changes, and what it is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program, weight_banks
from accelsim.energy import count_actions
from accelsim.errors import ConfigError, MappingError
from accelsim.graph import Graph
from accelsim.hardware import Memory
from accelsim.mapper import map_graph
from accelsim.program import Program, check_program
from accelsim.testing.machines import random_arch, random_mappings, roomy
from accelsim.timing import schedule
from tests.generate import random_graph
from tests.laws.test_laws import agreed, check_a_forgotten_dependency
from tests.timing.test_stream import PLAIN, streamed

EDGE = load_arch("edge_16x16")
seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))


def shared(arch: Arch = EDGE, *, banks: int = 32, bank: int = 4096, **edits: Any) -> Arch:
    """``arch`` with one memory in place of two."""
    apart = dict.fromkeys(("weight_buffer.size_bytes", "activation_buffer.size_bytes"))
    sizes = {"shared_buffer.size_bytes": banks * bank, "shared_buffer.banks": banks}
    return arch.with_(apart | sizes | {path.replace("__", "."): value for path, value in edits.items()})


def tight(seed: int, **edits: Any) -> Program:
    """A random Program with as few banks as hold the tiles of its layers one by one, so that some divide them in other ways."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    arch = roomy(random_arch(rng, sharing=1.0), graph)
    free = {"shared_buffer.weight_banks": None, "activation_buffer.fuse_pairs": False, **edits}
    arch = shared(
        arch.with_(free), banks=64, bank=max(1, arch.shared_buffer.bank_bytes * (arch.shared_buffer.banks or 0) // 48)
    )
    try:
        mappings = random_mappings(rng, graph, arch)
    except MappingError:
        assume(False)
    program, bank = build_program(graph, arch=arch, mappings=mappings), arch.shared_buffer.bank_bytes
    for banks in range(63, 1, -1):
        try:
            program = build_program(graph, arch=shared(arch, banks=banks, bank=bank), mappings=mappings)
        except (MappingError, ConfigError):
            break
    return program


def area(arch: Arch) -> float:
    """Square micrometres of all parts."""
    return float(accelsim.evaluate("digits_cnn", arch=arch, edits=[{}])["area_um2"][0])


def changes(program: Program) -> int:
    """How often the division changes."""
    return sum(a != b for a, b in zip(program.weight_banks, program.weight_banks[1:], strict=False))


@relaxed
@given(seeds)
def test_no_byte_is_overwritten_before_it_was_read_and_both_schedulers_agree(seed: int) -> None:
    program = tight(seed)
    check_program(program)
    agreed(program)


@relaxed
@given(seeds)
def test_a_forgotten_dependency_is_found_by_the_checker_or_changes_nothing(seed: int) -> None:
    """Where nothing streams: what a store takes as it comes must not come later than was reckoned."""
    check_a_forgotten_dependency(tight(seed, **{"requantizer.streaming": False}), seed)


@relaxed
@given(seeds)
def test_the_streamed_schedule_divides_alike(seed: int) -> None:
    program = tight(seed, **PLAIN, **{"activation_buffer.resident_bytes": 0})
    cycles, counts = streamed(program.graph, program.arch, program.mappings)
    timeline = schedule(program)
    assert cycles == timeline.total_cycles
    assert counts["finish"].tolist() == timeline.layer_finish.tolist()


@relaxed
@given(seeds)
def test_a_core_that_has_no_share_of_a_layer_still_waits(seed: int) -> None:
    """Where the division changes for the layer before, too."""
    check_program(tight(seed, **{"activation_buffer.resident_bytes": 0, "cores.count": 5}))


def test_such_programs_change_their_division() -> None:
    assert sum(changes(tight(seed)) > 0 for seed in range(12)) > 2


@relaxed
@given(seeds)
def test_no_bank_holds_both_and_every_tile_stands_in_its_own(seed: int) -> None:
    program = tight(seed)
    bank, arch = program.arch.shared_buffer.bank_bytes, program.arch
    for index in set(program.layer.tolist()):
        mine = program.layer == index
        weights, activations = program.banks_of(index) or (0, 0)
        assert weights + activations == arch.tile_banks
        assert (program.offset[mine & (program.memory == Memory.WEIGHTS)] >= activations * bank).all()
        held = mine & (program.memory == Memory.ACTIVATIONS)
        assert ((program.offset + program.extent)[held] <= activations * bank).all()


@relaxed
@given(seeds)
def test_a_fixed_division_is_two_memories(seed: int) -> None:
    """Cycles, bytes and picojoules of two memories of as many banks."""
    rng = np.random.default_rng(seed)
    graph, drawn = random_graph(rng), random_arch(rng, sharing=1.0)
    weights = drawn.shared_buffer.weight_banks or 1
    one = roomy(drawn.with_({"shared_buffer.weight_banks": weights}), graph)
    bank, rest, kept = one.shared_buffer.bank_bytes, one.tile_banks - weights, one.activation_buffer.kept_bytes
    assume(kept % bank == 0)
    banks = {"weight_buffer": weights, "activation_buffer": rest + kept // bank}
    edits = {f"shared_buffer.{key}": None for key in ("size_bytes", "banks", "weight_banks")}
    sizes = {f"{name}.size_bytes": count * bank for name, count in banks.items()}
    two = one.with_(edits | sizes | {f"{name}.banks": count for name, count in banks.items()})
    try:
        mappings = map_graph(graph, arch=one)
    except MappingError:
        assume(False)
    assert mappings == map_graph(graph, arch=two)
    programs = [build_program(graph, arch=arch, mappings=mappings) for arch in (one, two)]
    assert schedule(programs[0]).finish.tolist() == schedule(programs[1]).finish.tolist()
    first, second = (count_actions(program).columns() for program in programs)
    assert {name: column.tolist() for name, column in first.items()} == {
        name: column.tolist() for name, column in second.items()
    }


def test_a_division_that_is_fixed_gives_the_results_of_two_memories() -> None:
    two = EDGE.with_({"weight_buffer.banks": 16, "activation_buffer.banks": 16})
    results = [accelsim.simulate("digits_cnn", arch=arch) for arch in (two, shared(shared_buffer__weight_banks=16))]
    assert results[0].total.cycles == results[1].total.cycles
    assert results[0].total.energy_pj == results[1].total.energy_pj
    assert area(two) == area(shared(shared_buffer__weight_banks=16))


def test_the_division_is_in_the_result_and_on_the_screen() -> None:
    result = accelsim.simulate("digits_cnn", arch=shared())
    assert {(layer.weight_banks, layer.activation_banks) for layer in result.layers} == {(1, 31)}
    assert "1+31" in str(result)
    assert "weight_banks" in result.rows()[0]
    alone = accelsim.simulate("digits_cnn", arch=EDGE)
    assert {layer.weight_banks for layer in alone.layers} == {None}
    assert "banks" not in str(alone)


@pytest.mark.parametrize("objective", ["cycles", "energy", "edp"])
def test_more_banks_of_a_size_are_never_worse(objective: Any) -> None:
    """Of a search over all tilings: whatever fits fits."""
    from accelsim.mapper import search_network

    graph, before = accelsim.load_graph("digits_cnn"), float("inf")
    for banks in (6, 8, 16, 48):
        found = search_network(graph, arch=shared(banks=banks, bank=512), objective=objective, seconds=20.0)
        layers = found.layers.values()
        cycles, energy = sum(one.cycles for one in layers), sum(one.energy_pj for one in layers)
        value = {"cycles": cycles, "energy": energy, "edp": cycles * energy}[objective]
        assert value <= before * (
            1.01 if objective == "edp" else 1.005
        )  # which is weighed by its slope, layer by layer
        before = value


def test_smaller_banks_cost_less_each_and_more_area_together() -> None:
    few, many = (accelsim.simulate("digits_cnn", arch=shared(banks=n, bank=2**17 // n)).total for n in (4, 64))
    assert many.energy_split_pj["activation_buffer"] < few.energy_split_pj["activation_buffer"]
    assert area(shared(banks=64, bank=2**11)) > area(shared(banks=4, bank=2**15))
    one, two = (accelsim.simulate("digits_cnn", arch=EDGE.with_({"weight_buffer.banks": n})).total for n in (1, 4))
    read = two.energy_split_pj["weight_buffer"] / one.energy_split_pj["weight_buffer"]
    assert read == pytest.approx(4**-0.4746)  # horowitz_45nm: energy goes with the capacity of a bank to that power


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"weight_buffer.size_bytes": 64}, r"weight_buffer\.size_bytes of 64 beside shared_buffer\.size_bytes of 131072: expected null"),
        ({"activation_buffer.banks": 2}, r"activation_buffer\.banks of 2 beside .*: expected 1, since weights and activations"),
        ({"weight_buffer.ports": 1}, r"weight_buffer\.ports of 1 beside .*: expected 2"),
        ({"shared_buffer.banks": None}, r"shared_buffer\.banks: missing beside"),
        ({"shared_buffer.weight_banks": 32}, r"shared_buffer\.banks of 32: expected 33 at least, 0 for .*, 32 for weights and 1"),
        ({"activation_buffer.resident_bytes": "125 KiB"}, r"expected 34 at least, 32 for activation_buffer\.resident_bytes"),
        ({"activation_buffer.fuse_pairs": True}, r"fuse_pairs with .*: expected shared_buffer\.weight_banks"),
        ({"shared_buffer.size_bytes": None}, r"weight_buffer\.size_bytes: missing; expected bytes in all, or shared_buffer"),
        ({"shared_buffer.size_bytes": 20}, r"shared_buffer\.banks of 32 in .*: expected a byte in each"),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_is_refused(edits: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shared().with_(edits)


def test_tiles_that_need_more_banks_than_there_are_are_refused_by_layer() -> None:
    graph: Graph = accelsim.load_graph("digits_cnn")
    mappings = map_graph(graph, arch=shared())
    small = shared(banks=2, bank=64)
    with pytest.raises(MappingError, match=r"layer 'conv1': its tiles need \d+ banks of shared_buffer for weights and"):
        build_program(graph, arch=small, mappings=mappings)
    assert weight_banks(graph, arch=shared(), mappings=mappings) == (1,) * len(graph.layers)
    assert weight_banks(graph, arch=EDGE, mappings=mappings) == ()
