"""What tilings are minimised by, for compiled loops."""

from accelsim.mapper.tiling import weigh
from accelsim.numba_cache import inner, njit

worth = njit(inline="always")(weigh.worth)
weigh_of = inner(weigh.weigh_of)
gained = inner(weigh.gained)
