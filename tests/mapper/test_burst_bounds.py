"""The search where DRAM moves whole bursts and weights stand coded: bounds stay below the schedules, and come nearer to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.graph import MacGeometry
from accelsim.hardware import compiled, operand_bits
from accelsim.mapper import Objective, map_layer, search_mapping, search_network
from accelsim.mapper.exhaustive.problem import alone_of, mapping_of, scheduled, shares_of
from tests.compiled import callable_from_python
from tests.generate import random_arch
from tests.mapper.test_search import TABLE, bound_of, geometries, layer_of, relaxed, space_on
from tests.networks import conv

channel_bits = callable_from_python(compiled.channel_bits)


@relaxed
@given(geometries(), st.integers(0, 2**32 - 1), st.floats(0, 1), st.sampled_from(["implicit", "buffer", "dram"]))
def test_no_schedule_is_shorter_than_its_bound(g: MacGeometry, seed: int, density: float, mode: str) -> None:
    """Bursts of 8 to 64 bytes, sparse weights that the DMA unpacks."""
    rng = np.random.default_rng(seed)
    layer, graph = layer_of(g)
    weights = rng.integers(-127, 128, g.weight_shape) * (rng.random(g.weight_shape) < density)
    layer = replace(layer, weights=weights.astype(np.int8))
    edits = {
        "dma.weight_compression": "zero_run_length",
        "weight_buffer.coding": None,
        "dma.whole_weight_tiles": False,
        "dram.burst_bytes": int(rng.choice([1, 8, 64])),
    }
    arch = random_arch(rng).with_({**edits, "activation_buffer.im2col": mode})
    space = space_on(arch, *shares_of(layer, graph, arch))
    for _ in range(6):
        p, t, c, order = (int(rng.integers(n)) for n in (len(space.pixels), len(space.taps), len(space.channels), 2))
        (oh, ow, *_, n), (kh, kw, *_), (oc, ic, groups) = space.pixels[p], space.taps[t], space.channels[c]
        mapping = mapping_of(np.array([oh, ow, oc, ic, kh, kw, groups, n, order]))
        cycles, energy = scheduled(alone_of(layer, graph, arch), mapping, arch, TABLE)
        least, least_energy, exact = bound_of(layer, graph, arch, p, t, c, order, TABLE)
        assert least <= cycles
        assert least_energy <= energy * (1 + 1e-12)
        assert not exact


@given(st.data())
def test_least_bits_are_those_of_the_bursts_under_each_run(data: st.DataObject) -> None:
    """Pixel by pixel, tile by tile, at every alignment: never fewer bursts, and exactly as many where runs begin with bursts."""
    groups, in_group = data.draw(st.sampled_from([(1, 12), (1, 32), (4, 3), (8, 4)]))
    together = data.draw(st.integers(1, groups))
    tile = data.draw(st.integers(1, in_group)) if together == 1 else in_group
    burst, pixels, base = (
        data.draw(st.sampled_from([8, 16, 32, 64])),
        data.draw(st.integers(1, 4)),
        data.draw(st.integers(0, 9)),
    )
    whole, moved = groups * in_group, 0
    cuts = [(g, min(g + together, groups)) for g in range(0, groups, together)]
    for first, last in cuts:
        for c in range(0, in_group, tile):
            lo = first * in_group + c
            hi = lo + min(tile, in_group - c) if together == 1 else last * in_group
            touched = {8 * (base + p * whole + i) // burst for p in range(pixels) for i in range(lo, hi)}
            moved += burst * len(touched)
    least = channel_bits(burst, pixels, groups, in_group, together, tile, whole, 8)
    assert least <= moved
    aligned = base == 0 and all(size * 8 % burst == 0 for size in (tile * together, in_group % tile, whole))
    if aligned and groups % together == 0:
        assert least == moved


def test_bursts_bring_the_bound_nearer() -> None:
    """Tiles of few channels move whole bursts for them; the search knows without scheduling them."""
    arch = load_arch("edge_16x16").with_({"dram.burst_bytes": 64, "dram.bandwidth_bytes_per_s": 10**9})
    graph = conv(size=10, ic=128, oc=32, k=1, shape_only=True)
    layer = graph.layers[0]
    narrow = mapping_of(np.array([10, 10, 32, 8, 1, 1, 1, 1, 0]))
    program = build_program(alone_of(layer, graph, arch), arch=arch, mappings=(narrow,))
    space = space_on(arch, layer.geometry)
    at = [int(np.flatnonzero((table == row).all(axis=1))[0]) for table, row in (
        (space.pixels[:, :2], (10, 10)), (space.taps[:, :2], (1, 1)), (space.channels, (32, 8, 1)),
    )]  # fmt: skip
    least = bound_of(layer, graph, arch, *at, 0)[0]
    assert int(program.bus_bytes.sum()) == 64 * (100 * 16 + 32 * 16) + 3200
    assert least >= program.cycles[program.engine <= 2].sum()


def test_layers_of_other_weights_are_searched_by_themselves() -> None:
    """Equal in shape, not in zeros."""
    arch = load_arch("tiny_8x8").with_(
        {"dma.weight_compression": "zero_run_length", "dram.bandwidth_bytes_per_s": 10**8}
    )
    graph = conv(size=4, ic=8, oc=8, k=1)
    layer = graph.layers[0]
    empty = replace(layer, weights=np.zeros_like(layer.weights))
    found = [search_mapping(x, graph=graph, arch=arch, objective="cycles", table=TABLE) for x in (layer, empty)]
    assert found[0].cycles > found[1].cycles
    assert not found[0].closed_form
    network = search_network(replace(graph, layers=(empty,)), arch=arch, objective="cycles")
    assert network.layers["layer"].cycles == found[1].cycles
    assert operand_bits(layer, graph, arch) == operand_bits(empty, graph, arch)


@pytest.mark.parametrize("objective", ["cycles", "energy"])
def test_a_search_that_proves_nothing_is_not_worse_than_the_default_mapper(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two finalists, behind a channel with rows, whose commands the bounds do not know."""
    monkeypatch.setattr("accelsim.mapper.exhaustive.layer.FINALISTS", 2)
    arch, helped = load_arch("edge_lpddr4"), 0
    for ic, oc, k, groups in ((24, 24, 3, 24), (16, 24, 3, 1), (96, 96, 3, 96)):
        g = MacGeometry(n=1, ih=14, iw=14, ic=ic, oh=12, ow=12, oc=oc, kh=k, kw=k, groups=groups)
        layer, graph = layer_of(g)
        found = search_mapping(layer, graph=graph, arch=arch, table=TABLE, objective=objective)
        default = map_layer(layer, graph=graph, arch=arch, objective=objective)
        cycles, energy = scheduled(alone_of(layer, graph, arch), default, arch, TABLE)
        assert found.value <= {"cycles": cycles, "energy": energy}[objective]
        assert found.bound <= found.value
        assert (found.cycles, found.energy_pj) == scheduled(alone_of(layer, graph, arch), found.mapping, arch, TABLE)
        helped += found.mapping == default
    assert helped
