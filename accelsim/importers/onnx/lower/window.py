"""Pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.graph import AveragePool2D, MaxPool2D, Mean
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.formulas import Quantization
from accelsim.importers.onnx.layout import Layout, image_of, is_channels_last
from accelsim.importers.onnx.lower.shape import moved
from accelsim.importers.onnx.network import Codes, Pending, Target
from accelsim.importers.onnx.window import window
from accelsim.numerics import INT32, Folding, Requant, scheme_named
from accelsim.quant import divided_multiplier, folded_factors

APPROXIMATION = (
    "an exact integer sum and one multiplier; ONNX Runtime sums dequantized codes in float32, and codes near a tie may "
    "differ by one"
)


ROW_BY_ROW = 19
"""Opset from which on ONNX Runtime's AveragePool sums its window row by row (AveragePoolV19)."""


def lower_max_pool(node: NodeContext) -> None:
    """Maximum of codes: order is kept by every positive scale."""
    source = node.codes(0)
    image, layout = image_of(node, source)
    fields, shape = pool_fields(node, image, layout)
    fmt = source.format
    fields |= {"clamp_min": fmt.min, "clamp_max": fmt.max}
    out = moved(node, source, layout.shape(shape))
    layout.write(node, out, lambda name: MaxPool2D(**fields, output=name))


def lower_global_max_pool(node: NodeContext) -> None:
    """Largest code of every channel."""
    source = node.codes(0)
    image, layout = image_of(node, source)
    n, c, h, w = image.shape
    fmt, out = source.format, moved(node, source, layout.shape((n, c, 1, 1)))
    fields: dict[str, Any] = {
        "name": node.layer_name, "inputs": (image.tensor,), "shapes": (image.stored,), "shape": (n, 1, 1, c),
        "kernel": (h, w), "stride": (1, 1), "clamp_min": fmt.min, "clamp_max": fmt.max,
    }  # fmt: skip
    layout.write(node, out, lambda name: MaxPool2D(**fields, output=name))


def lower_qlinear_average_pool(node: NodeContext) -> None:
    """X, s, z, s_y, z_y (com.microsoft)."""
    node.emit(_average(node, node.scaled(0, 1, 2)), node.quantization(3, 4))


def lower_average_pool(node: NodeContext) -> None:
    """DequantizeLinear -> AveragePool -> QuantizeLinear."""
    node.result(_average(node, node.codes(0)))


def _average(node: NodeContext, source: Codes) -> Pending:
    """ONNX Runtime's float32, or the scheme that other arithmetics have for means."""
    image, layout = image_of(node, source, channels_last=_is_channels_last(node))
    fields, shape = pool_fields(node, image, layout)
    known = source.known
    layer = AveragePool2D(
        **fields, output="", rule="float32" if node.rules.is_onnxruntime else "sums",
        input_zero_point=known.zero_point, count_include_pad=bool(node.integer("count_include_pad", 0)),
    )  # fmt: skip
    emit = (_in_float32 if node.rules.is_onnxruntime else _in_integers)(node, known, layer)
    pooled = layout.settled(node, Pending(shape, emit, "an average pool"), shape)
    if not (node.rules.is_onnxruntime and _is_whole(node, image, fields["kernel"], shape)):
        return pooled
    whole = _global_average(node, source)

    def either(target: Target) -> None:
        (pooled if _sums_by_rows(node, known, target) else whole).emit(target)

    return replace(pooled, emit=either)


def _is_whole(node: NodeContext, image: Codes, kernel: tuple[int, int], shape: tuple[int, ...]) -> bool:
    """Whether one window without padding is the image: ONNX Runtime then takes the kernel of GlobalAveragePool, which rounds otherwise."""
    pads = node.attributes.get("pads", ())
    return kernel == image.shape[2:] and shape[2:] == (1, 1) and not (isinstance(pads, tuple) and any(pads))


def _sums_by_rows(node: NodeContext, known: Quantization, target: Target) -> bool:
    """Whether ONNX Runtime has no integer kernel, and its float one is that of which every step is known."""
    return node.is_float_execution(target, known.format.bits) and node.net.model.opset >= ROW_BY_ROW


