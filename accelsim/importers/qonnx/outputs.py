"""A graph output of a QONNX file that no quantizer ends: the sums of the last layer, which the host scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import HostPort
from accelsim.importers.onnx.chain import Chained, IntegerSums, Sums
from accelsim.importers.onnx.formulas import Quantization
from accelsim.importers.onnx.lower.integer import IDENTITY
from accelsim.importers.onnx.network import Network, Real
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import INT32, Rounding

REMEDY = (
    "end the network with a quantizer (in Brevitas: output_quant=... of the last layer, or a QuantIdentity behind it)"
)


def sums_port(net: Network, name: str) -> HostPort:
    """Host port of int32 sums with scale s_in * s_w; RefusalError where the output is more than sums and an integer bias."""
    value = net.values[name]
    if not isinstance(value, Chained) or not isinstance(value.base, IntegerSums):
        raise RefusalError(f"graph output {name!r} is not quantized", REMEDY)
    base, bias = _sums(value, name), _bias(value, name)
    base.need_int32()
    largest = base.reach + (0 if bias is None else int(np.abs(bias).max()))
    base.node.need(largest <= INT32.max, f"its sums with their bias reach {largest}", "sums of at most 32 bits")
    if np.frexp(base.unit[0])[0] != 0.5 or largest > 2**24:
        base.node.approximate("its float result is rounded once, as s_in * s_w times the integer sum")
    known = Quantization(float(np.float32(base.unit[0])), 0, INT32)
    made = net.make(name, value.shape, INT32, known)
    base.emit(made, IDENTITY, bias, {"weight_scales": base.scales})
    net.values[name] = Real(made)
    return HostPort(made.tensor, name, real=True, rounding=Rounding.HALF_EVEN)


def _sums(value: Chained, name: str) -> Sums:
    """What the chain starts from, of the array; RefusalError for means, and where it does more than add."""
    line = value.line
    plain = line is not None and bool((line.gain == 1).all()) and (line.least, line.most) == (-np.inf, np.inf)
    if not plain or not isinstance(value.base, Sums):
        raise RefusalError(f"graph output {name!r} is the float result of {value.what}, not quantized", REMEDY)
    return value.base


def _bias(value: Chained, name: str) -> NDArray[np.int64] | None:
    """What the chain adds, in units of one sum (oc,), or None; RefusalError for any other chain."""
    base, line = _sums(value, name), value.line
    assert line is not None
    if len(base.unit) > 1:
        raise RefusalError(f"graph output {name!r} has a scale per channel and is not quantized", REMEDY)
    bias = np.broadcast_to(line.offset / base.unit, (base.geometry.oc,))
    if (bias != np.rint(bias)).any() or (np.abs(bias) > INT32.max).any():
        raise RefusalError(f"graph output {name!r} adds a bias that is no multiple of s_in * s_w", REMEDY)
    return bias.astype(np.int64) if bias.any() else None
