"""The kinds of faults, and what a guess is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from accelsim.verification import names

Array = NDArray[Any]
TRUNCATION, TIE, CLAMP, BIAS = names.TRUNCATION, names.TIE, names.CLAMP, names.BIAS
OUTPUT_ZERO, INPUT_ZERO, PADDING, MULTIPLIER = names.OUTPUT_ZERO, names.INPUT_ZERO, names.PADDING, names.MULTIPLIER
ROUNDING, WIDTH = names.ROUNDING, names.WIDTH
SATURATION = "missing saturation"
WRAPPED = "accumulator width"
STALE_SUM = "stale accumulator"
LOST_STEP = "lost partial sum"
SWAPPED = "swapped operands"
PACKING = "transposed packing"
ENDIANNESS = "endianness"
SIGN = "signedness"
ADDRESS = "address off by one"
COUNT = "count off by one"
LATE = "late write"
NEVER = "never written"
STUCK = "stuck bit"
UPSTREAM = "follows from an earlier layer"
SUMS = "follows from the accumulators"
UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Guess:
    """A fault, and the numbers that it would make, computed where they are asked for.

    ``sporadic``: it may have struck some elements only, so that those which are golden do not speak against it.
    """

    kind: str
    text: str
    made: Callable[[], Array]
    sporadic: bool = False
