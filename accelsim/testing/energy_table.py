"""The contract of an energy table: every action of every machine priced, by figures that say where they come from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from accelsim.energy import CHARGES, EnergySplit, EnergyTable, count_actions, layer_energy, quantity_of
from accelsim.program import Program
from accelsim.testing.contract import Contract
from accelsim.testing.machines import random_program


class EnergyTableContract(Contract):
    """Of what ``table`` gives."""

    def table(self) -> EnergyTable:
        """The table under test, for instance ``load_table("mine.yaml")``."""
        raise NotImplementedError(f"{type(self).__name__}: override table")

    def charged(self) -> Iterator[tuple[str, Program, tuple[EnergySplit, ...]]]:
        """Random Programs and the energy of their layers."""
        for seed in self.seeds:
            program = random_program(seed)
            yield f"seed {seed}: ", program, layer_energy(program, count_actions(program), self.table())

    def test_every_entry_says_its_source_and_unit(self) -> None:
        """And a range that holds the value."""
        for entry in self.table().entries:
            self.expect(entry.source.strip(), f"entry {entry.key} names no source")
            self.expect(quantity_of(entry.action), f"entry {entry.key} has no unit")
            low, high = entry.range
            self.expect(0 < low <= 1 <= high, f"entry {entry.key}: its range {low}..{high} does not hold its value")

    def test_no_component_is_missing(self) -> None:
        """What a machine does costs something, but for the charges that a table may leave out."""
        for where, program, splits in self.charged():
            columns = count_actions(program).columns()
            for name, charge in CHARGES.items():
                busy = np.flatnonzero(columns[charge.count])
                paid = all(splits[i].components.get(charge.component, 0) > 0 for i in busy)
                self.expect(charge.optional or paid, f"{where}{name} costs nothing")

    def test_energy_is_linear_in_the_table(self) -> None:
        """Twice the picojoules, twice the energy (law 6); areas, which lengthen wires, stay."""
        double = self.table().scaled(2.0)
        for where, program, splits in self.charged():
            counts = count_actions(program)
            twice = [split.total for split in layer_energy(program, counts, double)]
            np.testing.assert_allclose(twice, [2 * split.total for split in splits], rtol=1e-9, err_msg=where)

    def test_energy_adds_up(self) -> None:
        """By component, by entry and by tensor (law 6); nothing is negative."""
        for where, _, splits in self.charged():
            for split in splits:
                for parts in (split.components, split.entries, split.tensors):
                    np.testing.assert_allclose(sum(parts.values()), split.total, rtol=1e-9, err_msg=where)
                    self.expect(all(value >= 0 for value in parts.values()), f"{where}energy below 0: {dict(parts)}")
