"""The rules of a Program for compiled loops."""

from accelsim.numba_cache import njit
from accelsim.program import nest
from accelsim.program.nest import ORDERS, WEIGHTS_OUTER, Nest

nest_of = njit(inline="always")(nest.nest_of)
loads_of = njit(inline="always")(nest.loads_of)
