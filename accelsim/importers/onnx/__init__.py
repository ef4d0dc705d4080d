"""ONNX: a quantized model in QOperator or QDQ form becomes a Graph.

Images are stored channels last, as the Graph's layers want them; ``Tensor.host_axes`` says how the model file orders their
axes, and results come back to the host in that order, under the names of the file.
"""

from __future__ import annotations

from accelsim.importers.onnx.network import CHANNELS_FIRST, CHANNELS_LAST
from accelsim.importers.registry import OperatorSupport, supported


def supported_operators() -> tuple[OperatorSupport, ...]:
    """Every operator that is accepted."""
    from accelsim.importers.onnx.registry import LOWERINGS

    return supported(".onnx", LOWERINGS)
