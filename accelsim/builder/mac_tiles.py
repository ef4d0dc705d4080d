"""Every compute tile of a MAC layer, and what follows from their order: shared by layers of equal geometry and mapping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Boxes, MacGeometry
from accelsim.program import MacMapping

Index = NDArray[np.int64]
Flags = NDArray[np.bool_]


_ORDERS: Mapping[str, tuple[int, ...]] = {"weights_outer": (3, 0, 1, 2), "activations_outer": (0, 1, 2, 3)}
"""Axes of the output view from the outermost loop in."""
_INNERMOST_FIRST = {"weights_outer": (5, 4, 3, 2, 1, 0, 6), "activations_outer": (5, 4, 3, 6, 2, 1, 0)}
"""Axes of :mod:`accelsim.builder._tiles` from the innermost loop out."""


def cuts(size: int, tile: int) -> tuple[Index, Index]:
    """Starts and exclusive stops of ``size`` cut into pieces of ``tile``."""
    starts = np.arange(0, size, tile, dtype=np.int64)
    return starts, np.minimum(starts + tile, size)


class Loads(NamedTuple):
    """What tiles load of an operand: the ``boxes``, ``first`` and ``last`` tile to use each, and which
    load every tile uses, ``load_of``.
    """

    boxes: Boxes
    first: Index
    last: Index
    load_of: Index


class Rows(NamedTuple):
    """The number of operations, and where those of each tile stand: where it loads weights and inputs if it does, and computes."""

    total: int
    weights: Index
    inputs: Index
    computes: Index


@dataclass(frozen=True, eq=False)
class MacTiles:
    """Every compute tile of a layer in program order: boxes of output, weights and input, and where blocks begin and end."""

    output: Boxes
    weights: Boxes
    inputs: Boxes
    groups: NDArray[Any]
    first_step: Flags
    last_step: Flags
    new_weights: Flags
    new_inputs: Flags
    stops: tuple[Index, ...]
    order: tuple[int, ...]

    @cached_property
    def weight_loads(self) -> Loads:
        """Loads of weights."""
        return _loads(self.weights, self.new_weights)

    @cached_property
    def input_loads(self) -> Loads:
        """Loads of inputs."""
        return _loads(self.inputs, self.new_inputs)

    @cached_property
    def rows(self) -> Rows:
        """Rows of the operations, all weights being loaded."""
        return self._rows(self.new_weights)

    @cached_property
    def rows_with_weights(self) -> Rows:
        """Rows of the operations where no weights are loaded, since all stand in the weight buffer."""
        return self._rows(np.zeros_like(self.new_weights))

    def _rows(self, loads: Flags) -> Rows:
        per_tile = 1 + loads.astype(np.int64) + self.new_inputs + 2 * self.last_step
        begin = np.cumsum(per_tile) - per_tile
        return Rows(int(per_tile.sum()), begin, begin + loads, begin + loads + self.new_inputs)

    @cached_property
    def only_weights(self) -> tuple[bytes, bytes] | None:
        """The box of the weights where all tiles use the same; None where there are several."""
        lo, hi = self.weight_loads.boxes.lo, self.weight_loads.boxes.hi
        return (lo[0].tobytes(), hi[0].tobytes()) if len(lo) == 1 else None

    @cached_property
    def first_steps(self) -> Index:
        """The tiles that begin new sums."""
        return np.flatnonzero(self.first_step)

    @cached_property
    def later_steps(self) -> Index:
        """The tiles that add to the sums of the tile before."""
        return np.flatnonzero(~self.first_step)

    @cached_property
    def last_steps(self) -> Index:
        """The tiles that finish their sums."""
        return np.flatnonzero(self.last_step)

    @cached_property
    def sum_of(self) -> Index:
        """For every tile, the how-manieth sums it works on."""
        sums: Index = np.cumsum(self.first_step) - 1
        return sums

    @cached_property
    def finished(self) -> Boxes:
        """The boxes of the output that are requantized and stored."""
        return self.output.some(self.last_steps)

    @cached_property
    def channels(self) -> Index:
        """Output channels of each tile, of all its groups."""
        return (self.weights.hi[:, 0] - self.weights.lo[:, 0]).astype(np.int64)

    @cached_property
    def reduction(self) -> Index:
        """Products of each sum in a tile."""
        return self.weights.volume // self.channels

    @property
    def macs(self) -> Index:
        """Products of a tile."""
        return self.output.volume * self.reduction


def _loads(boxes: Boxes, new: Flags) -> Loads:
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(new)) - 1
    return Loads(boxes.some(first), first, last, np.cumsum(new) - 1)


def enumerate_tiles(g: MacGeometry, m: MacMapping) -> MacTiles:
    """The loop nest of ``m`` over ``g``, flattened; the reduction (kernel rows, columns, channels) is innermost."""
    from accelsim.builder._tiles import loop_nest

    channels, order = np.stack(_channel_blocks(g, m)), _ORDERS[m.order]
    sizes, steps = (g.n, g.oh, g.ow, g.kh, g.kw, g.ic_per_group), (m.n, m.oh, m.ow, m.kh, m.kw, m.ic)
    counts = *(-(-size // step) for size, step in zip(sizes, steps, strict=True)), channels.shape[1]
    nest, count, size, tile = (
        np.array(part, dtype=np.int64) for part in (_INNERMOST_FIRST[m.order], counts, sizes, steps)
    )
    window = g.axis("h"), g.axis("w")
    boxes, flags = loop_nest(math.prod(counts), nest, count, size, tile, channels, g.ic_per_group, window)
    output, weights, inputs = (Boxes(lo, hi) for lo, hi in boxes)
    first_step, last_step, new_weights, new_inputs = flags
    groups = -(-(weights.hi[:, 0] - weights.lo[:, 0]) // g.oc_per_group)
    stops = (*(cuts(size, step)[1] for size, step in zip(sizes[:3], steps[:3], strict=True)), channels[1])
    return MacTiles(
        output, weights, inputs, groups, first_step, last_step, new_weights, new_inputs, stops=stops, order=order
    )


def _channel_blocks(g: MacGeometry, m: MacMapping) -> tuple[Index, Index, Index, Index]:
    """Output channels (lo, hi) and groups (lo, hi) of each channel tile."""
    group_lo, group_hi = cuts(g.groups, m.groups)
    if m.groups > 1 or m.oc >= g.oc_per_group:
        return group_lo * g.oc_per_group, group_hi * g.oc_per_group, group_lo, group_hi
    lo, hi = cuts(g.oc_per_group, m.oc)
    base = (group_lo * g.oc_per_group)[:, None]
    repeat = len(lo)
    return (base + lo).ravel(), (base + hi).ravel(), np.repeat(group_lo, repeat), np.repeat(group_hi, repeat)
