"""ConvInteger and MatMulInteger: sums as int32 codes, or folded with the float operators after them into one layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from accelsim.importers.onnx.chain_bases import Sums
from accelsim.importers.onnx.chains import Chained, chain
from accelsim.importers.onnx.file.records import type_name
from accelsim.importers.onnx.formulas import Codes as CodeArray
from accelsim.importers.onnx.formulas import Floats, Quantization, format_of, quantize
from accelsim.importers.onnx.lower.mac import Form, Operands, convolution_form, operands_of, product_form
from accelsim.importers.onnx.network import Codes, Weights
from accelsim.importers.onnx.refusal import RefusalError
from accelsim.importers.onnx.site import Site
from accelsim.importers.qonnx.quantizer import Quantizer
from accelsim.numerics import INT32, Requant

IDENTITY = Requant("shift_floor", np.ones(1, np.int32), np.zeros(1, np.int32), 0, INT32.min, INT32.max)
"""Sums as they are."""
BYTES = "int8 or uint8"
"""Operands of both operators (Operators.md, ConvInteger and MatMulInteger)."""


@dataclass(frozen=True, eq=False)
class SumCodes(Codes):
    """Sums that are a tensor of int32 codes; ``chained`` are the same ones for a reader that scales them."""

    chained: Chained = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class LinearQuantizer(Quantizer):
    """QuantizeLinear at the end of a chain: the zero point comes after the rounding, half to even."""

    def codes(self, real: Floats) -> CodeArray:
        """``saturate(round_half_even(x / scale) + zero_point)``."""
        return quantize(real, self.quantization)


def lower_conv_integer(site: Site) -> None:
    """x, w, z_x, z_w; ``w`` constant, its zero point per tensor or per output channel."""
    image, weights = _image(site), _weights(site, axis=0)
    form = convolution_form(site, image, weights.codes.shape)
    _sums(site, form, image, operands_of(site, weights, (0, 2, 3, 1), None))


def lower_matmul_integer(site: Site) -> None:
    """A, B, z_A, z_B; ``B`` a constant matrix, its zero point per tensor or per column."""
    image, weights = _image(site), _weights(site, axis=1)
    form, turned = product_form(site, image, weights, transposed=False)
    _sums(site, form, image, operands_of(site, turned, (0, 1, 2, 3), None))


def _image(site: Site) -> Codes:
    value = site.value(0)
    if not isinstance(value, Codes):
        site.codes(0)
        raise RefusalError("its input is dequantized", "codes that are computed at run time")
    site.need(value.format.bits == 8, f"its input is {value.format}", BYTES)
    zero = 0
    if site.optional(2) is not None:
        given = site.array(2, "zero points")
        site.need(
            given.size == 1 and format_of(given.dtype) == value.format,
            f"its input has {given.size} zero points of {given.dtype}",
            f"one of {value.format}",
        )
        zero = int(given.reshape(-1)[0])
    return replace(Codes(value.tensor, value.shape, value.format), quantization=Quantization(1.0, zero, value.format))


def _weights(site: Site, *, axis: int) -> Weights:
    codes = site.array(1, "weights")
    site.need(codes.dtype in (np.int8, np.uint8), f"its weights are {codes.dtype}", BYTES)
    zeros = np.zeros(1, np.int64)
    if site.optional(3) is not None:
        given = site.array(3, "zero points")
        site.need(
            given.dtype == codes.dtype and given.ndim <= 1 and given.size > 0,
            f"the zero points of its weights are {given.dtype} of shape {list(given.shape)}, its weights {codes.dtype}",
            "the type of the weights, one per tensor or one per output channel",
        )
        zeros = given.reshape(-1).astype(np.int64)
    return Weights(codes, np.ones(1, np.float32), zeros, axis if len(zeros) > 1 else None)


def _sums(site: Site, form: Form, image: Codes, operands: Operands) -> None:
    """A chain where every reader is a Cast; else a layer that writes the sums, from which a Cast starts the chain anew."""
    base = Sums(
        site=site, kind=form.kind, operator=form.operator, image=image, source=form.source, shape=form.shape,
        geometry=form.geometry, weights=operands.weights, weight_format=operands.format, unit=np.ones(1),
        scales=np.ones(1, np.float32),
    )  # fmt: skip
    chained = chain(base, form.shape, f"a {site.node.op}", is_product=site.node.op == "MatMulInteger")
    name, model = site.output_name, site.net.model
    readers = model.consumers(name)
    if readers and name not in model.outputs and all(reader.op == "Cast" for reader in readers):
        site.result(chained)
        return
    base.need_int32()
    known = Quantization(1.0, 0, INT32)
    made = site.net.make(name, form.shape, INT32, known)
    base.emit(made, IDENTITY)
    site.result(SumCodes(made.tensor, made.shape, made.format, known, chained=chained))


def lower_cast(site: Site) -> None:
    """Sums of ConvInteger or MatMulInteger as real numbers."""
    kind = type_name(site.integer("to", 0))
    site.need(kind == "FLOAT", f"it casts to {kind}", "FLOAT")
    value = site.value(0)
    if isinstance(value, SumCodes):
        value = value.chained
    if not isinstance(value, Chained):
        raise RefusalError(
            "it casts something else than integer sums", "the int32 result of ConvInteger or MatMulInteger"
        )
    site.result(value)


def behind_sums(plain: Callable[[Site], None], chained: Callable[[Site], None]) -> Callable[[Site], None]:
    """``chained`` where an operand is a chain that began with integer sums, ``plain`` elsewhere."""

    def lower(site: Site) -> None:
        operands = (site.optional(i) for i in range(len(site.node.inputs)))
        (chained if any(isinstance(value, Chained) for value in operands) else plain)(site)

    return lower


def quantize_sums(site: Site) -> None:
    """QuantizeLinear at the end of a chain."""
    site.need(not site.integer("block_size", 0), "it quantizes in blocks", "one scale for an activation")
    value, to, name = site.value(0), site.quantization(1, 2), site.output_name
    assert isinstance(value, Chained)
    scale, zero = np.array([to.scale], np.float32), np.array([to.zero_point])
    final = LinearQuantizer(scale, zero, None, to.format, to.format.min, to.format.max, "ROUND")
    made = site.net.make(name, value.shape, to.format, to)
    value.base.settle(value, final, name)
    site.result(made)
