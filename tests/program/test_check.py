"""The checker finds every kind of damage, and says where."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.errors import HazardError, MappingError, ProgramError
from accelsim.hardware import Engine, Memory
from accelsim.mapper import map_graph
from accelsim.program import MacMapping, Program, VectorMapping, check_program
from tests.networks import conv, dense


@pytest.fixture
def program() -> Program:
    graph, arch = conv(size=10, ic=8, oc=24), load_arch("edge_16x16")
    mapping = MacMapping(oh=2, ow=8, oc=8, ic=4, kh=3, kw=3)
    return build_program(graph, arch=arch, mappings=(mapping,))


def test_a_built_program_passes(program: Program) -> None:
    check_program(program)
    counts = np.bincount(program.engine, minlength=len(Engine))
    assert counts.tolist() == [12, 24, 24, 24, 12, 0, 0, 0]


def test_program_reads_like_a_sentence(program: Program) -> None:
    assert (
        repr(program)
        == f"<Program 'single' on 'edge_16x16': 96 tile operations, {len(program.dependencies)} dependencies>"
    )
    assert program.describe(2) == "operation 2 (compute [0:1, 0:2, 0:8, 0:8] of layer 'layer' into the accumulators)"


def edited(program: Program, column: str, index: int, value: int) -> Program:
    values = getattr(program, column).copy()
    values[index] = value
    return program.replace(**{column: values})


def first(program: Program, engine: Engine) -> int:
    return int(np.flatnonzero(program.engine == engine)[0])


def test_region_past_the_end(program: Program) -> None:
    broken = edited(program, "offset", first(program, Engine.LOAD_WEIGHTS), 65536 - 10)
    with pytest.raises(ProgramError, match=r"operation 0 \(load weights .*ends at .*past the weight buffer's 65536"):
        check_program(broken)


def test_forward_dependency(program: Program) -> None:
    broken = edited(program, "dependencies", 0, len(program) - 1)
    with pytest.raises(ProgramError, match="not earlier in program order"):
        check_program(broken)


def test_zero_cycles(program: Program) -> None:
    with pytest.raises(ProgramError, match="cycles must be at least 1"):
        check_program(edited(program, "cycles", 3, 0))


def test_lost_macs(program: Program) -> None:
    i = first(program, Engine.COMPUTE)
    with pytest.raises(ProgramError, match="its Graph has"):
        check_program(edited(program, "amount", i, 1))


def test_lost_output(program: Program) -> None:
    i = first(program, Engine.STORE)
    hi = program.hi.copy()
    hi[i, 3] -= 1
    with pytest.raises(ProgramError, match=r"stores \d+ elements, its output has"):
        check_program(program.replace(hi=hi))


def test_two_tiles_in_one_slot(program: Program) -> None:
    """All activation loads at offset 0: the second overwrites what the first compute may still read."""
    offset = np.where(program.memory == Memory.ACTIVATIONS, 0, program.offset)
    with pytest.raises(HazardError, match="may still be reading|no longer"):
        check_program(program.replace(offset=offset))


def test_reading_without_waiting(program: Program) -> None:
    """A source that is listed but belongs to another tile."""
    computes = np.flatnonzero(program.engine == Engine.COMPUTE)
    where = program.dependency_start[computes[4]]
    broken = edited(program, "dependencies", int(where), int(program.operands(computes[0])[0]))
    with pytest.raises(HazardError):
        check_program(broken)


def test_wrong_number_of_mappings() -> None:
    with pytest.raises(ProgramError, match="1 layers but 0 mappings"):
        build_program(conv(), arch=load_arch("edge_16x16"), mappings=())


def test_wrong_kind_of_mapping() -> None:
    with pytest.raises(MappingError, match="cannot be cut by a VectorMapping"):
        build_program(conv(), arch=load_arch("edge_16x16"), mappings=(VectorMapping(tile=(1,)),))


@pytest.mark.parametrize("order", ["weights_outer", "activations_outer"])
def test_what_stays_is_loaded_once(order: str) -> None:
    graph, arch = conv(size=10, ic=8, oc=24), load_arch("edge_16x16")
    mapping = MacMapping(oh=2, ow=8, oc=8, ic=8, kh=3, kw=3, order=order)
    program = build_program(graph, arch=arch, mappings=(mapping,))
    loads = {e: int((program.engine == e).sum()) for e in (Engine.LOAD_WEIGHTS, Engine.LOAD_ACTIVATIONS)}
    expected = {"weights_outer": (3, 12), "activations_outer": (12, 4)}[order]
    assert (loads[Engine.LOAD_WEIGHTS], loads[Engine.LOAD_ACTIVATIONS]) == expected


def test_mapped_program_moves_each_weight_once_when_it_can() -> None:
    graph, arch = dense(rows=4, k=256, units=64), load_arch("edge_16x16")
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    assert program.amount[program.of_engine(Engine.LOAD_WEIGHTS)].sum() == 256 * 64
