"""Bounds on accumulators: proof that no sum, in whatever order, can leave its range."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from accelsim.arch import Arch
from accelsim.graph import Graph, MacLayer
from accelsim.hardware import accumulator_bits
from accelsim.numerics import IntFormat


@dataclass(frozen=True)
class AccumulatorProof:
    """No partial sum of ``layer`` exceeds ``bound`` in magnitude; ``safe`` where that fits the ``accumulator``."""

    layer: str
    bound: int
    accumulator: IntFormat

    @property
    def bits_needed(self) -> int:
        """Width of the narrowest signed accumulator that holds every partial sum."""
        return self.bound.bit_length() + 1

    @property
    def safe(self) -> bool:
        """Whether the accumulator holds every partial sum."""
        return self.bound <= self.accumulator.max


def prove(layer: MacLayer, *, input_format: IntFormat, accumulator: IntFormat) -> AccumulatorProof:
    """``max over channels of sum |w| * max |x - z| + |b|`` bounds every partial sum in any order.

    Without constant weights every product is bounded: ``reduction * max |w - z_w| * max |x - z|``.
    """
    reach = max(input_format.max - layer.input_zero_point, layer.input_zero_point - input_format.min)
    if layer.weights is None:
        worst = layer.geometry.reduction * layer.weight_reach
        return AccumulatorProof(layer.name, worst * reach, accumulator)
    per_channel = np.abs(layer.weights.astype(np.int64)).reshape(layer.geometry.oc, -1).sum(axis=1)
    bias = np.zeros_like(per_channel) if layer.array_bias is None else np.abs(layer.array_bias)
    bound = max(int(w) * reach + int(b) for w, b in zip(per_channel, bias, strict=True))
    return AccumulatorProof(layer.name, bound, accumulator)


def accumulator_formats(graph: Graph, arch: Arch) -> dict[str, IntFormat]:
    """Format of one sum of each MAC layer on ``arch``; wide activations take several words per sum."""
    return {
        layer.name: IntFormat(accumulator_bits(graph.tensors[layer.inputs[0]].format.bits, arch))
        for layer in graph.layers
        if isinstance(layer, MacLayer)
    }


def prove_graph(graph: Graph, arch: Arch) -> tuple[AccumulatorProof, ...]:
    """One proof per MAC layer."""
    formats = accumulator_formats(graph, arch)
    return tuple(
        prove(layer, input_format=graph.tensors[layer.inputs[0]].format, accumulator=formats[layer.name])
        for layer in graph.layers
        if isinstance(layer, MacLayer)
    )


def order_free(proofs: Iterable[AccumulatorProof], overflow: str | None) -> bool:
    """Whether values are the same in whatever order sums are added: none can leave its accumulator, or those that do wrap around.

    ``overflow`` None stands for accumulators without an end.
    """
    return overflow in (None, "wrap") or all(proof.safe for proof in proofs)
