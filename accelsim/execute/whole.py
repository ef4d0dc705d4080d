"""Values by whole layers: the fast reader, allowed where the order of sums does not matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import GraphError, InputError
from accelsim.execute.proof import prove
from accelsim.graph import Graph, Layer, MacGeometry, MacLayer, VectorLayer
from accelsim.kernels.vector import Box, evaluate
from accelsim.numerics import INT32, SCHEMES, IntFormat, Overflow, Requant, fit_array

Array = NDArray[Any]
Step = Callable[[Sequence[Array]], Array]


class WholeReader:
    """Runs a network layer by layer, each at once, with everything that depends only on the weights prepared beforehand.

    ``accumulators`` gives each MAC layer's sum format; sums that may leave it are wrapped once at the end (arithmetic modulo
    2^n), which equals wrapping at every step. Without it sums are exact.
    """

    def __init__(self, graph: Graph, *, accumulators: Mapping[str, IntFormat] | None = None) -> None:
        if graph.shape_only:
            raise InputError(f"graph {graph.name!r} carries shapes only; it can be timed, not executed")
        self._graph = graph
        self._inputs = [(port.tensor, graph.tensors[port.tensor]) for port in graph.inputs]
        self._outputs = [port.tensor for port in graph.outputs]
        self._steps = [(layer.inputs, layer.output, _plan(layer, graph, accumulators)) for layer in graph.layers]

    def run(self, inputs: Mapping[str, Array], *, keep: Literal["outputs", "all"] = "outputs") -> dict[str, Array]:
        """Tensors of one inference by name; ``inputs`` are integer tensors in their Graph shapes. InputError otherwise."""
        values: dict[str, Array] = {}
        for name, tensor in self._inputs:
            if name not in inputs:
                raise InputError(f"input {name!r} is missing; the network's inputs are {[n for n, _ in self._inputs]}")
            x = inputs[name]
            if x.shape != tensor.shape or x.dtype != tensor.format.dtype:
                raise InputError(f"input {name!r}: expected {tensor.format} of shape {tensor.shape}, got {x.dtype} of shape {x.shape}")
            values[name] = np.ascontiguousarray(x)
        for names, output, step in self._steps:
            values[output] = step([values[name] for name in names])
        return values if keep == "all" else {name: values[name] for name in self._outputs}


def _plan(layer: Layer, graph: Graph, accumulators: Mapping[str, IntFormat] | None) -> Step:
    if isinstance(layer, MacLayer):
        exact = IntFormat(64) if accumulators is None else accumulators[layer.name]
        return _mac_plan(layer, graph, exact)
    if isinstance(layer, VectorLayer):
        return _vector_plan(layer, graph)
    raise GraphError(f"layer {layer.name!r}: no reader for {type(layer).__name__}", layer=layer.name)


def _vector_plan(layer: VectorLayer, graph: Graph) -> Step:
    boxes: list[Box] = [((0,) * len(view), view) for view in layer.input_shapes]
    whole: Box = ((0,) * len(layer.output_shape), layer.output_shape)
    tensor = graph.tensors[layer.output]

    def step(inputs: Sequence[Array]) -> Array:
        blocks = [x.reshape(view) for x, view in zip(inputs, layer.input_shapes, strict=True)]
        return evaluate(layer, blocks, boxes, whole).astype(tensor.format.dtype).reshape(tensor.shape)

    return step


def _mac_plan(layer: MacLayer, graph: Graph, accumulator: IntFormat) -> Step:
    assert layer.requant is not None
    source, target = graph.tensors[layer.inputs[0]], graph.tensors[layer.output]
    proof = prove(layer, input_format=source.format, accumulator=accumulator)
    narrow = prove(layer, input_format=source.format, accumulator=INT32).safe
    sums = np.empty((layer.geometry.n * layer.geometry.oh * layer.geometry.ow, layer.geometry.oc), np.int32 if narrow else np.int64)
    accumulate = _accumulation(layer, sums, narrow)
    emit = _emission(layer.requant, target.format)

    def step(inputs: Sequence[Array]) -> Array:
        accumulate(inputs[0])
        wrapped = sums if proof.safe else fit_array(sums.astype(np.int64), accumulator, Overflow.WRAP)
        return emit(wrapped).reshape(target.shape)

    return step


def _emission(requant: Requant, fmt: IntFormat) -> Callable[[Array], Array]:
    """Sums (rows, channels) to codes, in one pass."""
    kernel = SCHEMES[requant.scheme].kernel
    low, high = max(requant.clamp_min, fmt.min), min(requant.clamp_max, fmt.max)

    def emit(sums: Array) -> Array:
        codes = np.empty(sums.shape, dtype=fmt.dtype)
        kernel(sums, requant.multiplier, requant.shift, requant.zero_point, low, high, codes)
        return codes

    return emit


def _accumulation(layer: MacLayer, sums: Array, narrow: bool) -> Callable[[Array], None]:
    """Fills ``sums`` from the layer's input by the kernel that suits its shape."""
    from accelsim.kernels import _whole

    assert layer.weights is not None
    g = layer.geometry
    bias = np.zeros(g.oc, dtype=sums.dtype) if layer.bias is None else layer.bias.astype(sums.dtype)
    weights = np.ascontiguousarray(layer.weights.astype(np.int16))
    numbers = np.array(
        [g.oh, g.ow, g.oc, g.kh, g.kw, g.ic_per_group, g.oc_per_group, g.stride_h, g.stride_w, g.dilation_h, g.dilation_w], dtype=np.int64
    )
    if narrow and g.macs == g.oh * g.oc * g.ic and g.groups == 1 and g.n == 1 and g.iw == g.kw == g.kh == 1:
        matrix, row = weights.reshape(g.oc, g.ic), np.empty(g.ic, dtype=np.int16)
        return lambda x: _whole.dense32(x.reshape(g.oh, g.ic), layer.input_zero_point, matrix, bias, row, sums)
    image = np.zeros((g.n, *_padded_size(g), g.ic), dtype=np.int16)

    def padded(x: Array) -> Array:
        view = x.reshape(g.input_shape)
        _whole.pad_image(view, layer.input_zero_point, g.pad_top, g.pad_left, g.upsample_h, g.upsample_w, image)
        return image

    if narrow and g.groups == g.ic == g.oc:
        taps = np.ascontiguousarray(weights[..., 0].transpose(1, 2, 0))
        return lambda x: _whole.depthwise32(padded(x), taps, bias, numbers, sums)
    patch, rows = np.empty(g.reduction, dtype=np.int16), weights.reshape(g.oc, g.reduction)
    convolve = _whole.convolve32 if narrow else _whole.convolve64
    return lambda x: convolve(padded(x), rows, bias, numbers, patch, sums)


def _padded_size(g: MacGeometry) -> tuple[int, int]:
    """Rows and columns that the windows of all outputs reach."""
    rows = (g.oh - 1) * g.stride_h + (g.kh - 1) * g.dilation_h + 1
    columns = (g.ow - 1) * g.stride_w + (g.kw - 1) * g.dilation_w + 1
    return rows, columns
