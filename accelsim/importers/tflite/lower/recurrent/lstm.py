"""UNIDIRECTIONAL_SEQUENCE_LSTM, its steps unrolled, as tflite-micro computes it.

Two products for all four gates, each brought to Q3.12 and their sum saturated; tables to Q0.15; the cell in 16 bits of a scale that is
a power of two. Source: tflite-micro lstm_eval_common.cc and lstm_eval.h; LiteRT reference/integer_ops logistic.h, tanh.h, mul.h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from accelsim.graph import Add, Concat, Dense, InterpolatedLut, Layer, MacGeometry, Mul, OperandScale, Reshape
from accelsim.importers.integer_rules import encoded
from accelsim.importers.tflite import tables
from accelsim.importers.tflite.context import FORMATS, Made, NodeContext, scale_of, view, zero_point_of
from accelsim.importers.tflite.file.options import ACTIVATION_NAMES, TANH
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.lower.pieces import along, sliced
from accelsim.importers.tflite.lower.recurrent.weights import codes_of, symmetric_weights
from accelsim.importers.tflite.rules import INT16_SCHEME, MICRO, REFERENCE_SCHEME
from accelsim.numerics import INT16, INT32, INT64, Requant
from accelsim.quant import requant_from_scales

INPUTS = 24
INPUT, FORGET, CELL, OUTPUT = range(4)
"""Gates in the order of the operator's weights and biases."""
ORDER = INPUT, FORGET, OUTPUT, CELL
"""In that of the products here: sigmoids side by side."""
OF_INPUT, OF_HIDDEN, BIASES, HIDDEN_STATE, CELL_STATE = 1, 5, 12, 18, 19
"""Where the operator has weights, biases and states."""
REFUSED = {
    "weights from the cell to its gates (peephole)": range(9, 12),
    "a projection": range(16, 18),
    "layer normalization": range(20, 24),
}
"""Inputs that tflite-micro takes no notice of, or has not."""
GATE_BITS, UNIT_BITS = 12, 15
"""Fractional bits of gates before and behind their tables."""
CELL_EXPONENTS = -30, 2
"""Logarithms of cell scales whose shift to the table's step stays within 32 bits."""
MOST_STEPS = 256
"""Steps that are unrolled, to some 15 layers each."""
UNCHANGED = OperandScale(zero_point=0, multiplier=1 << 30, exponent=1)


@dataclass(frozen=True)
class _Sizes:
    batch: int
    steps: int
    inputs: int
    units: int
    time_axis: int

    def sequence(self, channels: int, steps: int | None = None) -> tuple[int, int, int]:
        """Shape of so many steps, in the file's order of batch and time."""
        count = self.steps if steps is None else steps
        return (count, self.batch, channels) if self.time_axis == 0 else (self.batch, count, channels)


def lower_lstm(node: NodeContext) -> Made:
    """All steps, and what they leave to the next inference: the hidden state and the cell."""
    _check(node)
    source = node.activation(0)
    hidden, cell = node.state(HIDDEN_STATE, (source.type,)), node.state(CELL_STATE, ("INT16",))
    sizes = _sizes(node, source, hidden, cell)
    node.output_shape_is(sizes.sequence(sizes.units))
    node.result((source.type,))
    node.same_quantization(hidden)
    if source.type == "INT16":
        node.need(zero_point_of(source) == 0 == zero_point_of(hidden), "its 16-bit codes have a zero point", "none")
    unrolled = _Unrolled(node, sizes, cell)
    products = unrolled.products(source, OF_INPUT, "inputs", sizes.sequence(4 * sizes.units), has_bias=True)
    outputs, held = [], (hidden, cell)
    for step in range(sizes.steps):
        held = unrolled.step(step, products, *held)
        outputs.append(held[0])
    unrolled.join(outputs)
    return unrolled.made.keeping(node.kept(hidden, held[0]), node.kept(cell, held[1]))


def _check(node: NodeContext) -> None:
    """Refusals of what tflite-micro's kernel has not."""
    node.need(
        not node.rules.is_litert,
        f"the 16-bit polynomials and the sums of arithmetic {node.rules.base!r} are not modelled for it",
        f"arithmetic {MICRO}",
    )
    inputs = node.record.inputs
    node.need(len(inputs) == INPUTS, f"it has {len(inputs)} inputs", f"{INPUTS} inputs")
    for what, places in REFUSED.items():
        node.need(all(node.optional(i) is None for i in places), f"it has {what}", "an LSTM as Keras has it, without")
    activation = node.option("fused_activation")
    node.need(
        activation == TANH,
        f"its fused activation is {ACTIVATION_NAMES.get(activation, activation)}",
        "TANH, the activation of its cell",
    )
    node.without_effect("asymmetric_quantize_inputs")


