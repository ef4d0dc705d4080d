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
    └── QuantityError             "64 KiB", "500 MHz", "3.2 pJ" could not be read
"""

from __future__ import annotations

from typing import Any


class AccelsimError(Exception):
    """Base of all deliberate errors; ``data`` holds the facts of the message, by name."""

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.data = data


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


class QuantityError(AccelsimError, ValueError):
    """A quantity such as ``64 KiB`` could not be read."""
