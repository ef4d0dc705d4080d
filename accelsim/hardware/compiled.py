"""The laws of the parts for compiled loops: those of :mod:`accelsim.hardware.laws` compiled as they stand, and those with branches."""

from accelsim.hardware import laws
from accelsim.hardware._array import Tile, TileCost, parts, tile_cost
from accelsim.hardware._bus import box_bytes, channel_bits, windows_bytes
from accelsim.hardware._dram import gathers, transfers
from accelsim.numba_cache import njit

footprint = njit(laws.footprint)
fits = njit(laws.fits)
packed_bytes = njit(laws.packed_bytes)
transfer_cycles = njit(laws.transfer_cycles)
unit_cycles = njit(laws.unit_cycles)
moved_no_faster = njit(laws.moved_no_faster)
fill_cycles = njit(laws.fill_cycles)
