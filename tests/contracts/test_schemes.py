"""Every requantization scheme keeps the contract of schemes."""

from __future__ import annotations

import pytest

from accelsim.numerics import SCHEMES
from accelsim.testing import SchemeContract

TFLITE = (
    "stages of 32 bits: left left_shift max=30; wrap 32; multiply multiplier bits=32; shift 31 rounding=half_up; saturate 32; "
    "shift right_shift rounding=half_away max=31; add zero_point bits=32"
)
UNITS = (
    "stages of 26 bits: multiply multiplier bits=8 signed=false; shift shift rounding=half_up max=63; add zero_point bits=8; saturate 16",
    "stages of 34 bits: saturate 32; multiply multiplier bits=16; shift shift rounding=half_away max=63; add zero_point bits=8",
    TFLITE,
)
"""Output stages of ITA, NVDLA and TFLite, with room for 16-bit codes."""


class TestSchemes(SchemeContract):
    @pytest.fixture(params=[*SCHEMES, *UNITS], autouse=True)
    def _scheme(self, request: pytest.FixtureRequest) -> None:
        self.scheme, self.wraps = request.param, request.param == "vta_shift"
