"""Integer loops on plain arrays: what one tile or one layer computes."""

from accelsim.kernels.mac import accumulate_block, accumulate_with, centred
from accelsim.kernels.peaks import partial_sum_peaks
from accelsim.kernels.vector import Box, evaluate, scaled_operand

__all__ = [
    "Box",
    "accumulate_block",
    "accumulate_with",
    "centred",
    "evaluate",
    "partial_sum_peaks",
    "scaled_operand",
]
