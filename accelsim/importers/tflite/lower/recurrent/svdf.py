"""SVDF: a dense layer whose results are kept for some inferences, and a product over all that are kept.

Source: LiteRT svdf.cc and internal/reference/svdf.h, tflite-micro svdf_common.cc; measured with LiteRT 2.3.0 and tflite-micro
0.dev20261023.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Concat, Conv2D, Dense, MacGeometry, StridedSlice
from accelsim.importers.tflite.context import FORMATS, Made, NodeContext, scale_of, zero_point_of
from accelsim.importers.tflite.file.options import ACTIVATION_NAMES, NONE, RELU
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.lower.recurrent.weights import codes_of, symmetric_weights
from accelsim.numerics import Requant
from accelsim.quant import requant_from_scales

BIAS_SCALE_TOLERANCE = 1e-5
"""How far the bias's scale may be from that of the sums in tflite-micro (svdf_common.cc, PrepareSvdf)."""


@dataclass(frozen=True)
class _Sizes:
    """Each of ``units`` outputs sums over ``rank`` filters, each filter over its last ``memory`` results."""

    batch: int
    inputs: int
    units: int
    rank: int
    memory: int

    @property
    def filters(self) -> int:
        return self.units * self.rank

    @property
    def state(self) -> tuple[int, int, int]:
        """Of what is kept: the results of a filter side by side, the newest last."""
        return self.batch, self.filters, self.memory


def lower_svdf(node: NodeContext) -> Made:
    """Newest results of the filters, put behind the kept ones without their oldest; their product with the weights over time."""
    source, feature = node.activation(0, ("INT8",)), symmetric_weights(node, 1, ("INT8",))
    kinds = ("INT16",) if node.rules.is_litert else ("INT16", "INT8")
    time, state, output = symmetric_weights(node, 2, kinds), node.state(4, kinds), node.result(("INT8",))
    node.need(time.type == state.type, f"its weights over time are {time.type}, its state {state.type}", "one type")
    node.need(zero_point_of(state) == 0, f"its state {state.name!r} has a zero point other than 0", "a symmetric state")
    sizes = _sizes(node, source, feature, time, state)
    node.output_shape_is((sizes.batch, sizes.units))
    _check_options(node)
    made, kept = _kept(node, sizes, source, feature, state)
    bias = _bias(node, sizes.units, scale_of(state) * scale_of(time))
    geometry = MacGeometry(
        n=1, ih=sizes.batch, iw=1, ic=sizes.filters * sizes.memory, oh=sizes.batch, ow=1, oc=sizes.units, groups=sizes.units
    )  # fmt: skip
    product = Conv2D(
        **node.names_of(kept), geometry=geometry, weights=codes_of(time).reshape(geometry.weight_shape),
        weight_format=FORMATS[time.type], bias=bias, requant=_requant(node, state, time, output), weight_scales=time.scales,
    )  # fmt: skip
    return made.then(product).keeping(node.kept(state, kept))


def _kept(
    node: NodeContext, sizes: _Sizes, source: TfliteTensor, feature: TfliteTensor, state: TfliteTensor
) -> tuple[Made, TfliteTensor]:
    """The layers that make what is kept for the next inference, and its tensor; with a memory of 1 that is the newest alone."""
    kept = replace(state, name=node.fresh("state"), is_variable=False)
    is_all = sizes.memory == 1
    newest = kept if is_all else replace(kept, name=node.fresh("newest"), shape=(sizes.batch, sizes.filters))
    geometry = MacGeometry(n=1, ih=sizes.batch, iw=1, ic=sizes.inputs, oh=sizes.batch, ow=1, oc=sizes.filters)
    dense = Dense(
        name=f"{node.layer_name} newest", inputs=(source.name,), output=newest.name, geometry=geometry,
        weights=codes_of(feature).reshape(geometry.weight_shape), weight_format=FORMATS[feature.type],
        input_zero_point=zero_point_of(source), requant=_requant(node, source, feature, newest), weight_scales=feature.scales,
    )  # fmt: skip
    made = Made().holding(newest).then(dense)
    if is_all:
        return made, kept
    held = (*sizes.state[:2], sizes.memory - 1)
    older = replace(kept, name=node.fresh("older"), shape=held)
    cut = StridedSlice(
        name=f"{node.layer_name} older", inputs=(state.name,), output=older.name, shapes=(sizes.state,), shape=held,
        begin=(0, 0, 1), strides=(1, 1, 1),
    )  # fmt: skip
    joined = Concat(
        name=f"{node.layer_name} state", inputs=(older.name, newest.name), output=kept.name,
        shapes=(held, (*sizes.state[:2], 1)), shape=sizes.state, axis=2,
    )  # fmt: skip
    return made.holding(older).then(cut).holding(kept).then(joined), kept


