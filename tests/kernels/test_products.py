"""Register tiles against 64-bit products: every way to multiply, every tile, and the instructions that each becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding, ir
from numba import njit
from numba.extending import intrinsic

from accelsim.graph import MacGeometry
from accelsim.kernels import _products as loops
from accelsim.kernels import products as module
from accelsim.kernels._registers import (
    AVXVNNI,
    CHANNELS,
    CLAMPED,
    PAIRS,
    QUADS,
    VNNI512,
    Job,
    Tile,
    bytes_tile,
    emit_panel,
    narrow,
    panel,
)
from accelsim.kernels.mac import tile_plan
from accelsim.kernels.products import Clamp, Codes, is_exact, layout_of, multiply, panels_of
from accelsim.numerics import INT8, UINT8, IntFormat
from tests.kernels.layers import geometries, random_codes, random_layer, sums_by_definition

sizes = st.integers(1, 70)
seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=80)
X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
WAYS = [loops.PAIRS, loops.BYTES]


def product(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """By numpy in 64 bits, modulo 2^32."""
    return (x.astype(np.int64) @ w.T.astype(np.int64)).astype(np.int32)


def codes(rng: np.random.Generator, shape: tuple[int, ...], kind: type, extreme: bool) -> np.ndarray:
    limits = np.iinfo(kind)
    if extreme:
        return rng.choice(np.array([limits.min, limits.max], dtype=kind), shape)
    return rng.integers(limits.min, limits.max + 1, shape).astype(kind)


def range_of(kind: type, zero: int = 0) -> Codes:
    limits = np.iinfo(kind)
    return Codes(int(limits.min), int(limits.max), zero)


def by_tiles(x: np.ndarray, w: np.ndarray, way: int | None, **options: Any) -> np.ndarray:
    """``x @ w.T`` as a layer of one tap."""
    (m, k), n = x.shape, len(w)
    shapes = (1, m, 1, n), (1, m, 1, k), (n, 1, 1, k)
    ranges = {"codes": range_of(x.dtype.type), "factors": range_of(w.dtype.type), **options}
    layout = layout_of(tile_plan(MacGeometry(n=1, ih=m, iw=1, ic=k, oh=m, ow=1, oc=n)), *shapes, way=way, **ranges)
    return multiply(layout.pack(w), x.astype(np.int16), np.empty(shapes[0], np.int32)).reshape(m, n)


@relaxed
@given(
    size=st.tuples(sizes, sizes, sizes),
    kind=st.sampled_from([np.int8, np.uint8]),
    extreme=st.booleans(),
    way=st.sampled_from(WAYS),
    seed=seeds,
)
def test_every_way_is_exact(size: tuple[int, int, int], kind: type, extreme: bool, way: int, seed: int) -> None:
    (m, n, k), rng = size, np.random.default_rng(seed)
    x, w = codes(rng, (m, k), kind, extreme), codes(rng, (n, k), np.int8, extreme)
    np.testing.assert_array_equal(by_tiles(x, w, way), product(x, w))


@relaxed
@given(size=st.tuples(sizes, sizes, sizes), extreme=st.booleans(), seed=seeds)
def test_16_bit_codes_are_exact_modulo_32_bits(size: tuple[int, int, int], extreme: bool, seed: int) -> None:
    (m, n, k), rng = size, np.random.default_rng(seed)
    x, w = codes(rng, (m, k), np.int16, extreme), codes(rng, (n, k), np.int16, extreme)
    np.testing.assert_array_equal(by_tiles(x, w, None), product(x, w))


@relaxed
@given(geometries(), seeds, st.sampled_from([INT8, UINT8]), st.sampled_from(WAYS))
def test_convolutions_of_any_shape_and_zero_point(g: MacGeometry, seed: int, fmt: IntFormat, way: int) -> None:
    rng = np.random.default_rng(seed)
    layer, x = random_layer(g, rng, fmt=fmt), random_codes(rng, g.input_shape, fmt)
    layer = replace(layer, input_zero_point=int(rng.integers(fmt.min, fmt.max + 1)))
    shapes, limits = (g.output_shape, g.input_shape, g.weight_shape), Codes(fmt.min, fmt.max, layer.input_zero_point)
    layout = layout_of(tile_plan(g), *shapes, codes=limits, factors=Codes(-128, 127), way=way)
    sums = multiply(layout.pack(layer.weights, layer.bias), x.astype(np.int16), np.empty(g.output_shape, np.int32))
    np.testing.assert_array_equal(sums, sums_by_definition(layer, x))


@relaxed
@given(
    way=st.sampled_from(WAYS), offset=st.integers(0, 63), step=st.integers(1, 3), transposed=st.booleans(), seed=seeds
)
def test_alignment_and_strides_do_not_matter(way: int, offset: int, step: int, transposed: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    flat = codes(rng, (1, offset + 31 * step * 17), np.int8, False)[0, offset:]
    x = flat.reshape(-1, 17)[::step]
    x = x.reshape(-1, 17).T if transposed else x
    w = codes(rng, (2 * x.shape[1], 29), np.int8, False).T[:, ::2]
    np.testing.assert_array_equal(by_tiles(x, w, way), product(x, w))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
@pytest.mark.parametrize("rows", [loops.BLOCK_PIXELS - 1, loops.BLOCK_PIXELS, 2 * loops.BLOCK_PIXELS + 5])
@pytest.mark.parametrize("depth", [511, 512, 1027])
def test_blocks_join(way: int, kind: type, rows: int, depth: int) -> None:
    rng = np.random.default_rng(0)
    x, w = codes(rng, (rows, depth), kind, False), codes(rng, (133, depth), np.int8, False)
    np.testing.assert_array_equal(by_tiles(x, w, way), product(x, w))


def clamped_by_definition(
    x: np.ndarray, w: np.ndarray, start: np.ndarray, low: int, high: int, group: int
) -> np.ndarray:
    """Plain integers: each sum takes ``group`` products at once and is clamped."""
    result = np.empty(start.shape, dtype=np.int64)
    for m, row in enumerate(x.tolist()):
        for n, column in enumerate(w.tolist()):
            total = min(max(int(start[m, n]), low), high)
            for first in range(0, len(row), group):
                pairs = zip(row[first : first + group], column[first : first + group], strict=True)
                total = min(max(total + sum(a * b for a, b in pairs), low), high)
            result[m, n] = total
    return result


@relaxed
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 40), st.integers(1, 10)),
    kind=st.sampled_from([np.int8, np.uint8, np.int16]),
    group=st.sampled_from([1, 2, 3, 4, 5, 8, 16]),
    bits=st.integers(8, 24),
    seed=seeds,
)
def test_clamped_products_equal_the_definition(
    size: tuple[int, int, int], kind: type, group: int, bits: int, seed: int
) -> None:
    (m, n, groups), rng, limits = size, np.random.default_rng(seed), np.iinfo(kind)
    x = rng.integers(max(limits.min, -1000), min(limits.max, 1000) + 1, (m, groups * group)).astype(kind)
    w = rng.integers(-128, 128, (n, groups * group)).astype(np.int8)
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    start = rng.integers(low, high, (m, n), endpoint=True).astype(np.int32)
    shapes = (1, m, 1, n), (1, m, 1, x.shape[1]), (n, 1, 1, x.shape[1])
    plan, clamp = tile_plan(MacGeometry(n=1, ih=m, iw=1, ic=x.shape[1], oh=m, ow=1, oc=n)), Clamp(group, low, high)
    layout = layout_of(plan, *shapes, codes=Codes(0, 0), factors=Codes(0, 0), clamp=clamp)
    sums = multiply(layout.pack(w), x.astype(np.int16), start.copy().reshape(shapes[0]))
    np.testing.assert_array_equal(sums.reshape(m, n), clamped_by_definition(x, w, start, low, high, group))


def test_clamps_within_a_run_of_memory_and_cut_groups_have_no_layout() -> None:
    plan, shapes = tile_plan(MacGeometry(n=1, ih=1, iw=1, ic=6, oh=1, ow=1, oc=4)), ((1, 1, 1, 4), (1, 1, 1, 6))
    limits = {"codes": Codes(0, 1), "factors": Codes(0, 1)}
    assert layout_of(plan, *shapes, (4, 1, 1, 6), clamp=Clamp(4, -8, 7), **limits) is None
    assert layout_of(plan, *shapes, (4, 1, 1, 6), clamp=Clamp(3, -8, 7), **limits) is not None
    grouped = tile_plan(MacGeometry(n=1, ih=1, iw=1, ic=6, oh=1, ow=1, oc=6, groups=2))
    assert layout_of(grouped, *shapes, (4, 1, 1, 3), **limits) is None


def runner(tile: Tile) -> Callable[[Any], None]:
    """A compiled function that does a job with ``tile``."""

    @intrinsic
    def run(typing_context: Any, job: Any) -> Any:
        return panel(job, lambda codegen: tile)

    @njit
    def call(job: Any) -> None:
        run(job)

    return call


HERE = module.tile_of(loops.BYTES)
BYTES_TILES = [QUADS] + ([HERE] if HERE is not QUADS else []) + ([AVXVNNI] if HERE is VNNI512 else [])
RUNNABLE = [PAIRS, *BYTES_TILES, *map(narrow, BYTES_TILES)]
"""Tiles that this CPU runs; one with AVX512-VNNI has the instruction of AVX-VNNI in another coding."""
RUN = {id(tile): runner(tile) for tile in RUNNABLE}


@pytest.mark.parametrize("tile", RUNNABLE)
@pytest.mark.parametrize("pixels", [1, 2, 3, 5, 6, 7, 13, 17])
@pytest.mark.parametrize("extreme", [False, True])
def test_a_panel_at_scattered_places_in_segments(tile: Tile, pixels: int, extreme: bool) -> None:
    rng, columns, steps = np.random.default_rng(pixels), tile.columns, 3
    w = codes(rng, (1, columns, 2, steps * tile.group), np.int8, extreme)
    image = codes(rng, (1, 300), np.uint8, extreme)[0].astype(np.uint8 if tile.code_bytes == 1 else np.int16)
    places, segments = rng.integers(0, 200, pixels), np.array([17, 3])
    start = rng.integers(-1000, 1000, columns).astype(np.int32)
    out, packed = np.zeros((pixels, columns + 5), np.int32), panels_of(w, tile)
    address = [array.ctypes.data for array in (image, places, segments, packed, start, out)]
    RUN[id(tile)](
        Job(*address[:2], pixels, address[2], 2, steps, *address[3:5], 0, address[5], 4 * (columns + 5), 0, 0)
    )
    for m, place in enumerate(places):
        for c in range(columns):
            total = int(start[c])
            for s, offset in enumerate(segments):
                run = image[place + offset : place + offset + steps * tile.group].astype(int)
                total += int(run @ w[0, c, s].astype(int))
            assert out[m, c] == total
    assert not out[:, columns:].any()


def test_the_widest_tile_of_a_cpu_is_chosen() -> None:
    both = frozenset(VNNI512.features + AVXVNNI.features)
    assert bytes_tile(both) is VNNI512
    assert bytes_tile(both - {"avx512vnni"}) is AVXVNNI
    assert bytes_tile(frozenset({"avx2"})) is QUADS


@pytest.mark.parametrize("wide", [QUADS, AVXVNNI, VNNI512])
@pytest.mark.parametrize("columns", [1, 7, 8, 16, 17, 40, 48, 49, 63, 64, 65, 160])
def test_panels_cover_all_columns_and_little_more(monkeypatch: pytest.MonkeyPatch, wide: Tile, columns: int) -> None:
    monkeypatch.setattr(module, "_bytes_tile", lambda: wide)
    full, few = module._split(columns, loops.BYTES)
    assert 0 <= full.columns + few.columns - columns < few.tile.columns
    assert few.columns < wide.columns


def way_of(codes: Codes, factors: Codes, columns: int = 64) -> int:
    module._layout.cache_clear()
    shapes = (1, 8, 1, columns), (1, 8, 1, 9), (columns, 1, 1, 9)
    plan = tile_plan(MacGeometry(n=1, ih=8, iw=1, ic=9, oh=8, ow=1, oc=columns))
    way = int(layout_of(plan, *shapes, codes=codes, factors=factors).record[loops.OPERATION])
    module._layout.cache_clear()
    return way


def test_8_bit_codes_take_the_path_that_is_made_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_bytes_tile", lambda: VNNI512)  # this CPU may not have it
    monkeypatch.setattr(module, "is_exact", lambda: True)
    byte, signed = Codes(0, 255, 7), Codes(-128, 127)
    assert way_of(byte, signed) == way_of(signed, signed) == loops.BYTES
    assert (
        way_of(Codes(-1, 255), signed) == way_of(byte, byte) == way_of(byte._replace(zero=256), signed) == loops.PAIRS
    )
    assert {way_of(byte, signed, columns=columns) for columns in (1, 16, 33, 63)} == {loops.BYTES}
    monkeypatch.setattr(module, "_bytes_tile", lambda: QUADS)
    assert way_of(byte, signed) == loops.PAIRS


def test_a_path_that_errs_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_bytes_tile", lambda: VNNI512)
    monkeypatch.setattr(module, "is_exact", lambda: False)
    assert way_of(Codes(-128, 127), Codes(-128, 127)) == loops.PAIRS


def test_the_path_of_8_bit_codes_is_exact_here() -> None:
    assert is_exact()


def assembly(tile: Tile, triple: str, cpu: str) -> str:
    """Machine code of one panel for another CPU."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    llvm = ir.Module("panel")
    llvm.triple = triple
    word = ir.IntType(64)
    function = ir.Function(llvm, ir.FunctionType(ir.VoidType(), [word] * len(Job._fields)), "panel")
    builder = ir.IRBuilder(function.append_basic_block())
    emit_panel(builder, tile, Job(*function.args))
    builder.ret_void()
    parsed = binding.parse_assembly(str(llvm))
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=3)
    options = binding.create_pipeline_tuning_options(speed_level=3)
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(parsed, passes)
    return str(machine.emit_assembly(parsed))


