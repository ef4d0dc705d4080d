from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import ConfigError
from accelsim.numerics import BIPOLAR, INT4, INT8, INT16, INT32, INT64, UINT8, IntFormat

formats = st.builds(IntFormat, st.integers(1, 64), signed=st.booleans())


@pytest.mark.parametrize(
    ("fmt", "low", "high", "dtype", "name"),
    [
        (INT4, -8, 7, np.int8, "int4"),
        (INT8, -128, 127, np.int8, "int8"),
        (IntFormat(9), -256, 255, np.int16, "int9"),
        (INT16, -32768, 32767, np.int16, "int16"),
        (INT32, -(2**31), 2**31 - 1, np.int32, "int32"),
        (INT64, -(2**63), 2**63 - 1, np.int64, "int64"),
        (UINT8, 0, 255, np.uint8, "uint8"),
        (IntFormat(4, signed=False), 0, 15, np.uint8, "uint4"),
        (IntFormat(33, signed=False), 0, 2**33 - 1, np.uint64, "uint33"),
        (IntFormat(1), -1, 0, np.int8, "int1"),
        (IntFormat(1, signed=False), 0, 1, np.uint8, "uint1"),
        (BIPOLAR, -1, 1, np.int8, "bipolar1"),
    ],
)
def test_range_dtype_and_name(fmt, low, high, dtype, name):
    assert (fmt.min, fmt.max, fmt.dtype, str(fmt)) == (low, high, np.dtype(dtype), name)


@settings(deadline=None)
@given(formats)
def test_the_name_reads_back(fmt):
    assert IntFormat.parse(str(fmt)) == fmt


@settings(deadline=None)
@given(formats)
def test_there_are_two_to_the_bits_values(fmt):
    assert fmt.max - fmt.min + 1 == 2**fmt.bits


@settings(deadline=None)
@given(formats)
def test_both_ends_fit_the_dtype_and_no_smaller_one(fmt):
    info = np.iinfo(fmt.dtype)
    assert info.min <= fmt.min
    assert fmt.max <= info.max
    assert fmt.dtype.itemsize == 1 or fmt.bits > fmt.dtype.itemsize * 4


@settings(deadline=None)
@given(formats)
def test_contains_exactly_the_range(fmt):
    assert fmt.contains(fmt.min)
    assert fmt.contains(fmt.max)
    assert not fmt.contains(fmt.min - 1)
    assert not fmt.contains(fmt.max + 1)


def test_a_bipolar_bit_is_a_sign():
    assert IntFormat.parse("bipolar1") == BIPOLAR == IntFormat(1, bipolar=True) != IntFormat(1)
    assert BIPOLAR.bits == 1
    assert [BIPOLAR.contains(v) for v in (-2, -1, 0, 1, 2)] == [False, True, False, True, False]
    for bits, signed in ((2, True), (8, True), (1, False)):
        with pytest.raises(ConfigError, match="bipolar values are one signed bit"):
            IntFormat(bits, signed, bipolar=True)
    with pytest.raises(ConfigError):
        IntFormat.parse("bipolar2")


@settings(deadline=None)
@given(st.one_of(formats.filter(lambda f: f.bits <= 62), st.just(BIPOLAR)), st.data())
def test_an_array_is_held_when_every_element_is(fmt, data):
    near = st.integers(fmt.min - 1, fmt.max + 1)
    values = data.draw(st.lists(near, max_size=6))
    assert fmt.holds(np.array(values, dtype=np.int64)) == all(map(fmt.contains, values))


@pytest.mark.parametrize("bits", [0, -1, 65, 8.0, "8", None, True])
def test_an_impossible_width_is_refused_with_the_accepted_range(bits):
    with pytest.raises(ConfigError, match="expected 1 to 64 bits"):
        IntFormat(bits)


@pytest.mark.parametrize("text", ["", "int", "int0", "int08", "int65", "INT8", "float8", "int8 ", "uint100", 8, None])
def test_an_unreadable_name_is_refused(text):
    with pytest.raises(ConfigError):
        IntFormat.parse(text)


def test_formats_are_values():
    assert IntFormat(8) == INT8
    assert len({IntFormat(8), INT8, UINT8}) == 2
    assert sorted([INT32, INT8, INT16]) == [INT8, INT16, INT32]
