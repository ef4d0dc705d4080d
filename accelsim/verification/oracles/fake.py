"""The fake-quantized reading of a Graph as an oracle: every layer in floating point, every tensor quantized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Graph, Layer
from accelsim.verification.oracles.base import Codes
from accelsim.verification.readings.fake_quant import Float, fake_quantized, has_float_reading, moves_codes
from accelsim.verification.readings.machine import Machine


class FakeQuant:
    """float32, or float64. Layers that only move codes keep their integers; so do those whose scales are unknown, and what
    they make is not shown: it would be the machine compared with itself.
    """

    def __init__(self, graph: Graph, *, kind: Float = np.float32) -> None:
        self._graph = graph
        self._kind = kind
        self._integers = Machine(graph)
        self._state: Codes = {}

    @property
    def graph(self) -> Graph:
        """The model itself."""
        return self._graph

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Codes:
        """Every tensor of one inference that has a floating-point reading."""
        graph = self._graph
        values = {**graph.constants, **graph.with_state({**self._state, **inputs})}
        shown = dict(values)
        for layer in graph.layers:
            sources, tensor = [values[name] for name in layer.inputs], graph.tensors[layer.output]
            is_read = has_float_reading(layer, graph.tensors)
            made = self._read(layer, sources) if is_read else self._integers.layer(layer, sources)
            values[layer.output] = made.reshape(tensor.shape).astype(tensor.format.dtype)
            if is_read or (moves_codes(layer) and shown.keys() >= set(layer.inputs)):
                shown[layer.output] = values[layer.output]
        self._state = graph.carried(values)
        return shown

    def _read(self, layer: Layer, sources: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return fake_quantized(layer, sources, self._graph.tensors, self._kind)
