"""Random QONNX networks against qonnx, and their thresholds against the float32 chain at every sum that occurs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from accelsim.graph import Graph, MacLayer
from accelsim.importers import load_graph
from accelsim.numerics import Thresholds, requantize
from tests.importers.onnx.runtime import run_graph, save
from tests.importers.qonnx.float_chain import FloatChain
from tests.importers.qonnx.oracle import Job, all_differences, needs_qonnx
from tests.importers.qonnx.random_networks import Case, random_case
from tests.kernels.layers import sums_by_definition

NETWORKS = 64
BATCH = 32


def loaded(case: Case, folder: Path) -> Job:
    path = save(case.model, folder, f"net{case.seed}")
    return Job(path, load_graph(path), {"x": case.images})


@pytest.mark.parametrize("first", range(0, NETWORKS, BATCH))
@pytest.mark.parametrize("exact", [True, False], ids=["powers of two", "float scales"])
@needs_qonnx[0]
@needs_qonnx[1]
def test_no_element_differs_from_qonnx(exact: bool, first: int, tmp_path: Path) -> None:
    jobs = [loaded(random_case(seed, exact=exact), tmp_path) for seed in range(first, first + BATCH)]
    results = all_differences(jobs)
    assert [(job.path.name, wrong) for job, (wrong, _) in zip(jobs, results, strict=True) if wrong] == []
    assert min(compared for _, compared in results) >= 3
    assert sum(compared for _, compared in results) > 15_000


def test_the_draw_covers_what_it_should(tmp_path: Path) -> None:
    """Every rounding mode, both signs, narrow and whole ranges, channels whose codes fall, stand still and rise."""
    modes, widths, flags, steps, flat = set(), set(), set(), set(), 0
    for seed in range(NETWORKS):
        case = random_case(seed, exact=True)
        constants = {c.name: numpy_helper.to_array(c) for c in case.model.graph.initializer}
        for node in case.model.graph.node:
            if node.op_type == "Quant":
                own = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
                modes.add(own["rounding_mode"])
                flags.add((own["signed"], own["narrow"]))
                widths.add(int(constants[node.input[3]]))
        for layer in macs(loaded(case, tmp_path).graph):
            assert isinstance(layer.requant, Thresholds)
            steps.update(layer.requant.step.tolist())
            flat += int((layer.requant.levels == np.iinfo(np.int64).max).all(axis=1).sum())
    assert (len(modes), widths, flags, steps) == (8, set(range(1, 9)), {(0, 0), (0, 1), (1, 0), (1, 1)}, {-1, 1})
    assert flat > 10


def macs(graph: Graph) -> list[MacLayer]:
    return [layer for layer in graph.layers if isinstance(layer, MacLayer)]


def occurring(job: Job, layer: MacLayer) -> NDArray[np.int64]:
    """Sums of every image, channels last."""
    source = job.graph.tensors[layer.inputs[0]]
    made = []
    for image in job.feeds["x"]:
        codes = source.from_host(run_graph(job.graph, {"x": image})[source.name])
        made.append(sums_by_definition(layer, codes.reshape(layer.geometry.input_shape)))
    return np.concatenate(made).astype(np.int64).reshape(-1, layer.geometry.oc)


def misjudged(case: Case, folder: Path) -> tuple[int, int]:
    """Differing codes, and sums compared: all that occur, and as many as 4096 of those between them."""
    job = loaded(case, folder)
    nodes = [node for node in case.model.graph.node if node.op_type in ("Conv", "Gemm")]
    wrong = compared = 0
    for node, layer in zip(nodes, macs(job.graph), strict=True):
        sums = occurring(job, layer)
        between = np.unique(np.linspace(sums.min(), sums.max(), 4096).astype(np.int64))
        both = np.concatenate([sums, np.broadcast_to(between[:, None], (len(between), sums.shape[1]))])
        scale = job.graph.tensors[layer.inputs[0]].scale
        assert scale is not None
        theirs = FloatChain(case.model, node, scale).codes(both.T)
        wrong += int((requantize(np.ascontiguousarray(both), layer.requant) != theirs.T).sum())
        compared += both.size
    return wrong, compared


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), exact=st.booleans())
def test_thresholds_are_the_float_chain_at_every_sum(
    seed: int, exact: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wrong, compared = misjudged(random_case(seed, exact=exact), tmp_path_factory.mktemp("nets"))
    assert wrong == 0
    assert compared > 100
