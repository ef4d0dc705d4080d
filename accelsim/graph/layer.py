"""What every layer is: a frozen record with named inputs, one output, and the views its tiles refer to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from accelsim.display import Brief
from accelsim.graph.boxes import Boxes

RealFunction = Callable[..., NDArray[Any]]
"""What a source model computes in floating point from the sums or operands of a layer to its codes: arrays (C or 1, n) of real
numbers, in float32 or float64, to int64 codes of that shape. A label for the host, as a tensor's scale is: no machine reads it.
"""


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer(Brief):
    """One operation of a Graph; ``inputs`` and ``output`` are tensor names.

    ``input_shapes`` and ``output_shape`` are *views*: the shapes in which the layer sees its tensors (same elements, same
    order; a dense layer sees a 4-D image of one pixel per row). Tiles are boxes of these views.
    """

    operator: ClassVar[str]
    name: str
    inputs: tuple[str, ...]
    output: str

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """View shape of each input."""
        raise AttributeError(f"{type(self).__name__} defines no input_shapes")

    @property
    def output_shape(self) -> tuple[int, ...]:
        """View shape of the output."""
        raise AttributeError(f"{type(self).__name__} defines no output_shape")

    @property
    def macs(self) -> int:
        """Multiply-accumulates on the array; 0 for a layer that the vector unit runs."""
        return 0


@dataclass(frozen=True, eq=False, kw_only=True)
class VectorLayer(Layer):
    """A layer that the vector unit runs; ``shapes`` are the views of its inputs, ``shape`` that of its output."""

    shapes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return self.shapes

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.shape

    @property
    def whole_axes(self) -> tuple[int, ...]:
        """Output axes that a tile must cover whole."""
        return ()

    @property
    def steps_per_output(self) -> int:
        """Vector-unit lane-cycles spent on each output element."""
        return 1

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        """The boxes of each input view that the output boxes ``tiles`` need (empty boxes where nothing is needed)."""
        raise AttributeError(f"{type(self).__name__} defines no reads")
