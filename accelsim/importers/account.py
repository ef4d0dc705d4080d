"""What operators of a model file are called, and the layers that each became: ``conv1``, or ``conv1 part`` of several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence, Set
from itertools import chain, count
from typing import NamedTuple


class FileName(NamedTuple):
    """What a file says of an operator: its own ``name`` and that of its first ``output``, each empty where there is none."""

    name: str
    output: str
    operator: str
    place: int

    def without_spaces(self) -> FileName:
        """The same with underscores."""
        name, output, operator = (text.replace(" ", "_") for text in (self.name, self.output, self.operator))
        return FileName(name, output, operator, self.place)


def layer_names(operators: Iterable[FileName]) -> tuple[str, ...]:
    """What the layers of each operator are called, one rule for all formats.

    The operator's own name where the file gives it one that no other operator has; else the name of its first output tensor, or
    operator and index where that has none. What then is not unique is numbered. In a file with a name that reads as a part of
    another operator (``fc`` and ``fc output``), all have underscores for spaces.
    """
    listed = list(operators)
    names = _numbered(listed)
    bases = frozenset(names)
    if any(_is_part(name, bases) for name in names):
        names = _numbered([each.without_spaces() for each in listed])
    return names


def _numbered(operators: Sequence[FileName]) -> tuple[str, ...]:
    often = Counter(each.name for each in operators)
    own = [each.name if often[each.name] == 1 else "" for each in operators]
    taken = set(own)
    bases = (each.output or f"{each.operator.lower()}_{each.place}" for each in operators)
    return tuple(name or fresh_name(base, taken) for name, base in zip(own, bases, strict=True))


def _is_part(name: str, bases: Set[str]) -> bool:
    """Whether ``name`` reads as a part of another operator."""
    words = name.split(" ")
    return any(" ".join(words[:n]) in bases for n in range(1, len(words)))


def fresh_name(base: str, taken: set[str]) -> str:
    """``base``, or ``base`` with the first number that makes it new; it is taken from then on."""
    name = next(n for n in chain((base,), (f"{base}_{i}" for i in count(1))) if n not in taken)
    taken.add(name)
    return name


def named_after(layer: str, bases: Collection[str]) -> str | None:
    """The one of ``bases`` that ``layer`` is called, or is a part of."""
    while layer not in bases and " " in layer:
        layer = layer.rpartition(" ")[0]
    return layer if layer in bases else None
