"""What tilings and networks are minimised by: cycles, picojoules, or their product.

Arithmetic alone; :mod:`accelsim.mapper.tiling._weigh` compiles these very functions.
"""

from __future__ import annotations

from typing import NamedTuple

CYCLES, ENERGY, EDP = range(3)
"""Codes of the objectives, places in :data:`accelsim.mapper.OBJECTIVES`."""
TIE = 1e-4
"""What the other figure counts where one alone is minimised: so much of it for all of that."""
TURNS = 3
"""Most times that the layers of a network are mapped for the product: by the product of each, then by what the totals say."""
GAIN = 1e-3
"""A turn that lowers the product by a smaller share is the last."""

TRIED_OPERATIONS = 40_000
"""Tile operations that are scheduled in all to try other tiles of a network, some milliseconds."""
LEAST_TRIES = 32
"""A network of which fewer schedules are that much work stays as it is."""


class Weigh(NamedTuple):
    """What a tiling is worth, the less the better: a sum of cycles and picojoules, or, where ``product``, the two multiplied."""

    cycle: float
    picojoule: float
    product: bool


def worth(weigh: Weigh, cycles: float, energy: float) -> float:
    """Of so many cycles and picojoules."""
    return cycles * energy if weigh.product else cycles * weigh.cycle + energy * weigh.picojoule


def weigh_of(objective: int, cycles: float, energy: float, least: float, fixed: float) -> Weigh:
    """For one layer, of which ``least`` cycles and ``fixed`` picojoules are sure, in a network of so many ``cycles`` and so much
    ``energy`` (0: not known yet).

    The product of sums E x C grows by C dE + E dC, so that each layer is to minimise C e + E c.
    """
    if objective == CYCLES:
        return Weigh(1.0, TIE * least / max(fixed, 1.0), False)
    if objective == ENERGY:
        return Weigh(TIE * fixed / least, 1.0, False)
    return Weigh(energy, cycles, cycles == 0.0)


def gained(before: float, after: float) -> bool:
    """Whether a turn that brought the product from ``before`` to ``after`` is worth another."""
    return after < (1.0 - GAIN) * before
