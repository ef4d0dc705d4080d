"""How often the loop nest of a MAC layer runs and loads, in closed form: the counts of :mod:`accelsim.builder`.

Arithmetic alone, for Python's integers; :mod:`accelsim.program.compiled` compiles these very functions.
"""

from __future__ import annotations

from typing import NamedTuple

from accelsim.hardware import Loops

ORDERS = 2
WEIGHTS_OUTER = 0
"""Loop order code, a place in :data:`accelsim.program.mapping.LOOP_ORDERS`: the spatial tiles run inside the channel tiles."""


class Nest(NamedTuple):
    """Tiles of pixels (``spatial``), of groups, of output ``channels`` (of all groups), ``steps`` of a sum; all compute tiles."""

    spatial: int
    groups: int
    channels: int
    steps: int
    computes: int


def nest_of(layer: Loops, tile: Loops) -> Nest:
    """The loop nest of ``layer`` in tiles of ``tile``."""
    spatial = -(-layer.n // tile.n) * -(-layer.oh // tile.oh) * -(-layer.ow // tile.ow)
    groups = -(-layer.groups // tile.groups)
    channels = groups * -(-layer.oc // tile.oc)
    steps = -(-layer.kh // tile.kh) * -(-layer.kw // tile.kw) * -(-layer.ic // tile.ic)
    return Nest(spatial, groups, channels, steps, spatial * channels * steps)


def loads_of(order: int, nest: Nest) -> tuple[int, int]:
    """(weight loads, activation loads) of a nest.

    The reduction is innermost, so that with several steps every tile loads both operands. Else the outer operand stays: the weights
    for all spatial tiles, or the activations for all channel tiles of their groups.
    """
    if nest.steps > 1:
        return nest.computes, nest.computes
    if order == WEIGHTS_OUTER:
        return nest.channels, nest.groups if nest.spatial == 1 else nest.computes
    return 1 if nest.channels == 1 else nest.computes, nest.spatial * nest.groups
