"""The laws of the parts for compiled loops: those of :mod:`accelsim.hardware.laws` compiled as they stand, and those with branches."""

from accelsim.hardware import laws
from accelsim.hardware._array import (
    INPUT_STATIONARY,
    Tile,
    TileCost,
    fill_of,
    folds_of,
    held_cost,
    last_sums,
    parts,
    tile_cost,
)
from accelsim.hardware._bus import box_bytes, channel_bits, rows_cycles, windows_bytes
from accelsim.hardware._dram import gathers, transfers
from accelsim.hardware.laws import Room
from accelsim.numba_cache import inner

footprint = inner(laws.footprint)
fits = inner(laws.fits)
banks_taken = inner(laws.banks_taken)
room_of = inner(laws.room_of)
packed_bytes = inner(laws.packed_bytes)
transfer_cycles = inner(laws.transfer_cycles)
last_write_cycles = inner(laws.last_write_cycles)
unit_cycles = inner(laws.unit_cycles)
held_weights = inner(laws.held_weights)
written_bytes = inner(laws.written_bytes)
busiest = inner(laws.busiest)
paced = inner(laws.paced)
requantize_cycles = inner(laws.requantize_cycles)
requantize_lag = inner(laws.requantize_lag)
pass_lag = inner(laws.pass_lag)
moved_no_faster = inner(laws.moved_no_faster)
fill_cycles = inner(laws.fill_cycles)
