"""Energy tables as values: every figure with its unit, node, voltage, size law, source and range."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from accelsim.energy.table.components import AREA, LEAK
from accelsim.energy.table.laws import Term
from accelsim.errors import ConfigError
from accelsim.units import PICOJOULES, SQUARE_MICROMETRES, WATTS, Quantity


def quantity_of(action: str) -> Quantity:
    """What the value of an action is measured in."""
    return {LEAK: WATTS, AREA: SQUARE_MICROMETRES}.get(action, PICOJOULES)


@dataclass(frozen=True, kw_only=True)
class EnergyEntry:
    """One action of one component: picojoules (watts for ``leak``, square micrometres for ``area``) at any size.

    ``low`` and ``high`` are the factors between which the source leaves the value, None where it gives no range; ``fill``
    says by which rule the entry came from another table, ``moved`` by what factor :meth:`centred` did.
    """

    component: str
    action: str
    law: str
    terms: tuple[Term, ...]
    source: str
    node_nm: float | None
    voltage_v: float | None
    low: float | None = None
    high: float | None = None
    fill: str = ""
    moved: float = 1.0

    @property
    def key(self) -> str:
        """``component.action``."""
        return f"{self.component}.{self.action}"

    @property
    def range(self) -> tuple[float, float]:
        """Factors between which the value lies; (1, 1) where no range is known."""
        return (self.low or 1.0, self.high or 1.0)

    def value(self, **sizes: float) -> float:
        """The value at ``sizes``; ConfigError where one is missing, or the law leaves its range (below 0, or beyond all numbers)."""
        try:
            found = sum(term.value(sizes) for term in self.terms)
        except KeyError as error:
            raise ConfigError(f"entry {self.key}: its law {self.law} needs the size {error.args[0]}") from error
        except OverflowError:  # of a power; products of floats become infinite instead
            found = math.inf
        except ValueError:  # a power or logarithm that sizes of 0 and below do not have
            found = math.nan
        if not 0 <= found < math.inf:
            at = ", ".join(f"{name} {size:g}" for name, size in sizes.items())
            raise ConfigError(
                f"entry {self.key}: its law {self.law} gives {found:.3g} at {at}; it does not reach so far"
            )
        return found

    def centred(self) -> EnergyEntry:
        """The entry at the geometric middle of its range where its value is one end of it, else itself.

        An end is no estimate: half of what the source allows must lie on each side of the figure that totals are made of.
        """
        low, high = self.range
        if low == high or 1.0 not in (low, high):
            return self
        moved = math.sqrt(low * high)
        return replace(self.scaled(moved), low=low / moved, high=high / moved, moved=moved)

    def scaled(self, factor: float) -> EnergyEntry:
        """The entry with its value times ``factor``."""
        return replace(self, terms=tuple(term.scaled(factor) for term in self.terms))


@dataclass(frozen=True, kw_only=True)
class Part:
    """A share of a compound: ``times`` actions of a component at ``sizes``, all written over the compound's own sizes."""

    component: str
    action: str
    times: str | float = 1
    sizes: tuple[tuple[str, str | float], ...] = ()
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Compound:
    """A component made of others, as in Accelergy (Wu et al., ICCAD 2019): one of its actions as a sum of parts."""

    component: str
    action: str
    parts: tuple[Part, ...]
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class EnergyTable:
    """All entries of one technology, compounds of them, which gaps were filled by which rule, what is not covered.

    ``alpha``, ``threshold_v`` and ``clock_hz``, the clock attained at ``voltage_v``, give that at other voltages.
    """

    name: str
    version: int
    source: str
    node_nm: float | None
    voltage_v: float | None
    entries: tuple[EnergyEntry, ...]
    compounds: tuple[Compound, ...] = ()
    not_modelled: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    alpha: float | None = None
    threshold_v: float | None = None
    clock_hz: float | None = None

    @cached_property
    def by_key(self) -> Mapping[tuple[str, str], EnergyEntry]:
        """Entries by (component, action)."""
        return {(entry.component, entry.action): entry for entry in self.entries}

    def find(self, component: str, action: str) -> EnergyEntry | None:
        """The entry of ``component`` and ``action``, or None."""
        return self.by_key.get((component, action))

    def entry(self, component: str, action: str) -> EnergyEntry:
        """The entry of ``component`` and ``action``; ConfigError where the table has none."""
        found = self.find(component, action)
        if found is None:
            raise ConfigError(missing_entry(self, component, action), table=self.name)
        return found

    @property
    def fills(self) -> tuple[str, ...]:
        """One sentence for each entry that another table lent."""
        return tuple(f"{entry.key}: {entry.fill}" for entry in self.entries if entry.fill)

    def scaled(self, factor: float | Callable[[EnergyEntry], float]) -> EnergyTable:
        """The table with every energy and power times ``factor``, or every value times what ``factor`` says of its entry.

        A number leaves areas as they are: wires are as long as elements are wide, and dearer actions widen nothing.
        """
        entries = tuple(e.scaled(factor(e) if callable(factor) else _of_energies(factor, e)) for e in self.entries)
        return replace(self, entries=entries)


def _of_energies(factor: float, entry: EnergyEntry) -> float:
    return 1.0 if entry.action == AREA else factor


def missing_entry(table: EnergyTable, component: str, action: str) -> str:
    """The message for a gap."""
    return (
        f"energy table {table.name!r} has no entry {component}.{action}; add one with value, law, source and uncertainty, "
        "or a fill rule that names another table"
    )
