"""What one action costs by a table: its own entry, or the sum of the parts it is made of."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from accelsim.energy.table.entries import Compound, EnergyTable, Part, missing_entry
from accelsim.energy.table.laws import evaluate
from accelsim.energy.table.read import machine_compounds
from accelsim.errors import ConfigError

Charges = dict[str, float]
"""Value of each entry (``component.action``) that an action draws on, in the entries' base unit."""


@dataclass(frozen=True)
class Costs:
    """Looks actions up in ``table``, each once; ``missing`` collects the optional parts that it does not hold."""

    table: EnergyTable
    missing: set[str] = field(default_factory=set)
    _known: dict[tuple[object, ...], tuple[Charges | None, str]] = field(default_factory=dict)
    _machines: dict[Hashable, dict[object, dict[str, Charges]]] = field(default_factory=dict)

    def of_machine(self, machine: Hashable) -> dict[object, dict[str, Charges]]:
        """Charges by action for each kind of layer that was asked for on ``machine``."""
        return self._machines.setdefault(machine, {})

    def charges(self, component: str, action: str, sizes: Mapping[str, float]) -> Charges:
        """What one action draws on; ConfigError names the entry that lacks."""
        found, gap = self._look_up(component, action, sizes)
        if found is None:
            raise ConfigError(missing_entry(self.table, *gap.split(".")), table=self.table.name)
        return found

    def maybe(self, component: str, action: str, sizes: Mapping[str, float]) -> Charges | None:
        """As :meth:`charges`; None, and a note in ``missing``, where the table lacks something."""
        found, _ = self._look_up(component, action, sizes)
        if found is None:
            self.missing.add(f"{component}.{action}")
        return found

    def _look_up(self, component: str, action: str, sizes: Mapping[str, float]) -> tuple[Charges | None, str]:
        """The charges, or None and the entry that lacks."""
        key = (component, action, *sizes.items())
        if key not in self._known:
            gaps: list[str] = []
            found = self._resolve(component, action, sizes, gaps, ())
            self._known[key] = found, gaps[0] if gaps else ""
        return self._known[key]

    def _resolve(
        self, component: str, action: str, sizes: Mapping[str, float], gaps: list[str], chain: tuple[str, ...]
    ) -> Charges | None:
        key = f"{component}.{action}"
        entry = self.table.find(component, action)
        if entry is not None:
            return {key: entry.value(**sizes)}
        if key in chain:
            raise ConfigError(f"energy table {self.table.name!r}: compound {key} is made of itself")
        compound = compound_of(self.table, component, action)
        if compound is None:
            gaps.append(key)
            return None
        return self._sum(compound, sizes, gaps, (*chain, key))

    def _sum(
        self, compound: Compound, sizes: Mapping[str, float], gaps: list[str], chain: tuple[str, ...]
    ) -> Charges | None:
        total: Charges = {}
        for part in compound.parts:
            found = self._part(part, sizes, gaps, chain)
            if found is None and not part.optional:
                return None
            if found is None:
                self.missing.add(f"{part.component}.{part.action}")
                continue
            times = evaluate(part.times, sizes)
            for key, value in found.items():
                total[key] = total.get(key, 0.0) + times * value
        return total

    def _part(self, part: Part, sizes: Mapping[str, float], gaps: list[str], chain: tuple[str, ...]) -> Charges | None:
        if part.optional and any(
            isinstance(text, str) and text in _UNKNOWABLE and text not in sizes for _, text in part.sizes
        ):
            return None
        at = {name: evaluate(text, sizes) for name, text in part.sizes}
        return self._resolve(part.component, part.action, at, gaps, chain)


_UNKNOWABLE = ("length_um",)
"""Sizes that follow from areas, which a table may not have."""


def compound_of(table: EnergyTable, component: str, action: str) -> Compound | None:
    """The table's own compound of that name, else the machine's."""
    for compound in table.compounds:
        if (compound.component, compound.action) == (component, action):
            return compound
    return _machine_compounds().get((component, action))


@lru_cache(maxsize=1)
def _machine_compounds() -> Mapping[tuple[str, str], Compound]:
    return {(c.component, c.action): c for c in machine_compounds()}
