"""Every packaged energy table keeps the contract of energy tables."""

from __future__ import annotations

import pytest

from accelsim.energy import EnergyTable, load_table, table_names
from accelsim.testing import EnergyTableContract

TABLES = [name for name in table_names() if name != "dram_standards"]


class TestPackagedTables(EnergyTableContract):
    seeds = range(5)

    @pytest.fixture(params=TABLES, autouse=True)
    def _table(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param

    def table(self) -> EnergyTable:
        return load_table(self.name)
