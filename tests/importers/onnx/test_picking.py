"""Operators that pick or rearrange codes, against ONNX Runtime: the same codes at other places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from accelsim.errors import UnsupportedOperatorError
from accelsim.importers import load_graph
from tests.importers.onnx.building import Building, differing
from tests.importers.onnx.runtime import save

IMAGE = (2, 8, 4, 6)


def picked(op: str, *values: object, **attributes: object) -> Callable[[Building, str], str]:
    constants = [np.asarray(value, np.int64) for value in values]
    return lambda b, x: b.node(op, x, *map(b.constant, constants), **attributes)


FORMS: Mapping[str, Callable[[Building, str], str]] = {
    "a number": picked("Gather", 2, axis=1),
    "ascending": picked("Gather", [0, 2, 2, 5], axis=3),
    "any order": picked("Gather", [3, 0, -1, 2, 1], axis=2),
    "of two axes": picked("Gather", [[0, 1], [1, 0]], axis=0),
    "repeated": picked("Tile", [1, 2, 1, 3]),
    "once": picked("Tile", [1, 1, 1, 1]),
    "depth to space": picked("DepthToSpace", blocksize=2),
    "depth to space, CRD": picked("DepthToSpace", blocksize=2, mode="CRD"),
    "space to depth": picked("SpaceToDepth", blocksize=2),
    "expanded": lambda b, x: b.node(
        "Expand",
        b.node("Slice", x, *(b.constant(np.array([v])) for v in (1, 2, 2))),
        b.constant(np.array([2, 8, 5, 6])),
    ),
}


@pytest.mark.parametrize("quantized", [False, True], ids=["codes", "qdq"])
@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("form", FORMS)
def test_codes_are_moved(form: str, kind: str, quantized: bool, tmp_path: Path) -> None:
    b = Building(np.random.default_rng(1), kind)
    codes, parameters = b.input(*IMAGE)
    if quantized:
        moved = FORMS[form](b, b.node("DequantizeLinear", codes, *parameters))
        b.outputs.append(b.node("QuantizeLinear", moved, *parameters))
    else:
        b.outputs.append(FORMS[form](b, codes))
    assert differing(b.model(), tmp_path) == (0, 0)


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4)])
def test_gather_of_other_ranks(shape: tuple[int, ...], tmp_path: Path) -> None:
    b = Building(np.random.default_rng(1))
    b.requantized(b.node("Gather", b.real(*shape), b.constant(np.array([1, 0, 1])), axis=len(shape) - 1))
    assert differing(b.model(), tmp_path) == (0, 0)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (picked("DepthToSpace", blocksize=3), "its blocksize is 3 for 8 channels"),
        (picked("SpaceToDepth", blocksize=3), "its blocksize is 3 for 4 x 6"),
        (picked("Gather", [9], axis=1), "its indices are .9. of 8"),
        (picked("Tile", [1, 2]), "its repeats are .1, 2. for 4 axes"),
        (picked("Expand", [1, 1, 1, 1, 1]), "accepted: as many axes"),
    ],
)
def test_what_is_refused(form: Callable[[Building, str], str], told: str, tmp_path: Path) -> None:
    b = Building(np.random.default_rng(1))
    b.requantized(form(b, b.real(*IMAGE)))
    with pytest.raises(UnsupportedOperatorError, match=told):
        load_graph(save(b.model(), tmp_path))
