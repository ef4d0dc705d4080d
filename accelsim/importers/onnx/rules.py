"""Where arithmetics differ for ONNX operators: asked here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.arch import Arithmetic
from accelsim.importers.refusal import RefusalError

ONNXRUNTIME, FINN = "onnxruntime", "finn"
FLOAT32 = "onnxruntime_float32"
"""Special scheme of arch.ARITHMETICS: the runtime's own float32 formula, tabulated by the importer."""


@dataclass(frozen=True)
class Rules:
    """The choices of one arithmetic."""

    arithmetic: Arithmetic

    def scheme(self, operator: str) -> str:
        """Scheme of the operator that TFLite calls ``operator``."""
        return self.arithmetic.scheme(operator)

    def is_float(self, operator: str) -> bool:
        """Whether ``operator`` follows ONNX Runtime's float32 formula."""
        return self.scheme(operator) == FLOAT32

    @property
    def is_onnxruntime(self) -> bool:
        """Whether operators without a scheme follow ONNX Runtime."""
        return self.arithmetic.base in (ONNXRUNTIME, FINN)

    def need_onnxruntime(self, operator: str) -> None:
        """RefusalError where only ONNX Runtime's own rule for ``operator`` is known."""
        if not self.is_onnxruntime:
            raise RefusalError(
                f"the arithmetic {self.arithmetic.base} has no rule for {operator}",
                f"the arithmetic {ONNXRUNTIME} or {FINN}",
            )
