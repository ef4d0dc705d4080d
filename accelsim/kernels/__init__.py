"""Integer loops on plain arrays: what one tile or one layer computes."""

from accelsim.kernels.mac import accumulate_block, accumulate_with, centred, tile_plan
from accelsim.kernels.peaks import partial_sum_peaks
from accelsim.kernels.products import Codes, Layout, layout_of, multiply, new_scratch
from accelsim.kernels.vector import Box, evaluate, pool_sums, scaled_operand
