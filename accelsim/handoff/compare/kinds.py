"""The kinds of faults, and what a guess is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from accelsim.verification import (
    BIAS as BIAS,
)
from accelsim.verification import (
    CLAMP as CLAMP,
)
from accelsim.verification import (
    INPUT_ZERO as INPUT_ZERO,
)
from accelsim.verification import (
    MULTIPLIER as MULTIPLIER,
)
from accelsim.verification import (
    OUTPUT_ZERO as OUTPUT_ZERO,
)
from accelsim.verification import (
    PADDING as PADDING,
)
from accelsim.verification import (
    ROUNDING as ROUNDING,
)
from accelsim.verification import (
    TIE as TIE,
)
from accelsim.verification import (
    TRUNCATION as TRUNCATION,
)

Array = NDArray[Any]
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
SKEW = "operand out of step"
NEVER = "never written"
STUCK = "stuck bit"
UPSTREAM = "follows from an earlier layer"
SUMS = "follows from the accumulators"


Change = tuple[str, str, Callable[[], Array]]
"""Kind, text, and what a fault changes of the sums."""


@dataclass(frozen=True, eq=False)
class Guess:
    """A fault, and the numbers that it would make, computed where they are asked for.

    ``sporadic``: it may have struck some elements only, so that those which are golden do not speak against it.
    """

    kind: str
    text: str
    made: Callable[[], Array]
    sporadic: bool = False
