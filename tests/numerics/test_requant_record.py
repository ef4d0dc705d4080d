"""The parameter record: what it accepts, normalises and refuses; shapes and types of requantize."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from accelsim.errors import AccumulatorOverflowError, ConfigError, GraphError, InputError
from accelsim.numerics import ALIASES, SCHEMES, Requant, multiply, requantize, requantize_int, scheme_named


def per_channel(channels: int = 4) -> Requant:
    return Requant("single", 2**30 + np.arange(channels), -np.arange(channels), 1, -128, 127)


def test_every_scheme_is_documented_and_complete():
    for name, scheme in SCHEMES.items():
        assert scheme.name == name
        assert scheme.description
        assert scheme.source
        assert scheme.wide in (32, 48, 64)
        assert callable(scheme.kernel)


def test_an_alias_becomes_the_name():
    requant = Requant("tflite_single", [2**30], [0], 0, -128, 127)
    assert requant.scheme == "single"
    assert all(target in SCHEMES for target in ALIASES.values())
    assert scheme_named("tflite_single") is SCHEMES["single"]


def test_an_unknown_scheme_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'tflite_double'"):
        Requant("tflite_duoble", [2**30], [0], 0, -128, 127)


def test_parameters_are_private_read_only_copies():
    multiplier, shift = np.array([2**30, 2**30 + 1], np.int32), np.array([0, -1], np.int32)
    requant = Requant("single", multiplier, shift, 0, -128, 127)
    multiplier[0] = 0
    shift[0] = -5
    assert requant.multiplier.tolist() == [2**30, 2**30 + 1]
    assert requant.shift.tolist() == [0, -1]
    with pytest.raises(ValueError, match="read-only"):
        requant.multiplier[0] = 1
    with pytest.raises(AttributeError):
        requant.zero_point = 3


def test_one_shift_or_one_multiplier_serves_all_channels():
    assert Requant("single", [2**30] * 3, [-2], 0, -128, 127).shift.tolist() == [-2] * 3
    assert Requant("shift_floor", [1], [1, 2, 3], 0, -128, 127).multiplier.tolist() == [1] * 3


def test_types_are_those_of_the_scheme():
    assert per_channel().multiplier.dtype == per_channel().shift.dtype == np.int32
    assert Requant("float32_half_even", [0.5], [0], 0, -128, 127).multiplier.dtype == np.float32
    assert Requant("float64_half_away", [[1.0, 1.0, 2.0]], [0], 0, -128, 127).multiplier.dtype == np.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("single", [2**31], [0], 0, -128, 127), "int32 values"),
        (("single", [0.5], [0], 0, -128, 127), "int32 values"),
        (("single", [[2**30]], [0], 0, -128, 127), r"expected shape \(C,\)"),
        (("single", [], [], 0, -128, 127), "C >= 1"),
        (("single", [2**30], [31], 0, -128, 127), "expected -31 to 30, got 31"),
        (("single", [2**30], [-32], 0, -128, 127), "expected -31 to 30"),
        (("single", [2**30], [0.0], 0, -128, 127), "expected integers"),
        (("tflite_int16", [2**30], [8], 0, -128, 127), "expected -31 to 7"),
        (("shift_floor", [1], [63], 0, -128, 127), "expected -31 to 62"),
        (("single", [2**30] * 3, [0] * 2, 0, -128, 127), "3 multipliers but 2 shifts"),
        (("float32_half_even", [0.1], [0], 0, -128, 127), "exact float32 values"),
        (("float32_half_even", [np.nan], [0], 0, -128, 127), "finite float32"),
        (("float32_half_even", [0.5], [1], 0, -128, 127), "expected 0 to 0"),
        (("float64_half_away", [1.0], [0], 0, -128, 127), r"expected shape \(C, 3\)"),
        (("float64_half_away", [[1.0, 2.0, 0.0]], [0], 0, -128, 127), "finite float64"),
        (("float64_half_away", [[1.0, 2.0, 1e300]], [0], 0, -128, 127), "finite float64"),
        (("single", [2**30], [0], 0, 127, -128), "expected min <= max"),
        (("single", [2**30], [0], 2**31, -128, 127), "zero_point: expected an int32"),
        (("single", [2**30], [0], 0.5, -128, 127), "zero_point: expected an int32"),
        (("single", [2**30], [0], 0, -128, 2**40), "clamp_max: expected an int32"),
    ],
)
def test_impossible_parameters_are_refused(arguments, message):
    with pytest.raises(GraphError, match=message):
        Requant(*arguments)


def test_a_slice_of_channels_requantizes_a_slice_of_accumulators():
    requant = per_channel(6)
    acc = np.random.default_rng(0).integers(-500, 500, (3, 5, 6)).astype(np.int32)
    whole = requantize(acc, requant)
    for lo, hi in ((0, 6), (2, 5), (5, 6)):
        part = requant.channels(lo, hi)
        assert len(part.multiplier) == hi - lo
        assert np.array_equal(requantize(acc[..., lo:hi], part), whole[..., lo:hi])


def test_a_slice_of_one_channel_still_serves_one_column():
    part = per_channel(6).channels(5, 6)
    assert part.multiplier.tolist() == [2**30 + 5]
    assert requantize([[100]], part).tolist() == [[requantize_int(100, per_channel(6), 5)]]


def test_slicing_a_per_tensor_record_returns_it():
    requant = Requant("single", [2**30], [0], 0, -128, 127)
    assert not requant.is_per_channel
    assert requant.channels(3, 7) is requant


@pytest.mark.parametrize(("lo", "hi"), [(-1, 2), (2, 2), (3, 9)])
def test_a_slice_outside_the_channels_is_refused(lo, hi):
    with pytest.raises(GraphError, match="that has 4"):
        per_channel().channels(lo, hi)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (1, 2, 3, 4), (0, 4)])
def test_any_shape_with_channels_last(shape):
    acc = np.random.default_rng(1).integers(-900, 900, shape)
    out = requantize(acc, per_channel())
    assert out.shape == shape
    assert out.dtype == np.int32
    flat = [[requantize_int(int(a), per_channel(), c) for c, a in enumerate(row)] for row in acc.reshape(-1, 4)]
    assert out.reshape(-1, 4).tolist() == flat


@pytest.mark.parametrize("shape", [(), (5,), (2, 0), (3, 7)])
def test_a_per_tensor_record_takes_any_shape(shape):
    requant = Requant("shift_floor", [1], [1], 0, -128, 127)
    acc = np.full(shape, 5, np.int32)
    assert requantize(acc, requant).shape == shape
    assert (requantize(acc, requant) == 2).all()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64])
def test_accumulators_of_any_integer_type(dtype):
    assert (
        requantize(np.array([[100] * 4], dtype), per_channel()).tolist()
        == requantize([[100] * 4], per_channel()).tolist()
    )


def test_strided_accumulators_and_outputs():
    acc = np.arange(-60, 60, dtype=np.int32).reshape(5, 6, 4)
    expected = requantize(acc.copy(), per_channel())
    assert np.array_equal(requantize(acc[::2, ::-1], per_channel()), expected[::2, ::-1])
    buffer = np.zeros((5, 12, 4), np.int8)
    returned = requantize(acc, per_channel(), out=buffer[:, ::2])
    assert np.array_equal(buffer[:, ::2], expected)
    assert (buffer[:, 1::2] == 0).all()
    assert returned.dtype == np.int8


def test_out_must_have_the_shape_and_hold_the_clamp_range():
    acc = np.zeros((2, 4), np.int32)
    with pytest.raises(InputError, match="does not hold"):
        requantize(acc, per_channel(), out=np.zeros((2, 4), np.uint8))
    with pytest.raises(InputError, match="shape"):
        requantize(acc, per_channel(), out=np.zeros((4, 2), np.int8))
    with pytest.raises(InputError, match="integers"):
        requantize(acc, per_channel(), out=np.zeros((2, 4), np.float32))


def test_wrong_channel_count_is_refused():
    with pytest.raises(GraphError, match="4 channels"):
        requantize(np.zeros((4, 3), np.int32), per_channel())
    with pytest.raises(GraphError, match="4 channels"):
        requantize(np.int32(0), per_channel())


@pytest.mark.parametrize("dtype", [np.float32, np.uint64, np.bool_])
def test_accumulators_that_are_not_integers_are_refused(dtype):
    with pytest.raises(InputError, match="int32 or int64"):
        requantize(np.zeros((1, 4), dtype), per_channel())


@pytest.mark.parametrize(
    ("scheme", "bits"), [("single", 32), ("tflite_double", 32), ("half_up_twice", 32), ("tflite_int16", 48)]
)
def test_a_too_wide_accumulator_is_an_error_not_a_wrap(scheme, bits):
    requant = Requant(scheme, [2**30], [0], 0, -128, 127)
    widest = 2 ** (bits - 1) - 1
    assert requantize(np.array([widest, -widest - 1]), requant).tolist() == [127, -128]
    for call, worst in (
        (lambda: requantize(np.array([0, widest + 1]), requant), widest + 1),
        (lambda: requantize(np.array([-widest - 2, 7]), requant), -widest - 2),
        (lambda: requantize_int(-widest - 2, requant), -widest - 2),
        (lambda: multiply([widest + 1], 2**30, 0, scheme), widest + 1),
    ):
        with pytest.raises(AccumulatorOverflowError, match=f"expected int{bits} accumulators, got {worst};") as caught:
            call()
        assert caught.value.data["value"] == worst


def test_multiply_is_for_integer_schemes():
    with pytest.raises(ConfigError, match="floating point"):
        multiply([1], 1, 0, "float32_half_even")
    values = np.arange(6).reshape(2, 3)
    assert multiply(values, 2**30, 1, "single").tolist() == values.tolist()
    assert multiply(values, 1, 0, "shift_floor").dtype == np.int64


def test_a_record_survives_pickling():
    again = pickle.loads(pickle.dumps(per_channel()))
    assert requantize([[9, 8, 7, 6]], again).tolist() == requantize([[9, 8, 7, 6]], per_channel()).tolist()
