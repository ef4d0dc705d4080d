"""What a float chain starts from: integer sums, the codes of one tensor, or those of two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import BinaryLut, FloatBinary, Lut, MacGeometry, MacLayer, RealFunction
from accelsim.importers.onnx.chain.chained import Chained, Final, Span
from accelsim.importers.onnx.chain.quantizer import Quantizer
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.formulas import MAX_BITS, Floats, dequantize
from accelsim.importers.onnx.network import Codes, Shape, order_name, view
from accelsim.importers.onnx.rules import ONNXRUNTIME
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import FLOAT32_OPERATORS, INT32, IntFormat, Requantization, Thresholds
from accelsim.quant import requantization_from_scales, thresholds_of


class Labels(TypedDict, total=False):
    """What a layer tells the host of its real numbers."""

    weight_scales: Floats | None
    real_bias: Floats | None
    real_function: RealFunction


Integers = NDArray[np.int64]
MAX_TABLE_BITS = 8
"""Widest codes of which two, or a code and a channel, meet in a table."""
MOST_TABLES = 2**16
"""Columns of a table, of which each channel picks one."""


@dataclass(frozen=True, eq=False, kw_only=True)
class IntegerSums:
    """Exact sums of codes of ``image``; a sum is worth ``unit``, (1,) or (oc,), divided by ``divisor``. ``operator`` names their scheme."""

    node: NodeContext
    operator: str
    image: Codes
    shape: Shape
    unit: NDArray[np.float64]
    divisor: int = 1

    @property
    def channels(self) -> int:
        """Units per channel, or one."""
        return len(self.unit)

    @property
    def widest(self) -> int:
        """Largest magnitude of a code less its zero point."""
        fmt, zero = self.image.format, self.image.known.zero_point
        return max(fmt.max - zero, zero - fmt.min)

    @property
    def reach(self) -> int:
        """Bound on the magnitude of every sum."""
        raise NotImplementedError

    @property
    def outputs(self) -> int:
        """Output channels."""
        raise NotImplementedError

    def emit(
        self, made: Codes, requant: Requantization, bias: Integers | None = None, labels: Labels | None = None
    ) -> None:
        """Make the layer that writes ``made``; ``labels`` tell the host of the chain behind its sums."""
        raise NotImplementedError

    def real(self, sums: Integers) -> Floats:
        """What the float graph holds for sums (C, n): exact where scales are powers of two."""
        return (sums * self.unit[:, None]).astype(np.float32)

    def probes(self) -> Floats:
        """Values of the extreme sums and of 0."""
        return self.real(np.array([[-self.reach, 0, self.reach]]))

    def settle(self, chain: Chained, final: Final, name: str) -> None:
        """The layer with thresholds, or with the multiplier and bias nearest to the chain."""
        scheme = self.node.rules.scheme(self.operator)
        self.need_int32()
        made = Codes(name, self.shape, final.quantization.format, final.quantization)
        if scheme == Thresholds.scheme or self._is_curve(scheme, chain):
            self.emit(made, self._thresholds(chain, final), labels=self._exact(chain, final))
        else:
            self.emit(made, *self._scaled(scheme, chain, final), labels=self._folded(chain, final))

    def _is_curve(self, scheme: str, chain: Chained) -> bool:
        """Whether ONNX Runtime's own arithmetic meets a chain that no multiplier and bias tell; thresholds then do, by name."""
        line = chain.line
        if self.node.rules.arithmetic.base != ONNXRUNTIME or (line is not None and (line.gain > 0).all()):
            return False
        self.node.approximate(
            f"{chain.what} after it is folded into thresholds of exact integer sums; ONNX Runtime sums in float32, and codes near a "
            "tie may differ by one",
            layer=self._layer_name(),
        )
        return True

    def need_int32(self) -> None:
        """RefusalError for sums that 32 bits may not hold."""
        self.node.need(
            self.reach <= INT32.max,
            f"its sums reach {self.reach}",
            "sums of at most 32 bits: narrower codes or weights",
        )

    def _thresholds(self, chain: Chained, final: Final) -> Requantization:
        def codes(sums: Integers) -> Integers:
            return coded(self.node, final, chain.function(self.real(sums)))

        channels = self.outputs if chain.channels > 1 else 1
        return thresholds_of(codes, channels=channels, sums=(-self.reach, self.reach))

    def _scaled(self, scheme: str, chain: Chained, final: Final) -> tuple[Requantization, Integers | None]:
        line = chain.line
        if line is None or not isinstance(final, Quantizer) or final.format.bipolar or (line.gain <= 0).any():
            raise RefusalError(
                f"{chain.what} before it is not one positive multiplier and a bias",
                "the arithmetic finn, which is exact",
            )
        to = final.quantization
        unit = self.unit / self.divisor * line.gain
        bias = np.rint(np.broadcast_to(line.offset / unit, (self.outputs,)))
        self.node.need(
            bool((np.abs(bias) <= INT32.max).all()), f"its bias reaches {np.abs(bias).max():.3g}", f"a bias of {INT32}"
        )
        self._say(line.gain, line.offset / unit, final)
        bounds = np.array([line.least, line.most], np.float32)
        low, high = (int(code) for code in np.clip(final.codes(bounds), final.low, final.high))
        requant = requantization_from_scales(
            scheme, s_in=1.0, s_w=unit.astype(np.float32), s_out=to.scale, zero_point=to.zero_point, clamp_min=low,
            clamp_max=high,
        )  # fmt: skip
        return requant, bias.astype(np.int64) if bias.any() else None

    def _exact(self, chain: Chained, final: Final) -> Labels:
        """Labels of the layer with the chain behind its sums."""
        return {"real_function": lambda real: final.codes(chain.function(real))}

    def _folded(self, chain: Chained, final: Final) -> Labels:
        """Labels of the layer with the chain folded into its parameters; none where ties do not go to the even code."""
        return self._exact(chain, final) if ties_to_even(final) else {}

    def _say(self, gain: NDArray[np.float64], bias: NDArray[np.float64], final: Quantizer) -> None:

        def say(sentence: str) -> None:
            self.node.approximate(sentence, layer=self._layer_name())

        if (bias != np.rint(bias)).any():
            say("its floating-point bias is rounded to a multiple of s_in * s_w")
        if (np.frexp(gain)[0] != 0.5).any():
            say("the float32 operators after it are folded into one multiplier and a bias per channel")
        if final.rounding not in ("ROUND", "HALF_EVEN"):
            say(f"the rounding mode {final.rounding} of its Quant is replaced by its arithmetic's own")

    def _layer_name(self) -> str:
        """Numbered from the second on: sums that end in several quantizers are summed once for each."""
        base, taken = self.node.layer_name, {layer.name for layer in self.node.net.layers}
        return next(name for i in count(1) if (name := base if i == 1 else f"{base} {i}") not in taken)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sums(IntegerSums):
    """Sums of the array: ``weights`` (oc, kh, kw, ic/groups) over codes; ``unit`` is the image's scale times ``scales``.

    The layer writes ONNX axis ``order[i]`` of the result as axis ``i``.
    """

    kind: type[MacLayer]
    source: str
    geometry: MacGeometry
    order: Shape
    weights: NDArray[Any]
    weight_format: IntFormat
    scales: Floats
    zero_points: NDArray[np.int64] | None = None

    @property
    def reach(self) -> int:
        """``max over channels of sum|w| * max|x - z|``."""
        return max(int(np.abs(channel.astype(np.int64)).sum()) for channel in self.weights) * self.widest

    @property
    def outputs(self) -> int:
        return self.geometry.oc

    def _exact(self, chain: Chained, final: Final) -> Labels:
        return {"weight_scales": self.scales, **super()._exact(chain, final)}

    def _folded(self, chain: Chained, final: Final) -> Labels:
        line = chain.line
        assert line is not None
        if not ties_to_even(final):
            return {}
        scales = self.unit / self.image.known.scale * line.gain
        bias = np.broadcast_to(line.offset, (self.outputs,)).astype(np.float32)
        return {"weight_scales": scales.astype(np.float32), "real_bias": bias if bias.any() else None}

    def emit(
        self, made: Codes, requant: Requantization, bias: Integers | None = None, labels: Labels | None = None
    ) -> None:
        def layer(output: str) -> MacLayer:
            return self.kind(
                name=self._layer_name(), inputs=(self.source,), output=output, geometry=self.geometry,
                weights=self.weights, weight_format=self.weight_format, weight_zero_points=self.zero_points, bias=bias,
                input_zero_point=self.image.known.zero_point, requant=requant, **(labels or {}),
            )  # fmt: skip

        self.node.net.from_ordered(made, self.order, order_name(self.order), layer)


