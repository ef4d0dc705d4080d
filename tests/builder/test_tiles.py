"""The operations of a MAC layer against loops written out."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.graph import MacGeometry, MacLayer
from accelsim.hardware import ArrayCost, ComputeTiles, Engine, array_cost, array_of
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import map_graph
from accelsim.program import MacMapping, Program
from tests.built import Range, computed, one_layer

seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=150)
EDGE = load_arch("edge_16x16")


def random_layer(rng: np.random.Generator) -> tuple[MacGeometry, MacMapping]:
    groups = int(rng.choice([1, 1, 2, 3]))
    kh, kw = (int(rng.integers(1, 4)) for _ in range(2))
    g = MacGeometry(
        n=int(rng.integers(1, 3)), ih=int(rng.integers(1, 9)), iw=int(rng.integers(1, 9)),
        ic=groups * int(rng.integers(1, 5)), oh=int(rng.integers(1, 7)), ow=int(rng.integers(1, 7)),
        oc=groups * int(rng.integers(1, 5)), kh=kh, kw=kw, groups=groups, stride_h=int(rng.integers(1, 3)),
        stride_w=int(rng.integers(1, 3)), dilation_h=int(rng.integers(1, 3)), dilation_w=int(rng.integers(1, 3)),
        pad_top=int(rng.integers(-1, 4)), pad_left=int(rng.integers(-1, 4)), upsample_h=int(rng.integers(1, 4)),
        upsample_w=int(rng.integers(1, 4)),
    )  # fmt: skip
    whole = groups > 1 and bool(rng.integers(2))
    part = {name: int(rng.integers(1, getattr(g, name) + 1)) for name in ("n", "oh", "ow", "kh", "kw")}
    oc, ic = (size if whole else int(rng.integers(1, size + 1)) for size in (g.oc_per_group, g.ic_per_group))
    order = str(rng.choice(["weights_outer", "activations_outer"]))
    return g, MacMapping(oc=oc, ic=ic, groups=int(rng.integers(2, groups + 1)) if whole else 1, order=order, **part)


def pieces(size: int, tile: int) -> list[Range]:
    return [(lo, min(lo + tile, size)) for lo in range(0, size, tile)]


def channel_tiles(g: MacGeometry, m: MacMapping) -> list[tuple[Range, Range]]:
    """(output channels, groups) of each channel tile."""
    if m.groups > 1:
        each = g.oc_per_group
        return [((a * each, b * each), (a, b)) for a, b in pieces(g.groups, m.groups)]
    return [
        ((group * g.oc_per_group + lo, group * g.oc_per_group + hi), (group, group + 1))
        for group in range(g.groups)
        for lo, hi in pieces(g.oc_per_group, m.oc)
    ]


def loops(g: MacGeometry, m: MacMapping) -> Iterator[tuple[Range, ...]]:
    """(images, rows, columns, channels, groups, kernel rows, kernel columns, input channels of a group) of every tile."""
    spatial = [(n, y, x) for n in pieces(g.n, m.n) for y in pieces(g.oh, m.oh) for x in pieces(g.ow, m.ow)]
    channels = channel_tiles(g, m)
    outer = (
        [(s, c) for c in channels for s in spatial]
        if m.order == "weights_outer"
        else [(s, c) for s in spatial for c in channels]
    )
    for place, (c, groups) in outer:
        for ky in pieces(g.kh, m.kh):
            for kx in pieces(g.kw, m.kw):
                for i in pieces(g.ic_per_group, m.ic):
                    yield (*place, c, groups, ky, kx, i)


def seen(out: Range, taps: Range, size: int, stride: int, dilation: int, pad: int, upsample: int) -> list[int]:
    """Input rows (columns) from the first to the last position of the spread input under the outputs and taps, inside the image."""
    first = out[0] * stride - pad + taps[0] * dilation
    last = (out[1] - 1) * stride - pad + (taps[1] - 1) * dilation
    return [row for row in range(size) if first <= row * upsample <= last]


def costs(program: Program, sizes: list[tuple[int, int, int, int, bool]]) -> ArrayCost:
    """Of tiles of so many pixels, products per sum, channels per group and groups, whose weights are there already or not."""
    pixels, reduction, channels, groups, kept = (np.array(column) for column in zip(*sizes, strict=True))
    tiles = ComputeTiles(pixels=pixels, reduction=reduction, channels=channels, groups=groups, weights_kept=kept)
    return array_cost(tiles, array_of(program.arch, weight_bits=8, activation_bits=8))


@relaxed
@given(seeds)
def test_tiles_are_those_of_loops_written_out(seed: int) -> None:
    g, m = random_layer(np.random.default_rng(seed))
    program = one_layer(g, m, EDGE)
    tiles, expected, sizes = computed(program), list(loops(g, m)), []
    assert len(tiles) == len(expected)
    before = None
    for tile, (n, y, x, c, groups, ky, kx, i) in zip(tiles, expected, strict=True):
        assert tile.output == [n, y, x, c]
        assert tile.weights == [c, ky, kx, i]
        images, height, width, channels = tile.inputs
        assert images == n
        first = groups[0] * g.ic_per_group + i[0]
        assert channels == (first, (groups[1] - 1) * g.ic_per_group + i[1])
        inside_h = seen(y, ky, g.ih, g.stride_h, g.dilation_h, g.pad_top, g.upsample_h)
        inside_w = seen(x, kx, g.iw, g.stride_w, g.dilation_w, g.pad_left, g.upsample_w)
        assert list(range(*height)) == inside_h
        assert list(range(*width)) == inside_w
        (pixels, reduction), count = (
            (math.prod(b - a for a, b in part) for part in ((n, y, x), (ky, kx, i))),
            c[1] - c[0],
        )
        sizes.append(
            (pixels, reduction, count // (groups[1] - groups[0]), groups[1] - groups[0], tile.weights == before)
        )
        before = tile.weights
    expected_costs, mine = costs(program, sizes), [tile.operation for tile in tiles]
    assert program.cycles[mine].tolist() == expected_costs.cycles.tolist()
    assert program.stream_cycles[mine].tolist() == expected_costs.stream_cycles.tolist()
    assert program.weight_reads[mine].tolist() == expected_costs.weight_reads.tolist()
    assert program.activation_reads[mine].tolist() == expected_costs.activation_reads.tolist()
    assert program.accumulator_writes[mine].tolist() == expected_costs.accumulator_writes.tolist()
    assert program.amount[mine].tolist() == [pixels * k * c * groups for pixels, k, c, groups, _ in sizes]


@relaxed
@given(seeds)
def test_loads_are_where_the_operands_change(seed: int) -> None:
    g, m = random_layer(np.random.default_rng(seed))
    program, before = one_layer(g, m, EDGE), None
    tiles, at = computed(program), 0
    for t, (n, y, x, c, groups, ky, kx, i) in enumerate(loops(g, m)):
        weights, inputs = (c, ky, kx, i), (n, y, x, groups[0], ky, kx, i)
        for changed, load, engine, which in (
            (before is None or weights != before[0], tiles[t].weight_load, Engine.LOAD_WEIGHTS, "weight_load"),
            (before is None or inputs != before[1], tiles[t].input_load, Engine.LOAD_ACTIVATIONS, "input_load"),
        ):
            assert load == (at if changed else getattr(tiles[t - 1], which))
            assert program.engine[load] == engine
            at += changed
        assert tiles[t].operation == at
        finished = t + 1 == len(tiles) or tiles[t + 1].output != tiles[t].output
        assert not finished or program.engine[at + 1 : at + 3].tolist() == [Engine.REQUANTIZE, Engine.STORE]
        at += 1 + 2 * finished
        before = weights, inputs
    assert len(program) == at


def test_requantization_of_four_bit_layers_takes_its_lanes() -> None:
    """What layers share is kept by what it is: cycles of lanes are not bytes of 4-bit codes."""
    arch = load_arch("edge_16x16")
    graph = load_graph(resolve_model("digits_w4a4"), arithmetic=arch.rules())
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    mine = program.of_engine(Engine.REQUANTIZE)
    np.testing.assert_array_equal(program.cycles[mine], -(-program.amount[mine] // arch.requantizer.lanes))


def test_equal_layers_have_equal_operations() -> None:
    arch = load_arch("edge_16x16")
    graph = load_graph(resolve_model("resnet50"))
    mappings = map_graph(graph, arch=arch)
    program = build_program(graph, arch=arch, mappings=mappings)
    first: dict[object, int] = {}
    shared = 0
    for index, layer in enumerate(graph.layers):
        assert program.of_layer(index).tolist() == np.flatnonzero(program.layer == index).tolist()
        if not isinstance(layer, MacLayer):
            continue
        other = first.setdefault((layer.geometry, mappings[index]), index)
        shared += other != index
        for name in ("engine", "amount", "cycles", "bus_bytes", "extent", "lo", "hi", "accumulator_writes"):
            column = getattr(program, name)
            np.testing.assert_array_equal(column[program.layer == index], column[program.layer == other], err_msg=name)
    assert shared > 20