def _in_float32(node: NodeContext, known: Quantization, layer: AveragePool2D) -> Callable[[Target], None]:
    """QLinearAveragePool's, or where ONNX Runtime has none AveragePool's own; that of early opsets sums by columns first."""

    def emit(target: Target) -> None:
        to, rule = target.quantization, layer.rule
        if _sums_by_rows(node, known, target):
            rule = "dequantized"
        else:
            node.name_float_execution(target, known.format.bits)
        made = replace(layer, rule=rule, output=target.name, clamp_min=target.low, clamp_max=target.high)
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


def pool_fields(node: NodeContext, source: Codes, layout: Layout) -> tuple[dict[str, Any], tuple[int, int, int, int]]:
    """Fields that all windows over an image share, and the output's shape (n, channels, rows, columns)."""
    node.need(node.integer("storage_order", 0) == 0, "its storage order is column major", "storage_order 0")
    n, c, h, w = source.shape
    node.need("kernel_shape" in node.attributes, "it has no kernel_shape", "a kernel_shape")
    kh, kw = layout.ints(node, "kernel_shape", 1)
    rows, columns = window(node, (h, w), (kh, kw), layout)
    node.need(rows.dilation == columns.dilation == 1, "its window is dilated", "dilations of 1")
    node.need(
        rows.before < kh and columns.before < kw,
        f"its padding {(rows.before, columns.before)} covers whole windows",
        "less",
    )
    shape = n, c, rows.size, columns.size
    fields = {
        "name": node.layer_name, "inputs": (source.tensor,), "shapes": (source.stored,), "shape": (n, rows.size, columns.size, c),
        "kernel": (kh, kw), "stride": (rows.stride, columns.stride), "pad": (rows.before, columns.before),
    }  # fmt: skip
    return fields, shape


def lower_qlinear_global_average_pool(node: NodeContext) -> None:
    """X, s, z, s_y, z_y (com.microsoft)."""
    node.emit(_global_average(node, node.scaled(0, 1, 2)), node.quantization(3, 4))


def lower_global_average_pool(node: NodeContext) -> None:
    """DequantizeLinear -> GlobalAveragePool -> QuantizeLinear."""
    node.result(_global_average(node, node.codes(0)))


def _is_channels_last(node: NodeContext) -> bool:
    return node.op.startswith("QLinear") and is_channels_last(node)


def _global_average(node: NodeContext, source: Codes) -> Pending:
    """Integer sum, then one multiplier (MLAS qlgavgpool.cpp: ``s_in / (s_out * count)`` in float32); else in float32 throughout."""
    image, layout = image_of(node, source, channels_last=_is_channels_last(node))
    n, c, h, w = image.shape
    known, scheme = source.known, node.rules.scheme("MEAN")

    def emit(target: Target) -> None:
        mean = Mean(**global_fields(node, image), output=target.name)
        if not node.is_float_execution(target, known.format.bits):
            node.net.layers.append(replace(mean, requant=mean_requant(scheme, known, target, h * w)))
            return
        to = target.quantization
        node.net.layers.append(
            replace(
                mean, rule="dequantized", input_scale=known.scale, output_scale=to.scale, output_zero_point=to.zero_point,
                clamp_min=target.low, clamp_max=target.high,
            )
        )  # fmt: skip

    return layout.settled(node, Pending((n, c, 1, 1), emit, "a global average pool"), (n, c, 1, 1))


def global_fields(node: NodeContext, source: Codes) -> dict[str, Any]:
    """The fields of a Mean over rows and columns of an image, without output and requantization."""
    n, c, _, _ = source.shape
    return {
        "name": node.layer_name, "inputs": (source.tensor,), "shapes": (source.stored,), "shape": (n, 1, 1, c),
        "axes": (1, 2), "input_zero_point": source.known.zero_point,
    }  # fmt: skip


def mean_requant(scheme: str, source: Quantization, target: Target, count: int) -> Requant:
    """One float32 multiplier, or ``s_in / s_out`` encoded and divided by ``count`` (LiteRT reduce.h)."""
    to, rule = target.quantization, scheme_named(scheme)
    if rule.folding is Folding.DIVIDED:
        multiplier, shift = (np.array([number]) for number in divided_multiplier(source.scale / to.scale, count))
    else:
        factor = np.float32(source.scale) / (np.float32(to.scale) * np.float32(count))
        multiplier, shift = folded_factors(rule, factor, raw=count * source.zero_point)
    return Requant(scheme, multiplier, shift.astype(np.int32), to.zero_point, target.low, target.high)
