"""Layers that the MAC array runs: convolutions, dense layers, matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import GraphError
from accelsim.graph.geometry import MacGeometry
from accelsim.graph.layer import Layer, RealFunction
from accelsim.numerics import INT32, IntFormat, Requant, Requantization


@dataclass(frozen=True, eq=False, kw_only=True)
class MacLayer(Layer):
    """Accumulators start at the bias, sum ``w * (x - input_zero_point)``, and are requantized (Nagel et al. 2021, section 2.1).

    Where a stage of the requantizer adds the bias they start at 0 (``array_bias``), and the requantization has it.

    ``weights`` is an integer array of shape (oc, kh, kw, ic/groups), ``bias`` int64 of shape (oc,) or None; both are None
    in a graph that carries shapes only, as is ``requant``. Taps that fall on padding contribute nothing.
    ``accumulator`` is the format in which the source arithmetic sums. ``weight_scales``, shape (1,) or (oc,), are a label for the
    host as ``Tensor.scale`` is: real weight = scale * weight; None where the source model has none. ``real_bias``, shape (oc,), is the
    bias of a source model that keeps it in floating point; ``bias`` is what it was rounded to. ``real_function`` takes the real
    sums of a layer with thresholds to codes, bias included.

    ``weight_zero_points``, int64 of shape (1,) or (oc,): memory holds ``weights + weight_zero_points``, codes without a sign and one
    bit narrower than ``weight_format``. None where memory holds the weights themselves: they fit the width of their codes.
    """

    operator: ClassVar[str]
    geometry: MacGeometry
    weights: NDArray[Any] | None
    weight_format: IntFormat
    bias: NDArray[np.int64] | None = None
    bias_format: IntFormat = INT32
    input_zero_point: int = 0
    requant: Requantization | None = None
    accumulator: IntFormat = INT32
    weight_scales: NDArray[np.float32] | None = None
    weight_zero_points: NDArray[np.int64] | None = None
    real_bias: NDArray[np.float32] | None = None
    real_function: RealFunction | None = None

    def __post_init__(self) -> None:
        if isinstance(self.requant, Requant) and self.requant.rule.takes_bias:
            try:
                object.__setattr__(self, "requant", self.requant.with_bias(self.bias))
            except GraphError as error:
                raise GraphError(f"layer {self.name!r}: {error}", layer=self.name) from error

    @property
    def array_bias(self) -> NDArray[np.int64] | None:
        """What accumulators start at: ``bias``, or None where a stage of the requantizer adds it."""
        staged = isinstance(self.requant, Requant) and self.requant.rule.takes_bias
        return None if staged else self.bias

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return (self.geometry.input_shape,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.geometry.output_shape

    @property
    def macs(self) -> int:
        return self.geometry.macs

    @property
    def weight_reach(self) -> int:
        """Largest magnitude of a factor that the format of the weights allows."""
        return max(self.weight_format.max, -self.weight_format.min)

    @property
    def code_format(self) -> IntFormat:
        """Of a weight as the network stores it, its zero point added."""
        if self.weight_zero_points is None:
            return self.weight_format
        return IntFormat(self.weight_format.bits - 1, signed=False)

    @property
    def has_weight_zero_points(self) -> bool:
        """Whether codes of weights are not the factors of products: a zero point is to be subtracted from some."""
        return self.weight_zero_points is not None and bool(self.weight_zero_points.any())


class Conv2D(MacLayer):
    """2-D convolution, grouped or not."""

    operator = "CONV_2D"


class DepthwiseConv2D(MacLayer):
    """2-D convolution with one group per input channel."""

    operator = "DEPTHWISE_CONV_2D"


class Dense(MacLayer):
    """Fully connected layer; the geometry's ``ih`` = ``oh`` counts the rows of the input matrix."""

    operator = "FULLY_CONNECTED"


class TransposeConv2D(MacLayer):
    """Transposed convolution in its gather form: zeros inserted between input rows, kernel flipped by the importer."""

    operator = "TRANSPOSE_CONV"


@dataclass(frozen=True, eq=False, kw_only=True)
class MatMul(MacLayer):
    """Product of two activations, ``groups`` independent ones side by side; ``inputs`` = (left, right).

    Left view (1, m, 1, groups*k), output view (1, m, 1, groups*n). The right operand takes the place of the weights: it has
    their format and is read from memory as the view (groups*n, 1, 1, k). ``weights`` and ``bias`` are None. Sums are those of
    ``(right - right_zero_point) * (left - input_zero_point)``; how the machine takes the right zero point off says its
    ``array.weight_zero_points``.
    """

    operator = "BATCH_MATMUL"
    right_zero_point: int = 0

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return self.geometry.input_shape, self.geometry.weight_shape

    @property
    def weight_reach(self) -> int:
        """Largest magnitude of ``right - right_zero_point``."""
        return max(self.weight_format.max - self.right_zero_point, self.right_zero_point - self.weight_format.min)

    @property
    def has_weight_zero_points(self) -> bool:
        return self.right_zero_point != 0
