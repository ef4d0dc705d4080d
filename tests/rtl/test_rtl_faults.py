"""Faults in exported RTL: each edit applies, and of some the command names layer and kind; benchmarks/rtl_faults.py plays all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.rtl.fault_runs import exports, sources, verdict
from tests.rtl.faults import FAULTS, MACHINES, Fault, changed

PLAYED = ("the shift truncates", "padding is what stands there", "weights are read backwards")


@pytest.mark.parametrize("name", MACHINES)
def test_every_fault_is_an_edit_of_an_exported_source(name: str, tmp_path: Path) -> None:
    files = sources(exports(name, tmp_path)[0])
    faults = [fault for fault in FAULTS if fault.machine == name]
    for fault in faults:
        ((path, text),) = changed(fault, files).items()
        assert text != files[path]
    with pytest.raises(AssertionError, match="has no 'no such text'"):
        changed(Fault("none", "skew", "no such text", "", "", ()), files)


def test_faults_are_of_many_parts() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 20
    assert len({fault.file for fault in FAULTS}) >= 10
    assert len({kind for fault in FAULTS for kind in fault.kinds}) >= 15


@pytest.mark.oracle
@pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("verilator", "make", "g++")),
    reason="verilator, make and g++ simulate the RTL",
)
def test_faults_in_exported_rtl_are_named(tmp_path: Path) -> None:
    """Of the layer, and the kind."""
    for fault in FAULTS:
        if fault.name in PLAYED:
            found = verdict(fault, tmp_path)
            assert found.named, found
            assert not found.bench.endswith(": 0 differences")
