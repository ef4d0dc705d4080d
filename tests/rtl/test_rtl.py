"""The modelled core in SystemVerilog, simulated by Verilator: sums and cycles of random tiles equal the model's, one by one.

What an addition takes, and so what ``products_per_add`` describes the array:

* ``array_ws``: a column sums up to ROWS products exactly and adds once per fold: ``products_per_add = rows``;
* ``array_os_steps``: every MAC adds its own product: 1;
* ``array_tree``: ROWS products per addition: ROWS.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.graph import MacGeometry
from accelsim.hardware.array import ArrayCost, ComputeTiles, array_cost, array_of
from accelsim.kernels.mac import accumulate_block
from accelsim.numerics import IntFormat, Overflow
from tests.rtl.bench import Design, Outcome, Tile, play_os, play_tree, play_ws

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in ("verilator", "make", "g++")),
        reason="verilator, make and g++ simulate the RTL",
    ),
]
POLICIES = (Overflow.WRAP, Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)

# (side, weight bits, activation bits, accumulator bits): narrow enough for sums that leave the accumulator.
SETS = [
    (4, 2, 2, 16),
    (4, 16, 8, 24),
    (8, 8, 8, 16),
    (8, 4, 8, 16),
    pytest.param((8, 16, 16, 32), marks=pytest.mark.slow),
    pytest.param((16, 8, 16, 24), marks=pytest.mark.slow),
    pytest.param((32, 8, 8, 20), marks=pytest.mark.slow),
]
Widths = tuple[int, int, int, int]
TILES = 60
"""Of each kind; a quarter of them on 32x32 processing elements, whose simulation takes that many times longer."""


def design(module: str, folder: Path, widths: Widths, **more: int) -> Design:
    side, weight, activation, accumulator = widths
    operands = {"WEIGHT_BITS": weight, "ACTIVATION_BITS": activation, "ACC_BITS": accumulator}
    return Design(module, folder, {"ROWS": side, "COLS": side, **operands, **more})


def codes(rng: np.random.Generator, bits: int, *shape: int) -> np.ndarray:
    """Codes of ``bits`` bits: uniform, or mostly the ends of the range, so that sums grow."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    uniform = rng.integers(low, high + 1, shape)
    return np.where(rng.random(shape) < rng.choice([0.0, 0.9]), rng.choice([low, high]), uniform)


def random_tile(rng: np.random.Generator, widths: Widths, *, groups: int = 1, most: int = 3, **options: Any) -> Tile:
    """Up to ``most`` sides of reduction and channels; biases over the whole accumulator, some at its ends."""
    side, weight, activation, accumulator = widths
    pixels, reduction = int(rng.integers(1, 3 * side)), int(rng.integers(1, most * side + 1))
    channels = int(rng.integers(1, most * side + 1))
    half = 1 << (accumulator - 1)
    bias = rng.integers(-half + 1, half, (groups, channels))
    near = rng.choice([-half + 1, half - 1]) // (1 + rng.integers(0, 9, (groups, channels)) // 8)
    return Tile(
        x=codes(rng, activation, groups, pixels, reduction),
        w=codes(rng, weight, groups, reduction, channels),
        bias=np.where(rng.random((groups, channels)) < 0.3, near, bias),
        overflow=POLICIES[int(rng.integers(3))],
        **options,
    )


def model_sums(tile: Tile, accumulator: int, per_add: int) -> np.ndarray:
    """Sums by ``accumulate_block``, group by group as 1 x 1 convolutions."""
    out = []
    for x, w, bias in zip(tile.x, tile.w, tile.bias, strict=True):
        (pixels, reduction), channels = x.shape, w.shape[1]
        geometry = MacGeometry(n=1, ih=pixels, iw=1, ic=reduction, oh=pixels, ow=1, oc=channels, kh=1, kw=1)
        sums = np.tile(bias, (1, pixels, 1, 1))
        accumulate_block(
            sums,
            x.reshape(1, pixels, 1, reduction).astype(np.int16),
            w.T.reshape(channels, 1, 1, reduction).astype(np.int16),
            geometry=geometry,
            output_origin=(0, 0, 0, 0),
            input_origin=(0, 0, 0, 0),
            weight_origin=(0, 0, 0, 0),
            input_zero_point=0,
            accumulator=IntFormat(accumulator),
            overflow=tile.overflow,
            where="tile",
            products_per_add=per_add,
        )
        out.append(sums.reshape(pixels, channels))
    return np.stack(out)


