"""Float32 operators between a quantized layer and the quantizer after it, kept as one function per channel.

A QONNX graph is executed node by node in float32 (qonnx/core/onnx_exec.py), as ONNX Runtime executes what follows its integer
operators, and so is the chain. From integer sums to codes it is a function of one number; the layer gets that function as
multi-thresholds, a table, or, under an arithmetic without thresholds, as one multiplier and an integer bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.formulas import Codes as CodeArray
from accelsim.importers.onnx.formulas import Floats, Quantization
from accelsim.importers.onnx.functions import Accuracy
from accelsim.importers.onnx.network import Pending, Shape, Target
from accelsim.importers.refusal import RefusalError

Function = Callable[[Floats], Floats]
Doubles = NDArray[np.float64]
Span = Callable[[Floats], tuple[Floats, Floats]]


class Final(Protocol):
    """What ends a chain: Quant, BipolarQuant or Trunc."""

    @property
    def quantization(self) -> Quantization:
        """What the codes stand for."""

    def codes(self, real: Floats) -> CodeArray:
        """Codes of real numbers of any shape."""


@dataclass(frozen=True, eq=False)
class Line:
    """The chain in real numbers, where it is one: ``clip(gain * x + offset, least, most)``, arrays (C or 1,)."""

    gain: Doubles
    offset: Doubles
    least: float = -math.inf
    most: float = math.inf

    def mapped(self, gain: Any, offset: Any) -> Line | None:
        """``gain * self + offset``; None behind a rectifier, whose bounds would differ by channel."""
        if (self.least, self.most) != (-math.inf, math.inf):
            return None
        g, o = np.float64(gain), np.float64(offset)
        return Line(np.atleast_1d(self.gain * g), np.atleast_1d(self.offset * g + o))

    def clipped(self, least: float, most: float) -> Line:
        """The same line between further bounds."""
        return replace(self, least=max(self.least, least), most=min(self.most, most))


class Base(Protocol):
    """What a chain starts from; it makes the layer once the chain is complete."""

    @property
    def channels(self) -> int:
        """1 where one function serves all output channels before any step of the chain."""

    def probes(self) -> Floats:
        """Real numbers (C or 1, n) among which the chain takes its smallest and largest value."""

    def settle(self, chain: Chained, final: Final, name: str) -> None:
        """Make the layer that writes the codes of ``final`` into tensor ``name``."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Chained(Pending):
    """A float result that waits for its Quant: ``function`` maps real numbers (C or 1, n) of ``base``, ``line`` tells it.

    ``channel``: ONNX's axis of the channels, where the number of axes does not tell it. ``span``: the least and the largest that ONNX
    Runtime's polynomials may make of a number; None where IEEE 754 fixes every step.
    """

    base: Base
    function: Function
    line: Line | None
    channels: int
    channel: int | None = None
    span: Span | None = None

    @property
    def axis(self) -> int:
        """Axis of the channels in ONNX's order."""
        return channel_axis(self.shape) if self.channel is None else self.channel

    def then(
        self, function: Function, line: Line | None, *, channels: int = 1, what: str, accuracy: Accuracy | None = None
    ) -> Chained:
        """The chain with one more operator, whose constants differ among ``channels`` channels; the runtime has it within ``accuracy``."""
        before = self.function
        return replace(
            self,
            function=lambda x: function(before(x)),
            line=line,
            channels=max(self.channels, channels),
            what=what,
            span=self._spanned(function, accuracy) if self.span or accuracy else None,
        )

    def _spanned(self, function: Function, accuracy: Accuracy | None) -> Span:
        """Of a function that rises, or falls, between numbers that lie so near to each other."""

        def span(x: Floats) -> tuple[Floats, Floats]:
            operands = self.span(x) if self.span else (self.function(x),)
            reals = [(operand, function(operand)) for operand in operands]
            ends = [end for x, real in reals for end in (accuracy.around(x, real) if accuracy else (real,))]
            return np.minimum.reduce(ends), np.maximum.reduce(ends)

        return span


def channel_axis(shape: Shape) -> int:
    """Axis 1 of an image, the last of everything else."""
    return 1 if len(shape) == 4 else max(len(shape) - 1, 0)


def chain(base: Base, shape: Shape, what: str, *, channel: int | None = None) -> Chained:
    """The chain without operators."""
    line = Line(np.ones(1), np.zeros(1))
    return Chained(
        shape=shape, emit=_refuse, what=what, base=base, function=lambda x: x, line=line, channels=base.channels,
        channel=channel,
    )  # fmt: skip


def _refuse(target: Target) -> NoReturn:
    raise RefusalError(f"a float chain of a QONNX graph ends in QuantizeLinear ({target.name!r})", "Quant at its end")
