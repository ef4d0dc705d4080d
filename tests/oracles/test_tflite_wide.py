"""One operator over the whole range of its parameters, against four runtimes: exact, or refused by name."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from accelsim.errors import ModelError
from accelsim.importers import load_graph
from tests.oracles.runtimes import RUNTIMES, as_file, differences
from tests.oracles.wide_op import CASES

pytestmark = pytest.mark.oracle
SEEDS = 12


@pytest.mark.parametrize("arithmetic", list(RUNTIMES))
@pytest.mark.parametrize("kind", ["INT8", "INT16"])
@pytest.mark.parametrize("name", list(CASES))
def test_whatever_is_accepted_is_exact(name: str, kind: str, arithmetic: str) -> None:
    compared = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        case = CASES[name](rng, kind)
        with as_file(case.blob) as path:
            try:
                load_graph(path, arithmetic=arithmetic)
            except ModelError:
                continue
            try:
                found = differences(path, arithmetic, list(case.feeds(rng)))
            except (RuntimeError, ValueError):  # the runtime refuses it
                continue
        assert set(found.values()) == {0}, f"{name} {kind} seed {seed}: {found}"
        compared += 1
    assert compared