def model_cost(tile: Tile, rows: int, cols: int, dataflow: str, stages: int = 0) -> ArrayCost:
    stationary = dataflow in ("weight_stationary", "input_stationary")
    preload = "overlapped" if tile.overlapped and stationary else "serial"
    drain = "overlapped" if tile.drains_behind else "serial"
    array = {"drain": drain} | {
        "rows": rows,
        "cols": cols,
        "dataflow": dataflow,
        "weight_preload": preload,
        "pipeline_stages": stages,
    }
    adds = {"accumulator.products_per_add": rows if dataflow == "adder_tree" else 1}
    arch = load_arch("scalesim_32x32_ws").with_({f"array.{key}": value for key, value in array.items()} | adds)
    arch = arch.with_({"weight_buffer.bytes_per_cycle": None, "activation_buffer.bytes_per_cycle": None})
    one = np.ones(1, dtype=np.int64)
    sizes = {key: value * one for key, value in tile.sizes.items()}
    kept = np.array([tile.kept])
    return array_cost(ComputeTiles(**sizes, weights_kept=kept), array_of(arch, weight_bits=8, activation_bits=8))


def model_cycles(tile: Tile, rows: int, cols: int, dataflow: str, stages: int = 0) -> int:
    """Of the tile alone on the array."""
    cost = model_cost(tile, rows, cols, dataflow, stages)
    return int(cost.cycles[0] + cost.latency[0])


def check_sums(tiles: list[Tile], outcomes: list[Outcome], accumulator: int, per_add: int) -> None:
    """0 differing sums, and clamped ones in a tenth of the tiles that saturate at least."""
    clamped = saturating = 0
    for tile, outcome in zip(tiles, outcomes, strict=True):
        np.testing.assert_array_equal(outcome.sums, model_sums(tile, accumulator, per_add))
        if tile.overflow is not Overflow.WRAP:
            saturating += 1
            clamped += not np.array_equal(outcome.sums, tile.x @ tile.w + tile.bias[:, None])
    assert clamped * 10 >= saturating > 0


