"""TensorFlow Lite: a .tflite file with 8-bit or 16x8 quantization becomes a Graph."""

from __future__ import annotations

from pathlib import Path

from accelsim.arch import Arithmetic
from accelsim.graph import Graph
from accelsim.importers.tflite.refusal import RefusalError
from accelsim.importers.tflite.window import window_axis

__all__ = ["RefusalError", "load_tflite", "window_axis"]


def load_tflite(path: Path, *, arithmetic: Arithmetic) -> Graph:
    """The Graph of the file at ``path`` with the integer rules of ``arithmetic``; ModelError where it cannot be had."""
    from accelsim.importers.tflite.build import build_graph
    from accelsim.importers.tflite.file.reader import TFLITE, read_tflite

    model = read_tflite(path)
    with TFLITE.guard(path):
        return build_graph(model, arithmetic)
