"""What became of every operator of the model file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What an operator of the model file turned into."""

    LAYER = "layer"
    """Layers of its own."""
    FUSED = "fused"
    """A part of the layers named: a rectifier, a scale, a bias, the rounding at their end."""
    HOST = "host"
    """The host's work at the boundary between real numbers and codes."""
    CONSTANT = "constant"
    """Computed at import: its operands are constant."""
    STATE = "state"
    """Reads or writes what is kept from inference to inference, or says where."""
    NOTHING = "nothing"
    """Codes and their scale stay as they are."""


@dataclass(frozen=True, kw_only=True)
class SourceOperator:
    """Operator ``index`` of the model file, by its name there and its first output, and the names of its ``layers``."""

    index: int
    operator: str
    output: str
    outcome: Outcome
    layers: tuple[str, ...] = ()
