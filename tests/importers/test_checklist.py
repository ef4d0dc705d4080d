"""What a newcomer's operator must have besides its lowering: each test names the operator and the file that is missing it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from accelsim.errors import UnsupportedOperatorError
from accelsim.graph import Layer
from accelsim.importers import load_graph, onnx, qonnx, supported_operators, tables, tflite
from accelsim.importers.onnx.registry import LOWERINGS as ONNX
from accelsim.importers.qonnx.registry import QONNX_LOWERINGS as QONNX
from accelsim.importers.registry import Lowering
from accelsim.importers.tflite.file import read_tflite
from accelsim.importers.tflite.registry import LOWERINGS as TFLITE
from tests.oracles.cases import CASES
from tests.oracles.runtimes import as_file

EVERY = [
    pytest.param(op, rule, id=f"{name}-{op}")
    for name, rules in (("tflite", TFLITE), ("onnx", ONNX), ("qonnx", QONNX))
    for op, rule in rules.items()
]
DRAWN_AS = {"SQUEEZE": "RESHAPE", "EXPAND_DIMS": "RESHAPE"}
"""Operators that another one's case draws: the same function lowers both, from the output's shape alone."""
ON_THE_HOST = {"Cast", "Dropout", "Identity", "DequantizeLinear"}
"""They make no layer: what they compute is part of the layer beside them, or done by the host."""


@pytest.mark.parametrize(("op", "rule"), EVERY)
def test_every_operator_says_what_it_takes_and_becomes(op: str, rule: Lowering[Any]) -> None:
    assert re.search(r"\d", rule.formats), f"{op}: the registry names no formats of numbers"
    assert all(issubclass(kind, Layer) for kind in rule.layers), f"{op}: {rule.layers} are not all layers"
    assert isinstance(rule.notes, str), f"{op}: its notes are no text"
    assert bool(rule.layers) != (op in ON_THE_HOST), (
        f"{op}: the registry names no layer, or {op} is none of {ON_THE_HOST}"
    )


def test_every_format_lists_its_own_operators() -> None:
    faces: list[ModuleType] = [tflite, qonnx, tables]
    assert supported_operators() == tuple(row for face in faces for row in face.supported_operators())
    assert set(onnx.supported_operators()) < set(supported_operators())


def drawn_tflite() -> Mapping[str, set[str]]:
    """Operator -> the layers that it became, over all cases of the comparison with four runtimes."""
    made: dict[str, set[str]] = {}
    for name, build in CASES.items():
        for kind in ("INT8", "INT16"):
            with as_file(build(np.random.default_rng(len(name)), kind).blob) as path:
                (operator,) = read_tflite(path).operators
                layers = made.setdefault(operator.op, set())
                for arithmetic in ("tflite-micro", "litert-reference"):
                    try:
                        layers |= {type(layer).__name__ for layer in load_graph(path, arithmetic=arithmetic).layers}
                    except UnsupportedOperatorError:
                        continue
    return made


def test_every_tflite_operator_is_drawn_and_becomes_the_layers_it_names() -> None:
    drawn = drawn_tflite()
    for op, rule in TFLITE.items():
        layers = drawn.get(DRAWN_AS.get(op, op))
        assert layers, f"{op}: no case in tests/oracles/one_op.py draws it"
        named = {kind.__name__ for kind in rule.layers}
        assert layers <= named, f"{op}: it became {layers}, but the registry names {named}"


def literals(folder: str) -> set[str]:
    """All strings in the tests of a format, where models are built by operator names."""
    trees = [ast.parse(path.read_text()) for path in (Path(__file__).parent / folder).glob("*.py")]
    return {
        n.value for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }


def test_every_onnx_operator_is_drawn() -> None:
    words = literals("onnx")
    missing = [op for op in ONNX if not {op, op.removeprefix("QLinear")} & words]
    assert not missing, f"{missing}: no model in tests/importers/onnx draws them"


def test_every_qonnx_operator_is_drawn_or_lowered_as_one_that_is() -> None:
    words = literals("qonnx")
    drawn = {rule.function for op, rule in QONNX.items() if op in words} | {rule.function for rule in ONNX.values()}
    missing = [op for op, rule in QONNX.items() if rule.function not in drawn]
    assert not missing, f"{missing}: no model in tests/importers/qonnx draws them"
