"""Quant, BipolarQuant and Trunc of QONNX: where float tensors become codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.graph import HostPort, Lut
from accelsim.importers.onnx.chain_bases import OneTensor
from accelsim.importers.onnx.chains import Chained, Final, chain
from accelsim.importers.onnx.formulas import dequantize
from accelsim.importers.onnx.network import Codes, HostReal, Pending, Real, Value, Weights, view
from accelsim.importers.onnx.refusal import RefusalError
from accelsim.importers.onnx.site import Site, settle
from accelsim.importers.qonnx.quantizer import (
    HOST_ROUNDINGS,
    QuantizedWeights,
    Quantizer,
    bipolar_of,
    numbers,
    quantizer_of,
    truncation_of,
)


def lower_quant(site: Site) -> None:
    """``(round(clamp(x / scale + zeropt)) - zeropt) * scale``: codes of a constant, of a host input, or of a layer."""
    value = site.value(0)
    _quantize(site, value, quantizer_of(site, _shape(site, value)))


def lower_bipolar_quant(site: Site) -> None:
    """``scale`` where x is 0 or more, ``-scale`` elsewhere."""
    value = site.value(0)
    _quantize(site, value, bipolar_of(site, _shape(site, value)))


def lower_trunc(site: Site) -> None:
    """Codes divided by a power of two, rounded down unless ``rounding_mode`` says otherwise."""
    chained = chain_of(site, 0)
    _finish(site, chained, truncation_of(site, chained))


def chain_of(site: Site, position: int) -> Chained:
    """Input ``position`` as a chain: what is quantized already starts one."""
    value = site.value(position)
    if isinstance(value, Chained):
        return value
    if isinstance(value, Real):
        return chain(OneTensor(site, value.codes), value.codes.shape, f"the {site.node.op}")
    site.codes(position)
    raise RefusalError(f"input {position} is codes without a scale", "a quantized float tensor")


def _shape(site: Site, value: Value) -> tuple[int, ...]:
    if isinstance(value, Real):
        return value.codes.shape
    return np.shape(value.codes) if isinstance(value, Weights) else value.shape


def _quantize(site: Site, value: Value, to: Quantizer) -> None:
    if isinstance(value, np.ndarray | Weights):
        codes = to.codes(numbers(site, 0, "values")).astype(to.format.dtype)
        site.result(QuantizedWeights(codes, to.scales, to.zero_points, to.axis, to.format))
        return
    site.need(to.axis is None, f"its {len(to.scales)} scales differ by channel", "one scale for an activation")
    if isinstance(value, HostReal):
        _from_host(site, value, to)
    elif isinstance(value, Real) and _keeps(value.codes, to):
        site.result(value)
    elif isinstance(value, Pending) and not isinstance(value, Chained):
        _settle_plain(site, value, to)
    else:
        _finish(site, chain_of(site, 0), to)


def _finish(site: Site, chained: Chained, final: Final) -> None:
    name, known = site.output_name, final.quantization
    made = site.net.make(name, chained.shape, known.format, known)
    chained.base.settle(chained, final, name)
    site.result(Real(made))


def _keeps(source: Codes, to: Quantizer) -> bool:
    """Whether quantizing ``source`` once more changes nothing."""
    if source.quantization != to.quantization or source.format.bits > 8:
        return False
    codes = np.array([-1, 1]) if source.format.bipolar else source.known.codes
    return bool((to.codes(dequantize(codes, source.known)) == codes).all())


def _settle_plain(site: Site, value: Pending, to: Quantizer) -> None:
    """Operators that the importer knows from QDQ models round half to even and use the whole format."""
    whole = (to.low, to.high) == (to.format.min, to.format.max)
    plain = to.rounding in ("ROUND", "HALF_EVEN") and whole and to.zero_points[0] % 2 == 0 and not to.format.bipolar
    site.need(plain, f"{value.what} before it is quantized in a form of its own", "ROUND, narrow 0, an even zeropt")
    site.result(Real(settle(site, value, site.output_name, to.quantization)))


def _from_host(site: Site, value: HostReal, to: Quantizer) -> None:
    """A host port; a narrow range is had by a table after it."""
    rounding = HOST_ROUNDINGS.get(to.rounding)
    if rounding is None or to.format.bipolar:
        raise RefusalError(
            f"it quantizes a graph input to {to.format} with rounding {to.rounding}",
            f"two or more levels with rounding {', '.join(HOST_ROUNDINGS)}",
        )
    if to.zero_points[0] % 2 and to.rounding not in ("CEIL", "FLOOR"):
        site.approximate("ties on the host are broken before its odd zero point is added, in the model after")
    made, name = to.quantization, site.output_name
    whole = (to.low, to.high) == (to.format.min, to.format.max)
    port = name if whole else site.net.fresh(f"{name}/host")
    site.net.inputs.append(HostPort(port, value.name, real=True, rounding=rounding))
    codes = site.net.make(port, value.shape, made.format, made)
    if not whole:
        site.need(made.format.bits <= 8, f"its narrow range has {made.format.bits} bits", "narrow 0 above 8 bits")
        codes = _clamped(site, codes, to)
    site.result(Real(codes))


def _clamped(site: Site, source: Codes, to: Quantizer) -> Codes:
    name, shape = site.output_name, view(source.stored)
    whole = replace(to, rounding="ROUND")  # the host has rounded; a quotient may be off its whole number by one ulp
    table = np.clip(source.known.codes, to.low, to.high).astype(to.format.dtype)
    site.net.layers.append(
        Lut(
            name=site.layer_name, inputs=(source.tensor,), output=name, shapes=(shape,), shape=shape,
            source_operator="QUANT", table=table, input_min=source.format.min, real_function=whole.codes,
        )
    )  # fmt: skip
    return site.net.make(name, source.shape, source.format, source.quantization)
