"""What quantization has to know of each operator of a float network: read from the table of those that are read once quantized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from accelsim.importers.onnx import float_operators

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Sums over constant weights, which the array computes; a MatMul may also be of two activations."""
CONVOLUTIONS = ("Conv", "ConvTranspose")
RECTIFIERS = ("Relu", "Clip")
"""Fused into the operator before them where they are its only consumer."""
DROPPED = ("Identity", "Dropout")
"""Nothing at inference."""
FOLDED = ("BatchNormalization",)
"""Folded into the weights before them, or a convolution of their own."""
BINARY = ("Add", "Sub", "Sum", "Mul", "Div", "Pow", "Min", "Max", "PRelu")
"""Of two activations, or of one and a constant."""
KNOWN_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"Softmax": (0.0, 1.0), "Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0)}
)
"""Ranges that follow from the operator, whatever the data: (0, 1) for shares and probabilities."""


class Role(Enum):
    """What becomes of an operator; ``COMPUTING``: its output gets a quantizer of its own."""

    PRODUCT = auto()
    RECTIFIER = auto()
    MOVING = auto()
    """It makes no new number (Pad adds zeros, which have a code): input and outputs share one scale."""
    DROPPED = auto()
    FOLDED = auto()
    COMPUTING = auto()


@dataclass(frozen=True)
class Operator:
    """One operator: its role, and the range of its output where that is known without data."""

    role: Role
    known_range: tuple[float, float] | None = None


def _role(op: str, *, takes_codes: bool) -> Role:
    named = ((PRODUCTS, Role.PRODUCT), (RECTIFIERS, Role.RECTIFIER), (DROPPED, Role.DROPPED), (FOLDED, Role.FOLDED))
    own = next((role for ops, role in named if op in ops), None)
    return own or (Role.MOVING if takes_codes else Role.COMPUTING)


OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        op: Operator(_role(op, takes_codes=takes_codes), KNOWN_RANGES.get(op))
        for op, takes_codes in sorted(float_operators().items())
    }
)
"""Every operator that is quantized: those that the reader of ONNX takes between DequantizeLinear and QuantizeLinear."""
MOVING = tuple(op for op, known in OPERATORS.items() if known.role is Role.MOVING)


def output_axis(op: str, rank: int) -> int:
    """Axis of the channels in what a product reads and makes, of ``rank`` axes."""
    return 1 if op in CONVOLUTIONS else rank - 1


def data_inputs(op: str, count: int) -> range:
    """Positions of the activations among ``count`` inputs of an operator that moves them; the others are parameters."""
    return range(count) if op == "Concat" else range(min(count, 1))
