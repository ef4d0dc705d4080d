"""Pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.graph import AveragePool2D, MaxPool2D, Mean
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.formulas import Quantization
from accelsim.importers.onnx.lower.shape import moved
from accelsim.importers.onnx.network import Codes, Pending, Target
from accelsim.importers.onnx.window import window
from accelsim.numerics import INT32, Folding, Requant, scheme_named
from accelsim.quant import divided_multiplier

APPROXIMATION = (
    "an exact integer sum and one multiplier; ONNX Runtime sums dequantized codes in float32, and codes near a tie may "
    "differ by one"
)


def lower_max_pool(node: NodeContext) -> None:
    """Maximum of codes: order is kept by every positive scale."""
    source = node.codes(0)
    fields, shape = pool_fields(node, source)
    out = moved(node, source, shape)
    fmt = source.format
    node.net.layers.append(
        MaxPool2D(**fields, inputs=(source.tensor,), output=out.tensor, clamp_min=fmt.min, clamp_max=fmt.max)
    )


def lower_global_max_pool(node: NodeContext) -> None:
    """Largest code of every channel."""
    source = node.codes(0)
    n, c, h, w = node.image(source)
    out, fmt = moved(node, source, (n, c, 1, 1)), source.format
    node.net.layers.append(
        MaxPool2D(**node.fields(source, out), kernel=(h, w), stride=(1, 1), clamp_min=fmt.min, clamp_max=fmt.max)
    )


def lower_qlinear_average_pool(node: NodeContext) -> None:
    """X, s, z, s_y, z_y (com.microsoft)."""
    _channels_first(node)
    node.emit(_average(node, node.scaled(0, 1, 2)), node.quantization(3, 4))


def lower_average_pool(node: NodeContext) -> None:
    """DequantizeLinear -> AveragePool -> QuantizeLinear."""
    node.result(_average(node, node.codes(0)))


def _average(node: NodeContext, source: Codes) -> Pending:
    """ONNX Runtime's float32, or the scheme that other arithmetics have for means."""
    fields, shape = pool_fields(node, source)
    known = source.known
    layer = AveragePool2D(
        **fields, inputs=(source.tensor,), output="", rule="float32" if node.rules.is_onnxruntime else "sums",
        input_zero_point=known.zero_point, count_include_pad=bool(node.integer("count_include_pad", 0)),
    )  # fmt: skip
    return Pending(
        shape, (_in_float32 if node.rules.is_onnxruntime else _in_integers)(node, known, layer), "an average pool"
    )


def _in_float32(node: NodeContext, known: Quantization, layer: AveragePool2D) -> Callable[[Target], None]:
    def emit(target: Target) -> None:
        to = target.quantization
        made = replace(layer, output=target.name, clamp_min=target.low, clamp_max=target.high)
        scaled = replace(made, input_scale=known.scale, output_scale=to.scale, output_zero_point=to.zero_point)
        node.net.layers.append(scaled)

    return emit


def _in_integers(node: NodeContext, known: Quantization, layer: AveragePool2D) -> Callable[[Target], None]:
    reach = layer.whole * max(known.format.max - known.zero_point, known.zero_point - known.format.min)
    node.need(
        reach <= INT32.max, f"its sums reach {reach}", "sums of at most 32 bits: narrower codes, a smaller window"
    )
    node.approximate(APPROXIMATION)

    def emit(target: Target) -> None:
        requant = mean_requant(node.rules.scheme("MEAN"), known, target, layer.whole)
        node.net.layers.append(replace(layer, output=target.name, requant=requant))

    return emit


def pool_fields(node: NodeContext, source: Codes) -> tuple[dict[str, Any], tuple[int, int, int, int]]:
    """Fields that all windows share, and the output's shape."""
    node.need(len(source.shape) == 4, f"its input has shape {list(source.shape)}", "2-D pooling: 4 dimensions")
    node.need(node.integer("storage_order", 0) == 0, "its storage order is column major", "storage_order 0")
    n, c, h, w = source.shape
    node.need("kernel_shape" in node.attributes, "it has no kernel_shape", "a kernel_shape")
    kh, kw = node.ints("kernel_shape", (1, 1))
    rows, columns = window(node, (h, w), (kh, kw))
    node.need(rows.dilation == columns.dilation == 1, "its window is dilated", "dilations of 1")
    node.need(
        rows.before < kh and columns.before < kw,
        f"its padding {(rows.before, columns.before)} covers whole windows",
        "less",
    )
    shape = n, c, rows.size, columns.size
    fields = {
        "name": node.layer_name, "shapes": (source.stored,), "shape": (n, rows.size, columns.size, c),
        "kernel": (kh, kw), "stride": (rows.stride, columns.stride), "pad": (rows.before, columns.before),
    }  # fmt: skip
    return fields, shape


def lower_qlinear_global_average_pool(node: NodeContext) -> None:
    """X, s, z, s_y, z_y (com.microsoft)."""
    _channels_first(node)
    node.emit(_global_average(node, node.scaled(0, 1, 2)), node.quantization(3, 4))


def lower_global_average_pool(node: NodeContext) -> None:
    """DequantizeLinear -> GlobalAveragePool -> QuantizeLinear."""
    node.result(_global_average(node, node.codes(0)))


def _channels_first(node: NodeContext) -> None:
    node.need(node.integer("channels_last", 0) == 0, "its channels are last", "channels_last 0")


def _global_average(node: NodeContext, source: Codes) -> Pending:
    """Integer sum, then one multiplier (MLAS qlgavgpool.cpp: ``s_in / (s_out * count)`` in float32)."""
    n, c, h, w = node.image(source)
    known, scheme = source.known, node.rules.scheme("MEAN")

    def emit(target: Target) -> None:
        node.net.layers.append(
            Mean(**global_fields(node, source), output=target.name, requant=mean_requant(scheme, known, target, h * w))
        )

    return Pending((n, c, 1, 1), emit, "a global average pool")


def global_fields(node: NodeContext, source: Codes) -> dict[str, Any]:
    """The fields of a Mean over rows and columns, without output and requantization."""
    n, c, _, _ = node.image(source)
    return {
        "name": node.layer_name, "inputs": (source.tensor,), "shapes": (source.stored,), "shape": (n, 1, 1, c),
        "axes": (1, 2), "input_zero_point": source.known.zero_point,
    }  # fmt: skip


def mean_requant(scheme: str, source: Quantization, target: Target, count: int) -> Requant:
    """One float32 multiplier, or ``s_in / s_out`` encoded and divided by ``count`` (LiteRT reduce.h)."""
    to, shift = target.quantization, 0
    multiplier: Any = np.float32(source.scale) / (np.float32(to.scale) * np.float32(count))
    if scheme_named(scheme).folding is Folding.DIVIDED:
        multiplier, shift = divided_multiplier(source.scale / to.scale, count)
    return Requant(scheme, np.array([multiplier]), np.array([shift], np.int32), to.zero_point, target.low, target.high)
