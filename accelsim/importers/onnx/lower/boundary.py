"""QuantizeLinear and DequantizeLinear: where codes and real numbers meet, at import or on the host."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.graph import HostPort
from accelsim.importers.onnx.constants import dequantize_blocks
from accelsim.importers.onnx.context import NodeContext, dequantized, settle
from accelsim.importers.onnx.file.records import type_name
from accelsim.importers.onnx.file.sub_byte import holder_of
from accelsim.importers.onnx.formulas import ACCEPTED, format_of, is_codes
from accelsim.importers.onnx.lower.shape import table_layer
from accelsim.importers.onnx.network import Codes, HostReal, Pending, Real, Target, Weights
from accelsim.importers.onnx.rules import ONNXRUNTIME
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import Rounding


def lower_quantize_linear(node: NodeContext) -> None:
    """Float graph inputs become host ports, float results layers, constants codes; ties go to even."""
    node.need(not node.integer("block_size", 0), "it quantizes in blocks", "per-tensor or per-axis scales")
    value = node.value(0)
    if isinstance(value, np.ndarray | Weights):
        _quantize_constant(node)
        return
    to = node.quantization(1, 2)
    node.ignore("axis", "saturate")
    name = node.output_name
    if isinstance(value, HostReal):
        node.result(node.net.make(name, value.shape, to.format, to))
        node.net.inputs.append(HostPort(name, value.name, real=True, rounding=Rounding.HALF_EVEN))
    elif isinstance(value, Pending):
        node.result(settle(node, value, name, to))
    elif isinstance(value, Real) and value.codes.quantization == to:
        node.result(value.codes)
    elif isinstance(value, Real):
        _name_merged_quantizers(node)
        target = Target(name, to, to.format.min, to.format.max)
        node.net.layers.append(table_layer(node.layer_name, value.codes, target, "QUANTIZE"))
        node.result(node.net.make(name, value.codes.shape, to.format, to))
    else:
        raise RefusalError("its input is quantized already", "a float input")


def _name_merged_quantizers(node: NodeContext) -> None:
    """Two quantizers in a row are one to ONNX Runtime (double_qdq_pairs_remover.cc)."""
    before, model, result = node.inputs[0], node.net.model, node.output_name
    readers = {reader.op for reader in model.consumers(result)}
    if readers != {"DequantizeLinear"} or result in model.outputs:
        return
    for op in ("DequantizeLinear", "QuantizeLinear"):
        maker = model.producer(before)
        if maker is None or maker.op != op or len(model.consumers(before)) > 1 or before in model.outputs:
            return
        before = maker.inputs[0]
    if node.rules.arithmetic.base == ONNXRUNTIME:
        node.approximate(
            "quantized twice, as the file says; ONNX Runtime's optimizer makes one quantizer of both, with a scale of its own"
        )


def _quantize_constant(node: NodeContext) -> None:
    """``saturate(round_half_even(x / scale) + zero_point)``, per tensor or along ``axis``."""
    given = node.value(0)
    real = dequantized(given) if isinstance(given, Weights) else node.array(0, "values")
    node.need(
        real.dtype == np.float32 and bool(np.isfinite(real).all()), f"its input is {real.dtype}", "finite float32"
    )
    scales, zeros, fmt = node.parameters(1, 2)
    node.ignore("axis", "saturate")
    if len(scales) > 1:
        axis = node.axis(real.ndim, 1)
        node.need(
            real.shape[axis] == len(scales), f"it has {len(scales)} scales for {real.shape[axis]}", "one per index"
        )
        shape = tuple(-1 if i == axis else 1 for i in range(real.ndim))
        scales, zeros = scales.reshape(shape), (zeros.reshape(shape) if zeros.size > 1 else zeros)
    whole = np.rint(np.clip((real / scales).astype(np.float64), -(2.0**40), 2.0**40)).astype(np.int64) + zeros
    codes = np.clip(whole, fmt.min, fmt.max).reshape(real.shape)
    if isinstance(given, Weights):
        node.need(
            given.codes.dtype == holder_of(fmt) and bool((codes == given.codes).all()),
            "it quantizes a constant a second time, which ONNX Runtime's optimizer does otherwise than the file says",
            "constants that are quantized once",
        )
    node.result(codes.astype(holder_of(fmt)))


def lower_dequantize_linear(node: NodeContext) -> None:
    """Constants keep their codes; codes that are computed keep them too, as what a float tensor stands for."""
    value, block = node.value(0), node.integer("block_size", 0)
    real = type_name(node.integer("output_dtype", 0) or 1)
    node.need(real == "FLOAT", f"its output_dtype is {real}", "FLOAT")
    if isinstance(value, np.ndarray) and block:
        node.need(is_codes(value), f"its input is {value.dtype}", ACCEPTED)
        node.result(dequantize_blocks(node, value, block))
    elif isinstance(value, np.ndarray):
        _dequantize_constant(node, value)
    elif block:
        raise RefusalError("it dequantizes activations in blocks", "one scale and zero point per activation tensor")
    elif isinstance(value, Codes):
        given = node.quantization(1, 2, value.format)
        node.ignore("axis")
        node.net.label(value, given)
        node.result(Real(replace(value, quantization=given)))
    else:
        raise RefusalError("its input is not quantized", "codes or a constant")


def _dequantize_constant(node: NodeContext, codes: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    fmt = format_of(codes.dtype)
    if fmt is None:
        raise RefusalError(f"its input is {codes.dtype}", "integer codes")
    scales, zeros, _ = node.parameters(1, 2, fmt)
    axis = None
    node.ignore("axis")
    if max(len(scales), len(zeros)) > 1:
        axis = node.axis(codes.ndim, 1)
        node.need(
            codes.shape[axis] == len(scales),
            f"it has {len(scales)} scales for {codes.shape[axis]} channels",
            "one per channel",
        )
    node.result(Weights(codes, scales, zeros, axis))


def lower_identity(node: NodeContext) -> None:
    """The same tensor under another name."""
    node.result(node.value(0))
