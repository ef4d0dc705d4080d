"""Edits of a network's widths: ``weights.bits`` of all layers, ``layers.NAME.weights.bits`` of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from accelsim.errors import ConfigError
from accelsim.graph import Graph, MacLayer
from accelsim.names import LayerNames
from accelsim.numerics import IntFormat

ALL = "weights.bits"
_ONE, _BITS = "layers.", ".weights.bits"
WIDEST = 16
"""Bits of a weight."""
Widths = tuple[tuple[str, object], ...]
"""Edits of the network, by path, ascending: all layers before single ones."""


def split(edit: Mapping[str, object]) -> tuple[dict[str, object], Widths]:
    """The edits of the machine, and those of the network."""
    network = {path for path in edit if path == ALL or (path.startswith(_ONE) and path.endswith(_BITS))}
    machine = {path: value for path, value in edit.items() if path not in network}
    return machine, tuple((path, edit[path]) for path in sorted(network, key=lambda path: (path != ALL, path)))


def with_widths(graph: Graph, widths: Widths) -> Graph:
    """``graph`` with its constant weights stored in other widths, clipped to what those hold: to be timed and priced, not executed.

    ConfigError for a width beyond 1 to 16 bits and for a layer that has no weights or is not there.
    """
    mac = [layer for layer in graph.layers if isinstance(layer, MacLayer) and len(layer.inputs) == 1]
    names, bits = LayerNames(layer.name for layer in mac), dict[str, int]()
    for path, value in widths:
        wide = _width(path, value)
        bits |= dict.fromkeys(names.names, wide) if path == ALL else {_named(path, names): wide}
    layers = (_narrowed(x, bits[x.name]) if isinstance(x, MacLayer) and x.name in bits else x for x in graph.layers)
    return replace(graph, layers=tuple(layers))


def _named(path: str, names: LayerNames) -> str:
    try:
        return names.names[names.find(path.removeprefix(_ONE).removesuffix(_BITS))]
    except ConfigError as error:
        raise ConfigError(f"{path}: among the layers with weights {error}") from error


def _width(path: str, value: object) -> int:
    try:
        bits = int(str(value))
    except ValueError:
        bits = 0
    if not 1 <= bits <= WIDEST:
        raise ConfigError(f"{path}: expected 1 to {WIDEST} bits, got {value!r}")
    return bits


def _narrowed(layer: MacLayer, bits: int) -> MacLayer:
    form = IntFormat(bits, signed=layer.weight_format.signed)
    held = None if layer.weights is None else np.clip(layer.weights, form.min, form.max).astype(form.dtype)
    return replace(layer, weights=held, weight_format=form)
