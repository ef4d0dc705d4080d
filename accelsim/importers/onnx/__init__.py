"""ONNX: a quantized model in QOperator or QDQ form becomes a Graph.

Images are stored channels last, as the Graph's layers want them; ``Tensor.host_axes`` says how the model file orders their
axes, and results come back to the host in that order, under the names of the file.
"""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.importers.onnx.asked import Asked, need_all_seen
from accelsim.importers.onnx.formulas import MOST_NUMBERS
from accelsim.importers.onnx.network import CHANNELS_FIRST, CHANNELS_LAST
from accelsim.importers.registry import OperatorSupport, supported


def supported_operators() -> tuple[OperatorSupport, ...]:
    """Every operator that is accepted."""
    from accelsim.importers.onnx.registry import LOWERINGS

    return supported(".onnx", LOWERINGS)


def index_operators() -> tuple[str, ...]:
    """Those whose result is an index, which has no scale."""
    from accelsim.importers.onnx.registry import INDICES

    return tuple(INDICES)


def float_operators() -> Mapping[str, bool]:
    """Every operator that may stand between DequantizeLinear and QuantizeLinear; whether it takes codes too, and so makes no number.

    None of :func:`index_operators`, which no QuantizeLinear follows.
    """
    from accelsim.importers.onnx.registry import CODES, LOWERINGS, QDQ

    known = {op: rule for op, rule in LOWERINGS.items() if op not in index_operators()}
    return {op: rule.formats == CODES for op, rule in known.items() if rule.formats in (QDQ, CODES)}