@dataclass(frozen=True, eq=False)
class OneTensor:
    """Dequantized codes of one tensor of at most 16 bits: the chain becomes a table, or one per channel."""

    node: NodeContext
    source: Codes
    channels: int = 1

    def probes(self) -> Floats:
        """Every code."""
        return _reals(self.source)[None, :]

    def settle(self, chain: Chained, final: Final, name: str) -> None:
        """A Lut, or a BinaryLut whose constant operand picks the channel's column."""
        need_narrow(self.node, self.source, MAX_TABLE_BITS if chain.channels > 1 else MAX_BITS)
        given = coded(self.node, final, chain.function(self.probes()))
        name_near_ties(self.node, chain.span, self.probes(), final.codes)
        codes = np.atleast_2d(given).astype(final.quantization.format.dtype)
        columns, places = np.unique(codes, axis=0, return_inverse=True)
        self.node.need(
            len(columns) <= MOST_TABLES,
            f"its channels need {len(columns)} tables",
            f"at most {MOST_TABLES} different ones",
        )
        shape = view(self.source.stored)
        common: dict[str, Any] = {
            "name": self.node.layer_name, "inputs": (self.source.tensor,), "output": name, "shapes": (shape,),
            "shape": shape, "source_operator": self.node.op.upper(),
            "real_function": lambda real: final.codes(chain.function(real)),
        }  # fmt: skip
        low = self.source.format.min
        if len(columns) == 1:
            self.node.net.layers.append(Lut(**common, table=columns[0].copy(), input_min=low))
            return
        # Both images (channels last) and everything else have their channels on the last stored axis.
        constant = places.reshape((1,) * (len(shape) - 1) + (-1,)).astype(np.min_scalar_type(len(columns) - 1))
        table = np.ascontiguousarray(columns.T)
        self.node.net.layers.append(BinaryLut(**common, table=table, left_min=low, constant=constant))


