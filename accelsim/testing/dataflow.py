"""The contract of a dataflow: what its compute tiles take and read, on any array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from accelsim.arch import Arch
from accelsim.hardware import Array, ArrayCost, ComputeTiles, array_cost, array_of
from accelsim.testing.contract import Contract
from accelsim.testing.machines import random_arch, random_program
from accelsim.testing.mapper import assert_same_values

SIZES = ("pixels", "reduction", "channels", "groups")
TILES = 60
"""Random compute tiles on each machine."""


PLAIN: dict[str, Any] = {
    "array.weight_preload": "serial", "array.drain": "serial", "array.reduction": "flat", "array.stripe_pixels": None,
    "array.step_folds": 1, "array.group_folds": "apart",
    "array.dot_products": 1, "array.issue_cycles": 0, "array.fold_issue_cycles": 0, "array.weight_zero_points": "subtract",
    "weight_buffer.decoders": None, "weight_buffer.coding": None,
}  # fmt: skip
"""Makes of any array the one that a walk over its folds is written for."""


class DataflowContract(Contract):
    """Of the dataflow that is called ``dataflow`` in a machine's ``array.dataflow``."""

    dataflow: ClassVar[str]

    def walk(self, arch: Arch, *, pixels: int, reduction: int, channels: int) -> int | None:
        """Cycles of one tile alone counted fold by fold, a second definition of the dataflow; None without one."""
        return None

    def machines(self) -> Iterator[tuple[str, Arch, ComputeTiles]]:
        """Random arrays, ports of any width, each with random compute tiles."""
        for seed, rng in self.draws():
            sizes: dict[str, Any] = {name: rng.integers(1, 5 if name == "groups" else 50, TILES) for name in SIZES}
            tiles = ComputeTiles(**sizes, weights_kept=rng.random(TILES) < 0.5)
            yield f"seed {seed}: ", random_arch(rng, dataflow=self.dataflow), tiles

    def array(self, arch: Arch) -> Array:
        """For operands of 8 bits."""
        return array_of(arch, weight_bits=8, activation_bits=8)

    def at_most(self, less: ArrayCost, more: ArrayCost, message: str) -> None:
        """``less`` takes no more cycles, held or until the last sum, than ``more``."""
        self.expect((less.cycles <= more.cycles).all(), f"{message} holds the array longer")
        self.expect((less.cycles + less.latency <= more.cycles + more.latency).all(), f"{message} ends later")

    def test_no_array_is_faster_than_its_macs(self) -> None:
        """Cycles >= products / (rows x columns); streaming is a part of them."""
        for where, arch, tiles in self.machines():
            cost, size = array_cost(tiles, self.array(arch)), arch.array.macs
            work = tiles.pixels * tiles.reduction * tiles.channels * tiles.groups * self.array(arch).passes
            self.expect((cost.cycles * size >= work).all(), f"{where}fewer cycles than {size} MACs need")
            self.expect((cost.stream_cycles <= cost.cycles).all(), f"{where}streams longer than it holds the array")
            self.expect((cost.latency >= 0).all() and (cost.cycles >= 1).all(), f"{where}no time")

    def test_every_operand_is_read(self) -> None:
        """At least once, unless its weights were kept; and every sum is written."""
        for where, arch, tiles in self.machines():
            cost, products = array_cost(tiles, self.array(arch)), tiles.groups * tiles.reduction
            weights = np.where(tiles.weights_kept, 0, products * tiles.channels)
            self.expect((cost.weight_reads >= weights).all(), f"{where}reads fewer weights than a tile has")
            self.expect((cost.activation_reads >= products * tiles.pixels).all(), f"{where}reads fewer activations")
            sums = tiles.groups * tiles.pixels * tiles.channels
            self.expect((cost.accumulator_writes >= sums).all(), f"{where}writes fewer sums than a tile has")

    def test_a_larger_tile_never_takes_less(self) -> None:
        """Along each axis."""
        for where, arch, tiles in self.machines():
            for name in SIZES:
                larger = replace(tiles, **{name: getattr(tiles, name) + 1})
                self.at_most(
                    array_cost(tiles, self.array(arch)),
                    array_cost(larger, self.array(arch)),
                    f"{where}a tile with less {name}",
                )

    def test_kept_weights_never_cost_more(self) -> None:
        """Those of the tile before."""
        for where, arch, tiles in self.machines():
            kept, fresh = (
                array_cost(replace(tiles, weights_kept=np.full(TILES, k)), self.array(arch)) for k in (True, False)
            )
            self.at_most(kept, fresh, f"{where}a tile whose weights were kept")
            self.expect((kept.weight_reads <= fresh.weight_reads).all(), f"{where}kept weights are read more often")

    def test_one_tile_costs_what_a_walk_over_its_folds_counts(self) -> None:
        """Where :meth:`walk` gives a second definition."""
        for where, drawn, tiles in self.machines():
            ports = {f"{name}_buffer.bytes_per_cycle": None for name in ("weight", "activation")}
            arch, one = (
                drawn.with_({**ports, **PLAIN, "array.activation_bits": 8}),
                np.ones_like(tiles.groups),
            )
            alone = replace(tiles, groups=one, weights_kept=np.zeros(TILES, dtype=bool))
            cost = array_cost(alone, self.array(arch))
            for i, taken in enumerate((cost.cycles + cost.latency).tolist()):
                sizes = {name: int(getattr(alone, name)[i]) for name in SIZES[:3]}
                counted = self.walk(arch, **sizes)
                self.expect(counted in (None, taken), f"{where}{sizes}: {taken} cycles, {counted} by the walk")

    def test_programs_keep_every_mac_and_every_bit(self) -> None:
        """Law 4 and law 3 on random networks."""
        for seed, rng in self.draws():
            program = random_program(seed, dataflow=self.dataflow)
            self.expect(program.macs == program.graph.macs, f"seed {seed}: {program.macs} of {program.graph.macs} MACs")
            assert_same_values(program, rng, f"seed {seed}: ")
