"""What quantization has to know of each operator of a float network."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PRODUCTS = ("Conv", "Gemm", "MatMul")
"""Sums over constant weights, which the array computes."""
RECTIFIERS = ("Relu", "Clip")
"""Fused into the operator before them where they are its only consumer."""
MOVING = ("MaxPool", "GlobalMaxPool", "Concat", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Pad")
"""They make no new number (Pad adds zeros, which have a code): inputs and output share one scale."""
DROPPED = ("Identity", "Dropout")
"""Nothing at inference."""
OTHERS = (
    "Add", "Sub", "Mul", "AveragePool", "GlobalAveragePool", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "LeakyRelu", "Elu",
    "Softmax",
)  # fmt: skip
"""Their output gets a quantizer of its own."""
FOLDED = ("BatchNormalization",)
"""Folded into the weights before them."""
KEEPING_RANK = (*RECTIFIERS, *DROPPED, *OTHERS, *FOLDED, "MaxPool", "Concat", "Pad")
"""Their output has as many axes as their first input."""
ACCEPTED = tuple(sorted((*PRODUCTS, *RECTIFIERS, *MOVING, *DROPPED, *OTHERS, *FOLDED)))
"""Every operator that is quantized."""
KNOWN_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"Softmax": (0.0, 1.0), "Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0)}
)
"""Ranges that follow from the operator, whatever the data: (0, 1) for shares and probabilities."""


def output_axis(op: str, rank: int) -> int:
    """Axis of the channels in what a product reads and makes, of ``rank`` axes."""
    return 1 if op == "Conv" else rank - 1


def data_inputs(op: str, count: int) -> range:
    """Positions of the activations among ``count`` inputs; the others are parameters."""
    return range(count) if op in ("Concat", "Add", "Sub", "Mul") else range(min(count, 1))
