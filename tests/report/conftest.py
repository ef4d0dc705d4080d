from __future__ import annotations

import pytest

from accelsim.arch import load_arch
from accelsim.result import Result
from accelsim.simulation import Simulation, run

from .networks import separable_network


@pytest.fixture(scope="session")
def small() -> Simulation:
    """Six layers; one renames memory, one runs on the vector unit."""
    return run(separable_network(1), arch="edge_16x16")


@pytest.fixture(scope="session")
def keeping() -> Simulation:
    """The same on a machine that keeps tensors on chip."""
    arch = load_arch("edge_16x16").with_({"activation_buffer.resident_bytes": "16 KiB"})
    return run(separable_network(1), arch=arch)


@pytest.fixture(scope="session")
def deep() -> Simulation:
    """Sixty layers with names as long as a converter's."""
    return run(separable_network(28, size=24, prefix="model/very/long/scope/of/block/"), arch="edge_16x16")


@pytest.fixture
def result(small: Simulation) -> Result:
    return small.result
