"""What a mapping minimises: cycles, energy, or energy x delay."""

from __future__ import annotations

from typing import Any, Literal, get_args

from accelsim.errors import ConfigError

Objective = Literal["cycles", "energy", "edp"]
"""``edp``: energy x delay (Gonzalez and Horowitz, "Energy dissipation in general purpose microprocessors", JSSC 1996)."""
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
DEFAULT_OBJECTIVE: Objective = "edp"
"""What is minimised where nobody says; docs/mapping.md gives the reason."""


def checked_objective(value: object, *, where: str = "objective") -> Objective:
    """``value``, given at ``where``, as an objective; ConfigError that lists all of them where it is none."""
    for objective in OBJECTIVES:
        if value == objective:
            return objective
    raise ConfigError(f"{where}: expected {', '.join(OBJECTIVES[:-1])} or {OBJECTIVES[-1]}, got {value!r}")


def value_of(objective: Objective, cycles: Any, picojoules: Any) -> Any:
    """What is minimised, of a network that takes so much; numbers, or arrays of them."""
    return {"cycles": cycles, "energy": picojoules, "edp": cycles * picojoules}[objective]
