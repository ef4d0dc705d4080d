"""TensorFlow Lite: a .tflite file with 8-bit or 16x8 quantization becomes a Graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from accelsim.arch import Arithmetic, arithmetic_named
from accelsim.graph import Graph
from accelsim.importers.registry import OperatorSupport, supported
from accelsim.importers.tflite.context import FileContext
from accelsim.importers.tflite.window import window


def load(path: Path, *, arithmetic: Arithmetic | None = None, overrides: Mapping[str, str] | None = None) -> Graph:
    """The Graph of the file at ``path`` with the integer rules of ``arithmetic``, by default those of TensorFlow Lite Micro.

    ModelError where it cannot be had.
    """
    from accelsim.importers.tflite.build import build_graph
    from accelsim.importers.tflite.file.reader import TFLITE, read_tflite

    model = read_tflite(path)
    with TFLITE.guard(path):
        return build_graph(model, (arithmetic or arithmetic_named("tflite-micro")).with_overrides(overrides))


def supported_operators() -> tuple[OperatorSupport, ...]:
    """Every operator that is accepted."""
    from accelsim.importers.tflite.fold import FOLDS
    from accelsim.importers.tflite.registry import BOUNDARY, LOWERINGS
    from accelsim.importers.tflite.variables import VARIABLES

    folded = {op: rule for op, rule in FOLDS.items() if op not in LOWERINGS}
    return (*supported(".tflite", LOWERINGS), *supported(".tflite", folded), *supported(".tflite", VARIABLES), BOUNDARY)
