"""Functions of MLAS against ONNX Runtime, bit by bit, and a fused multiply-add against rational numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from accelsim.numerics import fused, mlas_erf, mlas_gelu, mlas_logistic, mlas_tanh

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "Sigmoid": mlas_logistic,
    "Tanh": mlas_tanh,
    "Erf": mlas_erf,
    "Gelu": mlas_gelu,
}


def runtimes(op: str, x: np.ndarray) -> np.ndarray:
    import onnxruntime

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "g", ports[:1], ports[1:])
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x})
    return y


@pytest.mark.oracle
@pytest.mark.parametrize("op", FUNCTIONS)
@pytest.mark.parametrize("spread", [0.1, 1, 6, 30])
def test_every_bit_is_onnxruntimes(op: str, spread: float) -> None:
    """Edges too: where results saturate, and where one polynomial follows another."""
    x = np.random.default_rng(7).normal(0, spread, 200_001).astype(np.float32)
    edges = np.float32(
        [0, -0.0, 18, -18, 17.9, 9, -9, 3.925, 0.921875, np.nextafter(np.float32(0.921875), np.float32(1)), 1e-30, 88]
    )
    x[: len(edges)] = edges
    assert np.array_equal(FUNCTIONS[op](x).view(np.uint32), runtimes(op, x).view(np.uint32))


def nearest(value: Fraction) -> np.float32:
    """The float32 number nearest to ``value``, ties to the even one."""
    near = np.float32(float(value))
    around = [np.nextafter(near, np.float32(side)) for side in (-np.inf, np.inf)]
    return min([near, *around], key=lambda x: (abs(Fraction(float(x)) - value), int(np.float32(x).view(np.uint32)) & 1))


def test_a_fused_sum_rounds_once() -> None:
    """Ties of the second rounding among them: products a hair above or below the middle of two numbers."""
    rng = np.random.default_rng(2)
    a, b, c = (rng.normal(0, 1, 400).astype(np.float32) for _ in range(3))
    a[:200] = 1 + 2.0**-23 * rng.integers(0, 9, 200)
    b[:200] = np.float32(2.0**-24) * (1 + 2.0**-23 * rng.integers(-9, 9, 200))
    c[:200] = 1 + 2.0**-23 * rng.integers(0, 9, 200)
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c, strict=True)]
    assert fused(a, b, c).tolist() == [nearest(value) for value in exact]
    twice = (a.astype(np.float64) * b + c).astype(np.float32)
    assert (twice != fused(a, b, c)).any()
    assert fused(np.float32(3), np.float32(2), np.float32(-6)) == 0
