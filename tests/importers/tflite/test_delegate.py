"""Which nodes XNNPACK's delegate takes: the rules against the live delegate, at and around every limit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.importers.tflite import delegate
from tests.importers.flat import Op, T, tflite_bytes
from tests.oracles.runtimes import as_file

pytestmark = pytest.mark.oracle
EXPONENTS = range(-19, 12)
FLOAT = np.float32


def is_taken(blob: bytes) -> bool:
    """Whether LiteRT hands the model's only operator to its delegate."""
    module = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
    with as_file(blob) as path:
        return delegated(module, path)


def delegated(module: Any, path: Path) -> bool:
    interpreter = module.Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    return any(operator["op_name"] == "DELEGATE" for operator in interpreter._get_ops_details())


def ratios() -> Iterator[float]:
    """Powers of two, and the numbers beside them."""
    for exponent in EXPONENTS:
        power = FLOAT(2.0**exponent)
        yield from (float(np.nextafter(power, FLOAT(0))), float(power), float(np.nextafter(power, FLOAT(1e9))))


def binary(op: str, left: float, right: float, out: float) -> bytes:
    scales = {"a": left, "b": right, "y": out}
    tensors = [T(name, (2, 5), scale=scale, zero=3) for name, scale in scales.items()]
    return tflite_bytes(tensors, [Op(op, ["a", "b"], ["y"])], ["a", "b"], ["y"])


def unary(op: str, source: float, out: float, **options: Any) -> bytes:
    tensors = [T("x", (2, 5), scale=source, zero=3), T("y", (2, 5), scale=out, zero=-4)]
    return tflite_bytes(tensors, [Op(op, ["x"], ["y"], options)], ["x"], ["y"])


@pytest.mark.parametrize("op", ["ADD", "SUB"])
@pytest.mark.parametrize("other", [1.0, 2.0**-10, 2.0**-11])
def test_sums(op: str, other: float) -> None:
    told = {r: (delegate.takes_sum(r, other, 1.0), is_taken(binary(op, r, other, 1.0))) for r in ratios()}
    assert not [r for r, (ours, theirs) in told.items() if ours != theirs]
    assert len({ours for ours, _ in told.values()}) == (1 if other == 2.0**-11 else 2)


def test_products() -> None:
    told = {r: (delegate.takes_product(r, 1.0, 1.0), is_taken(binary("MUL", r, 1.0, 1.0))) for r in ratios()}
    assert not [r for r, (ours, theirs) in told.items() if ours != theirs]
    assert len({ours for ours, _ in told.values()}) == 2


def test_conversions() -> None:
    told = {r: (delegate.takes_conversion(r, 1.0), is_taken(unary("QUANTIZE", r, 1.0))) for r in ratios()}
    assert not [r for r, (ours, theirs) in told.items() if ours != theirs]
    assert len({ours for ours, _ in told.values()}) == 2


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("ratio", [1.0, 2.0**-8, 2.0**7, 0.3])
def test_leaky_rectifiers(ratio: float, sign: int) -> None:
    alphas = [0.0, *(sign * r for r in ratios())]
    told = {
        a: (delegate.takes_leaky_relu(ratio, 1.0, a), is_taken(unary("LEAKY_RELU", ratio, 1.0, Alpha=a)))
        for a in alphas
    }
    assert not [a for a, (ours, theirs) in told.items() if ours != theirs]
    assert len({ours for ours, _ in told.values()}) == 2


@pytest.mark.parametrize("padding", [0, 1])
def test_transposed_convolutions(padding: int) -> None:
    """Every kernel and stride up to 4, and outputs that are up to a stride longer or shorter."""
    rng, told = np.random.default_rng(padding), {}
    for kernel, stride in np.ndindex(4, 4):
        for other in range(1, 5):
            k, s, size = (kernel + 1, int(rng.integers(1, 5))), (stride + 1, other), (3, 4)
            spare = [int(rng.integers(0, step)) for step in s]
            out = [
                n * step - more if padding == 0 else (n - 1) * step + taps + more
                for n, step, taps, more in zip(size, s, k, spare, strict=True)
            ]
            tensors = [
                T("size", (4,), "INT32", data=[1, *out, 3]), T("w", (3, *k, 2), scale=0.1, data=np.ones((3, *k, 2))),
                T("x", (1, *size, 2), scale=0.5), T("y", (1, *out, 3), scale=0.5),
            ]  # fmt: skip
            options = {"Padding": padding, "StrideH": s[0], "StrideW": s[1]}
            blob = tflite_bytes(tensors, [Op("TRANSPOSE_CONV", ["size", "w", "x"], ["y"], options)], ["x"], ["y"])
            told[k, s, tuple(out)] = delegate.takes_transposed(k, s, is_same=padding == 0), is_taken(blob)
    assert not [each for each, (ours, theirs) in told.items() if ours != theirs]
    assert len({ours for ours, _ in told.values()}) == (2 if padding == 0 else 1)
