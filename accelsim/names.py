"""What layers are called: in full where there is room, shortened from the left elsewhere, and found again by any such form."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise, takewhile

from accelsim.display import printable
from accelsim.errors import ConfigError

CUT = "…"
"""Stands for what is left out at the left."""
_NUMBERED = re.compile(rf"([0-9]+):{CUT}(.*)", re.DOTALL)
_SEPARATORS = (";", "/")
"""Between the names of fused operators, between the parts of one."""
_MOST, _LISTED = 5, 60
"""Candidates that an error lists, and the characters of each."""


class LayerNames:
    """The layers of one network by name, in order."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._shown = [printable(name) for name in self.names]

    def shown(self, width: int) -> list[str]:
        """Each name in at most ``width`` characters (at least 8), no two alike, each of which :meth:`find` finds again.

        What does not fit is cut from the left, at a ``;`` or ``/`` where that leaves enough of it: ``…/conv2/Conv``. Where no end
        that fits is unambiguous the index goes before it: ``7:…/Conv``.
        """
        return [self._short(index, max(width, 8)) for index in range(len(self.names))]

    def find(self, given: str) -> int:
        """Index of the layer that ``given`` stands for: a whole name, its end, a form of :meth:`shown`, or the index.

        ConfigError with candidates where there is none, or more than one, which its data then call ``several``.
        """
        found = self._matches(given)
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigError(
                f"several layers are meant: {self._listed(found)}; give more of the name, or the index", several=True
            )
        near = difflib.get_close_matches(given, self.names, n=3)
        shown = " or ".join(repr(self._short(self._index[name], _LISTED)) for name in near)
        hint = f"did you mean {shown}?" if near else self._known()
        raise ConfigError(f"the network has no such layer; {hint}")

    def _matches(self, given: str) -> list[int]:
        """By the first of the forms that ``given`` has and that fits a layer."""
        if given in self._index:
            return [self._index[given]]
        if self._often[given] == 1:
            return [self._shown.index(given)]
        if given.isdecimal() and len(given) < 10 and int(given) < len(self.names):
            return [int(given)]
        if numbered := _NUMBERED.fullmatch(given):
            index = int(numbered[1][:9])
            if index < len(self.names) and self._shown[index].endswith(numbered[2]):
                return [index]
        end = given.removeprefix(CUT)
        cut = given != end
        return [i for i, name in enumerate(self._shown) if end and name.endswith(end) and not (cut and name == end)]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def _often(self) -> Counter[str]:
        return Counter(self._shown)

    @cached_property
    def _shared(self) -> list[int]:
        """How many characters at its end each name shares with another at most."""
        order = sorted((name[::-1], index) for index, name in enumerate(self._shown))
        shared = [0] * len(order)
        for (name, index), (other, neighbour) in pairwise(order):
            common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False)))
            shared[index], shared[neighbour] = max(shared[index], common), max(shared[neighbour], common)
        return shared

    def _short(self, index: int, width: int) -> str:
        name = self._shown[index]
        if len(name) <= width and self._often[name] == 1:
            return name
        least = self._shared[index] + 1
        if least < width and len(name) > width:
            short = CUT + _tail(name, least, width - 1)
            if short not in self._often:
                return short
        head = f"{index}:{CUT}"
        short = head + name[max(len(name) - max(width - len(head), 1), 0) :]
        return short if short not in self._often else name

    def _listed(self, found: Sequence[int]) -> str:
        more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
        return ", ".join(f"{self._short(i, _LISTED)!r} ({i})" for i in found[:_MOST]) + more

    def _known(self) -> str:
        return f"known are {self._listed(range(len(self.names)))}"


def _tail(name: str, least: int, most: int) -> str:
    """The end of ``name`` in ``least`` to ``most`` characters, from a separator on where that leaves half of them or more."""
    first, last = len(name) - most, len(name) - max(least, most // 2)
    starts = (name.find(separator, first, last + 1) for separator in _SEPARATORS)
    return name[next((start for start in starts if start >= 0), first) :]
