"""Float results that are moved before they are quantized, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from accelsim.errors import UnsupportedOperatorError
from accelsim.importers import load_graph
from tests.importers.onnx.building import Building, differing
from tests.importers.onnx.runtime import save


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


MOVES: Mapping[str, Callable[[Building, str], str]] = {
    "MaxPool": lambda b, y: b.node("MaxPool", y, kernel_shape=[2, 2]),
    "GlobalMaxPool": lambda b, y: b.node("GlobalMaxPool", y),
    "Reshape": lambda b, y: b.node("Reshape", y, b.constant(integers(2, -1))),
    "Flatten": lambda b, y: b.node("Flatten", y),
    "Squeeze": lambda b, y: b.node("Squeeze", b.node("Unsqueeze", y, b.constant(integers(0))), b.constant(integers(0))),
    "Transpose": lambda b, y: b.node("Transpose", y, perm=[0, 2, 3, 1]),
    "Slice": lambda b, y: b.node("Slice", y, b.constant(integers(1)), b.constant(integers(3)), b.constant(integers(2))),
    "Pad": lambda b, y: b.node("Pad", y, b.constant(integers(0, 0, 1, 1, 0, 0, 1, 1))),
    "Resize": lambda b, y: b.node("Resize", y, "", b.constant(np.array([1, 1, 2, 2], np.float32))),
    "ReduceMax": lambda b, y: b.node("ReduceMax", y, axes=[2]),
}
MAKERS: Mapping[str, Callable[[Building], str]] = {
    "Conv": lambda b: b.node("Conv", b.real(2, 4, 6, 6), b.weights(4, 4, 3, 3)),
    "Sigmoid": lambda b: b.node("Sigmoid", b.real(2, 4, 6, 6)),
    "Add": lambda b: b.node("Add", b.real(2, 4, 6, 6), b.real(2, 4, 6, 6)),
}


def moved(maker: str, move: str, *, rectified: bool, seed: int = 0) -> Building:
    b = Building(np.random.default_rng(seed), opset=17)
    y = MOVES[move](b, MAKERS[maker](b))
    b.requantized(b.node("Relu", y) if rectified else y, 0.01 if maker == "Sigmoid" else 0.1)
    return b


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("maker", MAKERS)
def test_quantized_before_it_is_moved(maker: str, move: str, rectified: bool, tmp_path: Path) -> None:
    for seed in range(3):
        assert differing(moved(maker, move, rectified=rectified, seed=seed).model(), tmp_path) == (0, 0)


def test_what_the_runtime_computes_in_float_is_named(tmp_path: Path) -> None:
    def named(maker: str, move: str) -> bool:
        return bool(load_graph(save(moved(maker, move, rectified=False).model(), tmp_path)).approximations)

    assert named("Conv", "Pad")
    assert not named("Conv", "MaxPool")
    assert not named("Sigmoid", "Pad")


def test_a_result_with_two_readers_is_refused(tmp_path: Path) -> None:
    b = Building(np.random.default_rng(0))
    y = MAKERS["Conv"](b)
    b.requantized(MOVES["Flatten"](b, y))
    b.requantized(MOVES["Transpose"](b, y))
    with pytest.raises(UnsupportedOperatorError, match="is the float result of a Conv, not quantized"):
        load_graph(save(b.model(), tmp_path))
