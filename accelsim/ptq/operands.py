"""Constant operands of Add, Mul and their like: real numbers where they are few, codes of their own elsewhere (QDQ)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx import MOST_NUMBERS
from accelsim.importers.onnx.file import OnnxNode
from accelsim.numerics import IntFormat
from accelsim.ptq.network.operators import BINARY
from accelsim.quant import Quantizer, codes_as, minmax_range

CONSTANT_BITS = 8
"""Of constant operands of many numbers."""


@dataclass(frozen=True, eq=False)
class OperandQuant:
    """Codes of a constant operand under one scale and zero point."""

    codes: NDArray[np.int64]
    scale: float
    zero_point: int
    format: IntFormat

    @property
    def real(self) -> NDArray[np.float32]:
        """What the codes stand for, float32 of their shape."""
        real: NDArray[np.float32] = (self.codes - self.zero_point).astype(np.float32) * np.float32(self.scale)
        return real


def coded_operands(node: OnnxNode, constants: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    """Constant operands of ``node`` with more different numbers than a table has columns for."""
    if node.op not in BINARY:
        return ()
    known = {name: constants[name] for name in node.inputs if name in constants}
    return tuple(n for n, v in known.items() if v.dtype.kind == "f" and len(np.unique(v)) > MOST_NUMBERS)


def operand_quant(values: NDArray[Any], *, signed: bool) -> OperandQuant:
    """8-bit codes, with a sign where the other operand's have one."""
    quantizer = Quantizer(CONSTANT_BITS, signed=signed)
    known, fmt = quantizer.parameters(*minmax_range(values)), quantizer.format(float(values.min()))
    codes = codes_as(values, framework="onnx", scale=known.scale, zero_point=known.zero_point, fmt=fmt)
    return OperandQuant(codes, known.scale, known.zero_point, fmt)
