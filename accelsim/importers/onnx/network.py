"""The Graph as it grows: tensors in the order of axes that the layers want, layers, and what each ONNX name stands for."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import HostPort, Layer, Reshape, Tensor, Transpose
from accelsim.importers.account import fresh_name
from accelsim.importers.matmul import keeps_order, transposition
from accelsim.importers.onnx.file.records import OnnxModel
from accelsim.importers.onnx.formulas import Quantization, quantize
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import IntFormat

Shape = tuple[int, ...]
CHANNELS_LAST = (0, 2, 3, 1)
"""Stored axis ``i`` of a rank-4 tensor is ONNX axis ``CHANNELS_LAST[i]``."""
CHANNELS_FIRST = (0, 3, 1, 2)
"""Its inverse: ``Tensor.host_axes``."""


@dataclass(frozen=True)
class Codes:
    """An integer tensor that is computed at run time; ``shape`` in ONNX's order of axes."""

    tensor: str
    shape: Shape
    format: IntFormat
    quantization: Quantization | None = None

    @property
    def known(self) -> Quantization:
        """The quantization; RefusalError where the model gives none."""
        if self.quantization is None:
            raise RefusalError(f"tensor {self.tensor!r} has no scale", "an operand with scale and zero point")
        return self.quantization

    @property
    def stored(self) -> Shape:
        """Shape in the Graph: channels last where there are 4 axes."""
        return stored_shape(self.shape)


@dataclass(frozen=True)
class Real:
    """A float tensor that is nothing but dequantized codes."""

    codes: Codes


@dataclass(frozen=True)
class HostReal:
    """A float graph input."""

    name: str
    shape: Shape


@dataclass(frozen=True, eq=False)
class Weights:
    """A dequantized constant: integer codes, and scales and zero points per tensor or along ``axis``.

    ``bits`` is the width that the file gives them where their type does not tell it; 0 where it does.
    """

    codes: NDArray[Any]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int | None
    bits: int = field(default=0, kw_only=True)


@dataclass(frozen=True)
class Target:
    """Where a layer's codes go: tensor name, quantization, and the codes that a fused rectifier allows.

    ``is_clipped``: the rectifier cuts off numbers that the quantization could hold. ONNX Runtime drops a rectifier that does
    not, and only then turns the operator before it into one on integers.
    """

    name: str
    quantization: Quantization
    low: int
    high: int
    is_clipped: bool = False

    @property
    def clamp(self) -> tuple[int, int]:
        """The least and the largest code."""
        return self.low, self.high

    def codes_of(self, real: NDArray[np.float32]) -> NDArray[np.int64]:
        """Codes of real numbers."""
        codes: NDArray[np.int64] = np.clip(quantize(real, self.quantization), self.low, self.high)
        return codes


@dataclass(frozen=True, eq=False)
class Pending:
    """A float result that waits for the QuantizeLinear after it; ``emit`` then makes the layer.

    ``biased``: a matrix product with the constant at an input of an Add as its bias.
    """

    shape: Shape
    emit: Callable[[Target], None]
    what: str
    least: float = -math.inf
    most: float = math.inf
    biased: Callable[[Any, int], Pending] | None = field(default=None, kw_only=True)

    def clipped(self, least: float, most: float) -> Pending:
        """The same result under a further rectifier."""
        low, high = max(self.least, least), min(self.most, most)
        if not low <= high:
            raise RefusalError(f"it leaves no value between {low} and {high}", "bounds in ascending order")
        return replace(self, least=low, most=high, biased=None)


Value = Codes | Real | HostReal | Weights | Pending | np.ndarray[Any, Any]
"""What an ONNX tensor name may stand for; arrays are constants."""


def stored_shape(shape: Shape) -> Shape:
    """Channels last where there are 4 axes."""
    return tuple(shape[axis] for axis in CHANNELS_LAST) if len(shape) == 4 else shape


def stored_axis(axis: int, rank: int) -> int:
    """Where ONNX axis ``axis`` is stored."""
    return CHANNELS_FIRST[axis] if rank == 4 else axis


def order_name(order: Shape) -> str:
    """What a tensor is called after that holds ONNX's axes in ``order``."""
    return "channels_first" if order == tuple(range(len(order))) else "channels_last"


def transposed(tensor: str) -> str:
    """What a layer is called that turns axes to or from ``tensor``, and that no operator's name begins."""
    return f"{tensor.replace(' ', '_')} transposed"


def view(shape: Shape) -> Shape:
    """The shape in which a layer sees a tensor: at least one axis."""
    return shape or (1,)


class SourceNode(Protocol):
    """What a layer is named after."""

    @property
    def layer_name(self) -> str:
        """Name of its layer."""

    @property
    def op(self) -> str:
        """The operator."""


