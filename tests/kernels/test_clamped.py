"""Saturating products, against one group of products at a time in plain integers."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.kernels import _clamped as module
from accelsim.kernels._clamped import certified, clamped_gemm, pack_saturating, pack_steps, saturating_gemm

sizes = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
groups = st.sampled_from([1, 2, 3, 4, 5, 8, 16, 64])
relaxed = settings(deadline=None, max_examples=60)
KINDS = [np.int8, np.uint8, np.int16]


def by_definition(x: np.ndarray, w: np.ndarray, start: np.ndarray, low: int, high: int, group: int) -> np.ndarray:
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


def draw(seed: int, size: tuple[int, int, int], kind: type) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    (m, n, k), rng, limits = size, np.random.default_rng(seed), np.iinfo(kind)
    top = min(limits.max, 1000)
    x = rng.integers(max(limits.min, -1000), top + 1, (m, k)).astype(kind)
    return x, rng.integers(-128, 128, (n, k)).astype(np.int8), rng


@relaxed
@given(
    size=st.tuples(sizes, sizes, sizes),
    kind=st.sampled_from(KINDS),
    group=groups,
    bits=st.integers(8, 24),
    seed=seeds,
)
def test_clamped_products_equal_the_definition(
    size: tuple[int, int, int], kind: type, group: int, bits: int, seed: int
) -> None:
    x, w, rng = draw(seed, size, kind)
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    start = rng.integers(2 * low, 2 * high, (len(x), len(w))).astype(np.int32)
    sums = start.copy()
    clamped_gemm(x, pack_steps(w, group=group), sums, low=low, high=high)
    np.testing.assert_array_equal(sums, by_definition(x, w, start, low, high, group))


@relaxed
@given(
    size=st.tuples(st.integers(1, 100), st.integers(1, 20), sizes),
    kind=st.sampled_from(KINDS),
    group=groups,
    bits=st.integers(10, 24),
    hot=st.integers(0, 3),
    seed=seeds,
)
def test_saturating_products_equal_the_definition(
    size: tuple[int, int, int], kind: type, group: int, bits: int, hot: int, seed: int
) -> None:
    x, w, rng = draw(seed, size, kind)
    rows = rng.choice(len(x), min(hot, len(x)), replace=False)
    cool = np.ones(len(x), dtype=bool)
    cool[rows] = False
    x[cool] //= 16
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    bias = rng.integers(low, high + 1, len(w)).astype(np.int32) // 4
    packed = pack_saturating(w, group=group, wide=kind is np.int16)
    start = np.broadcast_to(bias, (len(x), len(w)))
    np.testing.assert_array_equal(
        saturating_gemm(x, packed, bias, low=low, high=high), by_definition(x, w, start, low, high, group)
    )


@relaxed
@given(
    products=st.lists(st.integers(-300, 300), min_size=1, max_size=12),
    low=st.integers(-900, 0),
    high=st.integers(0, 900),
    seed=seeds,
)
def test_certified_sums_stay_inside_in_every_order(products: list[int], low: int, high: int, seed: int) -> None:
    total, size = sum(products), sum(map(abs, products))
    rng = np.random.default_rng(seed)
    orders = [sorted(products), sorted(products, reverse=True), rng.permutation(products).tolist()]
    inside = all(low <= partial <= high for order in orders for partial in accumulate(order))
    assert bool(certified(np.array([total]), np.array([size]), low, high)[0]) == inside


def test_only_rows_without_a_proof_are_run_by_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = np.zeros((200, 8), np.uint8), np.ones((4, 8), np.int8)
    x[[7, 150]] = 255
    seen = []
    by_steps = module._by_steps
    monkeypatch.setattr(module, "_by_steps", lambda x, *rest: seen.append(len(x)) or by_steps(x, *rest))
    bias = np.zeros(4, np.int32)
    sums = saturating_gemm(x, pack_saturating(w, group=1), bias, low=-1024, high=1023)
    assert seen == [2]
    assert (sums[[7, 150]] == 1023).all()
    assert not np.delete(sums, [7, 150], axis=0).any()


def test_a_proof_for_all_columns_needs_no_second_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_proven_rows", None)
    x, w, bias = np.full((3, 8), 255, np.uint8), np.ones((4, 8), np.int8), np.full(4, -5, np.int32)
    assert (saturating_gemm(x, pack_saturating(w, group=1), bias, low=-2048, high=2047) == 2035).all()


def test_extremes_of_8_bit_codes() -> None:
    x, w = np.full((5, 33), -128, np.int8), np.full((17, 33), -128, np.int8)
    bias = np.zeros(17, np.int32)
    exact = saturating_gemm(x, pack_saturating(w, group=1), bias, low=-(2**30), high=2**30 - 1)
    assert (exact == 33 * 128 * 128).all()
    assert (saturating_gemm(x, pack_saturating(w, group=4), bias, low=-(2**17), high=2**17 - 1) == 2**17 - 1).all()


def test_sums_that_may_leave_32_bits_are_refused() -> None:
    x, sums = np.full((1, 4), 32767, np.int16), np.zeros((1, 1), np.int32)
    with pytest.raises(InputError, match="32 bits"):
        clamped_gemm(x, pack_steps(np.full((1, 4), 32767, np.int16), group=4), sums, low=-(2**20), high=2**20)
    with pytest.raises(InputError, match="do not fit"):
        clamped_gemm(x, pack_steps(np.ones((1, 3), np.int8), group=1), sums, low=-1, high=1)
    with pytest.raises(InputError, match="group"):
        pack_steps(np.ones((1, 3), np.int8), group=0)
    with pytest.raises(InputError, match="-32768"):
        pack_saturating(np.full((1, 1), -32768, np.int16), group=1)


def test_no_products_leave_the_clamped_start() -> None:
    sums = np.array([[-5, 0, 5]], dtype=np.int32)
    clamped_gemm(np.zeros((1, 0), np.int8), pack_steps(np.zeros((3, 0), np.int8), group=1), sums, low=-2, high=3)
    assert sums.tolist() == [[-2, 0, 3]]
