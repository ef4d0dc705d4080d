"""Networks as Brevitas exports them, against qonnx, end to end and tensor by tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.importers import load_graph
from tests.importers.qonnx.oracle import differences, needs_qonnx, script

pytestmark = needs_qonnx


def images(count: int) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(count, 1, 3, 16, 16)).astype(np.float32)


@pytest.mark.parametrize(("bits", "pow2"), [(2, 1), (4, 1), (8, 1), (4, 0)])
def test_no_element_differs(bits: int, pow2: int, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    script("export_brevitas.py", path, bits, pow2)
    graph = load_graph(path)
    name = graph.inputs[0].host_name
    wrong, compared = differences(path, graph, {name: images(8)})
    assert (wrong, compared > 20_000, not graph.approximations) == ({}, True, True), (wrong, compared)
