"""The laws of the parts as compiled code calls them."""

from accelsim.hardware._array import parts, tile_cost
from accelsim.hardware._bus_bounds import channel_bits
from accelsim.hardware._bus_estimates import box_bytes, windows_bytes
from accelsim.hardware._dram import transfers
from accelsim.hardware._gather import gathers

__all__ = [
    "box_bytes",
    "channel_bits",
    "gathers",
    "parts",
    "tile_cost",
    "transfers",
    "windows_bytes",
]