@dataclass(frozen=True, eq=False)
class TwoTensors:
    """``operator`` of two tensors of at most 8 bits each: the chain becomes a table of pairs."""

    node: NodeContext
    left: Codes
    right: Codes
    operator: Callable[[Floats, Floats], Floats]
    channels: int = 1

    def probes(self) -> Floats:
        """Every pair of codes."""
        for side in (self.left, self.right):
            need_narrow(self.node, side, MAX_TABLE_BITS)
        a, b = _reals(self.left), _reals(self.right)
        return self.operator(a[:, None], b[None, :]).reshape(1, -1)

    def settle(self, chain: Chained, final: Final, name: str) -> None:
        """A BinaryLut; of wider codes, of which no table is made, the operator itself where nothing but a rectifier follows."""
        if max(self.left.format.bits, self.right.format.bits) > MAX_TABLE_BITS and self._is_plain(chain, final):
            self._settle_wide(chain, final, name)
            return
        self.node.need(chain.channels == 1, "constants after it differ by channel", "one number for all channels")
        given = coded(self.node, final, chain.function(self.probes()))
        name_near_ties(self.node, chain.span, self.probes(), final.codes)
        codes = given.astype(final.quantization.format.dtype)
        shapes = view(self.left.stored), view(self.right.stored)
        self.node.net.layers.append(
            BinaryLut(
                name=self.node.layer_name, inputs=(self.left.tensor, self.right.tensor), output=name, shapes=shapes,
                shape=np.broadcast_shapes(*shapes), source_operator=self.node.op.upper(),
                table=codes.reshape(len(self.left.known.codes), -1), left_min=self.left.format.min,
                right_min=self.right.format.min,
                real_function=lambda a, b: final.codes(chain.function(self.operator(a, b))),
            )
        )  # fmt: skip

    def _is_plain(self, chain: Chained, final: Final) -> bool:
        line = chain.line
        is_same = line is not None and bool((line.gain == 1).all() and (line.offset == 0).all())
        return (
            is_same
            and ties_to_even(final)
            and not final.quantization.format.bipolar
            and self.node.op.upper() in FLOAT32_OPERATORS
        )

    def _settle_wide(self, chain: Chained, final: Final, name: str) -> None:
        line = chain.line
        assert line is not None
        assert isinstance(final, Quantizer)
        bounds = final.codes(np.array([line.least, line.most], np.float32))
        low, high = (int(code) for code in np.clip(bounds, final.low, final.high))
        shapes = view(self.left.stored), view(self.right.stored)
        self.node.net.layers.append(
            FloatBinary(
                name=self.node.layer_name, inputs=(self.left.tensor, self.right.tensor), output=name, shapes=shapes,
                shape=np.broadcast_shapes(*shapes), source_operator=self.node.op.upper(), left=self.left.known.real, right=self.right.known.real,
                target=final.quantization.real, output_min=low, output_max=high,
                zero_point_first=True,
            )
        )  # fmt: skip


