"""Weights quantized in blocks (opset 21), against the onnx reference evaluator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from accelsim.errors import ModelError
from accelsim.graph import MacLayer
from accelsim.importers import load_graph
from tests.importers.onnx.runtime import run_graph, save

DEPTH, UNITS = 12, 5


def model(
    scales: np.ndarray, zeros: np.ndarray | None, *, block: int, transposed: bool, kind: str = "INT4"
) -> onnx.ModelProto:
    """DequantizeLinear in blocks -> Gemm -> QuantizeLinear; weights (K, N), or (N, K) where ``transposed``."""
    shape, axis = ((UNITS, DEPTH), 1) if transposed else ((DEPTH, UNITS), 0)
    low = 0 if kind.startswith("U") else -8
    codes = np.random.default_rng(1).integers(low, low + 16, shape)
    constants = [
        helper.make_tensor("w", getattr(TensorProto, kind), shape, codes.ravel().tolist()),
        numpy_helper.from_array(scales.astype(np.float32), "ws"),
        *(helper.make_tensor(n, TensorProto.FLOAT, (), [v]) for n, v in (("xs", 2.0**-5), ("ys", 2.0**-3))),
        helper.make_tensor("xz", TensorProto.UINT8, (), [113]),
        helper.make_tensor("yz", TensorProto.UINT8, (), [131]),
    ]
    names = ["w", "ws"]
    if zeros is not None:
        constants.append(helper.make_tensor("wz", getattr(TensorProto, kind), zeros.shape, zeros.ravel().tolist()))
        names.append("wz")
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["xf"]),
        helper.make_node("DequantizeLinear", names, ["wf"], axis=axis, block_size=block),
        helper.make_node("Gemm", ["xf", "wf"], ["yf"], transB=int(transposed)),
        helper.make_node("QuantizeLinear", ["yf", "ys", "yz"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(n, TensorProto.UINT8, s) for n, s in (("x", (6, DEPTH)), ("y", (6, UNITS)))]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 4, 5, 12]), st.booleans(), st.sampled_from(["INT4", "UINT4"]))
def test_powers_of_two_are_exact(
    tmp_path_factory: pytest.TempPathFactory, seed: int, block: int, transposed: bool, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    blocks = -(-DEPTH // block)
    shape = (UNITS, blocks) if transposed else (blocks, UNITS)
    scales = 2.0 ** rng.integers(-8, -3, shape)
    low = 0 if kind.startswith("U") else -8
    zeros = rng.integers(low, low + 16, shape) if rng.integers(2) else None
    made = model(scales, zeros, block=block, transposed=transposed, kind=kind)
    x = rng.integers(0, 256, (6, DEPTH)).astype(np.uint8)
    graph = load_graph(save(made, tmp_path_factory.mktemp("blocked")))
    (theirs,) = ReferenceEvaluator(made).run(None, {"x": x})
    np.testing.assert_array_equal(run_graph(graph, {"x": x})["y"], theirs)


def test_one_scale_per_channel_keeps_the_width(tmp_path: Path) -> None:
    """Blocks that differ from channel to channel only are an ordinary per-channel quantization of 4 bits."""
    scales = np.broadcast_to(np.array([0.3, 0.11, 0.7, 0.9, 0.013]), (3, UNITS))
    graph = load_graph(save(model(scales, None, block=4, transposed=False), tmp_path))
    (layer,) = graph.layers
    assert isinstance(layer, MacLayer)
    assert layer.weight_format.bits == 4
    assert len(layer.requant.multiplier) == UNITS


REFUSED = {
    "differ by no powers of two": {"scales": np.full((3, UNITS), 0.1) * np.array([[1], [3], [1]])},
    r"input 1 has shape \[2, 5\]; accepted: shape \[3, 5\]": {"scales": np.full((2, UNITS), 0.5)},
    "more than 16 bits": {"scales": 2.0 ** np.array([[0], [14], [0]]) * np.ones((3, UNITS))},
}


@pytest.mark.parametrize("said", REFUSED)
def test_other_blocks_are_refused(said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said):
        load_graph(save(model(**REFUSED[said], zeros=None, block=4, transposed=False), tmp_path))


def test_activations_in_blocks_are_refused(tmp_path: Path) -> None:
    made = model(np.full((3, UNITS), 0.5), None, block=4, transposed=False)
    made.graph.node[0].attribute.append(helper.make_attribute("block_size", 4))
    with pytest.raises(ModelError, match="dequantizes activations in blocks"):
        load_graph(save(made, tmp_path))
