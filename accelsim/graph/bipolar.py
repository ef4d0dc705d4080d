"""Which layers may write a bipolar tensor: those that can make no code but -1 and +1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from accelsim.errors import GraphError
from accelsim.graph.elementwise_layers import Lut
from accelsim.graph.layer import Layer
from accelsim.graph.mac_layers import MacLayer
from accelsim.graph.moving_layers import Concat, Pad, Reshape, ResizeNearest, StridedSlice, Transpose
from accelsim.graph.tensor import Tensor
from accelsim.graph.window_layers import MaxPool2D, ReduceMax, ReduceMin
from accelsim.numerics import BIPOLAR, NEVER, Requantization, Thresholds

_CHOOSING = (Concat, Pad, Reshape, ResizeNearest, StridedSlice, Transpose, MaxPool2D, ReduceMax, ReduceMin)
"""Layers whose every output is one of their inputs."""


def check_bipolar(layer: Layer, tensors: Mapping[str, Tensor]) -> None:
    """GraphError unless ``layer``, whose output is bipolar, can make no code but -1 and +1."""
    if isinstance(layer, MacLayer):
        fits = _is_sign(layer.requant)
    elif isinstance(layer, Lut):
        fits = layer.table is not None and BIPOLAR.holds(layer.table)
    else:
        chosen = isinstance(layer, _CHOOSING) and all(tensors[name].format.bipolar for name in layer.inputs)
        fits = chosen and _keeps_sign(layer)
    if not fits:
        raise GraphError(
            f"layer {layer.name!r} ({layer.operator}) may write codes other than -1 and +1 into {layer.output!r}, which is "
            f"{BIPOLAR}; requantize by Thresholds that step from -1 to +1, or give the tensor another format",
            layer=layer.name,
            tensor=layer.output,
        )


def _keeps_sign(layer: Layer) -> bool:
    """Whether what a layer adds to its inputs, or bounds them by, is -1 or +1 as well."""
    if isinstance(layer, Pad):
        return BIPOLAR.contains(layer.value)
    return not isinstance(layer, MaxPool2D) or (layer.clamp_min <= -1 and layer.clamp_max >= 1)


def _is_sign(requant: Requantization | None) -> bool:
    """Whether every code that some accumulator reaches is -1 or +1: equal levels are passed together."""
    if not isinstance(requant, Thresholds):
        return False
    channels, count = requant.levels.shape
    codes = requant.start[:, None] + requant.step[:, None] * np.arange(count + 1)
    reached = np.ones((channels, count + 1), dtype=np.bool_)
    reached[:, 1:-1] = requant.levels[:, :-1] < requant.levels[:, 1:]
    reached[:, 1:] &= requant.levels != NEVER
    return BIPOLAR.holds(codes[reached])
