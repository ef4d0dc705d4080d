"""Quantities in and out: ``64 KiB``, ``500 MHz``, ``100 ns``, ``34 GB/s``, ``3.2 pJ``.

Reading is exact (rational arithmetic); prefixes are case-sensitive, decimal (kB, MB) and binary (KiB, MiB) bytes
differ. A plain number is in the base unit. Whatever cannot be read raises :class:`QuantityError` with the accepted
forms.
"""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import NoReturn

from accelsim.errors import QuantityError

_FORM = re.compile(
    r"(?P<number>[+-]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)\s*(?P<unit>[^\s0-9].*)?"
)
_LONGEST_TEXT = 64  # characters; nothing longer is a quantity, and exact arithmetic stays cheap

MAX_NUMBER = int(sys.float_info.max)
"""The greatest number that can be calculated with; a longer integer can't become a float, nor, past 4,300 digits, a text."""

_MICRO_SIGNS = str.maketrans("µμ", "uu")  # U+00B5 MICRO SIGN and U+03BC GREEK SMALL LETTER MU are both read as u


@dataclass(frozen=True)
class Quantity:
    """A kind of quantity: its units as multiples of the base unit, and how it is written."""

    name: str
    base: str
    units: Mapping[str, Fraction]
    examples: tuple[str, ...]

    @property
    def article(self) -> str:
        """The name after its article."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"

    @property
    def accepted(self) -> str:
        """The accepted forms in one phrase."""
        return f"a plain number of {self.base}, or a number with {', '.join(self.units)}, such as {self.examples[0]!r}"


def _scaled(symbols: Mapping[str, Fraction | int]) -> Mapping[str, Fraction]:
    return MappingProxyType({symbol: Fraction(factor) for symbol, factor in symbols.items()})


_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SMALL = {"": Fraction(1), "m": Fraction(1, 10**3), "u": Fraction(1, 10**6), "n": Fraction(1, 10**9)}
_SMALLER = _SMALL | {"p": Fraction(1, 10**12), "f": Fraction(1, 10**15)}
_BYTES = {f"{prefix}B": factor for prefix, factor in (_DECIMAL | _BINARY).items()}
_BITS = {f"{prefix}bit": Fraction(factor, 8) for prefix, factor in _DECIMAL.items()}

BYTES = Quantity("size", "bytes", _scaled(_BYTES), ("64 KiB", "24 MiB", "1 kB"))
"""Bytes; ``kB`` is 1000 and ``KiB`` 1024 of them, ``KB`` is refused."""
HERTZ = Quantity("frequency", "Hz", _scaled({f"{p}Hz": f for p, f in _DECIMAL.items()}), ("500 MHz", "1.2 GHz"))
"""Cycles per second."""
BANDWIDTH = Quantity(
    "bandwidth", "bytes/s", _scaled({f"{u}/s": f for u, f in (_BYTES | _BITS).items()}), ("34 GB/s", "12.8 Gbit/s")
)
"""Bytes per second."""
NANOSECONDS = Quantity("time", "ns", _scaled({f"{p}s": f * 10**9 for p, f in _SMALLER.items()}), ("100 ns", "1.5 us"))
"""Nanoseconds."""
PICOJOULES = Quantity("energy", "pJ", _scaled({f"{p}J": f * 10**12 for p, f in _SMALLER.items()}), ("3.2 pJ", "1.3 nJ"))
"""Picojoules."""
WATTS = Quantity("power", "W", _scaled({f"{p}W": f for p, f in _SMALLER.items()}), ("23 uW", "1.2 mW"))
"""Watts."""
SQUARE_MICROMETRES = Quantity("area", "um2", _scaled({"um2": 1, "mm2": 10**6}), ("282 um2", "1.4 mm2"))
"""Square micrometres."""


def parse_bytes(value: object) -> int:
    """Whole bytes of ``"64 KiB"`` or of a plain number; QuantityError where they are not whole."""
    return _whole(value, BYTES)


def parse_hertz(value: object) -> int:
    """Whole hertz of ``"500 MHz"`` or of a plain number; QuantityError where they are not whole."""
    return _whole(value, HERTZ)


def parse_bandwidth(value: object) -> int:
    """Whole bytes per second of ``"34 GB/s"``, ``"12.8 Gbit/s"`` or a plain number."""
    return _whole(value, BANDWIDTH)


def parse_nanoseconds(value: object) -> float:
    """Nanoseconds of ``"100 ns"`` or of a plain number of nanoseconds."""
    return _float(value, NANOSECONDS)


def parse_picojoules(value: object) -> float:
    """Picojoules of ``"3.2 pJ"`` or of a plain number of picojoules."""
    return _float(value, PICOJOULES)


def parse_quantity(value: object, quantity: Quantity) -> float:
    """``value`` in the base unit of ``quantity``; a text must name its unit, a plain number is in the base unit."""
    return _float(value, quantity)


def _float(value: object, quantity: Quantity) -> float:
    exact = _exact(value, quantity)
    if exact > MAX_NUMBER:
        _refuse(value, quantity, "is out of range; expected fewer digits")
    return float(exact)


def _whole(value: object, quantity: Quantity) -> int:
    exact = _exact(value, quantity)
    if exact.denominator != 1:
        near = f"{math.floor(exact)} or {math.ceil(exact)}"
        _refuse(value, quantity, f"is {float(exact):.12g} {quantity.base}; expected a whole number, such as {near}")
    return exact.numerator


def _exact(value: object, quantity: Quantity) -> Fraction:
    """The value in base units; QuantityError where it is no number, not finite or negative."""
    exact = _number(value, quantity) if isinstance(value, int | float) else _text(value, quantity)
    if exact < 0:
        _refuse(value, quantity, f"is negative; expected {quantity.article} of 0 or more")
    return exact


def _number(value: float, quantity: Quantity) -> Fraction:
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        _refuse(value, quantity, f"is not {quantity.article}; expected {quantity.accepted}")
    return Fraction(value) if isinstance(value, int) else Fraction(repr(float(value)))


def _text(value: object, quantity: Quantity) -> Fraction:
    text = value.strip() if isinstance(value, str) else ""
    form = _FORM.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if form is None:
        _refuse(value, quantity, f"is not {quantity.article}; expected {quantity.accepted}")
    return Fraction(form["number"].replace("_", "")) * _factor(value, form["unit"], quantity)


def _factor(value: object, unit: str | None, quantity: Quantity) -> Fraction:
    if unit is None:
        return Fraction(1)
    symbol = unit.translate(_MICRO_SIGNS)
    if symbol not in quantity.units:
        _refuse(value, quantity, f"has the unit {_short(unit)}; {_unit_remedy(symbol, quantity)}")
    return quantity.units[symbol]


def _unit_remedy(symbol: str, quantity: Quantity) -> str:
    if symbol.startswith("KB") and f"k{symbol[1:]}" in quantity.units:
        rest = symbol[2:]
        return f"KB is ambiguous; write kB{rest} for 1000 bytes or KiB{rest} for 1024 bytes"
    same = [unit for unit in quantity.units if unit.lower() == symbol.lower()]
    near = same or difflib.get_close_matches(symbol, quantity.units, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"expected {quantity.accepted}{hint}"


def _refuse(value: object, quantity: Quantity, why: str) -> NoReturn:
    raise QuantityError(f"{_short(value)} {why}", value=value, quantity=quantity.name, accepted=tuple(quantity.units))


def _short(value: object) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) <= MAX_NUMBER else "a number of over 300 digits"
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def format_hertz(hz: float) -> str:
    """A frequency with three digits: ``500 MHz``."""
    return _format(hz, [(float(factor), f"{prefix}Hz") for prefix, factor in _DECIMAL.items()])


def exact_text(value: int, quantity: Quantity) -> str | int:
    """``value`` in the largest unit that leaves a whole number (``64 KiB``); the plain number where none does."""
    fitting = [(factor, unit) for unit, factor in quantity.units.items() if factor > 1 and value % factor == 0]
    if not fitting or not value:
        return value
    factor, unit = max(fitting)
    return f"{value // factor} {unit}"


def _format(value: float, units: Sequence[tuple[float, str]]) -> str:
    """Three significant digits in the first unit that needs no more than three before the point; 0 in the base unit."""
    if value == 0 or not math.isfinite(value):
        base = next(unit for scale, unit in units if scale == 1)
        return f"{value:g} {base}".rstrip()
    fitting = (u for u in units if abs(float(f"{value / u[0]:.3g}")) < 1000)
    scale, unit = next(fitting, units[-1])
    scaled = value / scale
    digits = f"{scaled:.3g}" if abs(scaled) < 999.5 else f"{scaled:,.0f}"
    return f"{digits} {unit}".rstrip()
