"""Windows unrolled: bytes held, fetched and on the bus against windows walked tap by tap; nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.arch.dram import dram_standards
from accelsim.builder import build_program
from accelsim.builder.dram import layout
from accelsim.energy import count_actions
from accelsim.errors import ConfigError
from accelsim.graph import Conv2D, DepthwiseConv2D, Graph, MacGeometry, MacLayer, TransposeConv2D
from accelsim.hardware import Engine, Loops, Memory, OperandBits, footprint, machine_of, slot_capacity
from accelsim.hardware.im2col import MODES
from accelsim.mapper import map_graph
from accelsim.program import MacMapping, Program, check_program
from tests.generate import random_program
from tests.hardware.dram_reference import closing_clock, serve
from tests.networks import conv, dense, single
from tests.windows import matrix_loads, matrix_of

EDGE = load_arch("edge_16x16")
PADDED = MacGeometry(n=1, ih=6, iw=5, ic=3, oh=6, ow=5, oc=4, kh=3, kw=3, pad_top=1, pad_left=1)
GEOMETRIES: dict[str, tuple[type[MacLayer], MacGeometry]] = {
    "padded": (Conv2D, PADDED),
    "strided": (Conv2D, MacGeometry(n=2, ih=7, iw=7, ic=2, oh=3, ow=3, oc=5, kh=3, kw=2, stride_h=2, stride_w=2)),
    "dilated": (Conv2D, MacGeometry(n=1, ih=9, iw=8, ic=2, oh=5, ow=4, oc=3, kh=3, kw=3, dilation_h=2, dilation_w=2)),
    "sparse": (Conv2D, MacGeometry(n=1, ih=7, iw=7, ic=4, oh=4, ow=4, oc=3, stride_h=2, stride_w=2)),
    "grouped": (Conv2D, MacGeometry(n=1, ih=5, iw=5, ic=6, oh=3, ow=3, oc=4, kh=3, kw=3, groups=2)),
    "depthwise": (
        DepthwiseConv2D,
        MacGeometry(n=1, ih=5, iw=4, ic=6, oh=5, ow=4, oc=6, kh=3, kw=3, pad_top=1, pad_left=1, groups=6),
    ),
    "transposed": (
        TransposeConv2D,
        MacGeometry(
            n=1, ih=4, iw=3, ic=3, oh=8, ow=6, oc=2, kh=3, kw=3, pad_top=1, pad_left=1, upsample_h=2, upsample_w=2
        ),
    ),
}  # fmt: skip


def built(graph: Graph, mode: str, mapping: MacMapping | None = None, **edits: Any) -> Program:
    """``graph`` on edge_16x16 with that im2col, in given tiles or in those of the mapper."""
    arch = EDGE.with_({"activation_buffer.im2col": mode, **edits})
    return build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch) if mapping is None else (mapping,))


def check_loads(program: Program) -> tuple[int, int]:
    """(tiles looked at, those whose matrix holds more than is fetched): bytes of each against its windows."""
    mode, padded = program.arch.activation_buffer.im2col, 0
    for load, compute in matrix_loads(program).items():
        bits = program.graph.tensors[program.graph.layers[program.layer[load]].inputs[0]].format.bits
        matrix = matrix_of(program, compute)
        lo, hi = program.box(load)
        box = int(np.prod(np.subtract(hi, lo)))
        held = {"implicit": box}.get(mode, len(matrix.entries))
        fetched = {"dram": len(matrix.fetched)}.get(mode, box)
        assert (program.extent[load], program.amount[load]) == (-(-held * bits // 8), -(-fetched * bits // 8))
        padded += len(matrix.entries) > len(matrix.fetched)
    return len(matrix_loads(program)), padded


def test_bytes_of_every_tile_are_those_of_its_windows() -> None:
    """Random networks on random machines: strides, dilations, groups, transposed, several images and cores, kept tensors."""
    tiles = dict.fromkeys(MODES, 0)
    padded = recalled = 0
    for seed in range(180):
        program = random_program(seed, most_layers=3)
        count, more = check_loads(program)
        mode = program.arch.activation_buffer.im2col
        tiles[mode] += count
        padded += more if mode != "implicit" else 0
        recalled += any(program.engine[load] == Engine.RECALL for load in matrix_loads(program)) and mode != "implicit"
    assert all(count > 300 for count in tiles.values())
    assert padded > 300
    assert recalled > 5


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("mode", MODES)
def test_counts_follow_what_is_held_and_fetched(name: str, mode: str) -> None:
    kind, geometry = GEOMETRIES[name]
    program = built(single(kind, geometry), mode)
    check_program(program)
    assert check_loads(program)[0] == program.of_engine(Engine.LOAD_ACTIVATIONS).sum()
    loads, counts = program.of_engine(Engine.LOAD_ACTIVATIONS), count_actions(program)
    assert counts.activation_buffer_write.sum() == 8 * program.extent[loads].sum()
    assert counts.dram_read_asked.sum() == 8 * program.amount[program.engine != Engine.STORE][
        np.isin(program.engine[program.engine != Engine.STORE], (Engine.LOAD_ACTIVATIONS, Engine.LOAD_WEIGHTS))
    ].sum()  # fmt: skip
    assert (
        counts.activation_buffer_read == count_actions(built(single(kind, geometry), "implicit")).activation_buffer_read
    ).all()


def test_a_three_by_three_window_moves_each_pixel_nine_times() -> None:
    """Less what stands on padding: (3 x 6 - 2) x (3 x 5 - 2) rows by columns of 3 channels."""
    tile = MacMapping(oh=6, ow=5, oc=4, ic=3, kh=3, kw=3)
    moved = {}
    for mode in MODES:
        program = built(single(Conv2D, PADDED), mode, tile)
        loads = program.of_engine(Engine.LOAD_ACTIVATIONS)
        moved[mode] = program.amount[loads].tolist(), program.extent[loads].tolist()
    assert moved == {"implicit": ([90], [90]), "buffer": ([90], [9 * 90]), "dram": ([16 * 13 * 3], [9 * 90])}


@pytest.mark.parametrize("burst", [1, 16])
@pytest.mark.parametrize("graph", [dense(rows=4, k=16), conv(size=5, ic=6, oc=4, k=1)], ids=["dense", "1x1"])
def test_windows_of_one_pixel_are_the_same_in_all_modes(graph: Graph, burst: int) -> None:
    programs = [built(graph, mode, **{"dram.burst_bytes": burst, "dram.standard": "DDR4_2400"}) for mode in MODES]
    for program in programs[1:]:
        assert program.mappings == programs[0].mappings
        for column in (
            "engine",
            "amount",
            "cycles",
            "latency",
            "bus_bytes",
            "activates",
            "offset",
            "extent",
            "lo",
            "hi",
        ):
            np.testing.assert_array_equal(getattr(program, column), getattr(programs[0], column))


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("standard", ["DDR4_2400", "HBM2_2000"])
def test_fetched_windows_take_the_commands_of_their_taps(name: str, standard: str) -> None:
    """Bursts tap by tap, one at hand serving what follows in memory; clocks and rows by the command-level simulation."""
    kind, geometry = GEOMETRIES[name]
    channel = dram_standards()[standard]
    graph = single(kind, geometry)
    edits = {
        "dram.standard": standard,
        "clock_hz": channel.clock_hz,
        "dram.bandwidth_bytes_per_s": channel.peak_bytes_per_s,
    }
    taps = {"kh": min(2, geometry.kh), "kw": min(3, geometry.kw)}
    tile = MacMapping(oh=2, ow=3, oc=geometry.oc_per_group, ic=geometry.ic_per_group, groups=geometry.groups, **taps)
    program = built(graph, "dram", tile, **edits)
    base = layout(graph, program.arch)[1]["x"]
    for load, compute in matrix_loads(program).items():
        bursts: list[int] = []
        before = -1
        for element in matrix_of(program, compute).fetched:
            burst = (base + element) // channel.burst_bytes
            bursts += [burst] if bursts[-1:] != [burst] or element <= before else []
            before = element
        commands = serve(channel, bursts, write=False) if bursts else []
        clocks = closing_clock(channel, commands) if bursts else 0
        refreshed = -(-clocks * channel.timing.nREFI // (channel.timing.nREFI - channel.timing.nRFC))
        assert program.bus_bytes[load] == len(bursts) * channel.burst_bytes >= program.amount[load]
        assert program.activates[load] == sum(c.kind == "ACT" for c in commands)
        assert program.cycles[load] == max(
            1, refreshed, -(-program.bus_bytes[load] * channel.clock_hz // channel.peak_bytes_per_s)
        )


@pytest.mark.parametrize("mode", ["buffer", "dram"])
def test_a_matrix_is_written_no_faster_than_its_memory_is_wide(mode: str) -> None:
    tile = MacMapping(oh=6, ow=5, oc=4, ic=3, kh=3, kw=3)
    fast = {"dram.bandwidth_bytes_per_s": 10**12}
    narrow = built(single(Conv2D, PADDED), mode, tile, **fast, **{"activation_buffer.bytes_per_cycle": 4})
    wide = built(single(Conv2D, PADDED), mode, tile, **fast)
    load = int(np.flatnonzero(narrow.of_engine(Engine.LOAD_ACTIVATIONS))[0])
    assert narrow.cycles[load] == -(-810 // 4)
    assert wide.cycles[load] == 1
    assert (
        built(single(Conv2D, PADDED), "implicit", tile, **fast, **{"activation_buffer.bytes_per_cycle": 4}).cycles[load]
        == 1
    )


@pytest.mark.parametrize("name", GEOMETRIES)
def test_footprint_is_that_of_the_largest_tile(name: str) -> None:
    kind, g = GEOMETRIES[name]
    whole = g.groups == 1
    sizes = {"oh": 2, "ow": 2, "oc": 1 if whole else g.oc_per_group, "ic": 1 if whole else g.ic_per_group, "kh": 1}
    sizes |= {"kw": min(2, g.kw), "groups": 1 if whole else g.groups, "n": 1}
    program = built(single(kind, g), "buffer", MacMapping(**sizes))
    machine = machine_of(OperandBits(weight=8, activation=8, output=8), program.arch)
    area = int(g.axis("h").span(2, 1)) * int(g.axis("w").span(2, sizes["kw"]))
    held = program.extent[program.memory == Memory.ACTIVATIONS]
    assert footprint(machine.operands, machine.im2col, Loops(**sizes), area).held == held.max()


@pytest.mark.parametrize("mode", MODES)
def test_the_mapper_knows_what_a_tile_holds(mode: str) -> None:
    """In 500 bytes: what it takes for an image as it is would not fit with each pixel nine times."""
    graph = conv(size=10, ic=4, oc=8, k=3)
    program = built(graph, mode, **{"activation_buffer.size_bytes": 1000})
    check_program(program)
    held = program.extent[program.memory == Memory.ACTIVATIONS]
    assert held.max() <= slot_capacity(Memory.ACTIVATIONS, program.arch) == 500
    unrolled = max(len(matrix_of(program, compute).entries) for compute in matrix_loads(program).values())
    assert (unrolled > 500) is (mode == "implicit")


def test_sources_are_where_the_taps_fall() -> None:
    for _, g in GEOMETRIES.values():
        for axis in "hw":
            size, stride, dilation, upsample = (
                getattr(g, f"{name}{axis}") for name in ("i", "stride_", "dilation_", "upsample_")
            )
            pad = g.pad_top if axis == "h" else g.pad_left
            for (output, tap), source in np.ndenumerate(g.axis(axis).sources):
                met = [i for i in range(size) if i * upsample == output * stride - pad + tap * dilation]
                assert met == ([source] if source >= 0 else [])


def test_unknown_modes_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"activation_buffer\.im2col: expected 'implicit', 'buffer' or 'dram', got 'explicit'"
    ):
        EDGE.with_({"activation_buffer.im2col": "explicit"})
