"""What records of a tape point into: weights, parameters and tables laid end to end, and rules of requantization among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Graph
from accelsim.kernels import new_scratch
from accelsim.kernels.compiled import products, tape
from accelsim.numerics import INT8, INT16, INT32, INT64, IntFormat, Requant, Requantization, Thresholds, shift_form
from accelsim.numerics.compiled import float32_half_even_rows, float64_half_away_rows

Array = NDArray[Any]
Fields = dict[int, int]

ROW = 128
"""Sums that a row of them has at least, where more than one channel makes them."""


@dataclass(eq=False)
class Pool:
    """Arrays laid end to end along their first axis; ``put`` gives the offset of each."""

    dtype: Any
    columns: tuple[int, ...] = ()
    parts: list[Array] = field(default_factory=list)
    size: int = 0

    def put(self, values: Array) -> int:
        """Append ``values`` and return where they begin."""
        self.parts.append(np.asarray(values, dtype=self.dtype))
        self.size += len(values)
        return self.size - len(values)

    def joined(self) -> Array:
        """One contiguous array."""
        return np.ascontiguousarray(np.concatenate([np.zeros((0, *self.columns), self.dtype), *self.parts]))


def memory_type(graph: Graph) -> np.dtype[Any]:
    """Bytes where the codes of every tensor fit them, signed or not; elsewhere the narrowest of int16, int32 and int64 that holds all."""
    formats = [tensor.format for tensor in graph.tensors.values()]
    if all(fmt.dtype.itemsize == 1 for fmt in formats):
        return np.dtype(np.uint8)
    low, high = min(fmt.min for fmt in formats), max(fmt.max for fmt in formats)
    return next(np.dtype(f.dtype) for f in (INT16, INT32, INT64) if f.contains(low) and f.contains(high))


@dataclass(eq=False)
class Pools:
    """Collects the constants of a tape; ``offsets`` places every tensor in memory."""

    graph: Graph
    offsets: Mapping[str, int]
    accumulators: Mapping[str, IntFormat] | None
    weights: Pool = field(default_factory=lambda: Pool(np.int16))
    segments: Pool = field(default_factory=lambda: Pool(np.int64))
    starts: Pool = field(default_factory=lambda: Pool(np.int32))
    integers: Pool = field(default_factory=lambda: Pool(np.int32))
    shifts: Pool = field(default_factory=lambda: Pool(np.int64))
    floats: Pool = field(default_factory=lambda: Pool(np.float32))
    scales: Pool = field(default_factory=lambda: Pool(np.float64, (3,)))
    image_size: int = 0
    scratch_size: int = 0

    def __post_init__(self) -> None:
        self.memory_type = memory_type(self.graph)
        self.codes = Pool(self.memory_type)
        self.makers = {layer.output: layer for layer in self.graph.layers}

    def flip(self, tensor: str) -> int:
        """The bit that puts the codes of a tensor in order as they lie in memory."""
        return -INT8.min if self.memory_type == np.uint8 and self.format_of(tensor).min < 0 else 0

    def constants(self) -> tape.Constants:
        """What the records point into."""
        pools = (self.weights, self.segments, self.starts, self.integers, self.shifts, self.floats, self.scales)
        return tape.Constants(*(pool.joined() for pool in (*pools, self.codes)))

    def scratch(self) -> products.Scratch:
        """Room for any of the layers, one at a time."""
        return new_scratch(self.image_size, self.scratch_size)

    def format_of(self, tensor: str) -> IntFormat:
        """Format of a tensor."""
        return self.graph.tensors[tensor].format

    def requant(self, requant: Requantization, fmt: IntFormat, bound: int) -> Fields | None:
        """The columns of a requantization to codes of ``fmt`` of sums up to ``bound``; None for a rule that no tape has."""
        if isinstance(requant, Thresholds):
            return self._levels(requant)
        rule = self._rule(requant, bound)
        return rule and {
            tape.CHANNELS: len(requant.multiplier),
            **rule,
            tape.OUT_ZERO: requant.zero_point,
            tape.LOW: max(requant.clamp_min, fmt.min),
            tape.HIGH: min(requant.clamp_max, fmt.max),
        }

    def _levels(self, thresholds: Thresholds) -> Fields:
        """Levels, then starts and steps of all channels; every code is one of theirs, so there is nothing to clamp."""
        parts = (thresholds.levels.reshape(-1), thresholds.start, thresholds.step)
        return {
            tape.RULE: tape.LEVELS,
            tape.CHANNELS: thresholds.channel_count,
            tape.LEVEL_COUNT: thresholds.levels.shape[1],
            tape.PARAMETERS: self.segments.put(np.concatenate(parts)),
        }

    def _rule(self, requant: Requant, bound: int) -> Fields | None:
        loop = requant.rule.kernel
        if loop is float32_half_even_rows:
            return self._row(tape.FLOAT32, self.floats, requant.multiplier)
        if loop is float64_half_away_rows:
            return {tape.RULE: tape.FLOAT64, tape.PARAMETERS: self.scales.put(requant.multiplier)}
        form = shift_form(requant, bound=bound)
        if form is None:
            return None
        self.shifts.put(np.concatenate([_repeated(values) for values in (form.offset, form.negative, form.shift)]))
        return self._row(tape.SHIFT, self.integers, form.factor)

    def _row(self, rule: int, pool: Pool, parameters: Array) -> Fields:
        row = _repeated(parameters)
        return {tape.RULE: rule, tape.PARAMETERS: pool.put(row), tape.CHANNELS: len(row)}


def _repeated(parameters: Array) -> Array:
    """Those of a few channels several times over, for rows that are worth a loop; rows may end before they do."""
    count = len(parameters)
    return parameters if count == 1 else np.concatenate([parameters] * max(1, ROW // count))
