"""Pools that ONNX Runtime computes in float32 are exact, or named as an approximation, off by one code at most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.graph import AveragePool2D, Mean
from accelsim.importers import load_graph
from tests.importers.onnx.building import Building, differing
from tests.importers.onnx.models import Act, Net
from tests.importers.onnx.runtime import differences, save


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


@pytest.mark.parametrize("qdq", [False, True])
@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("pot", [False, True])
@pytest.mark.parametrize("pads", [None, [0, 0, 0, 0], [0, 0, 1, 1]])
def test_a_window_that_is_the_image_rounds_as_a_global_pool(
    pads: list[int] | None, pot: bool, kind: str, qdq: bool, tmp_path: Path
) -> None:
    """ONNX Runtime takes another kernel for it, which adds the zero point behind the rounding; not where there is padding."""
    for seed in range(12):
        net = Net(np.random.default_rng(seed), kind=kind, qdq=qdq, pot=pot)
        h, w = (int(i) for i in net.rng.integers(2, 7, 2))
        x, y = net.input((2, 5, h, w)), Act("t0", (2, 5, 1, 1), net.scale(-5, 0), net.zero())
        net.made[y.name] = y.shape
        net._pool("AveragePool", x, y, kernel_shape=[h, w], strides=[2, 2], **({} if pads is None else {"pads": pads}))
        wrong, compared = differences(net.model(), net.random_feeds(), tmp_path, int8=kind == "int8")
        (layer,) = load_graph(save(net.model(), tmp_path), arithmetic="onnxruntime").layers
        assert isinstance(layer, AveragePool2D if pads and any(pads) else Mean)
        assert (wrong, compared) == ({}, 10)