@pytest.mark.parametrize(
    ("tile", "triple", "cpu", "instruction"),
    [
        (VNNI512, X86, "cascadelake", r"vpdpbusd"),
        (VNNI512, X86, "sapphirerapids", r"vpdpbusd"),
        (AVXVNNI, X86, "sapphirerapids", r"vpdpbusd"),
        (AVXVNNI, X86, "alderlake", r"vpdpbusd"),
        (narrow(VNNI512), X86, "cascadelake", r"vpdpbusd"),
        (narrow(AVXVNNI), X86, "alderlake", r"vpdpbusd"),
        (PAIRS, X86, "haswell", r"vpmaddwd"),
        (PAIRS, X86, "znver3", r"vpmaddwd"),
        (CLAMPED, X86, "znver3", r"vpmaddwd"),
        (CHANNELS, X86, "znver3", r"vpmulld"),
        (PAIRS, ARM, "cortex-a72", r"smull"),
    ],
)
def test_the_instruction_that_a_tile_is_made_for(tile: Tile, triple: str, cpu: str, instruction: str) -> None:
    if instruction == "vpmaddwd" and binding.llvm_version_info < (20,):
        pytest.skip("LLVM before 20, of numba before 0.62, has no pattern that gives vpmaddwd: the same bits, slower")
    text = assembly(tile, triple, cpu)
    inner = tile.heights[0] * tile.vectors
    assert text.count(instruction) >= inner
    if tile.lanes == VNNI512.lanes:
        assert sum("zmm" in line for line in text.splitlines() if instruction in line) >= inner


