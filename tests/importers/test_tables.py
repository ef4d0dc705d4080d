"""Lookup tables against plain formulas and against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.importers.tflite import gemmlowp, tables

SCALES = st.floats(2**-9, 0.5)
ZEROS = st.integers(-128, 127)


def exact(function: str, code: int, s_in: float, z_in: int) -> float:
    x = float(np.float32(s_in)) * (code - z_in)
    return 1 / (1 + math.exp(-x)) * 256 - 128 if function == "logistic" else math.tanh(x) * 128


@given(scale=SCALES, zero=ZEROS, code=ZEROS)
def test_fixed_point_is_within_one_code_of_the_real_function(scale: float, zero: int, code: int) -> None:
    scale = float(np.float32(scale))
    assert abs(gemmlowp.logistic_code(code, s_in=scale, z_in=zero) - exact("logistic", code, scale, zero)) < 1.01
    assert abs(gemmlowp.tanh_code(code, s_in=scale, z_in=zero) - exact("tanh", code, scale, zero)) < 1.01


@given(scale=SCALES, zero=ZEROS)
def test_fixed_point_never_falls(scale: float, zero: int) -> None:
    for function in (gemmlowp.logistic_code, gemmlowp.tanh_code):
        table = tables.fixed_point_table(function, float(np.float32(scale)), zero).astype(int)
        assert (np.diff(table) >= 0).all()


@given(scale=SCALES, zero=ZEROS)
def test_float_table_and_fixed_point_differ_by_one_code_at_most(scale: float, zero: int) -> None:
    scale = float(np.float32(scale))
    pairs = [
        (tables.logistic, gemmlowp.logistic_code, 1 / 256, -128),
        (tables.tanh, gemmlowp.tanh_code, 1 / 128, 0),
    ]
    for real, fixed, s_out, z_out in pairs:
        a = tables.int8_table(real, s_in=scale, z_in=zero, s_out=s_out, z_out=z_out).astype(int)
        b = tables.fixed_point_table(fixed, scale, zero).astype(int)
        assert np.abs(a - b).max() <= 1


def test_zero_is_exact() -> None:
    assert gemmlowp.logistic_code(5, s_in=0.1, z_in=5) == 0
    assert gemmlowp.tanh_code(5, s_in=0.1, z_in=5) == 0


def test_far_inputs_saturate() -> None:
    assert gemmlowp.logistic_code(127, s_in=1.0, z_in=-128) == 127
    assert gemmlowp.logistic_code(-128, s_in=1.0, z_in=127) == -128
    assert gemmlowp.tanh_code(127, s_in=1.0, z_in=-128) == 127
    assert gemmlowp.tanh_code(-128, s_in=1.0, z_in=127) == -128


@given(s_in=st.floats(2**-7, 2**-4), ratio=st.floats(0.5, 2), z_in=ZEROS, z_out=ZEROS)
def test_hard_swish_is_near_the_real_function(s_in: float, ratio: float, z_in: int, z_out: int) -> None:
    s_in = float(np.float32(s_in))
    s_out = float(np.float32(s_in * ratio))
    table = tables.hard_swish_table(s_in=s_in, z_in=z_in, s_out=s_out, z_out=z_out).astype(float)
    x = s_in * (np.arange(-128, 128) - z_in)
    real = np.clip(x * np.clip(x + 3, 0, 6) / 6 / s_out + z_out, -128, 127)
    assert np.abs(table - real).max() < 2.5


def test_int8_table_saturates_and_rounds_half_away() -> None:
    table = tables.int8_table(lambda x: x, s_in=0.5, z_in=0, s_out=1.0, z_out=0)
    assert table[128 + np.array([1, 3, -1, -3])].tolist() == [1, 2, -1, -2]
    assert tables.int8_table(lambda x: x, s_in=4.0, z_in=0, s_out=1.0, z_out=0)[[0, 255]].tolist() == [-128, 127]


def test_sigmoid_table() -> None:
    table = tables.sigmoid_table().astype(int)
    assert table.shape == (256,)
    assert table[[0, 1, 2, 255]].tolist() == [32768, 33451, 34133, 65535]
    assert (np.diff(table) >= 0).all()
    plain = np.round(65536 / (1 + np.exp(-np.arange(256) / 24)))
    assert set((table[:-1] - plain[:-1]).astype(int)) == {0, 1}


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_16_bit_softmax_tables(real: type) -> None:
    exp, reciprocal = tables.exp_table(real).astype(int), tables.reciprocal_table(real).astype(int)
    at = np.arange(513) / 512
    assert np.abs(exp - 32768 * np.exp(10 * (at - 1))).max() <= 2
    assert np.abs(reciprocal - 32768 / (1 + at)).max() <= 2
    assert (exp[-1], reciprocal[0], reciprocal[-1]) == (32767, 32767, 16384)


def test_the_two_widths_of_the_reciprocal_table_differ_in_two_entries() -> None:
    # Seen as differing SOFTMAX codes between tflite-micro (float32) and LiteRT (double).
    narrow, wide = tables.reciprocal_table(np.float32), tables.reciprocal_table(np.float64)
    assert np.nonzero(narrow != wide)[0].tolist() == [160, 294]
    assert (tables.exp_table(np.float32) == tables.exp_table(np.float64)).all()
