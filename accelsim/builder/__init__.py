"""From a Graph, a machine and one mapping per layer to a Program."""

from accelsim.builder.build import build_program, weight_banks
from accelsim.builder.dram import Dram
from accelsim.builder.mac_layer import check_bias, stretched_of
from accelsim.builder.records import (
    ALONE,
    BITS,
    BOXWISE,
    CONSUMERS,
    CYCLES,
    ENGINE,
    FILLS,
    GRID,
    KEEPER,
    LAG,
    LATENCY,
    NEEDS,
    NONE,
    RANK,
    TIMES,
    Block,
    Did,
    Ends,
    Follower,
    Grids,
    MacJob,
    Port,
    Source,
    State,
    VectorJob,
    VectorTiles,
)
from accelsim.builder.size import (
    check_beside,
    check_layers,
    check_least_size,
    least_mac_operations,
    vector_operations,
)
from accelsim.builder.vector_layer import share_boxes, vector_tiles
