"""A new dataflow is proved by its contract; that it answers every question is checked where it is declared (arch/dataflows.py)."""

from __future__ import annotations

import pytest

from accelsim.arch import DATAFLOWS
from accelsim.testing import DataflowContract
from tests.contracts import test_dataflows as contracts

every_dataflow = pytest.mark.parametrize("dataflow", DATAFLOWS)


@every_dataflow
def test_it_keeps_the_contract(dataflow: str) -> None:
    proved = {
        kind.dataflow
        for kind in vars(contracts).values()
        if isinstance(kind, type) and issubclass(kind, DataflowContract) and kind.__name__.startswith("Test")
    }
    assert dataflow in proved, f"{dataflow}: add a class to tests/contracts/test_dataflows.py, and its AXES"
