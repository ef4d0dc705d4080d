"""Figures as colours that any colour vision tells apart: cividis for amounts, purple to orange for changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

_CIVIDIS = ("#fee838", "#d2c060", "#a59c74", "#7c7b78", "#575d6d", "#213d6b", "#00224e")
"""Nunez, Anderton and Renslow (2018), from what is little to what is much."""
_CHANGES = ("#5e3c99", "#b2abd2", "#f7f7f7", "#fdb863", "#e66101")
"""ColorBrewer's PuOr: less, the same, more."""
EMPTY = "#d9d9d9"
"""What has no such figure."""
_DECADE = 10.0
_SMALLEST = 1e-2
"""Of the largest change: where colours begin to go by decades."""


class Metric(NamedTuple):
    """One figure of every node, None where it has none, and how it is written.

    ``low_is_bad`` turns the scale round. ``signed`` figures are changes, around 0. ``absent`` says what no figure means.
    """

    title: str
    values: Sequence[float | None]
    text: Callable[[float], str]
    low_is_bad: bool = False
    signed: bool = False
    absent: str = "none"

    @property
    def known(self) -> list[float]:
        """The values there are."""
        return [value for value in self.values if value is not None and math.isfinite(value)]

    @property
    def by_decades(self) -> bool:
        """Whether colours go by logarithms: of amounts that differ by decades, and of changes."""
        known = [value for value in self.known if value]
        far = bool(known) and min(known) > 0 and max(known) >= _DECADE * min(known)
        return self.signed or (far and not self.low_is_bad)

    @property
    def stops(self) -> tuple[str, ...]:
        """Colours from the smallest value to the largest."""
        if self.signed:
            return _CHANGES
        return _CIVIDIS[::-1] if self.low_is_bad else _CIVIDIS

    def colours(self) -> list[str]:
        """A colour for each value."""
        known = self.known
        if not known:
            return [EMPTY] * len(self.values)
        place = self._changes(known) if self.signed else self._amounts(known)
        return [EMPTY if v is None or not math.isfinite(v) else blend(self.stops, place(v)) for v in self.values]

    def ends(self) -> tuple[str, str]:
        """What stands at either end of the scale."""
        known = self.known
        if not known:
            return "", ""
        most = max(map(abs, known))
        low, high = (-most, most) if self.signed else (min(known), max(known))
        return self.text(low), self.text(high)

    def _amounts(self, known: list[float]) -> Callable[[float], float]:
        if not self.by_decades:
            low, span = min(known), max(known) - min(known)
            return lambda value: (value - low) / span if span else 0.5
        low = math.log(min(value for value in known if value > 0))
        decades = math.log(max(known)) - low
        return lambda value: (math.log(value) - low) / decades if value > 0 else 0.0

    def _changes(self, known: list[float]) -> Callable[[float], float]:
        """Around 0: in proportion up to a hundredth of the largest change, by decades beyond."""
        least = max(map(abs, known)) * _SMALLEST
        whole = math.log1p(1 / _SMALLEST)
        return lambda value: 0.5 + (math.copysign(math.log1p(abs(value) / least) / whole / 2, value) if least else 0)


def blend(stops: Sequence[str], place: float) -> str:
    """The colour at ``place``, 0 to 1, along ``stops``, as ``#rrggbb``."""
    at = min(max(place, 0.0), 1.0) * (len(stops) - 1)
    k = min(int(at), len(stops) - 2)
    low, high = _channels(stops[k]), _channels(stops[k + 1])
    mixed = (round(a + (b - a) * (at - k)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def ink_on(colour: str) -> str:
    """Black or white, whichever is read better on ``colour``."""
    red, green, blue = _channels(colour)
    return "#000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#fff"


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
