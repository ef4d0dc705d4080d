"""Operators of constants and shapes become constants at import, with the values that LiteRT computes at run time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.arch import arithmetic_named
from accelsim.errors import ModelError
from accelsim.graph import Outcome, Reshape
from accelsim.importers import load_graph
from accelsim.importers.tflite import build
from accelsim.importers.tflite.file import read_tflite
from accelsim.importers.tflite.fold import FOLDS
from accelsim.importers.tflite.rules import Rules
from accelsim.importers.tflite.variables import Variables
from tests.importers.flat import Op, T, tflite_bytes
from tests.oracles.runtimes import RUNTIMES, differences, litert


def ints(name: str, values: Any) -> T:
    return T(name, np.shape(values), "INT32", data=values)


def codes(name: str, *shape: int, is_open: bool = True) -> T:
    return T(name, shape, scale=0.5, zero=3, signature=(-1, *shape[1:]) if is_open else None)


def flatten(*, constant_sizes: bool = False) -> tuple[list[T], list[Op]]:
    """What Keras writes for Flatten: the batch out of the shape, packed with -1."""
    tensors = [codes("x", 1, 3, 4), codes("y", 1, 12), T("shape", (3,), "INT32"), T("batch", (), "INT32")]
    tensors += [ints("b", [0]), ints("e", [1]), ints("s", [1]), ints("rest", -1), T("sizes", (2,), "INT32")]
    ops = [
        Op("SHAPE", ["x"], ["shape"], {"OutType": 2}),
        Op("STRIDED_SLICE", ["shape", "b", "e", "s"], ["batch"], {"ShrinkAxisMask": 1}),
        Op("PACK", ["batch", "rest"], ["sizes"], {"ValuesCount": 2}),
        Op("RESHAPE", ["x", "sizes"], ["y"]),
    ]
    return tensors, ops


def saved(path: Path, tensors: Sequence[T], ops: Sequence[Op], inputs: Sequence[str] = ("x",)) -> Path:
    path.write_bytes(tflite_bytes(tensors, ops, inputs, ["y"]))
    return path


def test_keras_flatten_is_one_reshape(tmp_path: Path) -> None:
    graph = load_graph(saved(tmp_path / "net.tflite", *flatten()))
    (layer,) = graph.layers
    assert isinstance(layer, Reshape)
    assert [operator.outcome for operator in graph.source] == [Outcome.CONSTANT] * 3 + [Outcome.LAYER]


@pytest.mark.oracle
@pytest.mark.parametrize("arithmetic", list(RUNTIMES))
def test_keras_flatten_against_the_runtimes(tmp_path: Path, arithmetic: str) -> None:
    path = saved(tmp_path / "net.tflite", *flatten())
    x = np.arange(12, dtype=np.int8).reshape(1, 3, 4)
    assert differences(path, arithmetic, [{"x": x}]) == {"y": 0}


FOLDED: dict[str, tuple[Op, list[T], tuple[int, ...]]] = {
    "SHAPE": (Op("SHAPE", ["x"], ["v"], {"OutType": 2}), [], (4,)),
    "STRIDED_SLICE": (
        Op("STRIDED_SLICE", ["s", "b", "e", "t"], ["v"], {"EndMask": 1}), [ints("b", [-1]), ints("e", [0]), ints("t", [-2])], (2,)
    ),
    "SLICE": (Op("SLICE", ["s", "b", "n"], ["v"]), [ints("b", [1]), ints("n", [-1])], (3,)),
    "PACK": (Op("PACK", ["s", "c"], ["v"], {"ValuesCount": 2, "Axis": -1}), [ints("c", [9, 8, 7, 6])], (4, 2)),
    "CONCATENATION": (Op("CONCATENATION", ["s", "c"], ["v"], {"Axis": 0}), [ints("c", [9])], (5,)),
    "GATHER": (Op("GATHER", ["s", "c"], ["v"], {"Axis": 0}), [ints("c", [[3, 0]])], (1, 2)),
    "REDUCE_PROD": (Op("REDUCE_PROD", ["s", "a"], ["v"], {"KeepDims": True}), [ints("a", [-1])], (1,)),
    "REDUCE_MAX": (Op("REDUCE_MAX", ["s", "a"], ["v"]), [ints("a", [0])], ()),
    "REDUCE_MIN": (Op("REDUCE_MIN", ["s", "a"], ["v"]), [ints("a", [0])], ()),
    "SUM": (Op("SUM", ["s", "a"], ["v"]), [ints("a", [0])], ()),
    "ADD": (Op("ADD", ["s", "c"], ["v"]), [ints("c", 5)], (4,)),
    "SUB": (Op("SUB", ["c", "s"], ["v"]), [ints("c", [5, 6, 7, 8])], (4,)),
    "MUL": (Op("MUL", ["s", "c"], ["v"]), [ints("c", -3)], (4,)),
    "FLOOR_DIV": (Op("FLOOR_DIV", ["s", "c"], ["v"]), [ints("c", [-2, 2, 3, -3])], (4,)),
    "MAXIMUM": (Op("MAXIMUM", ["s", "c"], ["v"]), [ints("c", [3])], (4,)),
    "MINIMUM": (Op("MINIMUM", ["s", "c"], ["v"]), [ints("c", [3])], (4,)),
    "CAST": (Op("CAST", ["s"], ["v"], {"InDataType": 2, "OutDataType": 4}), [], (4,)),
    "RESHAPE": (Op("RESHAPE", ["s", "n"], ["v"]), [ints("n", [2, -1])], (2, 2)),
    "SQUEEZE": (Op("SQUEEZE", ["s1"], ["v"]), [], (4,)),
    "EXPAND_DIMS": (Op("EXPAND_DIMS", ["s", "a"], ["v"]), [ints("a", 0)], (1, 4)),
    "TRANSPOSE": (Op("TRANSPOSE", ["s1", "p"], ["v"]), [ints("p", [1, 0])], (1, 4)),
    "BROADCAST_TO": (Op("BROADCAST_TO", ["s", "n"], ["v"]), [ints("n", [2, 4])], (2, 4)),
}  # fmt: skip


def test_every_fold_is_drawn() -> None:
    assert set(FOLDED) == set(FOLDS)


@pytest.mark.oracle
@pytest.mark.parametrize("name", list(FOLDED))
def test_values_are_those_of_litert(tmp_path: Path, name: str) -> None:
    """The shape of x, one operator on it, and a rectifier that reads x, so that there is a graph."""
    op, constants, shape = FOLDED[name]
    kind = "INT64" if name == "CAST" else "INT32"
    tensors = [
        codes("x", 2, 3, 4, 5, is_open=False),
        codes("y", 2, 3, 4, 5, is_open=False),
        T("v", shape, kind),
        *constants,
    ]
    ops = [op, Op("RELU", ["x"], ["y"])]
    if "s" in op.inputs or "s1" in op.inputs:
        tensors.append(T("s", (4,), "INT32"))
        ops.insert(0, Op("SHAPE", ["x"], ["s"], {"OutType": 2}))
    if "s1" in op.inputs:
        tensors += [T("s1", (4, 1), "INT32"), ints("n1", [4, 1])]
        ops.insert(1, Op("RESHAPE", ["s", "n1"], ["s1"]))
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_bytes(tensors, ops, ["x"], ["y", "v"]))
    model = read_tflite(path)
    rules = Rules(arithmetic_named("litert-reference"))
    _, _, settled = build._lowered(model, rules, Variables(model, rules))
    (index,) = (tensor.index for tensor in model.tensors if tensor.name == "v")
    theirs = litert(path, "BUILTIN_WITHOUT_DEFAULT_DELEGATES")({"x": np.zeros((2, 3, 4, 5), np.int8)})["v"]
    assert settled[index].data is not None
    np.testing.assert_array_equal(settled[index].data, theirs)
    assert settled[index].data.dtype == theirs.dtype


REFUSALS = {
    "index": (Op("GATHER", ["s", "c"], ["v"], {"Axis": 0}), [ints("c", [4])], (1,), "an index lies outside the axis"),
    "zero": (Op("FLOOR_DIV", ["s", "c"], ["v"]), [ints("c", [0])], (4,), "it divides by 0"),
    "bits": (
        Op("MUL", ["s", "c"], ["v"]),
        [ints("c", [2**31 - 1])],
        (4,),
        "it computes .*; accepted: numbers of INT32",
    ),
    "rectifier": (
        Op("MUL", ["s", "c"], ["v"], {"FusedActivationFunction": 1}),
        [ints("c", [1])],
        (4,),
        "a fused activation",
    ),
    "shape": (Op("MUL", ["s", "c"], ["v"]), [ints("c", [1])], (5,), r"declared as \[5\]"),
    "size": (Op("BROADCAST_TO", ["s", "n"], ["v"]), [ints("n", [2**26, 4])], (2**26, 4), "at most 16,777,216 elements"),
}


@pytest.mark.parametrize("name", list(REFUSALS))
def test_what_cannot_be_computed_is_refused(tmp_path: Path, name: str) -> None:
    op, constants, shape, text = REFUSALS[name]
    tensors = [
        codes("x", 2, 3, 4, 5),
        codes("y", 2, 3, 4, 5),
        T("s", (4,), "INT32"),
        T("v", shape, "INT32"),
        *constants,
    ]
    ops = [Op("SHAPE", ["x"], ["s"], {"OutType": 2}), op, Op("RELU", ["x"], ["y"])]
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_bytes(tensors, ops, ["x"], ["y", "v"]))
    with pytest.raises(ModelError, match=text):
        load_graph(path)


def conv1d() -> tuple[list[T], list[Op]]:
    """What Keras writes for Conv1D, its weights with an axis more at run time."""
    rng = np.random.default_rng(1)
    tensors = [
        codes("x", 1, 9, 3), codes("i", 1, 1, 9, 3), codes("o", 1, 1, 7, 4), codes("y", 1, 7, 4),
        T("w", (4, 3, 3), scale=0.01, data=rng.integers(-127, 128, (4, 3, 3))), T("k", (4, 1, 3, 3), scale=0.01),
        T("bias", (4,), "INT32", scale=0.005, data=rng.integers(-99, 99, 4)), ints("a", -3), ints("wa", 1),
    ]  # fmt: skip
    ops = [
        Op("EXPAND_DIMS", ["x", "a"], ["i"]),
        Op("EXPAND_DIMS", ["w", "wa"], ["k"]),
        Op(
            "CONV_2D",
            ["i", "k", "bias"],
            ["o"],
            {"Padding": 1, "StrideH": 1, "StrideW": 1, "FusedActivationFunction": 1},
        ),
        Op("SQUEEZE", ["o"], ["y"], {"SqueezeDims": [-3]}),
    ]
    return tensors, ops


@pytest.mark.oracle
@pytest.mark.parametrize("arithmetic", ["tflite-micro", "litert-reference", "litert-xnnpack"])
def test_one_dimensional_convolutions(tmp_path: Path, arithmetic: str) -> None:
    path = saved(tmp_path / "net.tflite", *conv1d())
    x = np.random.default_rng(2).integers(-128, 128, (1, 9, 3)).astype(np.int8)
    assert set(differences(path, arithmetic, [{"x": x}]).values()) == {0}


def test_constants_of_another_scale_are_not_moved(tmp_path: Path) -> None:
    tensors, ops = conv1d()
    next(t for t in tensors if t.name == "k").scale = 0.02
    with pytest.raises(ModelError, match=r"it moves constants of 'w' to another scale"):
        load_graph(saved(tmp_path / "net.tflite", tensors, ops))
