"""Bits per layer on a given machine: by an integer programme, greedily, or by NSGA-II."""

from accelsim.explore.bits.record import Agreement, BitSearch
from accelsim.explore.bits.search import DEFAULT_BUDGET, METHODS, PIPED, QUANTIZE, search_bits
from accelsim.explore.bits.slots import DEFAULT_ACTS, DEFAULT_WIDTHS
from accelsim.explore.bits.trials import Trial
