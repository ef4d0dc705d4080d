"""What a float chain starts from where codes are averaged: sums on the vector unit, whose division belongs to the chain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from accelsim.graph import AveragePool2D, Mean
from accelsim.importers.onnx.chain.bases import Integers, IntegerSums, Labels
from accelsim.importers.onnx.chain.chained import Chained, Final, chain
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.formulas import Floats
from accelsim.importers.onnx.network import Codes, Shape, stored_axis
from accelsim.numerics import Requantization

SCHEME_OF = "DEPTHWISE_CONV_2D"
"""Whose scheme these sums follow: an average is a depthwise sum before its division."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Means(IntegerSums):
    """Sums of ``layer``, which still lacks its requantization; ``kept`` is its output's shape in ONNX's order of axes."""

    layer: AveragePool2D | Mean
    kept: Shape

    @property
    def reach(self) -> int:
        """As many codes as are summed, or as the sum of a smaller window is brought up to."""
        return self.widest * (self.layer.whole if isinstance(self.layer, AveragePool2D) else self.layer.count)

    @property
    def outputs(self) -> int:
        return self.layer.shape[-1]

    def real(self, sums: Integers) -> Floats:
        """The quotient rounds to float32 once; where all windows are of one size, after the sum, as the float graph has it."""
        if isinstance(self.layer, AveragePool2D) and self.layer.whole != self.layer.steps_per_output:
            return np.asarray(sums * self.unit[:, None] / self.divisor, np.float32)
        return np.asarray(super().real(sums) / np.float32(self.divisor))

    def settle(self, chain: Chained, final: Final, name: str) -> None:
        by_channel = chain.channels == 1 or self._places[chain.axis : chain.axis + 1] == [len(self.kept) - 1]
        self.node.need(by_channel, "constants after it differ along another axis than that stored last", "one number")
        super().settle(chain, final, name)

    @property
    def _places(self) -> list[int]:
        """Where each axis of the result is stored in the layer's output."""
        rank = len(self.kept)
        stored = [stored_axis(axis, rank) for axis in range(rank)]
        axes = self.layer.axes if isinstance(self.layer, Mean) and self.shape != self.kept else ()
        return [place for place in stored if place not in axes]

    def emit(
        self, made: Codes, requant: Requantization, bias: Integers | None = None, labels: Labels | None = None
    ) -> None:
        function = (labels or {}).get("real_function")

        def layer(output: str) -> AveragePool2D | Mean:
            name = self._layer_name()
            return replace(self.layer, name=name, output=output, requant=requant, bias=bias, real_function=function)

        self.node.net.from_kept(made, self.kept, self.node, layer)


def mean_chain(
    node: NodeContext, image: Codes, layer: AveragePool2D | Mean, divisor: int, shapes: tuple[Shape, Shape]
) -> Chained:
    """The chain behind sums of ``layer``; ``shapes`` in ONNX's order, with the axes that were averaged and as the node wants it."""
    kept, shape = shapes
    sums = Means(
        node=node, operator=SCHEME_OF, image=image, shape=shape, unit=np.array([np.float64(image.known.scale)]),
        divisor=divisor, layer=layer, kept=kept,
    )  # fmt: skip
    return chain(sums, shape, f"a {node.op}")
