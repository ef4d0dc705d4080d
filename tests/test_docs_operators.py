"""Every operator that is read and computes codes has been compared with a runtime, as ``docs/operators.md`` says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from accelsim.graph import Outcome
from accelsim.importers import load_graph, supported_operators
from tests.tally import TALLY, Count, tally
from tests.verification.networks import digits

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "operators.md"
COMPUTED_AT_IMPORT = "host"
FOLDED = {"Clip"}
"""Always a part of the layer beside them, under whose name their codes are counted."""


def rows() -> dict[str, set[str]]:
    """Cells of the runtimes, by operator."""
    found: dict[str, set[str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and not cells[0].startswith("`") and len(cells) > 2 and cells[0] != "ecosystem":
            found.setdefault(cells[0], set()).update(cells[2:])
    return found


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from docs import make_operators

    return make_operators


def test_operators_of_common_networks_are_exact(script: ModuleType) -> None:
    """19 of 20; what is not is told by name."""
    shares = script.shares(PAGE.read_text(encoding="utf-8"))
    assert len(shares) == 4
    every, others = (sum(len(pair[i]) for pair in shares.values()) for i in (0, 1))
    assert every > 60
    assert others <= 0.05 * every
    assert script.ecosystems(PAGE.read_text(encoding="utf-8")) in PAGE.read_text(encoding="utf-8")


def test_the_model_zoos_operators_are_those_of_the_onnx_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    pytest.importorskip("onnxruntime")
    from docs import make_ecosystems

    held = json.loads((ROOT / "docs" / "ecosystems.json").read_text(encoding="utf-8"))
    assert sorted(make_ecosystems.model_zoo()[2]) == held["model_zoo"]["operators"]


@pytest.mark.parametrize("file", [".tflite", ".onnx"])
def test_every_operator_has_been_compared(file: str) -> None:
    listed = {one.operator for one in supported_operators() if one.source == file and one.layer != COMPUTED_AT_IMPORT}
    compared = {operator for operator, cells in rows().items() if cells != {"–"}}
    assert sorted(listed - compared - FOLDED) == []


def test_tflite_is_exact_everywhere() -> None:
    listed = {one.operator for one in supported_operators() if one.source == ".tflite"}
    inexact = {operator: cells for operator, cells in rows().items() if operator in listed and "%" in str(cells)}
    assert inexact == {}


def test_a_cell_says_how_many_and_how_far(script: ModuleType) -> None:
    def count(compared: int, differing: int, most: int) -> Count:
        return Count(".onnx", "Add", "int8", "onnxruntime", compared, differing, most)

    assert script.cell([]) == "–"
    assert script.cell([count(1000, 0, 0), count(234, 0, 0)]) == "exact, 1,234"
    assert script.cell([count(1000, 10, 1), count(1000, 5, 3)]) == "0.75% of 2,000, by 3"
    named = count(50, 5, 1)._replace(named=True)
    assert script.cell([named]) == "named: 10.00% of 50, by 1"
    assert script.cell([count(7, 0, 0), named]) == "exact, 7; named: 10.00% of 50, by 1"
    assert script.cell([count(7, 0, 0), count(3, 0, 0)._replace(named=True)]) == "exact, 10"
    assert "| Add | int8 | exact, 7 |" in script.page([count(7, 0, 0)])


def test_an_operator_is_exact_where_nothing_unnamed_differs(script: ModuleType) -> None:
    rows = {
        "A": "exact, 7; named: 10.00% of 50, by 1", "B": "named: 10.00% of 50, by 1", "C": "0.01% of 9, by 1", "D": "–",
        "E": "exact, 7 | – ",
    }  # fmt: skip
    assert script.exact_operators("\n".join(f"| {op} | int8 | {cell} |" for op, cell in rows.items())) == {"A", "E"}


def test_what_tests_compare_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = load_graph(digits(), arithmetic="tflite-micro")
    made = next(one for one in graph.source if one.outcome is Outcome.LAYER)
    ours = np.arange(6, dtype=np.int8)
    monkeypatch.setenv(TALLY, str(tmp_path / "t"))
    tally(graph, made.output, ours, ours, file=".tflite")
    tally(graph, made.output, ours, ours + np.int8([0, 3, 0, 0, -1, 0]), file=".tflite")
    tally(graph, graph.inputs[0].tensor, ours, ours, file=".tflite")
    lines = [Count(**json.loads(line)) for line in (tmp_path / "t").read_text().splitlines()]
    assert lines == [
        Count(".tflite", made.operator, "int8", "tflite-micro", 6, 0, 0),
        Count(".tflite", made.operator, "int8", "tflite-micro", 6, 2, 3),
    ]
