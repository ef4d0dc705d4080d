"""Quantities: every unit, exactness, refusals word by word, and three digits on the way out."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import units
from accelsim.errors import AccelsimError, QuantityError
from accelsim.units import (
    format_hertz,
    parse_bandwidth,
    parse_bytes,
    parse_hertz,
    parse_nanoseconds,
    parse_quantity,
)


def parse_picojoules(value: object) -> float:
    return parse_quantity(value, units.PICOJOULES)


PARSERS = (parse_bytes, parse_hertz, parse_bandwidth, parse_nanoseconds, parse_picojoules)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("64 KiB", 65_536),
        ("64KiB", 65_536),
        ("  64   KiB ", 65_536),
        ("64 kB", 64_000),
        ("24 MiB", 25_165_824),
        ("24 MB", 24_000_000),
        ("1 GiB", 2**30),
        ("1 GB", 10**9),
        ("1 TiB", 2**40),
        ("1 TB", 10**12),
        ("1.5 KiB", 1536),
        ("0.1 kB", 100),
        ("512 B", 512),
        ("512", 512),
        ("1_024", 1024),
        ("1e3", 1000),
        ("1e3 kB", 10**6),
        (".5 KiB", 512),
        ("+8 B", 8),
        (4096, 4096),
        (4096.0, 4096),
        (0, 0),
    ],
)
def test_bytes(text: object, expected: int) -> None:
    value = parse_bytes(text)
    assert (value, type(value)) == (expected, int)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500 MHz", 500_000_000), ("1.2 GHz", 1_200_000_000), ("32.768 kHz", 32_768), ("7 Hz", 7), (5e8, 500_000_000)],
)
def test_hertz(text: object, expected: int) -> None:
    assert parse_hertz(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("34 GB/s", 34 * 10**9),
        ("0.4 GB/s", 400_000_000),
        ("1 GiB/s", 2**30),
        ("12.8 Gbit/s", 1_600_000_000),
        ("8 bit/s", 1),
        ("200 MB/s", 200_000_000),
        ("1000 TB/s", 10**15),
        (3, 3),
    ],
)
def test_bandwidth(text: object, expected: int) -> None:
    assert parse_bandwidth(text) == expected


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("100 ns", 100.0), ("1.5 us", 1500.0), ("1.5 µs", 1500.0), ("1.5 μs", 1500.0), ("2 ms", 2e6), ("0.25 s", 2.5e8)],
)
def test_times(text: str, nanoseconds: float) -> None:
    assert parse_nanoseconds(text) == nanoseconds


def test_plain_numbers_are_in_the_base_unit() -> None:
    assert (parse_nanoseconds("2"), parse_picojoules(0.3)) == (2.0, 0.3)


@pytest.mark.parametrize(
    ("text", "pj"), [("3.2 pJ", 3.2), ("1.3 nJ", 1300.0), ("5 fJ", 0.005), ("2 uJ", 2e6), ("1 J", 1e12)]
)
def test_picojoules(text: str, pj: float) -> None:
    assert parse_picojoules(text) == pj


@pytest.mark.parametrize(
    ("parse", "value", "message"),
    [
        (
            parse_bytes,
            "64 KB",
            "'64 KB' has the unit 'KB'; KB is ambiguous; write kB for 1000 bytes or KiB for 1024 bytes",
        ),
        (
            parse_bandwidth,
            "3 KB/s",
            "'3 KB/s' has the unit 'KB/s'; KB is ambiguous; write kB/s for 1000 bytes or KiB/s for 1024 bytes",
        ),
        (
            parse_bytes,
            "0.3 kiB",
            (
                "'0.3 kiB' has the unit 'kiB'; expected a plain number of bytes, or a number with B, kB, MB,"
                " GB, TB, KiB, MiB, GiB, TiB, such as '64 KiB'; did you mean 'KiB'?"
            ),
        ),
        (parse_bytes, "1.0001 KiB", "'1.0001 KiB' is 1024.1024 bytes; expected a whole number, such as 1024 or 1025"),
        (parse_bytes, 1.5, "1.5 is 1.5 bytes; expected a whole number, such as 1 or 2"),
        (parse_bandwidth, "1 bit/s", "'1 bit/s' is 0.125 bytes/s; expected a whole number, such as 0 or 1"),
        (
            parse_hertz,
            "500 mhz",
            (
                "'500 mhz' has the unit 'mhz'; expected a plain number of Hz, or a number with Hz, kHz, MHz,"
                " GHz, THz, such as '500 MHz'; did you mean 'MHz'?"
            ),
        ),
        (parse_hertz, -1, "-1 is negative; expected a frequency of 0 or more"),
        (parse_nanoseconds, "-5 ns", "'-5 ns' is negative; expected a time of 0 or more"),
        (
            parse_picojoules,
            "a lot",
            (
                "'a lot' is not an energy; expected a plain number of pJ, or a number with J, mJ, uJ, nJ, pJ,"
                " fJ, such as '3.2 pJ'"
            ),
        ),
    ],
)
def test_refusals_say_what_came_and_what_is_accepted(
    parse: Callable[[object], object], value: object, message: str
) -> None:
    with pytest.raises(QuantityError) as caught:
        parse(value)
    assert str(caught.value) == message
    assert caught.value.data["value"] == value
    assert caught.value.data["accepted"]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "B",
        "KiB 64",
        "1 2",
        "1,5",
        "0x10",
        "1e9999",
        "1e999999999",
        "nan",
        "inf",
        math.nan,
        math.inf,
        -math.inf,
        "--1",
        "1..2",
        "_1",
        "½",
        "１",
        "1 KiB\x00",
        "9" * 65,
        True,
        False,
        None,
        [],
        {},
        b"64",
        1j,
        "-1",
        -0.5,
        "64 parsec",
    ],
)
def test_everything_else_is_refused_in_one_short_line(parse: Callable[[object], object], value: object) -> None:
    with pytest.raises(QuantityError) as caught:
        parse(value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_quantity_error_is_ours_and_a_value_error() -> None:
    assert issubclass(QuantityError, AccelsimError)
    assert issubclass(QuantityError, ValueError)


@given(st.text(max_size=80) | st.floats() | st.integers())
def test_parsing_gives_a_value_or_a_quantity_error(value: object) -> None:
    for parse in PARSERS:
        try:
            result = parse(value)
        except QuantityError:
            continue
        assert result >= 0


@given(st.integers(0, 10**6), st.sampled_from(sorted(units.BYTES.units)))
def test_bytes_are_exact(count: int, unit: str) -> None:
    assert parse_bytes(f"{count} {unit}") == count * units.BYTES.units[unit]


@given(st.integers(0, 2**60), st.sampled_from([units.BYTES, units.HERTZ, units.BANDWIDTH]))
def test_exact_text_reads_back(value: int, quantity: units.Quantity) -> None:
    parse = {"size": parse_bytes, "frequency": parse_hertz, "bandwidth": parse_bandwidth}[quantity.name]
    assert parse(units.exact_text(value, quantity)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [(65_536, "64 KiB"), (64_000, "64 kB"), (1_000_001, 1_000_001), (0, 0), (2**40, "1 TiB"), (7, 7)],
)
def test_exact_text_takes_the_largest_unit_that_divides(value: int, expected: str | int) -> None:
    assert units.exact_text(value, units.BYTES) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_hertz(500_000_000), "500 MHz"),
        (format_hertz(1_250_000_000), "1.25 GHz"),
        (format_hertz(0), "0 Hz"),
        (format_hertz(999.6), "1 kHz"),
        (format_hertz(5 * 10**15), "5,000 THz"),
        (format_hertz(math.inf), "inf Hz"),
    ],
)
def test_three_digits_for_people(text: str, expected: str) -> None:
    assert text == expected


@given(st.integers(1, 10**12))
def test_formatted_hertz_read_back_within_half_a_percent(hz: int) -> None:
    assert float(format_hertz(hz).split()[0]) < 1000
    assert parse_hertz(format_hertz(hz)) == pytest.approx(hz, rel=0.005)


@pytest.mark.parametrize(
    "value", [10**400, -(10**400), 10**5000, "1e400 ns", "1e400"], ids=["400", "-400", "5000", "e400 ns", "e400"]
)
def test_numbers_that_no_float_holds_are_refused(value: object) -> None:
    with pytest.raises(QuantityError, match="out of range|negative"):
        parse_nanoseconds(value)
