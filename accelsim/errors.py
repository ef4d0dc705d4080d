"""Every error accelsim raises on purpose.

::

    AccelsimError                 one sentence: where, what was expected, what came, what to do
    ├── ConfigError               a machine description or a --set path is wrong
    ├── ModelError                a model file cannot be read, or holds what is not supported
    │   ├── ModelFileError        missing, empty, truncated, or not of the format its name says
    │   └── UnsupportedOperatorError
    ├── GraphError                a Graph breaks one of its own rules
    ├── InputError                the input values do not fit the network
    ├── MappingError              no legal tiling exists; names the buffer and the missing bytes
    ├── ProgramError              a Program breaks a rule of regions, capacities or dependencies
    │   └── HazardError           a word was read that had not been written, or had been overwritten
    ├── AccumulatorOverflowError  an accumulator with ``overflow: trap`` left its range
    ├── SweepError                the folder of a sweep cannot be written, is another's, or its executor broke
    ├── CapacityError             more than the memory of this computer holds, or than it is to hold
    └── QuantityError             "64 KiB", "500 MHz", "3.2 pJ" could not be read

Where several things of one file cannot be read, :class:`Refusals` makes one error of them, which lists each.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

MOST_SHOWN = 20
"""Lines of one message."""
MOST_GATHERED = 1000
"""Errors of one file; reading stops at that many."""
LONGEST_REPEATED = 60
"""Characters of what is accepted that a message says more than once."""


class AccelsimError(Exception):
    """Base of all deliberate errors; ``data`` holds the facts of the message, by name."""

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.data = data
        self._listed: tuple[AccelsimError, ...] = ()

    @property
    def exceptions(self) -> tuple[AccelsimError, ...]:
        """The errors that this one lists, in the order of the file; itself alone where it is about one thing."""
        return self._listed or (self,)

    def listing(self, errors: Sequence[AccelsimError]) -> Self:
        """The same error as one that lists ``errors``, if those are several."""
        self._listed = tuple(errors) if len(errors) > 1 else ()
        return self


class ConfigError(AccelsimError):
    """A machine description, or an edit of one, is invalid."""


class ModelError(AccelsimError):
    """A model cannot become a Graph."""


class ModelFileError(ModelError):
    """A model file is missing, empty, truncated or malformed."""


class UnsupportedOperatorError(ModelError):
    """A model holds an operator, or a form of one, that is not accepted."""


class GraphError(AccelsimError):
    """A Graph breaks one of its own rules."""


class InputError(AccelsimError):
    """Input values do not fit the network's inputs."""


class MappingError(AccelsimError):
    """No tiling of a layer fits the machine."""


class ProgramError(AccelsimError):
    """A Program breaks a rule of regions, capacities or dependencies."""


class HazardError(ProgramError):
    """A tile operation read a word that was never written, or was overwritten too early."""


class AccumulatorOverflowError(AccelsimError):
    """An accumulator whose overflow policy is ``trap`` left its range."""


class SweepError(AccelsimError):
    """A sweep cannot begin or go on; what it has finished is kept."""


class CapacityError(AccelsimError):
    """What is asked for is not held in memory."""


@contextmanager
def held_in_memory(what: str, *, remedy: str) -> Iterator[None]:
    """CapacityError that says ``what`` was not held, and the ``remedy``, in place of a MemoryError."""
    try:
        yield
    except MemoryError as error:
        raise CapacityError(f"not enough memory for {what}; {remedy}") from error


class QuantityError(AccelsimError, ValueError):
    """A quantity such as ``64 KiB`` could not be read."""


class Refusals:
    """Errors about single entries of one file, gathered so that the reader goes on and all of them are told at once."""

    def __init__(self, file: str | Path) -> None:
        self.file = str(file)
        self.found: list[AccelsimError] = []

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """An error about this entry waits for :meth:`check`."""
        try:
            yield
        except AccelsimError as error:
            self.add(error)

    def add(self, error: AccelsimError) -> None:
        """Let ``error`` wait for :meth:`check`, which is now where there are :data:`MOST_GATHERED`."""
        self.found += error.exceptions
        if len(self.found) >= MOST_GATHERED:
            self.check()

    def check(self) -> None:
        """Raise what was gathered, in the order of the file: by index or line, then what is about no single entry."""
        if self.found:
            raise as_one(self.file, sorted(self.found, key=_place))


def _place(error: AccelsimError) -> float:
    """The index of an operator, or the line of an entry; no file has both."""
    return float(error.data.get("index", error.data.get("line", math.inf)))


def as_one(file: str, errors: Sequence[AccelsimError]) -> AccelsimError:
    """The only one of ``errors`` as it is; several as one that lists them, of the nearest class that all have in common."""
    if len(errors) == 1:
        return errors[0]
    kind: type[AccelsimError] = next(
        c for c in type(errors[0]).__mro__ if all(isinstance(error, c) for error in errors)
    )
    count = f"{len(errors)} things" if len(errors) < MOST_GATHERED else f"The first {len(errors)} things"
    lines = [f"{count} in {' '.join(file.split())} can't be read:", *_lines(file, _shown(errors)), *_rest(errors)]
    return kind("\n  ".join(lines), path=file).listing(errors)


def _shown(errors: Sequence[AccelsimError]) -> list[AccelsimError]:
    """The first of each kind, then as many others as there is room for; in their order."""
    first: dict[Hashable, int] = {}
    for i, error in enumerate(errors):
        first.setdefault(_kind(error), i)
    order = [*first.values(), *sorted(set(range(len(errors))).difference(first.values()))]
    return [errors[i] for i in sorted(order[:MOST_SHOWN])]


def _kind(error: AccelsimError) -> Hashable:
    return type(error), *(str(error.data.get(key)) for key in ("operator", "accepted", "column"))


def _lines(file: str, errors: Sequence[AccelsimError]) -> Iterator[str]:
    """One line per error; the file stands in the first line already, and a long list of what is accepted in the first of its kind."""
    said = set()
    for error in errors:
        text, accepted = str(error).removeprefix(f"{file}: "), str(error.data.get("accepted", ""))
        if accepted in said:
            text = text.replace(accepted, "as above")
        if len(accepted) > LONGEST_REPEATED:
            said.add(accepted)
        yield " ".join(text.split())


def _rest(errors: Sequence[AccelsimError]) -> list[str]:
    """How many errors have no line of their own, by operator or column where they are about such."""
    shown = _shown(errors)
    hidden = [error for error in errors if error not in shown]
    if not hidden:
        return []
    known = {_kind(error) for error in shown}
    same = " of the same kinds" if all(_kind(error) in known for error in hidden) else ""
    names = Counter(error.data.get("operator") or error.data.get("column") for error in hidden)
    counts = ", ".join(f"{count} {name}" for name, count in names.most_common() if name)
    return [f"… and {len(hidden)} more{same}" + (f" ({counts})" if counts else "")]
