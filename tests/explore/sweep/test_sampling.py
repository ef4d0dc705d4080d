"""Points that are drawn: the same ones wherever a chunk begins, and where they ought to lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.explore import read_space
from accelsim.explore.sweep.space import points_of

AXES: dict[str, Any] = {
    "array.rows": [4, 8, 16, 32],
    "dram.bandwidth_bytes_per_s": {"from": "0.1 GB/s", "to": "10 GB/s", "scale": "log"},
    "tech.voltage_v": {"from": 0.6, "to": 1.0},
    "weights.bits": {"from": 2, "to": 8},
}
WAYS = ["random", "latin_hypercube"]


def drawn(
    way: str, start: int, stop: int, *, count: int = 10_000, seed: int = 7, workloads: tuple[str, ...] = ("digits_cnn",)
) -> Any:
    space = read_space({"workloads": workloads, "axes": AXES, "sample": {way: count, "seed": seed}})
    return points_of(space, start, stop).columns


@pytest.mark.parametrize("way", WAYS)
@given(start=st.integers(0, 9_999), length=st.integers(1, 500))
def test_a_point_is_the_same_whatever_chunk_it_is_in(way: str, start: int, length: int) -> None:
    whole, part = drawn(way, 0, 10_000), drawn(way, start, start + length)
    for name, column in part.items():
        assert column.tolist() == whole[name][start : start + length].tolist()


@pytest.mark.parametrize("way", WAYS)
def test_a_seed_is_a_sample(way: str) -> None:
    first, again, other = drawn(way, 0, 100), drawn(way, 0, 100), drawn(way, 0, 100, seed=8)
    assert all((first[name] == again[name]).all() for name in AXES)
    assert not (first["tech.voltage_v"] == other["tech.voltage_v"]).any()


@pytest.mark.parametrize("way", WAYS)
def test_values_lie_between_the_ends_of_their_axis(way: str) -> None:
    columns = drawn(way, 0, 10_000)
    assert set(columns["array.rows"].tolist()) == {4, 8, 16, 32}
    assert set(columns["weights.bits"].tolist()) == set(range(2, 9))
    voltage, bandwidth = columns["tech.voltage_v"], columns["dram.bandwidth_bytes_per_s"]
    assert 0.6 <= voltage.min() < 0.61 < 0.99 < voltage.max() <= 1.0
    assert 10**8 <= bandwidth.min() < 1.1 * 10**8 < 9 * 10**9 < bandwidth.max() <= 10**10
    assert abs(np.median(np.log10(bandwidth)) - 9) < 0.05
    assert bandwidth.dtype == np.int64


def test_a_latin_hypercube_has_one_point_in_each_part_of_every_axis() -> None:
    columns = drawn("latin_hypercube", 0, 1000, count=1000)
    parts = np.floor((columns["tech.voltage_v"] - 0.6) / 0.4 * 1000 + 1e-9).astype(int)
    assert len(set(parts.tolist())) >= 999  # one may be rounded into its neighbour
    assert np.unique(columns["array.rows"], return_counts=True)[1].tolist() == [250] * 4


@pytest.mark.parametrize("way", WAYS)
def test_every_workload_has_the_same_designs(way: str) -> None:
    both = drawn(way, 0, 200, count=100, workloads=("digits_cnn", "alexnet"))
    for name in AXES:
        assert both[name][:100].tolist() == both[name][100:].tolist()
