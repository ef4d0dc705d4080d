"""The loops that play a network from a tape."""

from accelsim.kernels._tape import play
from accelsim.kernels._tile import LANES

__all__ = [
    "LANES",
    "play",
]
