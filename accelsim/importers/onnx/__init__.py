"""ONNX: a quantized model in QOperator or QDQ form becomes a Graph.

Images are stored channels last, as the Graph's layers want them; ``Tensor.host_axes`` says how the model file orders their
axes, and results come back to the host in that order, under the names of the file.
"""

from __future__ import annotations

from pathlib import Path

from accelsim.arch import Arithmetic, arithmetic_named
from accelsim.graph import Graph
from accelsim.importers.onnx.network import CHANNELS_FIRST, CHANNELS_LAST

__all__ = ["CHANNELS_FIRST", "CHANNELS_LAST", "load_onnx"]


def load_onnx(path: Path, *, arithmetic: Arithmetic | None = None) -> Graph:
    """The Graph of the file at ``path`` with the integer rules of ``arithmetic``; ModelError where it cannot be had.

    None stands for ONNX Runtime's rules, and for those of FINN where the file is in the QONNX dialect.
    """
    from accelsim.importers.onnx.build import build_graph
    from accelsim.importers.onnx.file.reader import read_onnx
    from accelsim.importers.onnx.file.tensors import ONNX

    model = read_onnx(path)
    with ONNX.guard(path):
        return build_graph(model, arithmetic or arithmetic_named("finn" if model.is_qonnx else "onnxruntime"))
