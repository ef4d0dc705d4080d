"""Pools that ONNX Runtime computes in float32 are exact, or named as an approximation, off by one code at most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.importers import load_graph
from tests.importers.onnx.building import Building, differing
from tests.importers.onnx.runtime import save


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int16"])
@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("op", ["AveragePool", "GlobalAveragePool"])
def test_pools_are_exact_or_named(op: str, rectified: bool, kind: str, tmp_path: Path) -> None:
    for seed in range(8):
        b = Building(np.random.default_rng(seed), kind)
        k, s = (int(b.rng.integers(1, high)) for high in (5, 4))
        given = (
            {"kernel_shape": [k, k], "strides": [s, s], "count_include_pad": seed % 2} if op == "AveragePool" else {}
        )
        y = b.node(op, b.real(2, 3, 9, 8), **given)
        b.requantized(b.node("Relu", y) if rectified else y)
        named = bool(load_graph(save(b.model(), tmp_path)).approximations)
        assert named == (rectified or "16" in kind)
        wrong, worst = differing(b.model(), tmp_path)
        assert worst <= named
        assert wrong <= named * 0.02 * 3 * 2 * 3 * 81
