"""The schedule of a network without its Program: operations and their times in one compiled pass over arrays of records."""

from accelsim.timing.stream.cuts import Cuts, kept_of, tilings_of, write_tiling
from accelsim.timing.stream.records import (
    CHIP,
    COUNTS,
    MAC,
    MOST_OPERATIONS,
    NONE,
    TILING,
    VECTOR,
    WIDTH,
    Kept,
    Network,
    Tiles,
    chip_of,
    network_of,
    queues_of,
    supported,
    width_of,
)
