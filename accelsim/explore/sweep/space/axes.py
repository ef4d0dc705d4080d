"""Axes of a space: a dotted path and the values that it takes, listed or between two ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import did_you_mean, listing, short
from accelsim.energy import load_table
from accelsim.errors import ConfigError
from accelsim.explore.edits import read_value
from accelsim.explore.sweep.space.columns import Column, Kind, column_of, kind_of
from accelsim.explore.widths import checked_width, width_path

GROUPS = "groups."
"""Stands before the name of a group of layers in the path of its widths."""
TABLE = "tech.energy_table"
MOST_LEVELS = 100_000
_KEYS = ("from", "to", "steps", "scale", "powers")
_SCALES = ("linear", "log")
_FORMS = "expected a list of values, or from and to with steps (and scale: log), or from and to with powers: 2"


class Values(NamedTuple):
    """What an axis has at some points: as a column of the table, and as values of edits."""

    column: Column
    edits: list[Any]


@dataclass(frozen=True)
class Axis:
    """The values at ``path``: ``levels``, or where those are empty whatever lies from ``low`` to ``high``.

    ``log`` says that equal steps are equal ratios, ``whole`` that values are whole numbers.
    """

    path: str
    levels: tuple[Any, ...]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    @property
    def is_width(self) -> bool:
        """Whether it sets bits of weights or activations: of all layers, of one, or of a group."""
        return width_path(self.path) is not None or width_path(self.path, one=GROUPS) is not None

    @cached_property
    def kind(self) -> Kind:
        """Of its column."""
        if self.levels:
            return kind_of(self.levels)
        return "whole" if self.whole else "real"

    @cached_property
    def _column(self) -> Column:
        return column_of(self.levels, self.kind)

    @cached_property
    def _edits(self) -> Column:
        values = np.empty(len(self.levels), dtype=object)
        values[:] = self.levels
        return values

    def at(self, index: NDArray[np.int64]) -> Values:
        """The levels of those numbers, shape (n,)."""
        return Values(self._column[index], self._edits[index].tolist())

    def drawn(self, fractions: NDArray[np.float64]) -> Values:
        """What lies that far along the axis, ``fractions`` of shape (n,) in [0, 1)."""
        if self.levels:
            return self.at((fractions * len(self.levels)).astype(np.int64))
        low, high = (np.log([self.low, self.high])) if self.log else (self.low, self.high)
        if self.whole and not self.log:
            values = self.low + np.floor(fractions * (self.high - self.low + 1))
        else:
            values = low + fractions * (high - low)
            values = np.clip(np.exp(values) if self.log else values, self.low, self.high)
        column = np.rint(values).astype(np.int64) if self.whole else values
        return Values(column, column.tolist())

    @property
    def recorded(self) -> dict[str, Any]:
        """What tells it from another axis, for JSON."""
        if self.levels:
            return {"values": list(self.levels)}
        return {"from": self.low, "to": self.high, "scale": _SCALES[self.log], "whole": self.whole}


def read_axis(path: str, given: Any, *, sampled: bool) -> Axis:
    """The axis that a space gives for ``path``; ``sampled``: ends without steps will do. ConfigError says what is wrong with it."""
    if not isinstance(given, str) and isinstance(given, (Sequence, np.ndarray)):
        return Axis(path, _listed(path, given))
    if not isinstance(given, Mapping):
        raise ConfigError(f"{_FORMS}; got {short(given)}")
    for key in given:
        if key not in _KEYS:
            raise ConfigError(f"unknown key {key!r}{did_you_mean(str(key), _KEYS) or f'; expected {listing(_KEYS)}'}")
    low, high = (_end(path, given, key) for key in ("from", "to"))
    if not low < high:
        raise ConfigError(f"expected from below to, got {short(given['from'])} and {short(given['to'])}")
    return _range(path, given, low, high, sampled)


def _listed(path: str, given: Iterable[Any]) -> tuple[Any, ...]:
    if not (given := list(given)):
        raise ConfigError("an empty list; expected one value or more")
    levels = dict[Any, Any]()
    for value in given:
        read = _value(path, value)
        if levels.setdefault((type(read), read), value) is not value:
            raise ConfigError(f"{short(value)} is {short(read)} again; give each value once")
    return tuple(level for _, level in levels)


def _range(path: str, given: Mapping[str, Any], low: float, high: float, sampled: bool) -> Axis:
    whole, scale = isinstance(low, int) and isinstance(high, int), given.get("scale", _SCALES[0])
    if scale not in _SCALES:
        raise ConfigError(f"scale: expected {' or '.join(_SCALES)}, got {short(scale)}")
    log = scale == "log"
    if (log or "powers" in given) and low <= 0:
        raise ConfigError(f"from: ratios start above 0, got {short(given['from'])}")
    if "powers" in given:
        if "steps" in given or "scale" in given:
            raise ConfigError("powers with steps or scale; give one of them")
        return Axis(path, _read_all(path, _powers(low, high, given["powers"])))
    if "steps" not in given:
        if not sampled:
            raise ConfigError(
                "steps: missing; a grid needs a number of them, random and latin_hypercube samples do not"
            )
        return Axis(path, (), float(low), float(high), log, whole)
    steps = _count(given["steps"])
    values = np.geomspace(low, high, steps) if log else np.linspace(low, high, steps)
    return Axis(path, _read_all(path, sorted({round(x) for x in values.tolist()}) if whole else values.tolist()))


def _read_all(path: str, values: list[Any]) -> tuple[Any, ...]:
    return tuple(_value(path, value) for value in values)


def _powers(low: float, high: float, base: Any) -> list[float]:
    if isinstance(base, bool) or not isinstance(base, (int, float)) or not base > 1:
        raise ConfigError(f"powers: expected a number above 1, got {short(base)}")
    values = [low]
    while values[-1] * base <= high and len(values) < MOST_LEVELS:
        values.append(values[-1] * base)
    return values


def _count(steps: Any) -> int:
    if isinstance(steps, bool) or not isinstance(steps, int) or not 2 <= steps <= MOST_LEVELS:
        raise ConfigError(f"steps: expected a whole number from 2 to {MOST_LEVELS:,}, got {short(steps)}")
    return steps


def _end(path: str, given: Mapping[str, Any], key: str) -> float:
    if key not in given:
        raise ConfigError(f"{key}: missing; {_FORMS}")
    value = _value(path, given[key])
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{key}: expected a number, got {short(given[key])}; list the values instead")
    return value


def _value(path: str, given: Any) -> Any:
    """``given`` as ``evaluate`` reads it at ``path``."""
    try:
        if width_path(path, one=GROUPS):
            return checked_width(path, given)
        value = read_value(path, given)
        if path == TABLE:
            load_table(value)
        return value
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix(f"{path}: ")) from error
