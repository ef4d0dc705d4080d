"""Where a runtime's own kernels are known to leave their arithmetic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from accelsim.graph import Layer, MacLayer, Tensor

PAIR_SAFE_WEIGHT = 64
"""Largest weight with which two products by unsigned 8-bit codes surely fit 16 bits: 2 * 255 * 64 <= 32767 < 2 * 255 * 65."""


def pair_saturation(rule: str, layer: Layer, tensors: Mapping[str, Tensor]) -> str:
    """A remark where ONNX Runtime's x86 kernels may saturate: vpmaddubsw adds two products in 16 bits on CPUs without VNNI
    (microsoft/onnxruntime#16105); nothing where they cannot.
    """
    if not (rule.startswith("onnxruntime") and isinstance(layer, MacLayer) and layer.weights is not None):
        return ""
    source = tensors[layer.inputs[0]].format
    reach = int(np.abs(layer.weights.astype(np.int64)).max(initial=0))
    if source.signed or source.bits != 8 or reach <= PAIR_SAFE_WEIGHT:
        return ""
    return f"weights reach {reach}: ONNX Runtime may saturate 16-bit sums of two products on a CPU without VNNI; use 7-bit weights"