def _sizes(node: NodeContext, source: TfliteTensor, hidden: TfliteTensor, cell: TfliteTensor) -> _Sizes:
    shape = source.shape
    node.need(
        len(shape) == 3 and min(shape) > 0, f"its input has shape {list(shape)}", "batch, time and channels, none 0"
    )
    time_axis = 0 if node.option("time_major") else 1
    steps, batch = shape[time_axis], shape[1 - time_axis]
    units, rest = divmod(hidden.elements, batch)
    fits = rest == 0 < units and hidden.shape[-1:] == (units,) and cell.elements == hidden.elements
    node.need(fits, f"its states have shapes {list(hidden.shape)} and {list(cell.shape)}", f"({batch}, units) both")
    node.need(steps <= MOST_STEPS, f"it has {steps} steps", f"at most {MOST_STEPS}, which are unrolled")
    return _Sizes(batch, steps, shape[2], units, time_axis)


class _Unrolled:
    """The layers of ``node``, step by step, in ``made``."""

    def __init__(self, node: NodeContext, sizes: _Sizes, cell: TfliteTensor) -> None:
        self._node, self._sizes = node, sizes
        self._exponent, self._clip = _cell_exponent(node, cell), _cell_clip(node, cell)
        none = np.zeros(1, np.int64)
        gates = replace(cell, scales=np.array([2.0**-GATE_BITS], np.float32), zero_points=none, is_variable=False)
        self._gates, self._units = gates, replace(gates, scales=np.array([2.0**-UNIT_BITS], np.float32))
        widths = {OF_INPUT: sizes.inputs, OF_HIDDEN: sizes.units}
        self._weights = {place: self._all_gates(place, width) for place, width in widths.items()}
        self._table = tables.sigmoid_table()
        self.made = Made()

    def _then(self, like: TfliteTensor, part: str, shape: tuple[int, ...]) -> tuple[str, TfliteTensor]:
        """The name of a layer and its new output, a tensor ``like`` another one."""
        tensor = replace(like, name=self._node.fresh(part.replace(" ", "_")), shape=shape, is_variable=False)
        self.made = self.made.holding(tensor)
        return f"{self._node.layer_name} {part}", tensor

    def _add(self, layer: Layer) -> None:
        self.made = self.made.then(layer)

    def products(
        self, source: TfliteTensor, weights_at: int, part: str, shape: tuple[int, ...], *, has_bias: bool
    ) -> TfliteTensor:
        """Every row of ``source`` times the weights of the four gates, in Q3.12."""
        sizes, weights, scales = self._sizes, *self._weights[weights_at]
        width = weights.shape[-1]
        name, target = self._then(self._gates, part, shape)
        rows, is_wide = source.elements // width, source.type == "INT16"
        geometry = MacGeometry(n=1, ih=rows, iw=1, ic=width, oh=rows, ow=1, oc=4 * sizes.units)
        layer = Dense(
            name=name, inputs=(source.name,), output=target.name, geometry=geometry, weights=weights,
            weight_format=FORMATS["INT8"], bias=self._biases(is_wide) if has_bias else None,
            bias_format=INT64 if is_wide else INT32, input_zero_point=zero_point_of(source),
            requant=self._gate_requant(source, scales), accumulator=INT64 if is_wide else INT32, weight_scales=scales,
        )  # fmt: skip
        self._add(layer)
        return target

    def _all_gates(self, weights_at: int, width: int) -> tuple[Any, Any]:
        """Weights (4 * units, 1, 1, width) and their scales; one array for all steps."""
        node, units = self._node, self._sizes.units
        found = [symmetric_weights(node, weights_at + gate, ("INT8",)) for gate in ORDER]
        for each in found:
            text = f"its weights {each.name!r} have shape {list(each.shape)}"
            node.need(each.shape == (units, width), text, f"{[units, width]}")
        codes = np.concatenate([codes_of(each) for each in found])
        return codes.reshape(4 * units, 1, 1, width), np.repeat(np.concatenate([x.scales for x in found]), units)

    def _gate_requant(self, source: TfliteTensor, scales: Any) -> Requant:
        scheme = self._node.rules.recurrent_scheme()
        if source.type == "INT16" and scheme == REFERENCE_SCHEME:
            scheme = INT16_SCHEME
        return requant_from_scales(
            scheme, s_in=scale_of(source), s_w=scales, s_out=2.0**-GATE_BITS, zero_point=0, clamp_min=INT16.min,
            clamp_max=INT16.max,
        )  # fmt: skip

    def _biases(self, is_wide: bool) -> Any:
        node, found = self._node, []
        for gate in ORDER:
            data = node.constant(BIASES + gate, "biases").reshape(-1)
            node.typed(node.input(BIASES + gate), ("INT64",) if is_wide else ("INT32",))
            node.need(
                len(data) == self._sizes.units, f"a bias has {len(data)} entries", f"{self._sizes.units}, one per unit"
            )
            found.append(data.astype(np.int64))
        return np.concatenate(found)

    def step(
        self, at: int, products: TfliteTensor, hidden: TfliteTensor, cell: TfliteTensor
    ) -> tuple[TfliteTensor, TfliteTensor]:
        """The hidden state and the cell behind step ``at``, from those before it."""
        rows, units, part = self._sizes.batch, self._sizes.units, f"step {at}"
        wide = (rows, 4 * units)
        of_hidden = self.products(hidden, OF_HIDDEN, f"{part} recurrent", wide, has_bias=False)
        mine = self._cut(products, f"{part} input", self._sizes.time_axis, range(at, at + 1))
        sums = self._sum(mine, of_hidden, f"{part} gates", wide, None)
        opened = self._cut(sums, f"{part} open", 1, range(3 * units))
        open_ = self._function("logistic", opened, f"{part} sigmoid", -GATE_BITS)
        candidate = self._cut(sums, f"{part} candidate", 1, range(3 * units, 4 * units))
        new = self._function("tanh", candidate, f"{part} tanh", -GATE_BITS)
        names = ("in", "forget", "out")
        in_, forget, out = (
            self._cut(open_, f"{part} {name}", 1, range(i * units, (i + 1) * units)) for i, name in enumerate(names)
        )
        kept = self._product(forget, cell, f"{part} kept", cell)
        added = self._product(in_, new, f"{part} added", cell)
        after = self._sum(kept, added, f"{part} cell", cell.shape, self._clip)
        level = self._function("tanh", after, f"{part} level", self._exponent)
        return self._product(out, level, f"{part} hidden", hidden), after

    def _cut(self, source: TfliteTensor, part: str, axis: int, taken: range) -> TfliteTensor:
        if len(taken) == source.shape[axis]:
            return source
        ranges = along(source.shape, axis, taken)
        name, target = self._then(source, part, tuple(len(each) for each in ranges))
        self._add(sliced(name, source, target, ranges))
        return target

    def _sum(
        self, left: TfliteTensor, right: TfliteTensor, part: str, shape: tuple[int, ...], clip: int | None
    ) -> TfliteTensor:
        """The sum of codes, saturated, then clipped."""
        name, target = self._then(right, part, shape)
        low, high = (INT16.min, INT16.max) if clip is None else (-clip, clip)
        same = Requant(REFERENCE_SCHEME, np.array([1 << 30]), np.array([1], np.int32), 0, low, high)
        views = (view(shape),) * 2
        self._add(
            Add(
                name=name, inputs=(left.name, right.name), output=target.name, shapes=views, shape=view(shape),
                left=UNCHANGED, right=UNCHANGED, requant=same,
            )
        )  # fmt: skip
        return target

    def _product(self, left: TfliteTensor, right: TfliteTensor, part: str, like: TfliteTensor) -> TfliteTensor:
        """The product in the format and scale of ``like``."""
        name, target = self._then(like, part, like.shape)
        fmt, shape = FORMATS[like.type], view(like.shape)
        ratio = scale_of(left) * scale_of(right) / scale_of(like)
        requant = encoded(
            self._node.rules.scheme("MUL", "INT16"), ratio, zero_point_of(like), (fmt.min, fmt.max)
        )  # fmt: skip
        layer = Mul(
            name=name, inputs=(left.name, right.name), output=target.name, shapes=(shape, shape), shape=shape, requant=requant
        )  # fmt: skip
        self._add(layer)
        return target

    def _function(
        self, function: Literal["logistic", "tanh"], source: TfliteTensor, part: str, exponent: int
    ) -> TfliteTensor:
        """The table of codes with scale 2^exponent, in steps of 1/(3 * 4096)."""
        name, target = self._then(self._units, part, source.shape)
        up = exponent + GATE_BITS
        shape = view(source.shape)
        layer = InterpolatedLut(
            name=name, inputs=(source.name,), output=target.name, shapes=(shape,), shape=shape,
            source_operator=function.upper(), function=function, table=self._table, multiplier=3 << max(up, 0),
            left_shift=max(-up, 0),
        )  # fmt: skip
        self._add(layer)
        return target

    def join(self, hidden: list[TfliteTensor]) -> None:
        """The output: the hidden states of all steps."""
        node, sizes = self._node, self._sizes
        views, shape = (sizes.sequence(sizes.units, 1),) * len(hidden), sizes.sequence(sizes.units)
        fields: dict[str, Any] = {**node.names_of(*hidden), "shapes": views, "shape": shape}
        self._add(Concat(**fields, axis=sizes.time_axis) if len(hidden) > 1 else Reshape(**fields))


def _cell_exponent(node: NodeContext, cell: TfliteTensor) -> int:
    """The logarithm of the cell's scale (LiteRT kernel_util.cc, CheckedLog2)."""
    exact, (low, high) = math.log2(scale_of(cell)), CELL_EXPONENTS
    fits = abs(exact - round(exact)) < 1e-3 and low <= round(exact) <= high and zero_point_of(cell) == 0
    node.need(
        fits,
        f"its cell {cell.name!r} has scale {scale_of(cell):.6g} and zero point {zero_point_of(cell)}",
        f"a power of two from 2^{low} to 2^{high}, and zero point 0",
    )
    return round(exact)


def _cell_clip(node: NodeContext, cell: TfliteTensor) -> int | None:
    """Codes that the cell is clipped to, None where it is not."""
    clip = node.real_option("cell_clip")
    node.need(math.isfinite(clip) and clip >= 0, f"its cell_clip is {clip}", "0, or a bound above it")
    return int(min(clip / scale_of(cell), INT16.max)) if clip else None
