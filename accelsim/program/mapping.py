"""How one layer is cut into tiles: the mapper's answer and the builder's order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LoopOrder = Literal["weights_outer", "activations_outer"]


@dataclass(frozen=True, kw_only=True)
class MacMapping:
    """Tile sizes of a MAC layer and what stays on chip between tiles.

    A tile covers ``oh`` x ``ow`` output pixels, ``oc`` output channels of each of ``groups`` groups, and ``kh`` x ``kw`` x ``ic``
    products of the reduction. ``groups`` > 1 needs whole groups (``oc`` and ``ic`` at their full size). With
    ``weights_outer`` the spatial tiles run inside the channel tiles, so weights stay; with ``activations_outer`` the
    activations do. The reduction is always innermost: partial sums never leave the accumulators.
    """

    oh: int
    ow: int
    oc: int
    ic: int
    kh: int
    kw: int
    groups: int = 1
    order: LoopOrder = "weights_outer"


@dataclass(frozen=True, kw_only=True)
class VectorMapping:
    """Tile sizes of a vector layer, one per axis of its output view."""

    tile: tuple[int, ...]


Mapping = MacMapping | VectorMapping
