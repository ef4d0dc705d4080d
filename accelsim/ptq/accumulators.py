"""Weights whose sums fit a narrow accumulator for every input: the codes of each output channel in an L1 ball.

A sum of products cannot exceed ``sum |w| * max |x - z| + |b|`` in magnitude, in whatever order it is added, so A2Q (Colbert, Pappalardo,
Petri-Koenig 2301.13376, section 4) bounds ``sum |w|`` of each channel while it trains. Here trained weights are brought there: by a soft
threshold, which is what the projection onto an L1 ball does (Duchi et al. 2008, section 3), under that step of several which leaves the least
square error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxNode
from accelsim.numerics import IntFormat
from accelsim.ptq.network.products import as_before, per_output, units_first

Codes = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Correction = Callable[[Codes, Floats], "NDArray[Any] | None"]
"""The bias that belongs to codes and their scales."""

STEPS = 2.0 ** (np.arange(17) / 4)
"""Factors of a step that are tried, 1 to 16: its own choice, finer ones change little."""
WHOLE_STEPS = 2.0 ** np.arange(5)
"""Those that leave powers of two what they are."""
HALVINGS = 16
"""Of the interval from 0 to the largest weight that holds a soft threshold."""
ROUNDS = 4
"""Of holding the weights and correcting the bias."""


@dataclass(frozen=True)
class Budget:
    """What a signed accumulator of ``bits`` leaves a channel whose inputs have codes of ``format`` around ``zero_point``, of that ``scale``."""

    bits: int
    format: IntFormat
    zero_point: int
    scale: float

    @property
    def most(self) -> int:
        """Largest magnitude of a sum."""
        return IntFormat(self.bits).max

    @property
    def bias_reach(self) -> float:
        """Largest bias: half of the accumulator, less its rounding, so that the products have the other half."""
        return self.most / 2 - 1

    @property
    def reach(self) -> int:
        """Largest ``|x - z|``."""
        return max(self.format.max - self.zero_point, self.zero_point - self.format.min, 1)

    def room(self, node: OnnxNode, bias: NDArray[Any] | None, scales: Floats) -> Doubles:
        """The largest ``sum |w|`` of the codes of an output channel, shape (channels,), or (1,) for all; less than 0 where the bias alone
        is too large."""
        if bias is None:
            return np.array([self.most // self.reach], dtype=np.float64)
        unit = self.scale * per_output(node, scales).astype(np.float64)
        held = np.ceil(np.abs(bias.astype(np.float64)).reshape(-1) / unit)
        room: Doubles = np.floor((self.most - held) / self.reach)
        return room

    def hold(
        self, node: OnnxNode, real: Floats, codes: Codes, scales: Floats, fmt: IntFormat, corrected: Correction, *, whole: bool
    ) -> tuple[Codes, Floats, NDArray[Any] | None]:  # fmt: skip
        """``codes``, ``scales`` and the bias ``corrected`` for them, changed where the accumulator does not hold a channel.

        What holds the weights changes the correction of their bias, and so the room that it leaves; where a few rounds do not settle
        that, the weights are those of half the accumulator and their bias takes no more than the other half.
        """
        bias = corrected(codes, scales)
        tightest = np.full(1, np.inf)
        for _ in range(ROUNDS):
            room = self.room(node, bias, scales)
            if not exceeds(node, codes, room):
                return codes, scales, bias
            tightest = np.minimum(tightest, room)
            codes, scales = held_codes(node, real, scales, fmt, tightest, whole=whole)
            bias = corrected(codes, scales)
        codes, scales = held_codes(
            node, real, scales, fmt, np.minimum(tightest, self.most // self.reach // 2), whole=whole
        )
        return codes, scales, self._clipped(node, corrected(codes, scales), scales)

    def _clipped(self, node: OnnxNode, bias: NDArray[Any] | None, scales: Floats) -> NDArray[Any] | None:
        """``bias`` within half the accumulator."""
        if bias is None:
            return None
        most = self.bias_reach * self.scale * per_output(node, scales).astype(np.float64)
        clipped: NDArray[Any] = np.clip(bias.reshape(-1), -most, most)
        return clipped


def exceeds(node: OnnxNode, codes: Codes, room: Doubles) -> bool:
    """Whether ``sum |w|`` of an output channel is more than its ``room``."""
    units = units_first(node, codes)
    return bool((np.abs(units.reshape(len(units), -1)).sum(axis=1) > room).any())


def held_codes(
    node: OnnxNode, real: Floats, scales: Floats, fmt: IntFormat, room: Doubles, *, whole: bool
) -> tuple[Codes, Floats]:
    """Codes of the weights ``real`` with ``sum |w| <= room`` in every output channel, and their scales, none finer than ``scales``.

    Scales, (1,) or one per output channel, change by powers of two where ``whole``. Channels under one scale get wider together.
    """
    units = units_first(node, real).astype(np.float64)
    rows = units.reshape(len(units), -1)
    rooms = np.broadcast_to(np.maximum(room, 0.0), len(rows))
    own = np.broadcast_to(per_output(node, scales).astype(np.float64), len(rows))
    tried = WHOLE_STEPS if whole else STEPS
    errors = np.array([_error(rows, own * factor, _soft(rows, own * factor, rooms, fmt)) for factor in tried])
    alone = scales.size == len(rows)
    best = errors.argmin(axis=0) if alone else np.full(len(rows), errors.sum(axis=1).argmin())
    wider = (scales * (tried[best] if alone else tried[best[0]])).astype(np.float32)
    steps = np.broadcast_to(per_output(node, wider).astype(np.float64), len(rows))
    return as_before(node, _soft(rows, steps, rooms, fmt).reshape(units.shape)), wider


def _soft(rows: Doubles, steps: Doubles, rooms: Doubles, fmt: IntFormat) -> Codes:
    """Rounded ``rows / steps`` with all magnitudes of a row less by the threshold that is just large enough."""
    exact = rows / steps[:, None]
    magnitudes = np.abs(exact)
    low, high = np.zeros(len(rows)), magnitudes.max(axis=1)
    fits = _rounded(magnitudes, low, fmt).sum(axis=1) <= rooms
    high[fits] = 0.0
    for _ in range(HALVINGS if not fits.all() else 0):
        middle = (low + high) / 2
        held = _rounded(magnitudes, middle, fmt).sum(axis=1) <= rooms
        low, high = np.where(held, low, middle), np.where(held, middle, high)
    return (np.sign(exact) * _rounded(magnitudes, high, fmt)).astype(np.int64)


def _rounded(magnitudes: Doubles, threshold: Doubles, fmt: IntFormat) -> Doubles:
    codes: Doubles = np.minimum(np.rint(np.maximum(magnitudes - threshold[:, None], 0.0)), fmt.max)
    return codes


def _error(rows: Doubles, steps: Doubles, codes: Codes) -> Doubles:
    error: Doubles = np.square(codes * steps[:, None] - rows).sum(axis=1)
    return error
