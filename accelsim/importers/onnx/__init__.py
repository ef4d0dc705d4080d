"""ONNX: a quantized model in QOperator or QDQ form becomes a Graph.

Images are stored channels last, as the Graph's layers want them; ``Tensor.host_axes`` says how the model file orders their
axes, and results come back to the host in that order, under the names of the file.
"""

from __future__ import annotations

from pathlib import Path

from accelsim.arch import Arithmetic
from accelsim.graph import Graph


def load_onnx(path: Path, *, arithmetic: Arithmetic) -> Graph:
    """The Graph of the file at ``path`` with the integer rules of ``arithmetic``; ModelError where it cannot be had."""
    from accelsim.importers.onnx.build import build_graph
    from accelsim.importers.onnx.reader import ONNX, read_onnx

    model = read_onnx(path)
    with ONNX.guard(path):
        return build_graph(model, arithmetic)
