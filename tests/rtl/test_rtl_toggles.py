"""Toggled bits on the registers of the array in SystemVerilog, counted by Verilator, equal those of the kernels, bit for bit.

Tiles fill the array: a register of ours that a fold does not use keeps its word, one of the RTL passes whatever stands at its port.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from accelsim.activity.toggles import WIRES, ToggleArray, tile_toggles
from tests.rtl.bench import Design, Tile
from tests.rtl.test_rtl import Widths, codes, design

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in ("verilator", "make", "g++")),
        reason="verilator, make and g++ simulate the RTL",
    ),
]


def full_tile(rng: np.random.Generator, widths: Widths) -> Tile:
    """Whole folds of pixels and channels, any reduction."""
    side, weight, activation, accumulator = widths
    pixels, channels = side * int(rng.integers(1, 4)), side * int(rng.integers(1, 4))
    reduction, half = int(rng.integers(1, 40)), 1 << (accumulator - 1)
    return Tile(
        x=codes(rng, activation, 1, pixels, reduction),
        w=codes(rng, weight, 1, reduction, channels),
        bias=rng.integers(-half, half, (1, channels)),
    )


def play(array: Design, tiles: list[Tile]) -> np.ndarray:
    """Toggles of the activation, weight and accumulator registers of each tile."""
    rows, cols, stimulus = array["ROWS"], array["COLS"], []
    for tile in tiles:
        (_, pixels, reduction), channels = tile.x.shape, tile.w.shape[2]
        stimulus.append([pixels // rows * (channels // cols)])
        for p in range(0, pixels, rows):
            for c in range(0, channels, cols):
                w, x = tile.w[0, :, c : c + cols], tile.x[0, p : p + rows].T
                stimulus += [[reduction], tile.bias[0, c : c + cols], w, x]
    return array.run(stimulus).reshape(-1, 3)


@pytest.mark.parametrize("widths", [(4, 16, 8, 24), (8, 8, 8, 16), (4, 2, 2, 16)])
def test_output_stationary_toggles(widths: Widths, tmp_path: Path) -> None:
    side, weight, activation, accumulator = widths
    rng = np.random.default_rng(side + weight)
    tiles = [full_tile(rng, widths) for _ in range(60)]
    array = ToggleArray(
        dataflow="output_stationary",
        rows=side,
        cols=side,
        products=1,
        activation_bits=activation,
        weight_bits=weight,
        accumulator_bits=accumulator,
    )
    counted = play(design("toggles_os", tmp_path, widths), tiles)
    kinds = [WIRES.index(wire) for wire in ("activation_register", "weight_register", "accumulator")]
    for tile, expected in zip(tiles, counted, strict=True):
        sums = np.repeat(tile.bias[:, None], tile.x.shape[1], axis=1)
        got = tile_toggles(tile.x, tile.w, sums, array=array)
        np.testing.assert_array_equal(got[kinds, 0], expected)
    assert counted.sum(axis=0).min() > 1000