@pytest.mark.parametrize("widths", SETS)
def test_weight_stationary_sums_and_cycles(widths: Widths, tmp_path: Path) -> None:
    side, accumulator = widths[0], widths[3]
    rng = np.random.default_rng(side)
    array = design("array_ws_banks", tmp_path, widths, ADDR_BITS=10)
    tiles = [random_tile(rng, widths) for _ in range(TILES if side <= 16 else TILES // 4)]
    tiles += [random_tile(rng, widths, overlapped=True) for _ in range(TILES if side <= 16 else TILES // 4)]
    outcomes = play_ws(array, tiles)
    check_sums(tiles, outcomes, accumulator, per_add=side)
    for tile, outcome in zip(tiles, outcomes, strict=True):
        assert outcome.cycles == model_cycles(tile, side, side, "weight_stationary")


@pytest.mark.parametrize("widths", SETS[:3])
def test_output_stationary_sums_and_cycles(widths: Widths, tmp_path: Path) -> None:
    side, accumulator = widths[0], widths[3]
    rng = np.random.default_rng(side)
    tiles = [random_tile(rng, widths) for _ in range(100)]
    outcomes = play_os(design("array_os_steps", tmp_path, widths), tiles)
    check_sums(tiles, outcomes, accumulator, per_add=1)
    for tile, outcome in zip(tiles, outcomes, strict=True):
        assert outcome.cycles == model_cycles(tile, side, side, "output_stationary")


TREES = [
    ((4, 4, 8, 16), 4, 0),
    ((8, 8, 8, 20), 5, 4),
    ((8, 4, 8, 20), 8, 1),
    ((16, 8, 8, 24), 16, 5),
    pytest.param((32, 8, 8, 24), 32, 6, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("widths", "rows", "stages"), TREES)
def test_adder_tree_sums_and_cycles(widths: Widths, rows: int, stages: int, tmp_path: Path) -> None:
    cols, accumulator, rng = widths[0], widths[3], np.random.default_rng(rows)
    array = design("array_tree_banks", tmp_path, widths, ROWS=rows, ADDR_BITS=10, STAGES=stages)
    tiles = [random_tile(rng, widths) for _ in range(60)]
    tiles += [random_tile(rng, widths, groups=int(rng.integers(2, 5)), most=1) for _ in range(20)]
    outcomes = play_tree(array, tiles)
    check_sums(tiles, outcomes, accumulator, per_add=rows)
    for tile, outcome in zip(tiles, outcomes, strict=True):
        assert outcome.cycles == model_cycles(tile, rows, cols, "adder_tree", stages=stages)


@pytest.mark.parametrize("stages", [1, 3])
def test_pipeline_stages_of_systolic_arrays(stages: int, tmp_path: Path) -> None:
    """Registers between the bottom row and the accumulators, and behind the multipliers of the output-stationary array."""
    widths, rng = (4, 8, 8, 18), np.random.default_rng(stages)
    tiles = [random_tile(rng, widths, overlapped=bool(rng.integers(2))) for _ in range(60)]
    for module, play, dataflow, more in (
        ("array_ws_banks", play_ws, "weight_stationary", {"ADDR_BITS": 10}),
        ("array_os_steps", play_os, "output_stationary", {}),
    ):
        outcomes = play(design(module, tmp_path, widths, STAGES=stages, **more), tiles)
        check_sums(tiles, outcomes, 18, per_add=4 if module == "array_ws_banks" else 1)
        for tile, outcome in zip(tiles, outcomes, strict=True):
            assert outcome.cycles == model_cycles(tile, 4, 4, dataflow, stages=stages)


@pytest.mark.parametrize(("widths", "stages"), [((4, 8, 8, 18), 0), ((4, 2, 2, 16), 3), ((8, 8, 8, 16), 1)])
def test_folds_that_drain_behind_each_other(widths: Widths, stages: int, tmp_path: Path) -> None:
    """Output-stationary: a fold enters while the sums of the one before leave, a row of them a cycle. Weight-stationary: the next weights
    shift in while sums drain."""
    side, accumulator, rng = widths[0], widths[3], np.random.default_rng(side_seed(widths))
    tiles = [replace(random_tile(rng, widths), drains_behind=True) for _ in range(150)]
    tiles += [replace(random_tile(rng, widths, groups=3, most=1), drains_behind=True) for _ in range(20)]
    for module, play, dataflow, more in (
        ("array_ws_banks", play_ws, "weight_stationary", {"ADDR_BITS": 10}),
        ("array_os_flow", play_os, "output_stationary", {}),
    ):
        outcomes = play(design(module, tmp_path, widths, STAGES=stages, **more), tiles)
        check_sums(tiles, outcomes, accumulator, per_add=side if module == "array_ws_banks" else 1)
        for tile, outcome in zip(tiles, outcomes, strict=True):
            assert outcome.cycles == model_cycles(tile, side, side, dataflow, stages=stages)


def side_seed(widths: Widths) -> int:
    return sum(width * 10**k for k, width in enumerate(widths))


@pytest.mark.parametrize("stripe", [1, 5])
def test_pixels_pass_in_stripes(stripe: int, tmp_path: Path) -> None:
    """The same sums in the same cycles, whatever stripes pass the folds; weights are read anew for each."""
    widths, rng = (8, 8, 8, 20), np.random.default_rng(stripe)
    array = design("array_tree_banks", tmp_path, widths, ROWS=5, ADDR_BITS=10, STAGES=4)
    tiles = [random_tile(rng, widths) for _ in range(60)]
    outcomes = play_tree(array, tiles, stripe=stripe)
    check_sums(tiles, outcomes, 20, per_add=5)
    for tile, outcome in zip(tiles, outcomes, strict=True):
        assert outcome.cycles == model_cycles(tile, 5, 8, "adder_tree", stages=4)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Design, Widths]:
    widths = (8, 8, 8, 18)
    return design("array_ws_banks", tmp_path_factory.mktemp("ws"), widths, ADDR_BITS=10), widths


def test_depthwise_groups_packed_on_the_diagonal(small: tuple[Design, Widths]) -> None:
    array, widths = small
    rng = np.random.default_rng(3)
    tiles = [
        random_tile(rng, widths, groups=int(rng.integers(2, 9)), most=1, overlapped=bool(rng.integers(2)))
        for _ in range(100)
    ]
    tiles += [
        Tile(x=codes(rng, 8, 9, 30, 2), w=codes(rng, 8, 9, 2, 1), bias=rng.integers(-9, 9, (9, 1))) for _ in range(20)
    ]
    outcomes = play_ws(array, tiles)
    check_sums(tiles, outcomes, widths[3], per_add=8)
    for tile, outcome in zip(tiles, outcomes, strict=True):
        assert outcome.cycles == model_cycles(tile, 8, 8, "weight_stationary")


def test_kept_weights_are_not_loaded_again(small: tuple[Design, Widths]) -> None:
    array, widths = small
    rng, tiles = np.random.default_rng(4), []
    for overlapped in (False, True) * 20:
        before = random_tile(rng, widths, most=1, overlapped=overlapped)
        x = codes(rng, 8, 1, int(rng.integers(1, 30)), before.x.shape[2])
        tiles += [before, Tile(x=x, w=before.w, bias=before.bias, overlapped=overlapped, kept=True)]
    outcomes = play_ws(array, tiles)
    check_sums(tiles, outcomes, widths[3], per_add=8)
    for tile, outcome in zip(tiles[1::2], outcomes[1::2], strict=True):
        assert outcome.cycles == tile.sizes["pixels"] + 8 + 8 - 2
        if not tile.overlapped:
            assert outcome.cycles == model_cycles(tile, 8, 8, "weight_stationary")


def test_tiles_follow_each_other_through_an_overlapped_array(small: tuple[Design, Widths]) -> None:
    """A tile and one that keeps its weights, as one stream: the second one enters when the model lets go of the first."""
    array, _ = small
    rng, pairs = np.random.default_rng(7), []
    for _ in range(40):
        x, w = codes(rng, 8, 1, int(rng.integers(16, 60)), 8), codes(rng, 8, 1, 8, 5)
        cut = int(rng.integers(8, x.shape[1]))
        both = Tile(x=x, w=w, bias=np.zeros((1, 5), dtype=np.int64), overlapped=True)
        pairs.append((both, replace(both, x=x[:, :cut]), replace(both, x=x[:, cut:], kept=True)))
    outcomes = play_ws(array, [both for both, *_ in pairs])
    for (_, first, second), outcome in zip(pairs, outcomes, strict=True):
        entered = model_cost(first, 8, 8, "weight_stationary").cycles[0]
        assert outcome.cycles == entered + model_cycles(second, 8, 8, "weight_stationary")


def test_tiles_with_weights_of_their_own_follow_each_other(small: tuple[Design, Widths]) -> None:
    """One tile of several folds takes as long as its folds as tiles, each entering when the array lets go of the one before."""
    array, widths = small
    rng = np.random.default_rng(8)
    tiles = [random_tile(rng, widths, overlapped=True) for _ in range(40)]
    for tile, outcome in zip(tiles, play_ws(array, tiles), strict=True):
        cuts = [slice(k, k + 8) for k in range(0, tile.x.shape[2], 8)]
        folds = [
            replace(tile, x=tile.x[:, :, cut], w=tile.w[:, cut, c : c + 8])
            for c in range(0, tile.w.shape[2], 8)
            for cut in cuts
        ]
        costs = [model_cost(fold, 8, 8, "weight_stationary") for fold in folds]
        entered = sum(int(cost.cycles[0]) for cost in costs[:-1])
        assert outcome.cycles == entered + costs[-1].cycles[0] + costs[-1].latency[0]


def test_input_stationary_is_the_same_array_with_operands_exchanged(small: tuple[Design, Widths]) -> None:
    array, widths = small
    rng = np.random.default_rng(5)
    tiles = [random_tile(rng, widths) for _ in range(60)]
    tiles = [Tile(x=t.x, w=t.w, bias=np.zeros_like(t.bias), overflow=t.overflow) for t in tiles]
    for tile, outcome in zip(tiles, play_ws(array, [tile.turned for tile in tiles]), strict=True):
        np.testing.assert_array_equal(outcome.sums.transpose(0, 2, 1), model_sums(tile, widths[3], 8))
        assert outcome.cycles == model_cycles(tile, 8, 8, "input_stationary")


def test_a_wrong_model_is_caught(small: tuple[Design, Widths]) -> None:
    """Groups of another size give other saturated sums: the comparison can fail."""
    array, widths = small
    rng = np.random.default_rng(6)
    tiles = [random_tile(rng, widths) for _ in range(40)]
    with pytest.raises(AssertionError):
        check_sums(tiles, play_ws(array, tiles), widths[3], per_add=1)
