"""The laws draw every parameter of a machine, or say who does: a new one that no law ever turns fails here by its path."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from accelsim.testing.machines import random_arch
from tests.mixed_formats import mixed_arch

NAMES = dict.fromkeys(("name", "description", "source"), "changes no result")
PRICES = dict.fromkeys(("tech.dram", "tech.energy_table", "tech.node_nm", "tech.voltage_v"), "tests/energy")
UNDRAWN = {
    **NAMES,
    **PRICES,
    "arithmetic": "a graph's own: tests/generate.py draws it with the layers",
    "overrides": "a graph's own: tests/generate.py draws them with the layers",
    "requantizer.stages": "a graph's own, as overrides are: tests/test_output_stages.py, tests/numerics/test_stages.py",
    "clock_hz": "only its ratio to dram.bandwidth_bytes_per_s counts, which is drawn",
    "array.first_cycle": "numbers cycles, moves none: tests/test_simulation.py, tests/arch/test_presets.py",
    "array.mac": "refuses weights that are no powers of two: tests/hardware/test_weight_zero_points.py",
    **{
        f"streams.{name}.energy_pj_per_bit": "a price: tests/energy/test_memories.py"
        for name in ("weights", "activations")
    },
    "accumulator.bias_bits": "refuses biases: tests/arch/test_array_and_sums.py",
}


def test_every_parameter_of_a_machine_is_drawn() -> None:
    seen = defaultdict(set)
    for seed in range(80):
        for arch in (random_arch(np.random.default_rng(seed)), mixed_arch(np.random.default_rng(seed))):
            for path in arch.paths():
                seen[path].add(repr(arch.get(path)))
    fixed = {path for path, values in seen.items() if len(values) == 1}
    assert not (new := sorted(fixed - UNDRAWN.keys())), (
        f"{new}: draw them in accelsim/testing/machines.py (or tests/mixed_formats.py), or say in UNDRAWN who tests them"
    )
    assert not (idle := sorted(UNDRAWN.keys() - fixed)), f"{idle} are drawn: take them out of UNDRAWN"
