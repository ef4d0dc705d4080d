"""One layer at a time, or all, in the integers of the machine: its accumulators, its overflow, its requantization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder import build_program
from accelsim.execute import accumulator_formats, prove_graph, run_program
from accelsim.graph import Graph, HostPort, Layer, MacLayer, VectorLayer
from accelsim.kernels import Box, evaluate
from accelsim.mapper import divide_memory, map_graph
from accelsim.numerics import INT64, IntFormat, Overflow, fit_array, requantize
from accelsim.verification.readings.exact import codes_of
from accelsim.verification.readings.linear import stage_bias, sums_of

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Machine:
    """``graph`` on ``arch``; without an arch the sums are exact."""

    graph: Graph
    arch: Arch | None = None

    @cached_property
    def formats(self) -> Mapping[str, IntFormat]:
        """Accumulator of each MAC layer."""
        macs = [layer.name for layer in self.graph.layers if isinstance(layer, MacLayer)]
        return dict.fromkeys(macs, INT64) if self.arch is None else accumulator_formats(self.graph, self.arch)

    @cached_property
    def unproved(self) -> frozenset[str]:
        """Layers whose sums may leave their accumulator."""
        if self.arch is None:
            return frozenset()
        return frozenset(proof.layer for proof in prove_graph(self.graph, self.arch) if not proof.safe)

    def layer(self, layer: Layer, inputs: Sequence[Array]) -> Array:
        """Codes of ``layer`` in its output view."""
        if isinstance(layer, VectorLayer):
            return vector_codes(layer, inputs)
        assert isinstance(layer, MacLayer)
        assert layer.requant is not None
        if layer.name not in self.unproved:
            return codes_of(sums_of(layer, inputs), layer.requant)
        if self.arch is not None and self.arch.accumulator.overflow == "wrap":
            sums = fit_array(sums_of(layer, inputs) - stage_bias(layer), self.formats[layer.name], Overflow.WRAP)
            return requantize(sums, layer.requant)
        return self._through_program(layer, inputs)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every tensor of one inference by Graph name, from inputs in their Graph shapes; variables may be among them."""
        values = {**self.graph.constants, **self.graph.with_state(inputs)}
        for layer in self.graph.layers:
            tensor = self.graph.tensors[layer.output]
            made = self.layer(layer, [values[name] for name in layer.inputs])
            values[layer.output] = made.reshape(tensor.shape).astype(tensor.format.dtype)
        return values

    def run_all(self, batches: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
        """As :meth:`run`, inference after inference along the leading axis, each with what the one before it left."""
        state: dict[str, Array] = {}
        for i in range(len(next(iter(batches.values())))):
            made = self.run({**{name: batch[i] for name, batch in batches.items()}, **state})
            state = self.graph.carried(made)
            yield made

    def _through_program(self, layer: MacLayer, inputs: Sequence[Array]) -> Array:
        """Where the order of sums matters: the layer's own Program, tile by tile."""
        assert self.arch is not None
        single = alone(self.graph, layer)
        arch = divide_memory(single, arch=self.arch)
        program = build_program(single, arch=arch, mappings=map_graph(single, arch=arch))
        feeds = {
            name: np.asarray(x, dtype=single.tensors[name].format.dtype).reshape(single.tensors[name].shape)
            for name, x in zip(layer.inputs, inputs, strict=True)
        }
        return run_program(program, feeds)[layer.output].reshape(layer.output_shape)


def alone(graph: Graph, layer: Layer) -> Graph:
    """The graph that has ``layer`` and nothing else."""
    names = (*layer.inputs, layer.output)
    return replace(
        graph,
        layers=(layer,),
        tensors={name: graph.tensors[name] for name in names},
        inputs=tuple(HostPort(name, name) for name in dict.fromkeys(layer.inputs)),
        outputs=(HostPort(layer.output, layer.output),),
        constants={},
        unread_inputs=(),
        variables=(),
        approximations={},
        source=(),
    )


def vector_codes(layer: VectorLayer, inputs: Sequence[Array]) -> Array:
    """Codes of a vector layer in its output view."""
    views = [x.reshape(view) for x, view in zip(inputs, layer.input_shapes, strict=True)]
    boxes: list[Box] = [((0,) * len(view), view) for view in layer.input_shapes]
    return evaluate(layer, views, boxes, ((0,) * len(layer.output_shape), layer.output_shape))
