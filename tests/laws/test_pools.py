"""Laws of pools on the fly, and of two layers in one pass: who is in it, whole windows in every tile and on every core, bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import accelsim
from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import count_actions, load_table
from accelsim.errors import MappingError
from accelsim.graph import Graph, HostPort, Lut, MaxPool2D, Tensor
from accelsim.hardware import Engine, Loops, Memory, passes_of
from accelsim.mapper import map_graph
from accelsim.mapper.exhaustive import _finalists
from accelsim.mapper.exhaustive.problem import alone_of, problem_of, scheduled
from accelsim.mapper.tiling._extents import under_tiles
from accelsim.mapper.tiling.compiled import Seen
from accelsim.numerics import INT8
from accelsim.program import LOOP_ORDERS, MacMapping, check_program
from accelsim.timing import schedule
from tests.compiled import callable_from_python
from tests.generate import cut_further
from tests.laws.test_passes import EDGE, PLAIN, drawn, relaxed, seeds
from tests.networks import conv

POOLS = {"vector.fuse_pools": True}
BOTH = {"vector.fuse_pools": True, "vector.fuse_activations": True}
TABLE = load_table("horowitz_45nm")


def followed(*windows: tuple[int, int], size: int = 12, oc: int = 8, **pool: Any) -> Graph:
    """A convolution and layers behind each other: a table for a window of (1, 1), else a pool."""
    graph = conv(size=size, oc=oc, k=1)
    tensors, layers = dict(graph.tensors), list(graph.layers)
    for i, (rows, cols) in enumerate(windows):
        name, view = layers[-1].output, layers[-1].output_shape
        shape = (view[0], view[1] // rows, view[2] // cols, view[3])
        common: dict[str, Any] = {"name": f"behind{i}", "inputs": (name,), "output": f"made{i}", "shapes": (view,)}
        if (rows, cols) == (1, 1):
            table = np.arange(-128, 128)[::-1].astype(np.int8)
            layers.append(Lut(**common, shape=shape, table=table, input_min=-128))
        else:
            fields = {"kernel": (rows, cols), "stride": (rows, cols)} | pool
            layers.append(MaxPool2D(**common, shape=shape, **fields))
        tensors[f"made{i}"] = Tensor(f"made{i}", shape, INT8)
    last = layers[-1].output
    return replace(graph, tensors=tensors, layers=tuple(layers), outputs=(HostPort(last, last),))


def behind(graph: Graph, arch: Arch) -> list[list[int]]:
    return [list(one.behind) for one in passes_of(graph, arch)]


def test_who_is_in_a_pass() -> None:
    """A pool behind an activation where the machine has both switches; nothing behind a pool, nor a second of one kind."""
    pool, table = (2, 3), (1, 1)
    assert behind(followed(pool), EDGE) == []
    assert behind(followed(pool), EDGE.with_(POOLS)) == [[1]]
    assert behind(followed(table, pool), EDGE.with_(POOLS)) == []
    assert behind(followed(table, pool), EDGE.with_({"vector.fuse_activations": True})) == [[1]]
    assert behind(followed(table, pool), EDGE.with_(BOTH)) == [[1, 2]]
    assert behind(followed(pool, table), EDGE.with_(BOTH)) == [[1]]
    assert behind(followed(table, table, pool), EDGE.with_(BOTH)) == [[1]]
    assert behind(followed(pool, pool), EDGE.with_(BOTH)) == [[1]]


@pytest.mark.parametrize(
    ("graph", "why"),
    [
        (followed((2, 2), stride=(1, 1)), "its windows overlap, leave gaps or are padded"),
        (followed((2, 2), pad=(1, 0)), "its windows overlap, leave gaps or are padded"),
        (followed((5, 2)), "its windows of 5x2 do not cover the 12x12 pixels in front of it"),
        (followed((60, 60), size=60), "the buffers hold no window of 60x60 for 8 channels"),
    ],
)
def test_other_pools_stay_layers_of_their_own_and_the_run_says_why(graph: Graph, why: str) -> None:
    arch = EDGE.with_(POOLS)
    assert passes_of(graph, arch) == ()
    notes = accelsim.simulate(followed((60, 60), size=60), arch=arch).notes if "buffers" in why else ()
    assert graph.followers[0].obstacle == why or any(f"changes nothing: 'behind0': {why}" in note for note in notes)


@pytest.mark.parametrize("tile", [(3, 4), (4, 5), (1, 1)])
def test_tiles_that_cut_a_window_are_refused(tile: tuple[int, int]) -> None:
    graph, (oh, ow) = followed((2, 4)), tile
    mapping = MacMapping(oh=oh, ow=ow, oc=8, ic=4, kh=1, kw=1)
    with pytest.raises(
        MappingError, match="cut windows of 2x4 of layer 'behind0'.*make oh and ow multiples of 2 and 4"
    ):
        build_program(graph, arch=EDGE.with_(POOLS), mappings=(mapping, None))


@pytest.mark.parametrize("cores", [2, 5])
@pytest.mark.parametrize("window", [(3, 2), (12, 12)])
def test_cores_have_whole_windows(cores: int, window: tuple[int, int]) -> None:
    """Rows are shared out window by window, so that one window of the image is one core's."""
    graph, arch = followed(window), EDGE.with_(POOLS | {"cores.count": cores, "cores.split": "rows"})
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    check_program(program)
    rows = [program.box(i) for i in np.flatnonzero(program.memory == Memory.ON_THE_FLY)]
    assert all(low[1] % window[0] == high[1] % window[0] == 0 for low, high in rows)
    assert len(np.unique(program.core)) == min(cores, 12 // window[0])


def test_a_mean_over_an_image_leaves_one_pixel_of_each_channel() -> None:
    """Bytes of the store, elements of the output buffer, steps: one for each element that is taken."""
    graph, arch = followed((12, 12)), EDGE.with_(POOLS)
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    counts = count_actions(program)
    assert counts.dram_write_asked.tolist() == [0, 8 * 8]
    assert counts.output_buffer_write.tolist() == [0, 8 * 8]
    assert counts.vector_step.tolist() == [0, 12 * 12 * 8]
    assert counts.requantizer_requant.tolist() == [12 * 12 * 8, 0]


def test_a_store_that_streams_ends_a_write_of_a_pixel_behind_the_last_windows() -> None:
    ports = {"streams.outputs.port": "out", "streams.outputs.bandwidth_bytes_per_s": 10**9, "clock_hz": 10**9}
    graph, arch = followed((12, 12)), EDGE.with_(POOLS | ports | {"requantizer.streaming": True})
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    timeline, stores = schedule(program), program.of_engine(Engine.STORE)
    worked = timeline.finish[program.of_engine(Engine.VECTOR)]
    channels = program.hi[stores, 3] - program.lo[stores, 3]
    assert (program.lag[stores] == channels + arch.dma.setup_cycles).all()
    assert (timeline.until[stores] >= worked + program.lag[stores]).all()


def seen_of(axes: Any, m: MacMapping) -> Seen:
    """What the tiles of a layer see."""
    under = callable_from_python(under_tiles)
    rows, columns = under(axes("h"), m.oh, m.kh), under(axes("w"), m.ow, m.kw)
    return Seen(rows[0], columns[0], rows[2], columns[2], m.n * rows[1] * columns[1])


@relaxed
@given(seeds)
def test_no_tiling_in_a_pass_is_below_its_bound(seed: int) -> None:
    graph, arch = drawn(seed, **PLAIN, **{"activation_buffer.im2col": "implicit"})
    mappings = cut_further(np.random.default_rng(seed), graph, arch, map_graph(graph, arch=arch))
    for one in passes_of(graph, arch):
        layer, m = graph.layers[one.producer], mappings[one.producer]
        cycles, energy = scheduled(alone_of(layer, graph, arch), m, arch, TABLE)
        tile, seen = Loops(m.n, m.oh, m.ow, m.oc, m.ic, m.kh, m.kw, m.groups), seen_of(layer.geometry.axis, m)
        problem = problem_of(layer, graph, arch, TABLE)
        least, spent, exact = _finalists.bound_of(*problem, tile, LOOP_ORDERS.index(m.order), seen)
        assert least <= cycles
        assert spent <= energy * (1 + 1e-9)
        assert not exact


@pytest.mark.parametrize("objective", ["cycles", "energy"])
def test_search_has_whole_windows_and_is_no_worse_than_the_default_mapper(objective: Any) -> None:
    from accelsim.mapper import search_network

    graph = followed((1, 1), (3, 4))
    arch = load_arch("edge_16x16").with_(BOTH | {"accumulator.count": 400, "activation_buffer.size_bytes": 700})
    found = search_network(graph, arch=arch, objective=objective, seconds=60)
    mapping = found.mappings[0]
    assert isinstance(mapping, MacMapping)
    assert (mapping.oh % 3, mapping.ow % 4) == (0, 0)
    assert found.bound <= found.value <= found.default
    program = build_program(graph, arch=arch, mappings=found.mappings)
    check_program(program)
    assert len(program) > 8
