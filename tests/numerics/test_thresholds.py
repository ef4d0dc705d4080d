"""Multi-thresholds: levels against their definition, and against the monotone functions that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import GraphError, InputError, ModelError
from accelsim.numerics import INT64, Requant, Thresholds, requantize, requantize_int
from accelsim.numerics.thresholds import NEVER
from accelsim.quant import requantization_from_scales, thresholds_of

LIMIT = 2**40


@st.composite
def records(draw: st.DrawFn) -> Thresholds:
    channels, levels = draw(st.integers(1, 4)), draw(st.integers(0, 9))
    finite = st.integers(-LIMIT, LIMIT)
    rows = [sorted(draw(st.lists(finite | st.just(NEVER), min_size=levels, max_size=levels))) for _ in range(channels)]
    start = draw(st.lists(st.integers(-300, 300), min_size=channels, max_size=channels))
    step = draw(st.lists(st.sampled_from([-1, 1]), min_size=channels, max_size=channels))
    return Thresholds(np.array(rows, np.int64).reshape(channels, levels), np.array(start), np.array(step))


@given(records(), st.lists(st.integers(-LIMIT - 1, LIMIT + 1), min_size=1, max_size=6))
def test_the_kernel_equals_the_definition(record: Thresholds, sums: list[int]) -> None:
    edges = [int(v) + d for v in record.levels.ravel() if v != NEVER for d in (-1, 0)]
    acc = np.array([*sums, *edges, INT64.min, INT64.max], np.int64)
    block = np.repeat(acc[:, None], record.channel_count, axis=1)
    codes = requantize(block, record)
    expected = [[requantize_int(int(a), record, c) for c in range(record.channel_count)] for a in acc]
    assert codes.tolist() == expected
    assert record.clamp_min <= codes.min()
    assert codes.max() <= record.clamp_max


def test_codes_count_the_levels_that_are_reached() -> None:
    record = Thresholds(np.array([[-2, 0, 0, 5], [1, 2, 3, NEVER]]), np.array([-1, 10]), np.array([1, -1]))
    acc = np.array([[-3, 0], [-2, 1], [0, 2], [4, 3], [5, 2**62]])
    assert requantize(acc, record).tolist() == [[-1, 10], [0, 9], [2, 8], [2, 7], [3, 7]]
    assert (record.clamp_min, record.clamp_max, record.channel_count) == (-1, 10, 2)
    assert record.channels(1, 2).levels.tolist() == [[1, 2, 3, NEVER]]


def test_one_row_serves_all_channels() -> None:
    record = Thresholds(np.array([[0]]), np.array([0]), np.array([1]))
    assert record.channels(3, 7) is record
    assert requantize(np.array([[-1, 0, 1]]), record).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(
    ("levels", "start", "step", "said"),
    [
        ([[1, 0]], [0], [1], "ascend"),
        ([[0]], [0], [2], "steps of 1 or -1"),
        ([[0], [1]], [0, 0, 0], [1], "channels"),
        ([0], [0], [1], "shape"),
        ([[0.5]], [0], [1], "integers"),
        ([[0]], [2**31 - 1], [1], "leave 32 bits"),
    ],
)
def test_impossible_records_are_refused(levels: list, start: list, step: list, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        Thresholds(np.array(levels), np.array(start), np.array(step))


def test_wrong_channels_and_types_are_refused() -> None:
    record = Thresholds(np.array([[0], [1]]), np.array([0, 0]), np.array([1, 1]))
    with pytest.raises(GraphError, match="2 channels"):
        requantize(np.zeros((4, 3), np.int32), record)
    with pytest.raises(InputError, match="finn_thresholds: expected int32 or int64"):
        requantize(np.zeros((4, 2)), record)
    with pytest.raises(GraphError, match="channels 1:5"):
        record.channels(1, 5)


@given(
    st.lists(st.tuples(st.floats(-0.4, 0.4), st.floats(-50, 50)), min_size=1, max_size=4),
    st.integers(1, 8),
    st.integers(-5000, 5000),
    st.integers(0, 9000),
)
def test_levels_reproduce_an_affine_float_chain(
    lines: list[tuple[float, float]], bits: int, low: int, span: int
) -> None:
    """Batch normalization and rounding in float32, slopes of either sign, every sum of the range."""
    slope, shift = (np.array(column, np.float32)[:, None] for column in zip(*lines, strict=True))

    def codes(acc: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(acc.astype(np.float32) * slope + shift), 0, 2**bits - 1).astype(np.int64)

    record = thresholds_of(codes, channels=len(lines), sums=(low, low + span))
    every = np.broadcast_to(np.arange(low, low + span + 1), (len(lines), span + 1))
    assert np.array_equal(requantize(np.ascontiguousarray(every.T), record).T, codes(every))


def test_a_function_that_turns_back_is_refused() -> None:
    with pytest.raises(ModelError, match="channel 1 is not monotone"):
        thresholds_of(lambda acc: np.stack([acc[0] // 100, np.abs(acc[1]) // 100]), channels=2, sums=(-1000, 1100))


def test_too_many_codes_are_refused() -> None:
    with pytest.raises(ModelError, match="65536 at most"):
        thresholds_of(lambda acc: acc, channels=1, sums=(0, 2**16))


@given(st.floats(1e-4, 0.9), st.integers(-128, 127))
def test_levels_from_scales_round_half_to_even(ratio: float, zero_point: int) -> None:
    """Equal to the float64 rule wherever both take the sum; 32-bit ends included."""
    arguments = {"s_in": 1.0, "s_w": np.array([ratio], np.float32), "s_out": 1.0, "zero_point": zero_point}
    record = requantization_from_scales("finn_thresholds", **arguments, clamp_min=-128, clamp_max=127)
    assert isinstance(record, Thresholds)
    acc = np.concatenate([np.arange(-4000, 4000), [-(2**31), 2**31 - 1]])
    exact = np.clip(np.rint(acc * float(np.float32(ratio))), -128 - zero_point, 127 - zero_point) + zero_point
    assert requantize(acc[:, None], record)[:, 0].tolist() == exact.astype(int).tolist()


def test_other_schemes_stay_multiplications() -> None:
    record = requantization_from_scales(
        "tflite_double", s_in=1.0, s_w=0.25, s_out=1.0, zero_point=0, clamp_min=-128, clamp_max=127
    )
    assert isinstance(record, Requant)
