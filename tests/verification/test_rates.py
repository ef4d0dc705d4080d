"""The measured laws of arithmetic.md, 4.6, over 2^20 codes each: what a rule moves is what the report says it moves."""

from __future__ import annotations

from typing import Any

import pytest
from numpy.typing import NDArray

from accelsim.arch import load_arch
from accelsim.graph import Graph
from accelsim.verification import VerificationReport, names, verify
from tests.verification.networks import CODES, uniform_dense, wide_dense


def report_of(graph: Graph, x: NDArray[Any]) -> VerificationReport:
    arch = load_arch("edge_16x16").with_({"arithmetic": graph.arithmetic})
    report = verify(graph, arch=arch, inputs=x)
    assert report.elements == CODES
    assert sum(report.causes().values()) == report.differing
    return report


@pytest.mark.parametrize("right_shift", [4, 5, 6, 7, 8])
def test_double_rounding_moves_two_to_the_minus_rs_plus_1(right_shift: int) -> None:
    """Within 5 % relative; with 2^-(rs+1) of 10^6 codes the standard error is 2.2 % at most."""
    report = report_of(*wide_dense("tflite_double", right_shift, seed=right_shift))
    (layer,) = report.layers
    (cause,) = [c for c in layer.causes if c.step == names.ROUNDING]
    law = 2.0 ** -(right_shift + 1)
    assert cause.expected == law
    assert cause.free > 900_000
    assert cause.seen == pytest.approx(law, rel=0.05)
    assert "double rounding (expected rate" in str(cause)
    assert layer.forced.max_lsb == 1


def test_single_rounding_with_32_bits_moves_nothing() -> None:
    report = report_of(*wide_dense("single", 8, seed=1))
    assert report.causes().get(names.ROUNDING, 0) == 0
    assert report.differing <= 27  # float32 accumulation: at most 27 in 10^6 (arithmetic.md, 4.5)


@pytest.mark.parametrize("seed", range(3))
def test_multiplier_of_8_bits_moves_15_to_19_percent(seed: int) -> None:
    """Over random scales and codes spread evenly (arithmetic.md, 4.6)."""
    report = report_of(*uniform_dense("single_8", seed))
    (cause,) = [c for c in report.layers[0].causes if c.step == names.WIDTH]
    assert "8 bits" in cause.text
    assert 0.15 <= cause.seen <= 0.19
    assert cause.count > 0.98 * report.differing


def test_truncation_moves_half_of_the_codes() -> None:
    report = report_of(*wide_dense("ethosu_truncate", 7, seed=5))
    (cause,) = [c for c in report.layers[0].causes if c.step == names.TRUNCATION]
    assert cause.expected == 0.5
    assert cause.seen == pytest.approx(0.5, rel=0.05)
