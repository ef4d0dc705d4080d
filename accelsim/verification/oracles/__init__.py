"""The oracles by name; a package is imported only when its oracle is asked for."""

from __future__ import annotations

from pathlib import Path

from accelsim.errors import ConfigError
from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.verification.oracles.base import Codes, Oracle, RewritingOracle

FAKE_QUANT = "fake-quant"
FAKE_QUANT_64 = "fake-quant-float64"
ORACLES = (
    "litert-ref",
    "litert-xnnpack",
    "litert-optimized",
    "tflite-micro",
    "onnxruntime",
    "onnx-ref",
    FAKE_QUANT,
    FAKE_QUANT_64,
)


def is_float(name: str) -> bool:
    """Whether the oracle is our own floating-point reading."""
    return name in (FAKE_QUANT, FAKE_QUANT_64)


def make_oracle(name: str, reference: Path | Graph) -> Oracle:
    """The oracle called ``name`` over ``reference``; the fake-quant reading of a file is of its Graph in the file's own arithmetic.

    ConfigError for an unknown name or a Graph where a file is needed, AccelsimError where a package is not installed.
    """
    if is_float(name):
        import numpy as np

        from accelsim.verification.oracles.fake import FakeQuant

        graph = reference if isinstance(reference, Graph) else load_graph(reference)
        return FakeQuant(graph, kind=np.float32 if name == FAKE_QUANT else np.float64)
    if name not in ORACLES:
        raise ConfigError(f"oracle {name!r}: expected one of {', '.join(ORACLES)}", oracle=name)
    if isinstance(reference, Graph):
        raise ConfigError(f"oracle {name!r} reads a model file, not a Graph; give reference=, or choose fake-quant")
    return _runtime(name, reference)


def _runtime(name: str, path: Path) -> Oracle:
    if name == "tflite-micro":
        from accelsim.verification.oracles.micro import micro

        return micro(path)
    if name.startswith("litert"):
        from accelsim.verification.oracles.litert import litert

        return litert(path, name)
    from accelsim.verification.oracles.onnx_models import OnnxReference, OnnxRuntime

    return OnnxRuntime(path) if name == "onnxruntime" else OnnxReference(path)