def ties_to_even(final: Final) -> bool:
    """Whether ``final`` rounds as a dequantized layer's own reading does."""
    return isinstance(final, Quantizer) and final.rounding in ("ROUND", "HALF_EVEN")


def name_near_ties(node: NodeContext, span: Span | None, x: Floats, codes: Callable[[Floats], Integers]) -> None:
    """Name a table as an approximation where ONNX Runtime's polynomials, within ``span``, may give the numbers ``x`` other codes."""
    if span is None or node.rules.arithmetic.base != ONNXRUNTIME:
        return
    with np.errstate(all="ignore"):
        least, most = span(x)
    near = int((codes(least) != codes(most)).sum())
    if near:
        node.approximate(
            f"a table of the function, rounded once; ONNX Runtime computes it by float32 polynomials, and {near} of {x.size} codes lie so "
            "near to a tie that they may differ by one"
        )


def coded(node: NodeContext, final: Final, real: Floats) -> Integers:
    """Codes of what a chain makes; RefusalError where that is no number, as 0 / 0."""
    node.need(
        not bool(np.isnan(real).any()),
        "the float operators before its quantizer make NaN of some codes",
        "operators that are defined at every code of their input",
    )
    return final.codes(real)


def _reals(source: Codes) -> Floats:
    """What every code stands for; 0, which no bipolar tensor holds, is given the number of +1."""
    codes = source.known.codes
    return dequantize(np.where(codes == 0, 1, codes) if source.format.bipolar else codes, source.known)


def need_narrow(node: NodeContext, source: Codes, most: int) -> None:
    """RefusalError for codes of which there are too many for a table."""
    bits = source.format.bits
    node.need(bits <= most, f"tensor {source.tensor!r} has {bits} bits", f"at most {most}")


def per_channel(node: NodeContext, given: Floats, before: Chained) -> Floats:
    """A constant operand as a column (C, 1) or (1, 1), where it differs by channel alone."""
    if given.size == 1:
        return given.reshape(1, 1)
    axis, shape = before.axis, before.shape
    padded = (1,) * (len(shape) - given.ndim) + given.shape
    wanted = tuple(size if i == axis else 1 for i, size in enumerate(shape))
    node.need(
        padded == wanted,
        f"its constant operand has shape {list(given.shape)}, the other {list(shape)}",
        "one number, or one per channel",
    )
    return given.reshape(-1, 1)
