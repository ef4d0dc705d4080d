"""Pairs of layers in step: which rows, in what window, what that saves, and that every wrong window is caught."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import count_actions
from accelsim.errors import HazardError, MappingError
from accelsim.execute import run_program
from accelsim.graph import Conv2D, Graph, HostPort, Layer, MacGeometry, MacLayer, MatMul, MaxPool2D, Reshape, Tensor
from accelsim.hardware import Engine, Memory
from accelsim.numerics import INT8, IntFormat
from accelsim.program import MacMapping, Mapping, Program, VectorMapping, check_program
from accelsim.program.fusion import Fused, fuse, fused_layers, obstacle, rows_read, window_bytes
from accelsim.program.mapping import tile_limits
from accelsim.program.places import kept_places
from accelsim.report.files.occupancy import memory_fill
from accelsim.timing import schedule
from tests.generate import random_input, random_program
from tests.networks import chain, requant, skip_connection

seeds = st.integers(0, 2**32 - 1)


def images(*kinds: str, size: int = 8, channels: int = 4, n: int = 1, stride: int = 1) -> Graph:
    """Layers that keep rows x columns x channels, or halve rows and columns with a ``stride`` of 2: conv (3x3) or pool (2x2)."""
    rng = np.random.default_rng(len(kinds))
    layers: list[Layer] = []
    tensors = {"t0": Tensor("t0", (n, size, size, channels), INT8)}
    for i, kind in enumerate(kinds):
        x = tensors[f"t{i}"].shape
        if kind == "conv":
            out = (n, -(-x[1] // stride), -(-x[2] // stride), channels)
            g = MacGeometry(
                n=n, ih=x[1], iw=x[2], ic=channels, oh=out[1], ow=out[2], oc=channels, kh=3, kw=3, pad_top=1, pad_left=1,
                stride_h=stride, stride_w=stride,
            )  # fmt: skip
            layers.append(
                Conv2D(
                    name=f"conv{i}",
                    inputs=(f"t{i}",),
                    output=f"t{i + 1}",
                    geometry=g,
                    weight_format=INT8,
                    weights=rng.integers(-127, 128, g.weight_shape).astype(np.int8),
                    requant=requant(channels),
                )
            )  # fmt: skip
        else:
            out = (n, x[1] - 1, x[2] - 1, channels)
            names = {"name": f"pool{i}", "inputs": (f"t{i}",), "output": f"t{i + 1}"}
            layers.append(MaxPool2D(**names, shapes=(x,), shape=out, kernel=(2, 2), stride=(1, 1)))
        tensors[f"t{i + 1}"] = Tensor(f"t{i + 1}", out, INT8)
    last = f"t{len(kinds)}"
    return Graph(
        name="images", arithmetic="tflite-micro", tensors=tensors, layers=tuple(layers),
        inputs=(HostPort("t0", "t0"),), outputs=(HostPort(last, last),),
    )  # fmt: skip


def machine(resident: int = 4096, **edits: object) -> Arch:
    sizes = {"activation_buffer.size_bytes": 8192 + resident, "activation_buffer.resident_bytes": resident}
    return load_arch("edge_16x16").with_(sizes | {name.replace("__", "."): value for name, value in edits.items()})


def whole(layer: Layer) -> Mapping:
    """A layer in one tile."""
    return (
        MacMapping(**tile_limits(layer.geometry))
        if isinstance(layer, MacLayer)
        else VectorMapping(tile=layer.output_shape)
    )


def built(graph: Graph, bands: dict[int, int], arch: Arch) -> Program:
    """One tile a layer or band, with bands for some layers."""
    mappings = [replace(whole(layer), band=bands.get(i, 0)) for i, layer in enumerate(graph.layers)]
    program = build_program(graph, arch=arch, mappings=mappings)
    check_program(program)
    return program


def moved(program: Program, *engines: Engine) -> int:
    return int(program.amount[np.isin(program.engine, engines)].sum())


def test_a_pair_worked_out_by_hand() -> None:
    """3x3 over 8 rows, 2 at a time: each band reads a row above and one below it.

    When rows 5 and 6 (the third band's) are made, band 1 still reads rows 1 to 4: six rows at once.
    """
    pair = fuse(images("conv", "conv"), 1, 2)
    assert pair == Fused(
        producer=0, consumer=1, tensor="t1", axis=1, window=6, made=(3, 5, 7, 8), computed=(2, 4, 6, 8)
    )
    assert list(pair.bands()) == [((0, 3), (0, 2)), ((3, 5), (2, 4)), ((5, 7), (4, 6)), ((7, 8), (6, 8))]
    assert window_bytes(images("conv", "conv"), pair) == 6 * 8 * 4


def test_images_are_bands_where_there_are_several() -> None:
    pair = fuse(images("conv", "conv", n=5), 1, 2)
    assert (pair.axis, pair.window, pair.made, pair.computed) == (0, 4, (2, 4, 5), (2, 4, 5))


def rows_by_brute_force(g: MacGeometry, row: int) -> set[int]:
    """Input rows that meet a tap of an output row."""
    spread = [row * g.stride_h - g.pad_top + tap * g.dilation_h for tap in range(g.kh)]
    return {at // g.upsample_h for at in spread if at % g.upsample_h == 0 and 0 <= at // g.upsample_h < g.ih}


@settings(deadline=None, max_examples=300)
@given(
    st.integers(1, 12), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3)
)
def test_the_rows_under_a_band_are_those_of_its_taps(
    ih: int, kh: int, stride: int, dilation: int, pad: int, upsample: int
) -> None:
    oh = max(1, ((ih - 1) * upsample + 2 * pad - (kh - 1) * dilation) // stride + 1)
    g = MacGeometry(
        n=1, ih=ih, iw=3, ic=2, oh=oh, ow=3, oc=2, kh=kh, stride_h=stride, dilation_h=dilation, pad_top=pad, upsample_h=upsample
    )  # fmt: skip
    layer = Conv2D(name="c", inputs=("x",), output="y", geometry=g, weight_format=INT8, weights=None)
    begins, ends = np.triu_indices(oh)
    first, last = rows_read(layer, "x", 1, begins, ends + 1)
    for lo, hi, begin, end in zip(first.tolist(), last.tolist(), begins.tolist(), ends.tolist(), strict=True):
        met = set().union(*(rows_by_brute_force(g, row) for row in range(begin, end + 1)))
        assert met <= set(range(lo, hi))
        highest = (end * stride - pad + (kh - 1) * dilation) // upsample
        assert lo >= min(ih, (begin * stride - pad) // upsample)
        assert hi <= max(0, highest + 1)


@settings(deadline=None, max_examples=150)
@given(seeds)
def test_every_row_stands_in_the_window_when_it_is_read(seed: int) -> None:
    """A walk over the bands in plain Python, with one band made ahead of the one that is read."""
    program = random_program(seed)
    for pair in fused_layers(program.graph, program.mappings):
        bands = list(pair.bands())
        consumer = program.graph.layers[pair.consumer]
        places: dict[int, int] = {}
        for band, (_, rows) in enumerate(bands):
            for begin, end in (made for made, _ in bands[: band + 2]):
                places |= {
                    row % pair.window: row for row in range(begin, end) if places.get(row % pair.window, -1) < row
                }
            lo, hi = rows_read(consumer, pair.tensor, pair.axis, *(np.array([r]) for r in rows))
            assert all(places[row % pair.window] == row for row in range(int(lo[0]), int(hi[0])))
        size = program.graph.layers[pair.producer].output_shape[pair.axis]
        assert pair.window <= size
        assert pair.made[-1] == size
        assert all(a <= b for a, b in pairwise(pair.made))


def test_generated_programs_have_pairs_of_all_sorts() -> None:
    programs = [random_program(seed) for seed in range(700)]
    pairs = [(p.graph, pair) for p in programs for pair in fused_layers(p.graph, p.mappings)]
    assert len(pairs) > 40
    kinds = {tuple(hasattr(g.layers[i], "geometry") for i in (pair.producer, pair.consumer)) for g, pair in pairs}
    assert len(kinds) == 4
    assert {pair.axis for _, pair in pairs} == {0, 1}
    assert sum(pair.window < g.layers[pair.producer].output_shape[pair.axis] for g, pair in pairs) > 15


def test_nothing_of_the_tensor_between_goes_through_dram() -> None:
    graph = images("conv", "conv")
    apart, together = built(graph, {}, machine(0)), built(graph, {1: 2}, machine())
    size = 8 * 8 * 4
    assert moved(apart, Engine.STORE) - moved(together, Engine.STORE) == size
    assert moved(together, Engine.KEEP) == size
    assert set(together.layer[together.of_engine(Engine.STORE)]) == {1}
    halo = size + 2 * 3 * 8 * 4  # rows 1 and 2, 3 and 4, 5 and 6 are under two bands each
    assert moved(together, Engine.RECALL) == halo
    assert together.macs == apart.macs


@pytest.mark.parametrize(
    ("kinds", "double_buffered", "loads"),
    [(("conv", "conv"), True, [1, 1]), (("conv", "conv"), False, [4, 4]), (("conv", "pool"), True, [2, 0])],
)
def test_weights_that_still_stand_are_not_loaded_again(
    kinds: tuple[str, str], double_buffered: bool, loads: list[int]
) -> None:
    """Two slots hold a tile of each layer. One layer alone fills both; a single slot changes hands with each band."""
    arch = machine(weight_buffer__double_buffered=double_buffered)
    program = built(images(*kinds), {1: 2}, arch)
    of_weights = program.layer[program.of_engine(Engine.LOAD_WEIGHTS)]
    assert np.bincount(of_weights, minlength=2).tolist() == loads
    assert count_actions(program).dram_read_asked.sum() == 8 * (8 * 8 * 4 + 2 * 3 * 8 * 4 + sum(loads) * 9 * 16)


def test_weights_do_not_stand_where_a_memory_takes_turns() -> None:
    arch = machine(weight_buffer__ports=1, weight_buffer__banks=1)
    program = built(images("conv", "conv"), {1: 2}, arch)
    assert (program.engine == Engine.LOAD_WEIGHTS).sum() == 8


def test_the_resident_memory_never_holds_more_than_the_window() -> None:
    graph = images("conv", "conv", size=16)
    program = built(graph, {1: 2}, machine())
    most = memory_fill(schedule(program), Memory.RESIDENT).values.max()
    assert 4 * 16 * 4 <= most <= 6 * 16 * 4 == window_bytes(graph, fuse(graph, 1, 2))


def test_the_two_layers_overlap_and_a_slow_dram_is_spared() -> None:
    """The second computes before the first is done."""
    slow = {"dram__bandwidth_bytes_per_s": 100_000_000}
    together = schedule(built(images("conv", "conv", size=16), {1: 4}, machine(**slow)))
    compute = together.program.of_engine(Engine.COMPUTE)
    first, second = (compute & (together.program.layer == i) for i in (0, 1))
    assert together.start[second].min() < together.start[first].max()
    apart = schedule(built(images("conv", "conv", size=16), {}, machine(0, **slow)))
    assert together.total_cycles < apart.total_cycles


@pytest.mark.parametrize("kinds", [("conv", "conv"), ("conv", "pool"), ("pool", "conv")])
def test_the_cycles_of_a_pair_are_shared_by_its_work(kinds: tuple[str, str]) -> None:
    """Each has its array cycles at least; the sum is how far both move the finish of the network."""
    timeline = schedule(built(images(*kinds, size=16), {1: 2}, machine()))
    program = timeline.program
    array = [int(program.cycles[program.of_engine(Engine.COMPUTE) & (program.layer == i)].sum()) for i in (0, 1)]
    assert timeline.layer_cycles.sum() == timeline.total_cycles
    assert (timeline.layer_cycles >= array).all()
    assert (timeline.layer_cycles > 0).all()


@pytest.mark.parametrize(
    ("graph", "consumer", "reason"),
    [
        (images("conv", "conv"), 0, "there is none"),
        (chain(reshape=True), 2, "a reshape"),
        (skip_connection(), 1, "only reader"),
        (images("conv", "conv"), 1, None),
        (images("conv", "pool"), 1, None),
    ],
)
def test_what_cannot_be_a_pair_is_told(graph: Graph, consumer: int, reason: str | None) -> None:
    found = obstacle(graph, consumer)
    assert found is None if reason is None else reason in str(found)
    if reason:
        with pytest.raises(MappingError, match=reason):
            fuse(graph, consumer, 1)


def test_a_product_with_all_of_a_tensor_cannot_be_a_pair() -> None:
    found = {
        obstacle(p.graph, i)
        for p in map(random_program, range(200))
        for i, layer in enumerate(p.graph.layers)
        if isinstance(layer, MatMul) and i and p.graph.layers[i - 1].output == layer.inputs[1] != layer.inputs[0]
    }
    assert any("each of its rows reads all of" in str(reason) for reason in found)


def test_wrong_bands_are_refused_with_the_remedy() -> None:
    graph = images("conv", "conv", "conv")
    with pytest.raises(MappingError, match=r"band must be 1 to 8 rows, got 9"):
        built(graph, {1: 9}, machine())
    with pytest.raises(MappingError, match=r"the layer after it cannot be; leave one band out"):
        built(graph, {1: 2, 2: 2}, machine())
    with pytest.raises(MappingError, match=r"6 rows of 't1' take 192 bytes, activation_buffer.resident_bytes are 191"):
        built(graph, {1: 2}, machine(191))


@pytest.mark.parametrize(("channels", "whole_bytes"), [(3, False), (4, True)])
def test_windows_of_narrow_codes_hold_whole_bytes(channels: int, whole_bytes: bool) -> None:
    """Three channels of 4 bits end inside a byte, which two tiles would share."""
    graph = images("conv", "conv", channels=channels)
    narrow = replace(graph, tensors={**graph.tensors, "t1": replace(graph.tensors["t1"], format=IntFormat(4))})
    if whole_bytes:
        assert built(narrow, {1: 2}, machine()).mappings[1].band == 2
        return
    with pytest.raises(MappingError, match=r"tile rows of 't1' end inside a byte; cut the channels of layer 'conv0'"):
        built(narrow, {1: 2}, machine())


def test_a_window_that_is_too_small_is_caught() -> None:
    """The Program of bands of four rows, read as if they were of one: a smaller window, whose rows are pushed out too soon."""
    program = built(images("conv", "conv", size=16), {1: 4}, machine())
    first, second = program.mappings
    assert second is not None
    broken = program.replace(mappings=(first, replace(second, band=1)))
    with pytest.raises(HazardError, match=r"whose place in the window of 4 newer ones have taken before"):
        check_program(broken)
    with pytest.raises(HazardError, match=r"where it expects tensor 't1'"):
        run_program(broken, random_input(np.random.default_rng(0), broken.graph))


def test_keeps_that_do_not_wait_for_their_rows_readers_are_caught_both_ways() -> None:
    program = built(images("conv", "pool", size=16), {1: 2}, machine())
    waiting = np.repeat(np.arange(len(program)), np.diff(program.dependency_start))
    dropped = (program.engine[waiting] == Engine.KEEP) & (program.engine[program.dependencies] == Engine.RECALL)
    assert dropped.sum() > 4
    start = np.concatenate([[0], np.cumsum(np.bincount(waiting[~dropped], minlength=len(program)))]).astype(np.int64)
    broken = program.replace(dependency_start=start, dependencies=program.dependencies[~dropped])
    with pytest.raises(HazardError, match=r"may overwrite a tensor that .* may still be reading"):
        check_program(broken)
    inputs = random_input(np.random.default_rng(0), program.graph)
    slow = broken.replace(cycles=np.where(broken.engine == Engine.RECALL, 4000, 1))
    with pytest.raises(HazardError):
        run_program(broken, inputs, timeline=schedule(slow))
    slow = program.replace(cycles=slow.cycles)
    expected, found = run_program(program, inputs), run_program(program, inputs, timeline=schedule(slow))
    assert all((expected[name] == found[name]).all() for name in expected)


def test_other_tensors_keep_their_places_beside_a_window() -> None:
    """What is read before the pair and what it makes live at once: its second layer stores while its first still loads."""
    graph = images("conv", "conv", "conv", "conv")
    program = built(graph, {2: 2}, machine(8 * 8 * 4 * 2 + 6 * 8 * 4))
    places = kept_places(program)
    assert sorted(places) == [0, 1, 2]
    assert places[1].fused is not None
    ranges = sorted((place.start, place.stop) for place in places.values())
    assert all(a[1] <= b[0] for a, b in pairwise(ranges))
    assert not isinstance(graph.layers[1], Reshape)