@pytest.mark.parametrize("width", [lambda tile: tile, narrow])
@pytest.mark.parametrize(("tile", "cpu"), [(VNNI512, "cascadelake"), (AVXVNNI, "alderlake")])
def test_x_is_the_unsigned_operand_of_vnni(tile: Tile, cpu: str, width: Callable[[Tile], Tile]) -> None:
    """``vpdpbusd signed, unsigned, sums`` in AT&T order: the broadcast codes of x must be the middle operand."""
    spread: set[str] = set()
    for line in assembly(width(tile), X86, cpu).splitlines():
        if "vpbroadcastd" in line:
            spread.add(line.split()[-1])
        elif "vpdpbusd" in line:
            signed, unsigned, _ = line.rsplit("vpdpbusd", 1)[1].replace(", %", " %").split()
            assert unsigned in spread
            assert signed not in spread
        elif "vmovdqu" in line:
            spread.discard(line.split()[-1])
    assert spread


def test_vnni_tiles_differ_from_the_tested_one_in_shape_and_instruction_only() -> None:
    assert {tile.group for tile in (QUADS, AVXVNNI, VNNI512)} == {4}
    assert AVXVNNI.dot is VNNI512.dot
    assert not (AVXVNNI.clamped)
    assert not (VNNI512.clamped)
