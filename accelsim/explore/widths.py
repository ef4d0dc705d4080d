"""Edits of a network's widths: ``weights.bits`` and ``activations.bits`` of all layers, ``layers.NAME.weights.bits`` of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from accelsim.errors import ConfigError
from accelsim.graph import Graph, Layer, MacLayer, MatMul, Tensor, Variable
from accelsim.names import LayerNames
from accelsim.numerics import IntFormat

WEIGHTS, ACTIVATIONS = "weights.bits", "activations.bits"
ALL = (WEIGHTS, ACTIVATIONS)
_ONE = "layers."
WIDEST = 16
"""Bits of a weight, or of an activation."""
Widths = tuple[tuple[str, object], ...]
"""Edits of the network, by path, ascending: all layers before single ones."""


class WidthPath(NamedTuple):
    """What a path is about: ``layer`` None stands for all of them, ``kind`` is one of :data:`ALL`."""

    layer: str | None
    kind: str


def width_path(path: str, *, one: str = _ONE) -> WidthPath | None:
    """``path`` taken apart, None where it names no width; ``one`` stands before the name of a single layer."""
    if path in ALL:
        return WidthPath(None, path)
    for kind in ALL if path.startswith(one) else ():
        if path.endswith(f".{kind}"):
            return WidthPath(path.removeprefix(one).removesuffix(f".{kind}"), kind)
    return None


def is_width(path: str) -> bool:
    """Whether ``path`` names a width."""
    return width_path(path) is not None


def layer_width(name: str, kind: str) -> str:
    """The path of one layer's width."""
    return f"{_ONE}{name}.{kind}"


def ordered(edit: Mapping[str, object]) -> Widths:
    """The widths among the values of ``edit``."""
    paths = sorted(filter(is_width, edit), key=lambda path: (path not in ALL, path))
    return tuple((path, edit[path]) for path in paths)


def layers_with_weights(graph: Graph) -> LayerNames:
    """The layers whose widths can be edited."""
    return LayerNames(x.name for x in graph.layers if isinstance(x, MacLayer) and len(x.inputs) == 1)


def checked_width(path: str, value: object) -> int:
    """``value`` as a number of bits; ConfigError where it is none."""
    try:
        bits = int(str(value))
    except ValueError:
        bits = 0
    if not 1 <= bits <= WIDEST:
        raise ConfigError(f"{path}: expected 1 to {WIDEST} bits, got {value!r}")
    return bits


def with_widths(graph: Graph, widths: Widths) -> Graph:
    """``graph`` with constant weights, and the codes that layers read, in other widths: to be timed and priced, not executed.

    Weights are clipped to what their width holds. A layer's activations are the tensor that it reads, whoever else does; those of all
    layers are every tensor that is no constant. ConfigError for a width beyond 1 to 16 bits, for a layer that has no weights or is not
    there, and for two widths of one tensor.
    """
    names = layers_with_weights(graph)
    weights, tensors = dict[str, int](), _Tensors(graph)
    for path, value in widths:
        layer, kind = width_path(path) or WidthPath(None, path)
        wide, name = checked_width(path, value), None if layer is None else _named(path, layer, names)
        if kind == ACTIVATIONS:
            tensors.edit(path, name, wide)
        else:
            weights |= dict.fromkeys(names.names if name is None else (name,), wide)
    layers = (
        _narrowed(x, weights[x.name]) if isinstance(x, MacLayer) and x.name in weights else x for x in graph.layers
    )
    graph = replace(graph, layers=tuple(layers))
    return _with_activations(graph, tensors.bits) if tensors.bits else graph


def _named(path: str, layer: str, names: LayerNames) -> str:
    try:
        return names.names[names.find(layer)]
    except ConfigError as error:
        raise ConfigError(f"{path}: among the layers with weights {error}") from error


class _Tensors:
    """Widths of activations, by tensor."""

    def __init__(self, graph: Graph) -> None:
        self.bits: dict[str, int] = {}
        self._all = [name for name in graph.tensors if name not in graph.constants]
        self._read = {layer.name: layer.inputs[0] for layer in graph.layers if isinstance(layer, MacLayer)}
        self._by: dict[str, str] = {}

    def edit(self, path: str, layer: str | None, wide: int) -> None:
        """What ``layer`` reads, or every tensor, is ``wide``."""
        if layer is None:
            self.bits = dict.fromkeys(self._all, wide)
            return
        tensor = self._read[layer]
        first = self._by.setdefault(tensor, path)
        if first != path and self.bits[tensor] != wide:
            raise ConfigError(
                f"{path}: {wide} bits, but {self.bits[tensor]} by {first}, which reads the same tensor; give both the same"
            )
        self.bits[tensor] = wide


def _narrowed(layer: MacLayer, bits: int) -> MacLayer:
    form = IntFormat(bits, signed=layer.weight_format.signed)
    held = None if layer.weights is None else np.clip(layer.weights, form.min, form.max).astype(form.dtype)
    return replace(layer, weights=held, weight_format=form, weight_zero_points=None)


def _with_activations(graph: Graph, bits: Mapping[str, int]) -> Graph:
    """``graph`` with those tensors so many bits wide; zero points are moved to what their tensor then holds."""
    bits = {**bits, **_of_variables(graph, bits)}
    tensors = {name: _tensor(x, bits[name]) if name in bits else x for name, x in graph.tensors.items()}
    return replace(
        graph,
        tensors=tensors,
        layers=tuple(_reading(layer, tensors) for layer in graph.layers),
        variables=tuple(_holding(variable, tensors[variable.read].format) for variable in graph.variables),
    )


def _of_variables(graph: Graph, bits: Mapping[str, int]) -> dict[str, int]:
    """What a variable is read as and what is written to it have one width: that of what is read, where both are given."""
    ends = [(x, bits.get(x.read, bits.get(x.written))) for x in graph.variables]
    return {name: wide for x, wide in ends if wide is not None for name in (x.read, x.written)}


def _holding(variable: Variable, form: IntFormat) -> Variable:
    return replace(variable, initial=np.clip(variable.initial, form.min, form.max).astype(form.dtype))


def _tensor(tensor: Tensor, bits: int) -> Tensor:
    form = IntFormat(bits, signed=tensor.format.signed)
    return replace(tensor, format=form, zero_point=_held(tensor.zero_point, form))


def _reading(layer: Layer, tensors: Mapping[str, Tensor]) -> Layer:
    if not isinstance(layer, MacLayer):
        return layer
    forms = [tensors[name].format for name in layer.inputs]
    moved = replace(layer, input_zero_point=_held(layer.input_zero_point, forms[0]))
    if isinstance(moved, MatMul):
        return replace(moved, weight_format=forms[1], right_zero_point=_held(moved.right_zero_point, forms[1]))
    return moved


def _held(value: int, form: IntFormat) -> int:
    return value if form.bipolar else min(max(value, form.min), form.max)
