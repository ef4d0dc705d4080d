"""A new dataflow answers every question, or a test here names the table that lacks it."""

from __future__ import annotations

from typing import get_args

import pytest

from accelsim.arch import fields
from accelsim.energy import STATIONARY
from accelsim.hardware import DATAFLOWS
from accelsim.testing import DataflowContract
from tests.contracts import test_dataflows as contracts

every_dataflow = pytest.mark.parametrize("dataflow", DATAFLOWS)


def test_machines_may_name_just_these() -> None:
    assert set(get_args(fields.Dataflow)) == set(DATAFLOWS), (
        "accelsim/arch/fields.py and accelsim/hardware/array.py differ"
    )


@every_dataflow
def test_energy_knows_what_stays_in_the_array(dataflow: str) -> None:
    assert dataflow in STATIONARY, (
        f"{dataflow}: accelsim/energy/counts.py, STATIONARY, does not say which operand stays"
    )


@every_dataflow
def test_it_keeps_the_contract(dataflow: str) -> None:
    proved = {
        kind.dataflow
        for kind in vars(contracts).values()
        if isinstance(kind, type) and issubclass(kind, DataflowContract) and kind.__name__.startswith("Test")
    }
    assert dataflow in proved, f"{dataflow}: add a class to tests/contracts/test_dataflows.py, and its AXES"
