"""The compiled counts of toggled bits equal a walk over registers in plain Python, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.activity.toggles import WIRES, ToggleArray, significant_bits, stream_toggles, tile_toggles, zero_products
from tests.activity.registers import operand_bits, output_stationary, stationary

DATAFLOWS = ("weight_stationary", "output_stationary", "input_stationary")
WS = {
    "fixed": "weight_register",
    "fixed_bus": "weight_bus",
    "moving": "activation_register",
    "moving_bus": "activation_bus",
}
IS = {
    "fixed": "activation_register",
    "fixed_bus": "activation_bus",
    "moving": "weight_register",
    "moving_bus": "weight_bus",
}


def array_of(dataflow: str, rows: int, cols: int) -> ToggleArray:
    return ToggleArray(
        dataflow=dataflow, rows=rows, cols=cols, products=1, activation_bits=9, weight_bits=6, accumulator_bits=20
    )


def by_hand(x: np.ndarray, w: np.ndarray, sums: np.ndarray, array: ToggleArray) -> dict[str, list[int]]:
    """The walk over registers of ``array``."""
    bits = {"moving": 9, "fixed": 6, "partial_sum": array.partial_sum_bits, "accumulator": 20}
    if array.dataflow == "output_stationary":
        return output_stationary(x, w, sums, array.rows, array.cols, bits)
    if array.dataflow == "weight_stationary":
        return stationary(x, w, sums, array.rows, array.cols, bits, WS)
    turned = (w.transpose(0, 2, 1), x.transpose(0, 2, 1), sums.transpose(0, 2, 1))
    return stationary(*turned, array.rows, array.cols, bits | {"moving": 6, "fixed": 9}, IS)


def tile(seed: int, *, zeros: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    groups, pixels, reduction, channels = rng.integers(1, [4, 8, 8, 8]).tolist()
    x, w = rng.integers(-256, 256, (groups, pixels, reduction)), rng.integers(-32, 32, (groups, reduction, channels))
    x[rng.random(x.shape) < zeros] = 0
    w[rng.random(w.shape) < zeros] = 0
    return x, w, rng.integers(-(2**18), 2**18, (groups, pixels, channels))


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.sampled_from(DATAFLOWS), st.integers(1, 6), st.integers(1, 6))
def test_toggles_equal_the_walk_over_registers(seed: int, dataflow: str, rows: int, cols: int) -> None:
    array = array_of(dataflow, rows, cols)
    x, w, sums = tile(seed)
    found, expected = tile_toggles(x, w, sums, array=array), by_hand(x, w, sums, array)
    assert {wire: tuple(counts) for wire, counts in zip(WIRES, found.tolist(), strict=True) if counts[1]} == {
        wire: tuple(counts) for wire, counts in expected.items() if counts[1]
    }


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_zero_products_and_operand_magnitudes(seed: int) -> None:
    x, w, _ = tile(seed)
    pairs = [
        (int(a), int(b)) for g in range(len(x)) for p in range(x.shape[1]) for c in range(w.shape[2])
        for a, b in zip(x[g, p], w[g, :, c], strict=True)
    ]  # fmt: skip
    assert zero_products(x, w) == sum(a == 0 or b == 0 for a, b in pairs)
    assert significant_bits(x, w) == (operand_bits(a for a, _ in pairs), operand_bits(b for _, b in pairs))


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_constant_data_toggles_nothing_but_sums(dataflow: str) -> None:
    x, w = np.full((1, 9, 7), 5), np.full((1, 7, 6), -3)
    found = dict(
        zip(WIRES, tile_toggles(x, w, np.zeros((1, 9, 6), np.int64), array=array_of(dataflow, 4, 3)), strict=True)
    )
    operands = [wire for wire in WIRES if wire not in ("partial_sum", "accumulator")]
    assert all(found[wire][0] == 0 for wire in operands)
    assert found["accumulator"][0] > 0
    nothing = tile_toggles(0 * x, 0 * w, np.zeros((1, 9, 6), np.int64), array=array_of(dataflow, 4, 3))
    assert nothing[:, 0].sum() == 0


def test_words_of_a_bus() -> None:
    assert stream_toggles(np.array([0, 2**64 - 1, 2**64 - 1, 1], dtype=np.uint64)) == 64 + 0 + 63
    assert stream_toggles(np.array([7], dtype=np.uint64)) == 0
