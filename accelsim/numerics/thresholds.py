"""Accumulator to output code by comparison: multi-thresholds, which any monotone function of a sum can be turned into."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from accelsim.display import Brief
from accelsim.errors import GraphError
from accelsim.numerics.intformat import INT32, INT64

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEVER = INT64.max
"""A level that no accumulator reaches."""


@dataclass(frozen=True, eq=False)
class Thresholds(Brief):
    """``start + step * #{t in levels : acc >= t}``, one row of levels per output channel or one for all.

    ``levels`` is int64 of shape (C, T) or (1, T), ascending along each row; ``start`` (C,) or (1,) the code below all levels;
    ``step`` (C,) or (1,) is +1, or -1 for a channel whose codes fall. Arrays are copied, made read-only and brought to one
    length. FINN's MultiThreshold with ``out_scale`` 1 (Umuroglu et al. 1612.07119, section 4.2.2; its compiler negates the
    weights of a channel with a negative slope instead). Raises :class:`GraphError` for levels that do not ascend, steps other
    than 1 and -1, and codes wider than 32 bits.
    """

    scheme: ClassVar[str] = "finn_thresholds"

    levels: NDArray[np.int64]
    start: NDArray[np.int64]
    step: NDArray[np.int64]

    def __post_init__(self) -> None:
        given = {name: _integers(getattr(self, name), name) for name in ("levels", "start", "step")}
        if given["levels"].ndim != 2 or given["start"].ndim != 1 or given["step"].ndim != 1:
            raise GraphError("thresholds: expected levels of shape (C, T), start and step of shape (C,)")
        lengths = {len(values) for values in given.values()}
        if len(lengths - {1}) > 1 or 0 in lengths:
            raise GraphError(f"thresholds: {sorted(lengths)} channels; expected as many everywhere, or 1")
        for name, values in given.items():
            object.__setattr__(self, name, _frozen(values, max(lengths)))
        if (self.levels[:, 1:] < self.levels[:, :-1]).any():
            raise GraphError("thresholds: expected levels that ascend along each channel")
        if not np.isin(self.step, (-1, 1)).all():
            raise GraphError(f"thresholds: expected steps of 1 or -1, got {self.step.tolist()[:4]}")
        if not (INT32.contains(self.clamp_min) and INT32.contains(self.clamp_max)):
            raise GraphError(f"thresholds: codes from {self.clamp_min} to {self.clamp_max} leave 32 bits")

    @property
    def channel_count(self) -> int:
        """Channels with levels of their own; 1 where all share one set."""
        return len(self.levels)

    @property
    def is_per_channel(self) -> bool:
        """Whether each output channel has levels of its own."""
        return self.channel_count > 1

    @property
    def clamp_min(self) -> int:
        """Smallest code."""
        return int(np.minimum(self.start, self._last).min())

    @property
    def clamp_max(self) -> int:
        """Largest code."""
        return int(np.maximum(self.start, self._last).max())

    @property
    def _last(self) -> NDArray[np.int64]:
        """The code above all levels that can be reached."""
        last: NDArray[np.int64] = self.start + self.step * (self.levels != NEVER).sum(axis=1)
        return last

    def channels(self, lo: int, hi: int) -> Thresholds:
        """Parameters of output channels ``lo`` to ``hi - 1``; the record itself when all channels share one set."""
        if not self.is_per_channel:
            return self
        if not 0 <= lo < hi <= self.channel_count:
            raise GraphError(f"thresholds: channels {lo}:{hi} of a record that has {self.channel_count}")
        return replace(self, levels=self.levels[lo:hi], start=self.start[lo:hi], step=self.step[lo:hi])


def threshold_int(acc: int, thresholds: Thresholds, channel: int = 0) -> int:
    """Output code of one accumulator: the definition, in exact integer arithmetic."""
    row = channel if thresholds.is_per_channel else 0
    reached = sum(acc >= int(level) for level in thresholds.levels[row] if level != NEVER)
    return int(thresholds.start[row]) + int(thresholds.step[row]) * reached


def threshold_block(acc: NDArray[Any], thresholds: Thresholds, out: NDArray[Any]) -> None:
    """Codes of ``acc`` (rows, C) into ``out`` of the same shape; with one set of levels C is whatever it is."""
    from accelsim.numerics._kernels import threshold_rows

    threshold_rows(acc, thresholds.levels, thresholds.start, thresholds.step, out)


def _integers(values: Any, name: str) -> NDArray[np.int64]:
    given = np.asarray(values)
    if given.dtype.kind not in "iu" or given.dtype == np.uint64:
        raise GraphError(f"thresholds {name}: expected integers that fit int64, got {given.dtype}")
    return given.astype(np.int64)


def _frozen(values: NDArray[np.int64], channels: int) -> NDArray[np.int64]:
    copy = np.ascontiguousarray(np.broadcast_to(values, (channels, *values.shape[1:])))
    copy = copy.copy() if np.shares_memory(copy, values) else copy
    copy.flags.writeable = False
    return copy
