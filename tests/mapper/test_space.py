"""The input rows and columns that the exhaustive search counts for its tiles, added up one tile after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.graph import MacGeometry
from accelsim.hardware import is_coded, operand_bits
from accelsim.mapper.exhaustive.problem import _least_code_bits
from accelsim.mapper.exhaustive.space import space_of
from accelsim.mapper.tiling import tile_sizes
from tests.networks import dense

WHOLE = MacGeometry(n=1, ih=9, iw=7, ic=2, oh=9, ow=4, oc=3, kh=3, kw=3, stride_w=2, pad_top=1, pad_left=1)
UPPER = replace(WHOLE, ih=5, oh=4)
LOWER = replace(WHOLE, ih=6, oh=5, pad_top=0)
STEP = replace(WHOLE, ih=18, stride_h=2, dilation_h=2)


def rows_of(g: MacGeometry, tile: int, tap: int) -> list[int]:
    """Of every tile of outputs and taps, tile by tile: the input rows from the first to the last that it reads."""
    found = []
    for y in range(0, g.oh, tile):
        for k in range(0, g.kh, tap):
            first = y * g.stride_h - g.pad_top + k * g.dilation_h
            last = (min(y + tile, g.oh) - 1) * g.stride_h - g.pad_top + (min(k + tap, g.kh) - 1) * g.dilation_h
            found.append(max(min(last, g.ih - 1) - max(first, 0) + 1, 0))
    return found


@pytest.mark.parametrize("shares", [(WHOLE,), (STEP,), (WHOLE, UPPER, LOWER), (WHOLE, LOWER)])
def test_rows_are_the_least_sums_and_the_largest_tiles_of_all_shares(shares: tuple[MacGeometry, ...]) -> None:
    rows = space_of(*shares).rows
    for i, tile in enumerate(tile_sizes(shares[0].oh)):
        for j, tap in enumerate(tile_sizes(shares[0].kh)):
            each = [rows_of(share, tile, tap) for share in shares]
            assert rows[:, i, j].tolist() == [min(map(sum, each)), max(map(max, each)), min(rows[0] for rows in each)]


def test_columns_are_those_of_the_layer() -> None:
    """Seven columns under four outputs, two apart, one of padding at the left: whole, 7; one by one, 2 + 3 + 3 + 2 under all taps."""
    columns = space_of(WHOLE, UPPER).columns
    assert columns[:, -1, -1].tolist() == [7, 7, 7]
    assert columns[:, 0, -1].tolist() == [2 + 3 + 3 + 2, 3, 2]


def test_gathered_rows_count_once_per_window() -> None:
    rows = space_of(WHOLE, gathered=True).rows
    fetched = 9 * 3 - 2  # two windows reach over the border by one row
    assert (rows[0] == fetched).all()
    assert rows[1, -1, -1] == fetched
    assert rows[:, 0, 0].tolist() == [fetched, 1, 0]


@pytest.mark.parametrize(("cores", "fewest"), [(1, 8 + 1 + 8 + 2), (2, 8 + 1), (4, 1)])
def test_coded_weights_are_those_of_the_share_that_has_fewest(cores: int, fewest: int) -> None:
    """Four channels of 8 weights, some of them 0, in order on one core, two, or four."""
    graph = dense(k=8, units=4)
    (layer,) = graph.layers
    weights = np.array([[k < count for k in range(8)] for count in (8, 1, 8, 2)], np.int8)
    coded = replace(layer, weights=weights.reshape(layer.weights.shape))  # type: ignore[call-arg, attr-defined]
    arch = load_arch("edge_16x16").with_(
        {"cores.count": cores, "dma.weight_compression": "zero_run_length", "array.cols": 1}
    )
    assert is_coded(coded, arch)  # type: ignore[arg-type]
    assert _least_code_bits(coded, operand_bits(layer, graph, arch), arch) == 8 * fewest  # type: ignore[arg-type]
