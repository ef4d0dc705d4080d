"""Quant, BipolarQuant and Trunc of QONNX: where float tensors become codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.graph import HostPort, Lut
from accelsim.importers.onnx.chain import Chained, Final, Quantizer
from accelsim.importers.onnx.context import NodeContext, numbers, settle
from accelsim.importers.onnx.formulas import dequantize
from accelsim.importers.onnx.lower.chain import chain_of
from accelsim.importers.onnx.network import Codes, HostReal, Pending, Real, Value, Weights, view
from accelsim.importers.qonnx.quantizer import (
    HOST_ROUNDINGS,
    MAX_BITS,
    MAX_CONSTANT_BITS,
    QuantizedWeights,
    bipolar_of,
    quantizer_of,
    truncation_of,
)
from accelsim.importers.refusal import RefusalError


def lower_quant(node: NodeContext) -> None:
    """``(round(clamp(x / scale + zeropt)) - zeropt) * scale``: codes of a constant, of a host input, or of a layer."""
    value = node.value(0)
    most = MAX_CONSTANT_BITS if node.is_constant(0) else MAX_BITS
    _quantize(node, value, quantizer_of(node, _shape(node, value), most=most))


def lower_bipolar_quant(node: NodeContext) -> None:
    """``scale`` where x is 0 or more, ``-scale`` elsewhere."""
    value = node.value(0)
    _quantize(node, value, bipolar_of(node, _shape(node, value)))


def lower_trunc(node: NodeContext) -> None:
    """Codes divided by a power of two, rounded down unless ``rounding_mode`` says otherwise."""
    chained = chain_of(node, 0)
    _finish(node, chained, truncation_of(node, chained))


def _shape(node: NodeContext, value: Value) -> tuple[int, ...]:
    if isinstance(value, Real):
        return value.codes.shape
    return np.shape(value.codes) if isinstance(value, Weights) else value.shape


def _quantize(node: NodeContext, value: Value, to: Quantizer) -> None:
    if isinstance(value, np.ndarray | Weights):
        codes = to.narrow_codes(numbers(node, 0, "values"))
        node.result(QuantizedWeights(codes, to.scales, to.zero_points, to.axis, to.format))
        return
    node.need(to.axis is None, f"its {len(to.scales)} scales differ by channel", "one scale for an activation")
    if isinstance(value, HostReal):
        _from_host(node, value, to)
    elif isinstance(value, Real) and _keeps(value.codes, to):
        node.result(value)
    elif isinstance(value, Pending) and not isinstance(value, Chained):
        _settle_plain(node, value, to)
    else:
        _finish(node, chain_of(node, 0), to)


def _finish(node: NodeContext, chained: Chained, final: Final) -> None:
    name, known = node.output_name, final.quantization
    made = node.net.make(name, chained.shape, known.format, known)
    chained.base.settle(chained, final, name)
    node.result(Real(made))


def _keeps(source: Codes, to: Quantizer) -> bool:
    """Whether quantizing ``source`` once more changes nothing."""
    if source.quantization != to.quantization or source.format.bits > 8:
        return False
    codes = np.array([-1, 1]) if source.format.bipolar else source.known.codes
    return bool((to.codes(dequantize(codes, source.known)) == codes).all())


def _settle_plain(node: NodeContext, value: Pending, to: Quantizer) -> None:
    """Operators that the importer knows from QDQ models round half to even and use the whole format."""
    whole = (to.low, to.high) == (to.format.min, to.format.max)
    # A rule of the TFLite family is an approximation, whatever the parity of the zero point.
    fine = to.zero_points[0] % 2 == 0 or not node.rules.is_onnxruntime
    plain = to.rounding in ("ROUND", "HALF_EVEN") and whole and fine and not to.format.bipolar
    node.need(plain, f"{value.what} before it is quantized in a form of its own", "ROUND, narrow 0, an even zeropt")
    node.result(Real(settle(node, value, node.output_name, to.quantization)))


def _from_host(node: NodeContext, value: HostReal, to: Quantizer) -> None:
    """A host port; a narrow range is had by a table after it."""
    rounding = HOST_ROUNDINGS.get(to.rounding)
    if rounding is None or to.format.bipolar:
        raise RefusalError(
            f"it quantizes a graph input to {to.format} with rounding {to.rounding}",
            f"two or more levels with rounding {', '.join(HOST_ROUNDINGS)}",
        )
    if to.zero_points[0] % 2 and to.rounding not in ("CEIL", "FLOOR"):
        node.approximate("ties on the host are broken before its odd zero point is added, in the model after")
    made, name = to.quantization, node.output_name
    whole = (to.low, to.high) == (to.format.min, to.format.max)
    port = name if whole else node.net.fresh(f"{name}/host")
    node.net.inputs.append(HostPort(port, value.name, real=True, rounding=rounding))
    codes = node.net.make(port, value.shape, made.format, made)
    if not whole:
        node.need(made.format.bits <= 8, f"its narrow range has {made.format.bits} bits", "narrow 0 above 8 bits")
        codes = _clamped(node, codes, to)
    node.result(Real(codes))


def _clamped(node: NodeContext, source: Codes, to: Quantizer) -> Codes:
    name, shape = node.output_name, view(source.stored)
    whole = replace(to, rounding="ROUND")  # the host has rounded; a quotient may be off its whole number by one ulp
    table = np.clip(source.known.codes, to.low, to.high).astype(to.format.dtype)
    node.net.layers.append(
        Lut(
            name=node.layer_name, inputs=(source.tensor,), output=name, shapes=(shape,), shape=shape,
            source_operator="QUANT", table=table, input_min=source.format.min, real_function=whole.codes,
        )
    )  # fmt: skip
    return node.net.make(name, source.shape, source.format, source.quantization)
