"""Softmax, as ONNX Runtime's QLinearSoftmax computes it; its optimizer makes the QDQ form the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import FloatTableSoftmax
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.network import Codes, Pending, Shape, Target
from accelsim.importers.onnx.rows import along_axis, from_axis

FLAT_BEFORE = 13
"""Below that opset, a row holds all axes from ``axis`` on (the reader takes no such model; QLinearSoftmax may name one)."""
RESERVE = 5
"""Powers of e by which the sum of a row stays below the largest float32 (qlinear_softmax.cc)."""


APPROXIMATION = (
    "computed with a table of exponentials; ONNX Runtime computes exactly so only where a QuantizeLinear alone stands right "
    "behind, elsewhere in plain float32, and codes near a tie may differ by one"
)


def lower_softmax(node: NodeContext) -> None:
    """DequantizeLinear -> Softmax -> QuantizeLinear."""
    consumers = [consumer.op for consumer in node.net.model.consumers(node.output_name)]
    fused = consumers == ["QuantizeLinear"] and node.output_name not in node.net.model.outputs
    if not fused:
        node.approximate(APPROXIMATION)
    node.result(_softmax(node, node.codes(0), FLAT_BEFORE, whole_factor=fused))


def lower_qlinear_softmax(node: NodeContext) -> None:
    """X, s, z, s_y, z_y (com.microsoft); attribute ``opset`` says which Softmax is meant."""
    node.need("opset" in node.attributes, "it has no attribute opset", "the opset of the Softmax it stands for")
    pending = _softmax(node, node.scaled(0, 1, 2), node.integer("opset", 0), whole_factor=True)
    node.emit(pending, node.quantization(3, 4))


def _softmax(node: NodeContext, source: Codes, opset: int, *, whole_factor: bool) -> Pending:
    """``whole_factor``: QLinearSoftmax drops the fraction of 1 / scale."""
    node.rules.need_onnxruntime("SOFTMAX")
    rank = len(source.shape)
    node.need(rank > 0, "its input is a number", "at least one axis")
    axis = node.axis(rank, -1)  # the default of ONNX Runtime's own schema, whatever the opset that QLinearSoftmax names
    place = from_axis if opset < FLAT_BEFORE else along_axis
    node.need(source.known.format.bits == 8, f"its input has {source.format.bits} bits", "int8 or uint8")

    def emit(target: Target) -> None:
        to = target.quantization
        node.need(to.format == source.format, f"it turns {source.format} into {to.format}", "one type of codes")
        factor = np.float32(1) / np.float32(to.scale)
        factor = np.floor(factor) if whole_factor else factor
        place(node, source, target, axis, lambda i, o, view: _layer(node, source, target, float(factor), i, o, view))

    return Pending(source.shape, emit, "a softmax")


def _layer(
    node: NodeContext, source: Codes, target: Target, factor: float, tensor: str, output: str, view: Shape
) -> FloatTableSoftmax:
    return FloatTableSoftmax(
        name=node.layer_name, inputs=(tensor,), output=output, shapes=(view,), shape=view,
        exp_table=exp_table(source.known.scale, view[1]), output_factor=factor,
        output_zero_point=target.quantization.zero_point, output_min=target.low, output_max=target.high,
    )  # fmt: skip


def exp_table(scale: float, elements: int) -> NDArray[np.float32]:
    """``exp(scale * (i - 255) + shift)`` for i in 0 .. 255: the shift keeps sums of ``elements`` below the float32 maximum."""
    room = float(np.log(np.finfo(np.float32).max / np.float32(elements)))  # itself rounded to float32
    shift = max(0.0, room - RESERVE) / scale
    steps = np.arange(256, dtype=np.float64) - 255 + shift
    table: NDArray[np.float32] = np.exp(steps * scale).astype(np.float32)
    return table
