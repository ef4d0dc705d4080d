"""Weights of recurrent operators: constant, symmetric, of one scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.tflite.context import FORMATS, NodeContext, scale_of, zero_point_of
from accelsim.importers.tflite.file.records import TfliteTensor


def symmetric_weights(node: NodeContext, position: int, types: tuple[str, ...]) -> TfliteTensor:
    """Input ``position``; RefusalError where it is computed, of another type, or has a zero point or several scales."""
    node.constant(position, "its weights")
    weights = node.typed(node.input(position), types)
    scale_of(weights)
    node.need(zero_point_of(weights) == 0, f"its weights {weights.name!r} have a zero point", "symmetric weights")
    return weights


def codes_of(weights: TfliteTensor) -> NDArray[Any]:
    """Their codes in the numpy type of their format."""
    assert weights.data is not None
    return np.ascontiguousarray(weights.data, dtype=FORMATS[weights.type].dtype)
