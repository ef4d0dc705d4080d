"""A weight buffer of several tiles is a FIFO: a tile is fetched as soon as the oldest one has been read."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.errors import ConfigError
from accelsim.hardware import Engine
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import map_graph
from accelsim.program import Program, check_program
from accelsim.timing import schedule

TILE = 64 * 1024


def machine(slots: int, **edits: object) -> Arch:
    """A TPU whose weights come through a port of their own, into so many slots of one tile each."""
    port = {"streams.weights.port": "own", "weight_buffer.slots": slots, "weight_buffer.size_bytes": slots * TILE}
    return load_arch("tpu_v1").with_({"activation_buffer.resident_bytes": 0, **port, **edits})


def program_with(slots: int, model: str = "tpu_lstm0") -> Program:
    graph = load_graph(resolve_model(model))
    tiles = map_graph(graph, arch=machine(2))
    return build_program(graph, arch=machine(slots), mappings=tiles)


@pytest.mark.parametrize("slots", [2, 3, 4, 8])
def test_a_load_waits_for_the_reader_of_as_many_loads_before(slots: int) -> None:
    program = program_with(slots)
    loads, tiles = (np.flatnonzero(program.of_engine(e)).tolist() for e in (Engine.LOAD_WEIGHTS, Engine.COMPUTE))
    reads = {int(program.operands(tile)[0]): tile for tile in tiles}  # the last to read it
    assert len(loads) > 4 * slots
    for k, load in enumerate(loads):
        waits = set(program.waits_for(load).tolist())
        assert waits == (set() if k < slots else {reads[loads[k - slots]]})
        assert program.offset[load] == k % slots * TILE
    check_program(program)


@pytest.mark.parametrize("model", ["tpu_mlp0", "tpu_lstm0", "tpu_cnn0"])
def test_a_longer_fifo_of_the_same_tiles_is_never_later(model: str) -> None:
    finishes = [schedule(program_with(slots, model)).finish.max() for slots in (2, 3, 4, 8)]
    assert finishes == sorted(finishes, reverse=True)


def test_a_third_tile_is_fetched_while_the_array_works_on_the_first() -> None:
    """Where the array bounds the layers: with two slots it waits for the first to be read, with three for the port alone."""
    program = {slots: program_with(slots, "tpu_cnn0") for slots in (2, 3)}
    starts = {n: schedule(x).start[np.flatnonzero(x.of_engine(Engine.LOAD_WEIGHTS))] for n, x in program.items()}
    finishes = schedule(program[3]).finish[np.flatnonzero(program[3].of_engine(Engine.LOAD_WEIGHTS))]
    assert starts[3][2] < finishes[1] < starts[2][2]


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"weight_buffer.double_buffered": False}, "weight_buffer: slots of 4: expected 2 without double_buffered"),
        ({"weight_buffer.size_bytes": 3}, "weight_buffer: a double-buffered memory needs 4 bytes or more, one per tile"),
        (
            {
                "shared_buffer.size_bytes": 2**20, "shared_buffer.banks": 16, "weight_buffer.size_bytes": None,
                "activation_buffer.size_bytes": None,
            },
            "weight_buffer.slots of 4 beside shared_buffer.size_bytes of 1048576: expected 2",
        ),
        ({"weight_buffer.slots": 9}, "weight_buffer.slots: expected at most 8, got 9"),
    ],
)  # fmt: skip
def test_what_is_no_fifo_is_refused(edits: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        machine(4, **edits)
    assert message in str(caught.value)
