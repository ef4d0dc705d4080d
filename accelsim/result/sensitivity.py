"""How much each knob of a machine matters: the record of a sensitivity study, a versioned JSON like the Result."""

from __future__ import annotations

from typing import Any

from accelsim.display import as_html, as_text
from accelsim.objective import Objective
from accelsim.result.record import _Record

SENSITIVITY_VERSION = 1
FIGURES = ("latency_s", "energy_pj", "area_um2")
"""What the elasticities are of, beside the objective."""

_COLUMNS = ("value", "cycles", *FIGURES)


class Figures(_Record):
    """What came out of one machine of the study; ``area_um2`` is None where the table states no area."""

    cycles: int
    latency_s: float
    energy_pj: float
    area_um2: float | None


class Point(Figures):
    """A machine with another ``value`` of a knob."""

    value: float


class Knob(_Record):
    """One number of the machine at ``path``, and what a step of it does.

    ``below`` and ``above`` are the nearest legal steps, None where there is none, and ``note`` then says why. ``elasticity`` is
    d ln y / d ln x by figure and ``objective``: between the two, or from the machine's own ``value`` to the only one; None where y
    is not known. A knob at 0 has no ln x: its ``elasticity`` is empty, and ``change`` is ln y of ``above`` less that of the
    machine. ``tied`` are paths that had to be given the same value.
    """

    path: str
    value: float
    below: Point | None
    above: Point | None
    elasticity: dict[str, float | None]
    change: dict[str, float | None]
    note: str = ""
    tied: tuple[str, ...] = ()

    @property
    def effect(self) -> dict[str, float | None]:
        """By figure the elasticity, or the change of a knob at 0."""
        return self.elasticity or self.change


class Sensitivity(_Record):
    """Elasticities of one network on one machine, every point mapped afresh; ``knobs`` with an effect first, the largest first.

    ``fixed`` says by path why a number has no legal step at all.
    """

    schema_version: int = SENSITIVITY_VERSION
    accelsim_version: str
    model: str
    arch: dict[str, Any]
    objective: Objective
    step: float
    base: Figures
    knobs: tuple[Knob, ...]
    fixed: dict[str, str]

    @property
    def effective(self) -> tuple[Knob, ...]:
        """Knobs that change something."""
        return tuple(knob for knob in self.knobs if any(knob.effect.values()))

    @property
    def idle(self) -> tuple[Knob, ...]:
        """Knobs that change nothing within their steps."""
        return tuple(knob for knob in self.knobs if not any(knob.effect.values()))

    def rows(self) -> list[dict[str, Any]]:
        """One flat dictionary per knob, as in the CSV."""
        return [_row(knob) for knob in self.knobs]

    def to_json(self) -> str:
        """All of it as JSON text."""
        return self.model_dump_json(indent=1) + "\n"

    def __repr__(self) -> str:
        return as_text(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return as_html(self)


def _row(knob: Knob) -> dict[str, Any]:
    row: dict[str, Any] = {"knob": knob.path, "value": knob.value}
    for kind, found in (("elasticity", knob.elasticity), ("change", knob.change)):
        row |= {f"{kind}_{name}": found.get(name) for name in ("objective", *FIGURES)}
    for side, point in (("below", knob.below), ("above", knob.above)):
        row |= {f"{side}_{name}": None if point is None else getattr(point, name) for name in _COLUMNS}
    return row | {"note": knob.note}
