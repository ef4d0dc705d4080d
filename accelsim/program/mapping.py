"""How one layer is cut into tiles: the mapper's answer and the builder's order."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from accelsim.errors import MappingError
from accelsim.graph import Layer, MacGeometry, MacLayer, VectorLayer

LoopOrder = Literal["weights_outer", "activations_outer"]
LOOP_ORDERS: tuple[LoopOrder, ...] = get_args(LoopOrder)
"""In the order of the codes of the compiled mappers."""


@dataclass(frozen=True, kw_only=True)
class MacMapping:
    """Tile sizes of a MAC layer and what stays on chip between tiles.

    A tile covers ``oh`` x ``ow`` output pixels of ``n`` images, ``oc`` output channels of each of ``groups`` groups, and ``kh`` x
    ``kw`` x ``ic`` products of the reduction. ``groups`` > 1 needs whole groups (``oc`` and ``ic`` at their full size). With
    ``weights_outer`` the spatial tiles run inside the channel tiles, so weights stay; with ``activations_outer`` the
    activations do. The reduction is always innermost: partial sums never leave the accumulators. With a ``band`` the layer is
    computed so many rows (images, where there are several) at a time, in step with the layer before it
    (:class:`~accelsim.program.fusion.Fused`); 0: after the whole of it.
    """

    oh: int
    ow: int
    oc: int
    ic: int
    kh: int
    kw: int
    groups: int = 1
    n: int = 1
    order: LoopOrder = "weights_outer"
    band: int = 0


@dataclass(frozen=True, kw_only=True)
class VectorMapping:
    """Tile sizes of a vector layer, one per axis of its output view, and its ``band`` as in :class:`MacMapping`."""

    tile: tuple[int, ...]
    band: int = 0


Mapping = MacMapping | VectorMapping


def tile_limits(geometry: MacGeometry) -> dict[str, int]:
    """The largest tile along each axis of a :class:`MacMapping`."""
    g = geometry
    return {
        "oh": g.oh, "ow": g.ow, "oc": g.oc_per_group, "ic": g.ic_per_group, "kh": g.kh, "kw": g.kw, "groups": g.groups,
        "n": g.n,
    }  # fmt: skip


def check_mapping(layer: Layer, mapping: Mapping) -> None:
    """MappingError where ``mapping`` is no tiling of ``layer``: a size outside its axis, cut groups, a cut whole axis."""
    if isinstance(layer, MacLayer) and isinstance(mapping, MacMapping):
        limits = tile_limits(layer.geometry)
        _check_sizes(layer, {f.name: getattr(mapping, f.name) for f in fields(mapping) if f.name in limits}, limits)
        if mapping.groups > 1 and (mapping.oc, mapping.ic) != (limits["oc"], limits["ic"]):
            raise MappingError(
                f"layer {layer.name!r}: tiles of {mapping.groups} groups need whole groups: "
                f"oc {limits['oc']} and ic {limits['ic']}, got {mapping.oc} and {mapping.ic}",
                layer=layer.name,
            )
    elif isinstance(layer, VectorLayer) and isinstance(mapping, VectorMapping):
        shape = layer.output_shape
        if len(mapping.tile) != len(shape):
            raise MappingError(
                f"layer {layer.name!r}: the tile {mapping.tile} has not the {len(shape)} axes of {shape}"
            )
        _check_sizes(layer, *({f"axis {i}": n for i, n in enumerate(sizes)} for sizes in (mapping.tile, shape)))
        cut = [axis for axis in layer.whole_axes if mapping.tile[axis] < shape[axis]]
        if cut:
            raise MappingError(
                f"layer {layer.name!r} ({layer.operator}): a tile must cover axis {cut[0]} whole, {shape[cut[0]]} elements, "
                f"got {mapping.tile[cut[0]]}",
                layer=layer.name,
            )
    else:
        raise MappingError(
            f"layer {layer.name!r} ({layer.operator}) cannot be cut by a {type(mapping).__name__}", layer=layer.name
        )


def _check_sizes(layer: Layer, sizes: dict[str, int], limits: dict[str, int]) -> None:
    for name, size in sizes.items():
        if not 1 <= size <= limits[name]:
            raise MappingError(
                f"layer {layer.name!r}: tile size {name} must be 1 to {limits[name]}, got {size}", layer=layer.name
            )
