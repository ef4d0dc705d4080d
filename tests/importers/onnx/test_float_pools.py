"""Pools that ONNX Runtime computes in float32 are exact; those of early operator sets are named as an approximation."""

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
def test_pools_are_exact(op: str, rectified: bool, kind: str, tmp_path: Path) -> None:
    for seed in range(8):
        b = Building(np.random.default_rng(seed), kind)
        k, s = (int(b.rng.integers(1, high)) for high in (5, 4))
        given = (
            {"kernel_shape": [k, k], "strides": [s, s], "count_include_pad": seed % 2} if op == "AveragePool" else {}
        )
        y = b.node(op, b.real(2, 3, 9, 8), **given)
        b.requantized(b.node("Relu", y) if rectified else y)
        assert not load_graph(save(b.model(), tmp_path)).approximations
        assert differing(b.model(), tmp_path) == (0, 0)


def test_early_pools_are_named(tmp_path: Path) -> None:
    """Below opset 19 ONNX Runtime sums a window column by column, wherever its vectors fit."""
    b = Building(np.random.default_rng(0), "uint8")
    b.requantized(b.node("Relu", b.node("AveragePool", b.real(2, 3, 9, 8), kernel_shape=[3, 3])))
    model = b.model()
    model.opset_import[0].version = 18
    (texts,) = load_graph(save(model, tmp_path)).approximations.values()
    assert "rectifier cuts off codes" in texts[0]
