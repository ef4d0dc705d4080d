"""How a Graph runs on a machine: tile operations with engines, regions and dependencies, as plain arrays."""

from accelsim.program.check import check_program
from accelsim.program.fusion import Fused, band_share, fuse, fused_layers, obstacle, row_axis, window_bytes
from accelsim.program.mapping import (
    LOOP_ORDERS,
    LoopOrder,
    MacMapping,
    Mapping,
    VectorMapping,
    check_mapping,
    tile_limits,
)
from accelsim.program.nest import loads_of, nest_of
from accelsim.program.places import Place, kept_places, producers, recalls
from accelsim.program.program import Program
from accelsim.program.residency import (
    Residency,
    first_fit,
    first_fits,
    in_whole_bytes,
    lifetimes,
    likely_kept,
    overlap,
    tensor_bytes,
    windows,
)
from accelsim.program.split import MacShare, VectorShare, mac_shares, vector_shares