def _sizes(
    node: NodeContext, source: TfliteTensor, feature: TfliteTensor, time: TfliteTensor, state: TfliteTensor
) -> _Sizes:
    given = [tensor.shape for tensor in (source, feature, time, state)]
    text = f"its input, weights over inputs and over time, and state have shapes {[list(shape) for shape in given]}"
    rank = node.option("rank")
    fine = all(len(shape) == 2 and min(shape) > 0 for shape in given)
    node.need(fine, text, "2 dimensions each, none 0")
    (batch, inputs), (filters, width), (rows, memory), held = given
    node.need(rank > 0 and filters % rank == 0, f"its rank is {rank} for {filters} filters", "a rank that divides them")
    fits = width == inputs and rows == filters and held == (batch, filters * memory)
    node.need(fits, text, "(batch, inputs), (filters, inputs), (filters, memory), (batch, filters * memory)")
    return _Sizes(batch, inputs, filters // rank, rank, memory)


def _check_options(node: NodeContext) -> None:
    """No integer kernel rectifies but by the least code; LiteRT's insists on RELU, whatever the zero point."""
    node.without_effect("asymmetric_quantize_inputs")
    activation, taken = node.option("fused_activation"), (RELU,) if node.rules.is_litert else (NONE, RELU)
    node.need(
        activation in taken,
        f"its fused activation is {ACTIVATION_NAMES.get(activation, activation)}",
        f"{' or '.join(ACTIVATION_NAMES[each] for each in taken)}, as {node.rules.base} requires",
    )


def _bias(node: NodeContext, units: int, scale: float) -> NDArray[np.int64] | None:
    """The bias of sums with this ``scale``; tflite-micro has no sum without one."""
    bias = node.optional(3)
    if bias is None:
        node.need(
            not node.rules.is_micro, "it has no bias, which tflite-micro reads", "a bias, or an arithmetic of LiteRT"
        )
        return None
    data = node.constant(3, "its bias").reshape(-1)
    node.typed(bias, ("INT32",))
    node.need(len(data) == units, f"its bias has {len(data)} entries for {units} units", "one per unit")
    if node.rules.is_micro:
        off = abs(scale_of(bias) - scale)
        node.need(
            off < BIAS_SCALE_TOLERANCE,
            f"the scale of its bias {bias.name!r} is {off:.3g} away from that of its state times that of its weights over time",
            f"less than {BIAS_SCALE_TOLERANCE}, as tflite-micro requires, or an arithmetic of LiteRT",
        )
    return data.astype(np.int64)


def _requant(node: NodeContext, source: TfliteTensor, weights: TfliteTensor, target: TfliteTensor) -> Requant:
    scales, fmt = (scale_of(source), scale_of(weights), scale_of(target)), FORMATS[target.type]
    return requant_from_scales(
        node.rules.recurrent_scheme(), s_in=scales[0], s_w=scales[1], s_out=scales[2], zero_point=zero_point_of(target),
        clamp_min=fmt.min, clamp_max=fmt.max, real=node.rules.ratio(*scales[:2], over=scales[2]),
    )  # fmt: skip
