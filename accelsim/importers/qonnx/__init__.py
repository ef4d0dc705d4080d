"""An .onnx file, in ONNX's own operators or in the dialect QONNX: networks of narrow integers as Brevitas exports them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from accelsim.arch import Arithmetic, arithmetic_named
from accelsim.graph import Graph
from accelsim.importers import onnx
from accelsim.importers.registry import OperatorSupport, supported


def load(path: Path, *, arithmetic: Arithmetic | None = None, overrides: Mapping[str, str] | None = None) -> Graph:
    """The Graph of the file at ``path`` with the integer rules of ``arithmetic``; ModelError where it cannot be had.

    None stands for ONNX Runtime's rules, and for those of FINN where the file is in the QONNX dialect.
    """
    from accelsim.importers.onnx.build import build_graph
    from accelsim.importers.onnx.file.reader import read_onnx
    from accelsim.importers.onnx.file.tensors import ONNX
    from accelsim.importers.qonnx.outputs import sums_port
    from accelsim.importers.qonnx.registry import QONNX_LOWERINGS

    model = read_onnx(path)
    with ONNX.guard(path):
        if not model.is_qonnx:
            return build_graph(model, (arithmetic or arithmetic_named("onnxruntime")).with_overrides(overrides))
        rules = (arithmetic or arithmetic_named("finn")).with_overrides(overrides)
        return build_graph(model, rules, lowerings=QONNX_LOWERINGS, float_output=sums_port)


def supported_operators() -> tuple[OperatorSupport, ...]:
    """Every operator that is accepted, in ONNX and in QONNX."""
    from accelsim.importers.qonnx.registry import QONNX_LOWERINGS

    return (*onnx.supported_operators(), *supported(".onnx (QONNX)", QONNX_LOWERINGS))
