"""Output paths of ITA, CFU Playground and NVDLA by their YAML in docs/requantizer.md, against readings of those machines in plain Python.

The readings share nothing with the package: integers of any size, their own rounding and saturation, written from the machines' sources.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from accelsim.numerics import Requant, StagedScheme, requantize, requantize_int, stage_list, staged_scheme
from accelsim.quant import requant_from_scales

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "requantizer.md").read_text(encoding="utf-8")
CODES = {"zero_point": 0, "clamp_min": -128, "clamp_max": 127}


def sections(title: str) -> dict[str, dict[str, object]]:
    """The YAML below a heading of the page."""
    text = re.search(rf"^### {re.escape(title)}\n.*?```yaml\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    assert text is not None
    found: dict[str, dict[str, object]] = YAML(typ="safe").load(text[1])
    return found


def scheme(title: str) -> StagedScheme:
    found = sections(title)
    bits = found["accumulator"]["bits"]
    assert isinstance(bits, int)
    return staged_scheme(stage_list(found["requantizer"]["stages"]), bits)


ITA, CFU, NVDLA = scheme("ITA"), scheme("CFU Playground, hps_accel"), scheme("NVDLA nv_small")


def bounded(x: int, bits: int) -> int:
    edge = 2 ** (bits - 1)
    return -edge if x < -edge else edge - 1 if x > edge - 1 else x


def away(x: int, places: int) -> int:
    """``x / 2**places``, ties away from zero, by magnitude and sign."""
    size = (abs(x) + (2**places) // 2) // 2**places
    return -size if x < 0 else size


def ita(acc: int, m: int, s: int, offset: int) -> int:
    """``product >>> s``, plus the bit below it, plus the offset (ita_requantizer.sv)."""
    product = acc * m
    kept = product // 2**s
    kept += (product // 2 ** (s - 1)) % 2 if s > 0 else 0
    return bounded(kept + offset, 8)


def cfu(acc: int, bias: int, m: int, s: int, offset: int) -> int:
    """Magnitudes are multiplied, the nudge is one less below zero; then a shift with gemmlowp's threshold (post_process.py)."""
    a = (acc + bias + 2**31) % 2**32 - 2**31
    nudged = (abs(a) * m + (2**30 if a >= 0 else 2**30 - 1)) // 2**31
    high = nudged if a >= 0 else -nudged
    mask = 2**s - 1
    quotient, remainder, threshold = high // 2**s, high % 2**s, mask // 2 + (1 if high < 0 else 0)
    return bounded(quotient + (1 if remainder > threshold else 0) + offset, 8)


def nvdla(acc: int, bias: int, m: int, s: int, offset: int) -> int:
    """CACC's clip, the first processing stage, the converter with scale 1 and no shift (sdp_c.cpp)."""
    clipped = bounded(away(acc, 0), 32)
    biased = clipped + bias
    scaled = bounded(away(biased * m, s), 32)
    converted = away((scaled - offset) * 1, 0)
    return bounded(bounded(converted, 17), 8)


def sums(rng: np.random.Generator, bits: int, centre: int, unit: int) -> list[int]:
    """Edges, all magnitudes, and sums at and beside ties near where codes lie."""
    edge = 2 ** (bits - 1)
    edges = [-edge, -edge + 1, -1, 0, 1, edge - 2, edge - 1]
    wide = [int(rng.integers(-(2 ** int(k)), 2 ** int(k))) for k in rng.integers(1, bits, 60)]
    near = [centre + int(k) * max(unit, 1) // 2 + int(d) for k in rng.integers(-300, 300, 60) for d in (-1, 0, 1)]
    return [min(max(x, -edge), edge - 1) for x in (*edges, *wide, *near)]


def record(rule: StagedScheme, m: int, s: int, zero: int, bias: int = 0) -> Requant:
    columns = np.array([[m, bias, zero, 0]], dtype=np.int64)
    return Requant(rule.name, columns, np.array([s], np.int32), zero, -128, 127)


def same(requant: Requant, values: list[int], expected: list[int]) -> None:
    assert [requantize_int(x, requant) for x in values] == expected
    np.testing.assert_array_equal(requantize(np.array(values, dtype=np.int64), requant), expected)


@pytest.mark.parametrize("seed", range(40))
def test_ita(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, s, zero = int(rng.integers(0, 256)), int(rng.integers(0, 35)), int(rng.integers(-128, 128))
    values = sums(rng, 26, 0, 2**s // max(m, 1))
    same(record(ITA, m, s, zero), values, [ita(x, m, s, zero) for x in values])


@pytest.mark.parametrize("seed", range(40))
def test_cfu(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, s = int(rng.integers(2**30, 2**31)), int(rng.integers(3, 12))
    bias, zero = int(rng.integers(-(2**17), 2**17)), int(rng.integers(-128, 128))
    values = sums(rng, 32, -bias, 2 ** (31 + s) // m)
    same(record(CFU, m, s, zero, bias), values, [cfu(x, bias, m, s, zero) for x in values])


@pytest.mark.parametrize("seed", range(40))
def test_nvdla(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, s = int(rng.integers(-(2**15), 2**15)), int(rng.integers(0, 64))
    bias = int(rng.integers(-(2**15), 2**15)) << int(rng.integers(0, 17))
    zero = int(rng.integers(-128, 128))
    values = sums(rng, 34, -bias, 2**s // max(abs(m), 1))
    same(record(NVDLA, m, s, zero, bias), values, [nvdla(x, bias, m, s, -zero) for x in values])


@pytest.mark.parametrize("rule", [ITA, CFU, NVDLA], ids=["ita", "cfu", "nvdla"])
def test_parameters_come_from_scales(rule: StagedScheme) -> None:
    """The encoded factor is the nearest that the multiplier's width has, to half a unit of its last place."""
    for ratio in np.random.default_rng(3).uniform(2**-10, 2**-3, 50):
        made = requant_from_scales(rule.name, s_in=1, s_w=ratio, s_out=1, **CODES)
        (real,) = rule.reals(made.multiplier, made.shift)
        assert abs(float(real) / float(np.float32(ratio)) - 1) <= 2.0**-rule.significand_bits


def test_numbers_of_the_readings_by_hand() -> None:
    """Ties above and below zero: ITA's go up, those of the others away from zero, or twice."""
    assert [ita(x, 1, 1, 0) for x in (3, -3, 1, -1)] == [2, -1, 1, 0]
    assert [away(x, 1) for x in (3, -3, 1, -1)] == [2, -2, 1, -1]
    assert [cfu(x, 0, 2**30, 3, 0) for x in (8, -8, 7, -9)] == [1, -1, 1, -1]
    assert nvdla(2**33 - 1, 0, 1, 31, 0) == 1