@dataclass(eq=False)
class Network:
    """Tensors and layers made so far."""

    model: OnnxModel
    values: dict[str, Value] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    inputs: list[HostPort] = field(default_factory=list)
    approximations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    real_biases: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    _ordered: dict[tuple[str, Shape], str] = field(default_factory=dict)
    _turns: set[str] = field(default_factory=set)
    _taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        names = [name for node in self.model.nodes for name in (*node.inputs, *node.outputs)]
        self._taken.update(names, (value.name for value in self.model.inputs), self.model.constants)

    def fresh(self, base: str) -> str:
        """A name that neither the model nor the Graph uses."""
        return fresh_name(base, self._taken)

    def make(self, name: str, shape: Shape, fmt: IntFormat, quantization: Quantization | None) -> Codes:
        """A tensor of ONNX shape ``shape``."""
        if min(shape, default=1) < 1:
            raise RefusalError(f"tensor {name!r} has shape {list(shape)}", "sizes of at least 1")
        codes = Codes(name, shape, fmt, quantization)
        self.tensors[name] = self._tensor(name, codes.stored, codes, CHANNELS_FIRST if len(shape) == 4 else None)
        return codes

    def _tensor(self, name: str, shape: Shape, codes: Codes, host_axes: Shape | None) -> Tensor:
        known = codes.quantization
        zero, scale = (0, None) if known is None else (known.zero_point, known.scale)
        return Tensor(name, shape, codes.format, zero, scale, host_axes)

    def label(self, codes: Codes, quantization: Quantization) -> None:
        """Tell a tensor's scale where only its consumers know it."""
        tensor = self.tensors[codes.tensor]
        if tensor.scale is None:
            self.tensors[codes.tensor] = replace(tensor, scale=quantization.scale, zero_point=quantization.zero_point)

    def plain(self, codes: Codes) -> str:
        """A tensor that holds ``codes`` in ONNX's order of elements, transposed once where it must be."""
        return self.ordered(codes, tuple(range(len(codes.shape))), "channels_first")

    def from_plain(self, codes: Codes, make_layer: Callable[[str], Layer]) -> None:
        """Add the layer that writes ``codes`` in ONNX's order, and the transposition that must follow it."""
        self.from_ordered(codes, tuple(range(len(codes.shape))), "channels_first", make_layer)

    def ordered(self, codes: Codes, order: Shape, what: str) -> str:
        """A tensor that holds ``codes`` with ONNX axis ``order[i]`` as axis ``i``, transposed once where it must be."""
        permutation = tuple(stored_axis(axis, len(order)) for axis in order)
        if keeps_order(codes.stored, permutation):
            return codes.tensor
        key = codes.tensor, order
        if key not in self._ordered:
            name = self.fresh(f"{codes.tensor}/{what}")
            self.tensors[name] = self._tensor(name, tuple(codes.shape[axis] for axis in order), codes, None)
            self._turn(transposition(transposed(name), codes.tensor, name, codes.stored, permutation))
            self._ordered[key] = name
        return self._ordered[key]

    def from_ordered(self, codes: Codes, order: Shape, what: str, make_layer: Callable[[str], Layer]) -> None:
        """Add the layer that writes ``codes`` in that order of axes, and the transposition that must follow it."""
        self.write_ordered(codes, order, what, lambda name: self.layers.append(make_layer(name)))

    def write_ordered(self, codes: Codes, order: Shape, what: str, write: Callable[[str], None]) -> None:
        """As :meth:`from_ordered`, for a function that adds the layers itself, given the tensor that the last one writes."""
        permutation = tuple(stored_axis(axis, len(order)) for axis in order)
        if keeps_order(codes.stored, permutation):
            write(codes.tensor)
            return
        name = self.fresh(f"{codes.tensor}/{what}")
        shape = tuple(codes.shape[axis] for axis in order)
        self.tensors[name] = self._tensor(name, shape, codes, None)
        write(name)
        self._ordered[codes.tensor, order] = name
        back = tuple(permutation.index(axis) for axis in range(len(order)))
        self._turn(transposition(transposed(name), name, codes.tensor, shape, back))

    def _turn(self, layer: Transpose) -> None:
        self.layers.append(layer)
        self._turns.add(layer.name)

    def drop_unread_turns(self, outputs: Collection[str]) -> None:
        """Take away transpositions of our own that neither a layer nor one of ``outputs`` reads."""
        read = {*outputs}
        for layer in reversed(self.layers.copy()):
            if layer.name in self._turns and layer.output not in read:
                self.layers.remove(layer)
            else:
                read.update(layer.inputs)

    def reshaped(self, layer: str, source: Codes, target: Codes, operator: str) -> None:
        """``source`` under the shape of ``target``, element for element in ONNX's order."""
        plain = self.plain(source)
        shapes: dict[str, Any] = {"shapes": (view(source.shape),), "shape": view(target.shape)}
        self.from_plain(
            target,
            lambda name: Reshape(name=layer, inputs=(plain,), output=name, source_operator=operator, **shapes),
        )

    def from_kept(self, codes: Codes, kept: Shape, node: SourceNode, make_layer: Callable[[str], Layer]) -> None:
        """Add the layer that writes ``codes`` under the shape ``kept``, and the reshape where that has other axes."""
        if codes.shape == kept:
            self.layers.append(make_layer(codes.tensor))
            return
        whole = self.make(self.fresh(f"{codes.tensor}/kept"), kept, codes.format, codes.quantization)
        self.layers.append(make_layer(whole.tensor))
        self.reshaped(f"{node.layer_name} reshape", whole, codes, node.op.upper())
