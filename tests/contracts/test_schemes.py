"""Every requantization scheme keeps the contract of schemes."""

from __future__ import annotations

import pytest

from accelsim.numerics import SCHEMES
from accelsim.testing import SchemeContract


class TestSchemes(SchemeContract):
    @pytest.fixture(params=SCHEMES, autouse=True)
    def _scheme(self, request: pytest.FixtureRequest) -> None:
        self.scheme, self.wraps = request.param, request.param == "vta_shift"
