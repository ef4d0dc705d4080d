"""How often the loop nest of a MAC layer runs and loads, in closed form: the counts of :mod:`accelsim.builder.mac_tiles`."""

from __future__ import annotations

from typing import NamedTuple

from accelsim.hardware import Loops
from accelsim.hardware.compiled import parts
from accelsim.numba_cache import njit

ORDERS = 2
WEIGHTS_OUTER = 0
"""Loop order code, a place in :data:`accelsim.program.mapping.LOOP_ORDERS`: the spatial tiles run inside the channel tiles."""


class Nest(NamedTuple):
    """Tiles of pixels (``spatial``), of output ``channels`` (of all groups), ``steps`` of a sum; all compute tiles; loads of each operand."""

    spatial: int
    channels: int
    steps: int
    computes: int
    weight_loads: int
    input_loads: int


@njit
def nest_of(order: int, layer: Loops, tile: Loops) -> Nest:
    """The loop nest of ``layer`` in tiles of ``tile``.

    The reduction is innermost, so that with several steps every tile loads both operands. Else the outer operand stays: the weights
    for all spatial tiles, or the activations for all channel tiles of their groups.
    """
    spatial = parts(layer.n, tile.n) * parts(layer.oh, tile.oh) * parts(layer.ow, tile.ow)
    group_tiles = parts(layer.groups, tile.groups)
    channels = group_tiles * parts(layer.oc, tile.oc)
    steps = parts(layer.kh, tile.kh) * parts(layer.kw, tile.kw) * parts(layer.ic, tile.ic)
    computes = spatial * channels * steps
    weight_loads = input_loads = computes
    if steps == 1 and order == WEIGHTS_OUTER:
        weight_loads = channels
        input_loads = group_tiles if spatial == 1 else computes
    elif steps == 1:
        weight_loads = 1 if channels == 1 else computes
        input_loads = spatial * group_tiles
    return Nest(spatial, channels, steps, computes, weight_loads, input_loads)
