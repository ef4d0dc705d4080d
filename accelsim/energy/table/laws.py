"""How a figure follows the size of what it belongs to: sums of products of powers, and arithmetic on named sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from accelsim.energy.table.components import SIZES
from accelsim.errors import ConfigError

_BITS_PER_BYTE = 8


@dataclass(frozen=True)
class Term:
    """``coefficient * prod((size / at) ** exponent)``, in the base unit of its entry."""

    coefficient: float
    exponents: tuple[tuple[str, float], ...] = ()
    at: tuple[tuple[str, float], ...] = ()

    def value(self, sizes: Mapping[str, float]) -> float:
        """The term at ``sizes``; KeyError names a size that is missing, ValueError tells of one that has no such power or logarithm."""
        anchor = dict(self.at)
        factors = (math.pow(size_of(name, sizes) / anchor.get(name, 1.0), power) for name, power in self.exponents)
        return float(self.coefficient * math.prod(factors))

    def scaled(self, factor: float) -> Term:
        """The term times ``factor``."""
        return replace(self, coefficient=self.coefficient * factor)


def size_of(name: str, sizes: Mapping[str, float]) -> float:
    """A size, or the logarithm to base 2 of one (``log2_bits``, ``log2_capacity_bits``)."""
    size = sizes[plain_size(name)]
    if name == "log2_capacity_bits":
        return math.log2(size * _BITS_PER_BYTE)
    return math.log2(size) if name.startswith("log2_") else size


def plain_size(name: str) -> str:
    """The size that ``name`` is, or is the logarithm of."""
    return "capacity_bytes" if name == "log2_capacity_bits" else name.removeprefix("log2_")


def is_size(name: str) -> bool:
    """Whether entries may depend on ``name``."""
    return plain_size(name) in SIZES


def terms_of(law: str, value: float, at: Mapping[str, float], exponents: Mapping[str, float]) -> tuple[Term, ...]:
    """The terms of a law by name; ConfigError where ``at`` and ``exponents`` do not fit it.

    ``constant``: the value at every size; ``linear``, ``quadratic``: first, second power of the one size of ``at``;
    ``product``: of all sizes of ``at``; ``power``: each size of ``at`` to its own exponent.
    """
    powers = {"linear": 1.0, "quadratic": 2.0, "product": 1.0}
    if law == "constant":
        return (Term(value),)
    if not at:
        raise ConfigError(f"law {law} needs the sizes that the value belongs to: at: {{bits: 8}}")
    for name, size in at.items():
        if size <= 0:
            raise ConfigError(f"at: {name} {size:g}: a size that a value belongs to is above 0")
    if law in ("linear", "quadratic") and len(at) != 1:
        raise ConfigError(f"law {law} goes by one size, got at: {', '.join(at)}; use product or power")
    if law == "power" and set(exponents) != set(at):
        raise ConfigError(
            f"law power needs one exponent for each size of at ({', '.join(at)}), got {', '.join(exponents)}"
        )
    powered = exponents if law == "power" else dict.fromkeys(at, powers[law])
    return (Term(value, tuple(powered.items()), tuple(at.items())),)


def evaluate(text: str | float, names: Mapping[str, float]) -> float:
    """A number, a name, or sums of products of them (``2 * bits + 1``); ConfigError for what is neither."""
    if isinstance(text, int | float):
        return float(text)
    return sum(math.prod([_factor(part, names, text) for part in product]) for product in _products(text))


@lru_cache(maxsize=1024)
def _products(text: str) -> tuple[tuple[str, ...], ...]:
    """The factors of each product of a sum."""
    return tuple(tuple(part.strip() for part in product.split("*")) for product in text.split("+"))


def _factor(part: str, names: Mapping[str, float], text: str) -> float:
    if part in names:
        return float(names[part])
    try:
        return float(part)
    except ValueError:
        raise ConfigError(
            f"size {text!r}: {part!r} is neither a number nor one of {', '.join(sorted(names))}"
        ) from None
