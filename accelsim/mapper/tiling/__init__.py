"""Tilings of MAC layers by closed forms: what a tiling costs, and the one that promises most."""

from accelsim.mapper.tiling.problem import RATES, THROUGH_DRAM, OnChip, case_of, layer_rates, rate_records, rates_of
from accelsim.mapper.tiling.spaces import space_of, tile_sizes
from accelsim.mapper.tiling.tiler import Tiler, Tiling, Wanted
from accelsim.mapper.tiling.weigh import EDP, ENERGY, LEAST_TRIES, TRIED_OPERATIONS, TURNS, Weigh, worth
