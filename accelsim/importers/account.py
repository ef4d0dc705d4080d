"""Which layers an operator of a model file became; layers are named after the operator, ``conv_3`` or ``conv_3 part``."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, count


def layer_base(operator: str, index: int) -> str:
    """Readable and unique name of the layers of operator ``index``."""
    return f"{operator.lower()}_{index}"


def fresh_name(base: str, taken: set[str]) -> str:
    """``base``, or ``base`` with the first number that makes it new; it is taken from then on."""
    name = next(n for n in chain((base,), (f"{base}_{i}" for i in count(1))) if n not in taken)
    taken.add(name)
    return name


def is_named_after(layer: str, base: str) -> bool:
    """Whether ``layer`` is a layer of the operator whose layers are called ``base``."""
    return layer == base or layer.startswith(f"{base} ")


def own_layers(base: str, layers: Iterable[str]) -> tuple[str, ...]:
    """Those of ``layers`` that are named after ``base``."""
    return tuple(name for name in layers if is_named_after(name, base))
