"""The rules of a Graph, each broken in one sentence that names the layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from accelsim.errors import GraphError
from accelsim.graph.bipolar import check_bipolar
from accelsim.graph.layer import Layer
from accelsim.graph.mac_layers import MacLayer, MatMul
from accelsim.graph.moving_layers import shared_memory
from accelsim.graph.tensor import Tensor, Variable


def verify_graph(
    tensors: Mapping[str, Tensor],
    layers: Sequence[Layer],
    inputs: Sequence[str],
    outputs: Sequence[str],
    shape_only: bool,
) -> None:
    """Check order, names, shapes and ranges; GraphError on the first rule broken."""
    known: set[str] = set(inputs)
    names: set[str] = set()
    for layer in layers:
        _check_name(layer, names)
        _check_order(layer, tensors, known, shape_only)
        _check_views(layer, tensors)
        if isinstance(layer, MacLayer):
            _check_mac(layer, tensors, shape_only)
        if tensors[layer.output].format.bipolar and not shape_only:
            check_bipolar(layer, tensors)
        known.add(layer.output)
    missing = [name for name in outputs if name not in known]
    if missing:
        raise GraphError(f"graph outputs {missing} are produced by no layer", tensors=missing)


def verify_constants(tensors: Mapping[str, Tensor], constants: Mapping[str, NDArray[Any]]) -> None:
    """Check that every constant is a tensor of the graph, with its shape and within its format; GraphError otherwise."""
    for name, values in constants.items():
        if name not in tensors:
            raise GraphError(f"constant {name!r} is not a tensor of the graph", tensor=name)
        tensor = tensors[name]
        if values.shape != tensor.shape:
            raise GraphError(f"constant {name!r} has shape {values.shape}, expected {tensor.shape}", tensor=name)
        if not tensor.format.holds(values):
            raise GraphError(f"constant {name!r} leaves the range of {tensor.format}", tensor=name)


def verify_variables(
    tensors: Mapping[str, Tensor], layers: Sequence[Layer], variables: Sequence[Variable], *, shape_only: bool
) -> None:
    """Check that every variable keeps one kind of tensor, in memory that no other tensor or variable has; GraphError otherwise."""
    home = shared_memory(layers)
    taken: set[str] = set()
    for variable in variables:
        read, written, initial = tensors[variable.read], tensors[variable.written], variable.initial
        if (read.shape, read.format) != (written.shape, written.format):
            raise GraphError(
                f"variable {variable.name!r} is read as {read.format} {read.shape}, written as {written.format} {written.shape}"
            )
        if not shape_only and (initial.shape != read.shape or not read.format.holds(initial)):
            raise GraphError(
                f"variable {variable.name!r} begins with {initial.shape} codes, expected {read.format} {read.shape}"
            )
        place = home.get(variable.written)
        if place not in home or place in taken:
            raise GraphError(
                f"variable {variable.name!r}: {variable.written!r} has no memory of its own; copy it (StridedSlice)"
            )
        taken.add(place)


def _check_name(layer: Layer, names: set[str]) -> None:
    if layer.name in names:
        raise GraphError(f"layer {layer.name!r}: the name stands twice; layer names must be unique", layer=layer.name)
    names.add(layer.name)


def _check_order(layer: Layer, tensors: Mapping[str, Tensor], known: set[str], shape_only: bool) -> None:
    for name in (*layer.inputs, layer.output):
        if name not in tensors:
            raise GraphError(
                f"layer {layer.name!r}: tensor {name!r} is not in the graph", layer=layer.name, tensor=name
            )
    late = [name for name in layer.inputs if name not in known]
    if late and not shape_only:
        raise GraphError(
            f"layer {layer.name!r} reads {late} before any layer produces it", layer=layer.name, tensors=late
        )
    if layer.output in known:
        raise GraphError(f"layer {layer.name!r}: tensor {layer.output!r} is produced twice", layer=layer.name)


def _check_views(layer: Layer, tensors: Mapping[str, Tensor]) -> None:
    if len(layer.inputs) != len(layer.input_shapes):
        raise GraphError(
            f"layer {layer.name!r} has {len(layer.inputs)} inputs but {len(layer.input_shapes)} views", layer=layer.name
        )
    views = [*zip(layer.inputs, layer.input_shapes, strict=True), (layer.output, layer.output_shape)]
    for name, view in views:
        if math.prod(view) != tensors[name].elements:
            raise GraphError(
                f"layer {layer.name!r} sees tensor {name!r} as {view}, {math.prod(view)} elements, "
                f"but its shape is {tensors[name].shape}, {tensors[name].elements} elements",
                layer=layer.name,
            )


def _check_mac(layer: MacLayer, tensors: Mapping[str, Tensor], shape_only: bool) -> None:
    if isinstance(layer, MatMul):
        _check_matmul(layer, tensors, shape_only)
        return
    if layer.weights is None or layer.requant is None:
        if not shape_only:
            raise GraphError(
                f"layer {layer.name!r} has no weights or no requantization; only a shape_only graph may",
                layer=layer.name,
            )
        return
    geometry, fmt = layer.geometry, layer.weight_format
    if layer.weights.shape != geometry.weight_shape:
        raise GraphError(
            f"layer {layer.name!r}: weights have shape {layer.weights.shape}, expected {geometry.weight_shape}"
        )
    if not fmt.holds(layer.weights):
        raise GraphError(f"layer {layer.name!r}: weights leave the range of {fmt}", layer=layer.name)
    if layer.bias is not None and layer.bias.shape != (geometry.oc,):
        raise GraphError(
            f"layer {layer.name!r}: bias has shape {layer.bias.shape}, expected {(geometry.oc,)}", layer=layer.name
        )
    if layer.requant.channel_count not in (1, geometry.oc):
        raise GraphError(
            f"layer {layer.name!r}: requantization of {layer.requant.channel_count} channels for {geometry.oc} output "
            f"channels; expected 1 or {geometry.oc}"
        )
    _check_input_zero_point(layer, tensors)


def _check_matmul(layer: MatMul, tensors: Mapping[str, Tensor], shape_only: bool) -> None:
    if layer.weights is not None or layer.bias is not None:
        raise GraphError(
            f"layer {layer.name!r} has constant weights or a bias; a MatMul multiplies two tensors", layer=layer.name
        )
    if layer.requant is None:
        if not shape_only:
            raise GraphError(
                f"layer {layer.name!r} has no requantization; only a shape_only graph may", layer=layer.name
            )
        return
    if layer.requant.channel_count != 1:
        raise GraphError(
            f"layer {layer.name!r}: requantization of {layer.requant.channel_count} channels; a MatMul has 1 for all"
        )
    right = tensors[layer.inputs[1]].format
    if layer.weight_format != right:
        raise GraphError(
            f"layer {layer.name!r}: weight_format is {layer.weight_format}, its right operand is {right}; "
            "they must be equal",
            layer=layer.name,
        )
    if not (right.contains(layer.right_zero_point) or (right.bipolar and layer.right_zero_point == 0)):
        raise GraphError(f"layer {layer.name!r}: right zero point {layer.right_zero_point} is no {right}")
    _check_input_zero_point(layer, tensors)


def _check_input_zero_point(layer: MacLayer, tensors: Mapping[str, Tensor]) -> None:
    source = tensors[layer.inputs[0]].format
    if not (source.contains(layer.input_zero_point) or (source.bipolar and layer.input_zero_point == 0)):
        raise GraphError(f"layer {layer.name!r}: input zero point {layer.input_zero_point} is no {source}")
