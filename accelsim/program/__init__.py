"""How a Graph runs on a machine: tile operations with engines, regions and dependencies, as plain arrays."""

from accelsim.program.check import check_program
from accelsim.program.fusion import Fused, band_share, fuse, obstacle, row_axis, window_bytes
from accelsim.program.mapping import (
    LOOP_ORDERS,
    LoopOrder,
    MacMapping,
    Mapping,
    VectorMapping,
    check_mapping,
    tile_limits,
)
from accelsim.program.places import Place, kept_places, producers, recalls
from accelsim.program.program import MAX_RANK, Program
from accelsim.program.residency import (
    Residency,
    first_fit,
    in_whole_bytes,
    lifetimes,
    likely_kept,
    shared_memory,
    tensor_bytes,
    windows,
)
from accelsim.program.split import MacShare, VectorShare, mac_shares, vector_shares

__all__ = [
    "LOOP_ORDERS",
    "MAX_RANK",
    "Fused",
    "LoopOrder",
    "MacMapping",
    "MacShare",
    "Mapping",
    "Place",
    "Program",
    "Residency",
    "VectorMapping",
    "VectorShare",
    "band_share",
    "check_mapping",
    "check_program",
    "first_fit",
    "fuse",
    "in_whole_bytes",
    "kept_places",
    "lifetimes",
    "likely_kept",
    "mac_shares",
    "obstacle",
    "producers",
    "recalls",
    "row_axis",
    "shared_memory",
    "tensor_bytes",
    "tile_limits",
    "vector_shares",
    "window_bytes",
    "windows",
]
