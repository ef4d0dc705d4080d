"""Float operators between a layer of a QDQ file and its quantizer, against ONNX Runtime: exact, or named and off by one at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import ModelError
from accelsim.importers import load_graph
from tests.importers.onnx.building import Building, differing
from tests.importers.onnx.runtime import save

Step = Callable[[Building, str], str]


def plain(op: str, **attributes: Any) -> Step:
    return lambda b, x: b.node(op, x, **attributes)


def constant(op: str, value: Any) -> Step:
    return lambda b, x: b.node(op, x, b.constant(np.asarray(value, np.float32)))


CHANNELS = np.array([0.5, -1.25, 0.75, 2.0]).reshape(4, 1, 1)
OF_CODES: Mapping[str, tuple[Step, ...]] = {
    "erf": (constant("Div", 1.4142135), plain("Erf"), constant("Add", 1.0)),
    "scaled": (constant("Mul", 0.3), constant("Sub", 0.1), plain("LeakyRelu", alpha=0.2)),
    "hard swish": (
        constant("Add", 3.0),
        lambda b, x: b.node("Clip", x, *(b.constant(np.float32(v)) for v in (0, 6))),
        constant("Div", 6.0),
    ),
    "normalized": (
        plain("Relu"),
        lambda b, x: b.node(
            "BatchNormalization", x, *(b.constant(b.rng.uniform(0.5, 1.5, 4).astype(np.float32)) for _ in range(4))
        ),
    ),
    "by channel": (constant("Mul", CHANNELS), plain("Tanh")),
}
OF_SUMS: Mapping[str, tuple[Step, ...]] = {
    "leaky": (plain("LeakyRelu", alpha=0.1),),
    "bias and relu": (constant("Add", CHANNELS), plain("Relu")),
    "bias and sigmoid": (constant("Add", CHANNELS), plain("Sigmoid")),
    "turned": (constant("Mul", -0.5),),
    "clipped": (constant("Mul", 0.5), lambda b, x: b.node("Clip", x, *(b.constant(np.float32(v)) for v in (-1, 1)))),
}


def built(start: str, steps: tuple[Step, ...], seed: int) -> Building:
    b = Building(np.random.default_rng(seed))
    y = b.real(2, 4, 6, 6)
    y = b.node("Conv", y, b.weights(4, 4, 3, 3, axis=0)) if start == "Conv" else y
    for step in steps:
        y = step(b, y)
    b.requantized(y, 0.02)
    return b


@pytest.mark.parametrize("name", OF_CODES)
@pytest.mark.parametrize("seed", range(3))
def test_chains_of_codes_are_exact(name: str, seed: int, tmp_path: Path) -> None:
    b = built("codes", OF_CODES[name], seed)
    assert differing(b.model(), tmp_path) == (0, 0)
    assert not load_graph(save(b.model(), tmp_path)).approximations


@pytest.mark.parametrize("name", OF_SUMS)
@pytest.mark.parametrize("seed", range(3))
def test_chains_of_sums_are_named(name: str, seed: int, tmp_path: Path) -> None:
    b = built("Conv", OF_SUMS[name], seed)
    wrong, worst = differing(b.model(), tmp_path, count=10)
    assert load_graph(save(b.model(), tmp_path)).approximations or name == "clipped"
    assert worst <= 1
    assert wrong <= (0 if name == "clipped" else 0.005 * 10 * 2 * 4 * 16)


@pytest.mark.parametrize("pool", ["GlobalAveragePool", "AveragePool"])
@pytest.mark.parametrize("seed", range(3))
def test_a_rectifier_before_a_pool(pool: str, seed: int, tmp_path: Path) -> None:
    b = Building(np.random.default_rng(seed))
    given = {} if pool == "GlobalAveragePool" else {"kernel_shape": [2, 2]}
    b.requantized(b.node(pool, b.node("Relu", b.real(2, 4, 6, 6)), **given), 0.02)
    wrong, worst = differing(b.model(), tmp_path, count=10)
    assert load_graph(save(b.model(), tmp_path)).approximations
    assert worst <= 1
    assert wrong <= 0.005 * 10 * 2 * 4 * 25


def test_a_function_of_sums_that_turns_back_is_refused(tmp_path: Path) -> None:
    b = built("Conv", (plain("Mish"),), 0)
    with pytest.raises(ModelError, match="not monotone"):
        load_graph(save(b.model(), tmp_path))


@pytest.mark.parametrize("op", ["Add", "Mul", "Sub"])
@pytest.mark.parametrize("kind", ["uint16", "int16"])
@pytest.mark.parametrize("values", [977, [[[3]], [[977]], [[-120]], [[31000]]]], ids=["one", "by channel"])
@pytest.mark.parametrize("quantized", [False, True])
def test_wide_codes_and_constants(op: str, kind: str, quantized: bool, values: Any, tmp_path: Path) -> None:
    b = Building(np.random.default_rng(1), kind)
    number = b.constant(np.float32(0.0003) * np.asarray(values, np.float32))
    if quantized:
        number = b.node("DequantizeLinear", b.constant(np.abs(np.asarray(values)).astype(kind)), *b.parameters())
    b.requantized(b.node(op, b.real(2, 4, 6, 6), number))
    assert differing(b.model(), tmp_path, count=10) == (0, 0)
