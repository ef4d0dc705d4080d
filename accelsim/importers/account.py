"""What operators of a model file are called, and the layers that each became: ``conv1``, or ``conv1 part`` of several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Set
from itertools import chain, count
from typing import NamedTuple


class FileName(NamedTuple):
    """What a file says of an operator: its own ``name`` and that of its first ``output``, each empty where there is none."""

    name: str
    output: str
    operator: str
    place: int


def layer_names(operators: Iterable[FileName]) -> tuple[str, ...]:
    """What the layers of each operator are called, one rule for all formats.

    The operator's own name where the file gives it one that no other operator has; else the name of its first output tensor, or
    operator and index where that has none. What then is not unique is numbered, and a name that would read as that of another
    operator's part has underscores for spaces.
    """
    listed = list(operators)
    often = Counter(each.name for each in listed)
    own = [each.name if often[each.name] == 1 else "" for each in listed]
    known = {name or each.output for name, each in zip(own, listed, strict=True)} - {""}
    taken = {name for name in own if name and not _is_part(name, known)}
    return tuple(
        name if name in taken else fresh_name(_base(each, known), taken) for name, each in zip(own, listed, strict=True)
    )


def _base(operator: FileName, known: Set[str]) -> str:
    name = operator.output or f"{operator.operator.lower()}_{operator.place}"
    return name.replace(" ", "_") if _is_part(name, known) else name


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
