"""Exact products of every path, against 64-bit products, and the instructions that each path becomes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding, ir

from accelsim.errors import ConfigError, InputError
from accelsim.kernels import gemm as module
from accelsim.kernels._gemm import AVXVNNI, FIELDS, PAIRS, QUADS, VNNI512, Tile, emit_panel
from accelsim.kernels.gemm import BLOCK_CODES, BLOCK_ROWS, PATHS, available_paths, gemm, is_exact, pack_weights

sizes = st.integers(1, 70)
relaxed = settings(deadline=None, max_examples=80)
X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"


def product(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """By numpy in 64 bits, modulo 2^32."""
    return (x.astype(np.int64) @ w.T.astype(np.int64)).astype(np.int32)


def codes(rng: np.random.Generator, shape: tuple[int, int], kind: type, extreme: bool) -> np.ndarray:
    limits = np.iinfo(kind)
    if extreme:
        return rng.choice(np.array([limits.min, limits.max], dtype=kind), shape)
    return rng.integers(limits.min, limits.max + 1, shape).astype(kind)


@relaxed
@given(
    size=st.tuples(sizes, sizes, sizes),
    kind=st.sampled_from([np.int8, np.uint8]),
    extreme=st.booleans(),
    path=st.sampled_from(available_paths()),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_available_path_is_exact(
    size: tuple[int, int, int], kind: type, extreme: bool, path: str, seed: int
) -> None:
    (m, n, k), rng = size, np.random.default_rng(seed)
    x, w = codes(rng, (m, k), kind, extreme), codes(rng, (n, k), np.int8, extreme)
    result = gemm(x, pack_weights(w, path=path))
    assert result.dtype == np.int32
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, product(x, w))


@relaxed
@given(size=st.tuples(sizes, sizes, sizes), extreme=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_16_bit_codes_are_exact_modulo_32_bits(size: tuple[int, int, int], extreme: bool, seed: int) -> None:
    (m, n, k), rng = size, np.random.default_rng(seed)
    x, w = codes(rng, (m, k), np.int16, extreme), codes(rng, (n, k), np.int16, extreme)
    np.testing.assert_array_equal(gemm(x, pack_weights(w)), product(x, w))


@relaxed
@given(
    path=st.sampled_from(available_paths()),
    offset=st.integers(0, 63),
    step=st.integers(1, 3),
    transposed=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_alignment_and_strides_do_not_matter(path: str, offset: int, step: int, transposed: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    flat = codes(rng, (1, offset + 31 * step * 17), np.int8, False)[0, offset:]
    x = flat.reshape(-1, 17)[::step]
    x = x.reshape(-1, 17).T if transposed else x
    w = codes(rng, (2 * x.shape[1], 29), np.int8, False).T[:, ::2]
    np.testing.assert_array_equal(gemm(x, pack_weights(w, path=path)), product(x, w))


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
@pytest.mark.parametrize("rows", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1])
@pytest.mark.parametrize("depth", [BLOCK_CODES - 1, BLOCK_CODES, 2 * BLOCK_CODES + 3])
def test_blocks_join(path: str, kind: type, rows: int, depth: int) -> None:
    rng = np.random.default_rng(0)
    x, w = codes(rng, (rows, depth), kind, False), codes(rng, (33, depth), np.int8, False)
    np.testing.assert_array_equal(gemm(x, pack_weights(w, path=path)), product(x, w))


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_empty_products(path: str, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    result = gemm(np.zeros((m, k), np.int8), pack_weights(np.zeros((n, k), np.int8), path=path))
    assert result.shape == (m, n)
    assert not result.any()


@pytest.mark.parametrize("name", ["vnni512", "avxvnni"])
def test_a_path_that_the_cpu_lacks_cannot_be_chosen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cpu_features", lambda: frozenset({"avx2"}))
    assert available_paths() == ("pairs", "quads")
    assert pack_weights(np.ones((2, 2), np.int8)).path == "pairs"
    with pytest.raises(ConfigError, match=name):
        pack_weights(np.ones((2, 2), np.int8), path=name)


def test_the_widest_path_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "cpu_features", lambda: frozenset(PATHS["vnni512"].features + PATHS["avxvnni"].features)
    )
    monkeypatch.setattr(module, "is_exact", lambda name: True)  # this CPU may not have what it is said to have
    assert pack_weights(np.ones((2, 2), np.int8)).path == "vnni512"
    assert pack_weights(np.ones((2, 2), np.int8), wide=True).path == "pairs"


def test_wrong_operands_are_refused() -> None:
    with pytest.raises(ConfigError, match="quads"):
        pack_weights(np.ones((2, 2), np.int16), path="quads")
    with pytest.raises(InputError, match="int32"):
        pack_weights(np.ones((2, 2), np.int32))
    with pytest.raises(InputError, match="int16"):
        gemm(np.ones((2, 2), np.int16), pack_weights(np.ones((2, 2), np.int8), path="quads"))
    with pytest.raises(InputError, match=r"\(m, 2\)"):
        gemm(np.ones((2, 3), np.int8), pack_weights(np.ones((2, 2), np.int8)))


def assembly(tile: Tile, triple: str, cpu: str) -> str:
    """Machine code of one panel for another CPU."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    llvm = ir.Module("panel")
    llvm.triple = triple
    word = ir.IntType(64)
    function = ir.Function(llvm, ir.FunctionType(ir.VoidType(), [word] * FIELDS), "panel")
    builder = ir.IRBuilder(function.append_basic_block())
    emit_panel(builder, tile, list(function.args))
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
        (AVXVNNI, X86, "sierraforest", r"vpdpbusd"),
        (PAIRS, X86, "haswell", r"vpmaddwd"),
        (PAIRS, X86, "znver3", r"vpmaddwd"),
        (PAIRS, ARM, "cortex-a72", r"smull"),
    ],
)
def test_the_instruction_that_a_path_is_made_for(tile: Tile, triple: str, cpu: str, instruction: str) -> None:
    text = assembly(tile, triple, cpu)
    inner = tile.rows * tile.vectors
    assert text.count(instruction) >= inner
    if tile is VNNI512:
        assert sum("zmm" in line for line in text.splitlines() if instruction in line) >= inner


@pytest.mark.parametrize(("tile", "cpu"), [(VNNI512, "cascadelake"), (AVXVNNI, "sierraforest")])
def test_x_is_the_unsigned_operand_of_vnni(tile: Tile, cpu: str) -> None:
    """``vpdpbusd signed, unsigned, sums`` in AT&T order: the broadcast codes of x must be the middle operand."""
    spread: set[str] = set()
    for line in assembly(tile, X86, cpu).splitlines():
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


@pytest.mark.parametrize("name", available_paths())
def test_every_path_of_this_cpu_is_exact(name: str) -> None:
    assert is_exact(name)


def test_a_path_that_errs_is_not_chosen_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *_ = available_paths()
    monkeypatch.setattr(module, "is_exact", lambda name: name != first)
    assert pack_weights(np.ones((2, 3), np.int8)).path == second
    assert pack_weights(np.ones((2, 3), np.int8), path=first).path == first
