"""The Graph: layers in topological order over named integer tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from accelsim.errors import GraphError
from accelsim.graph.layer import Layer
from accelsim.graph.mac_layers import MacLayer, MatMul
from accelsim.graph.moving_layers import Reshape, StridedSlice, Transpose
from accelsim.graph.passes import Follower, followers
from accelsim.graph.tensor import Tensor, Variable
from accelsim.graph.verify import verify_constants, verify_graph, verify_variables
from accelsim.graph.window_layers import ArgReduction
from accelsim.numerics import Rounding


class Outcome(StrEnum):
    """What an operator of the model file turned into."""

    LAYER = "layer"
    """Layers of its own."""
    FUSED = "fused"
    """A part of the layers named: a rectifier, a scale, a bias, the rounding at their end."""
    HOST = "host"
    """The host's work at the boundary between real numbers and codes."""
    CONSTANT = "constant"
    """Computed at import: its operands are constant."""
    STATE = "state"
    """Reads or writes what is kept from inference to inference, or says where."""
    NOTHING = "nothing"
    """Codes and their scale stay as they are."""


@dataclass(frozen=True, kw_only=True)
class SourceOperator:
    """Operator ``index`` of the model file, by its name there and its first output, and the names of its ``layers``."""

    index: int
    operator: str
    output: str
    outcome: Outcome
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostPort:
    """A tensor that crosses between host and machine.

    ``host_name`` is the name the host knows; ``real`` says that the host holds it in floating point (the model file begins
    with QUANTIZE or ends with DEQUANTIZE), so that codes are made or read with the tensor's scale and zero point, ties going
    the way of ``rounding``.
    """

    tensor: str
    host_name: str
    real: bool = False
    rounding: Rounding = Rounding.HALF_AWAY


@dataclass(frozen=True, eq=False, kw_only=True)
class Graph:
    """Layers in an order in which every tensor is produced before it is read; checked when it is made.

    ``arithmetic`` names the per-operator rule set that the importer encoded. ``constants`` are tensors that layers
    other than those of the array read from memory (the fixed operand of an ADD). ``unread_inputs`` are inputs of the
    source model that no layer reads (the output size of a TRANSPOSE_CONV): the host may hold values for them, nothing
    comes of it. ``approximations`` says, by name of a layer or of a host's quantizer, where the importer could not keep
    bit for bit what the source model computes; ``source`` what became of every operator of the model file, in its order;
    ``converted`` what was done to the file before it was read. A ``shape_only`` graph has no weights: it can be timed, not
    executed, and its layers run one after another whatever they read. ``variables`` are what an inference leaves to the next.
    """

    name: str
    arithmetic: str
    tensors: Mapping[str, Tensor]
    layers: Sequence[Layer]
    inputs: Sequence[HostPort]
    outputs: Sequence[HostPort]
    shape_only: bool = False
    constants: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    unread_inputs: tuple[str, ...] = ()
    approximations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source: tuple[SourceOperator, ...] = ()
    converted: str = ""
    variables: tuple[Variable, ...] = ()

    def __post_init__(self) -> None:
        verify_graph(
            self.tensors,
            self.layers,
            [*self.entries, *self.constants],
            self.results,
            self.shape_only,
        )
        verify_constants(self.tensors, self.constants)
        verify_variables(self.tensors, self.layers, self.variables, shape_only=self.shape_only)

    def __repr__(self) -> str:
        """One line, and one for each layer."""
        rows = [
            f"  {layer.name}: {layer.operator} {', '.join(map(str, layer.input_shapes))} -> {layer.output_shape}"
            for layer in self.layers
        ]
        return "\n".join(
            [f"Graph {self.name}: {len(rows)} layers, {self.macs:,} MACs, {self.weight_bytes:,} weight bytes", *rows]
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Bytes of constant weights, packed at their bit-width."""
        return sum(
            -(-layer.geometry.oc * layer.geometry.reduction * layer.weight_format.bits // 8)
            for layer in self.layers
            if isinstance(layer, MacLayer) and not isinstance(layer, MatMul)
        )

    @cached_property
    def producer(self) -> Mapping[str, int]:
        """Index of the layer that makes each tensor; graph inputs are absent."""
        return {layer.output: i for i, layer in enumerate(self.layers)}

    @cached_property
    def followers(self) -> Mapping[int, Follower]:
        """By the number of a layer with MACs, or an element-wise one, whether the layer behind it can take its outputs as they are made."""
        return followers(self.layers, self.tensors, self.results)

    @property
    def entries(self) -> tuple[str, ...]:
        """Tensors that stand in memory before the first layer: the host's inputs, and what variables hold."""
        return (*(port.tensor for port in self.inputs), *(variable.read for variable in self.variables))

    @property
    def results(self) -> tuple[str, ...]:
        """Tensors that must stand in memory after the last layer: the host's outputs, and what variables will hold."""
        return (*(port.tensor for port in self.outputs), *(variable.written for variable in self.variables))

    def with_state(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """All entries, by name: variables that ``inputs`` leave out hold what they hold at first."""
        return {**{variable.read: variable.initial for variable in self.variables}, **inputs}

    def carried(self, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """What the next inference reads of its variables, of the ``values`` of this one's tensors."""
        return {variable.read: values[variable.written] for variable in self.variables}

    def classes(self, tensor: str) -> int | None:
        """How many places the codes of ``tensor`` count, where an ArgMax or ArgMin made them, moved since or not; None for any other."""
        while tensor in self.producer:
            layer = self.layers[self.producer[tensor]]
            if isinstance(layer, ArgReduction):
                return layer.count
            if not isinstance(layer, Reshape | Transpose | StridedSlice):
                return None
            tensor = layer.inputs[0]
        return None

    def layer(self, name: str) -> Layer:
        """The layer called ``name``; GraphError where there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise GraphError(f"graph {self.name!r} has no layer {name!r}; it has {[layer.name for layer in self.layers]}")
