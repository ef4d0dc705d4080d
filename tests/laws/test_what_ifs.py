"""A machine that has more of something is no worse by the objective that it is mapped for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import accelsim
from accelsim.arch import Arch, load_arch
from accelsim.mapper import OBJECTIVES, Objective
from tests.generate import random_graph

SLACK = 1.005
PRESETS = "edge_16x16", "os_16x16", "mcu_npu"


def machine(rng: np.random.Generator) -> Arch:
    """Of any size, around a small preset."""

    def power(least: int, most: int) -> int:
        return int(2 ** rng.integers(least, most))

    memories = {f"{name}.size_bytes": power(9, 16) for name in ("weight_buffer", "activation_buffer")}
    sizes = {"array.rows": power(1, 6), "array.cols": power(1, 6), "output_buffer.size_bytes": power(9, 14)}
    port = {
        "dram.bandwidth_bytes_per_s": int(10 ** rng.uniform(8, 10.5)),
        "dram.latency_ns": float(rng.integers(100)),
        "dma.queues": int(rng.integers(1, 4)),
    }
    rest = {
        "accumulator.count": power(8, 13),
        "requantizer.lanes": power(0, 6),
        "activation_buffer.resident_bytes": 0,
    }
    return load_arch(str(rng.choice(PRESETS))).with_(memories | sizes | port | rest)


def more(arch: Arch) -> dict[str, dict[str, Any]]:
    """Edits that give a machine more of something."""
    buffers = ("weight_buffer", "activation_buffer", "output_buffer")
    return {
        "bandwidth": {"dram.bandwidth_bytes_per_s": 2 * arch.dram.bandwidth_bytes_per_s},
        "queues": {"dma.queues": min(3, arch.dma.queues + 1)},
        **{name: {f"{name}.size_bytes": 2 * getattr(arch, name).size_bytes} for name in buffers},
    }


class Step(NamedTuple):
    """What more of something makes of an objective: the new value over the old one."""

    seed: int
    objective: Objective
    more: str
    ratio: float


def steps(seed: int) -> Iterator[Step]:
    """All of a random network on a random machine."""
    rng = np.random.default_rng(seed)
    graph, arch = random_graph(rng), machine(rng)
    edits = more(arch)
    for objective in OBJECTIVES:
        rows = accelsim.evaluate(graph, arch=arch, edits=[{}, *edits.values()], objective=objective)
        cycles, energy = rows["cycles"].astype(float), rows["energy_pj"]
        value = {"cycles": cycles, "energy": energy, "edp": cycles * energy}[objective]
        for name, after in zip(edits, value[1:].tolist(), strict=True):
            if cycles[0] > 0 and after > 0:
                yield Step(seed, objective, name, after / float(value[0]))


def anomalies(seeds: range) -> tuple[int, list[Step]]:
    """How many steps were taken, and those that made the objective worse by more than half a percent.

    Larger memories take more energy per access, which no mapping mends: their steps are taken for cycles alone.
    """
    found = [s for seed in seeds for s in steps(seed) if s.objective == "cycles" or not s.more.endswith("buffer")]
    return len(found), [step for step in found if step.ratio > SLACK]


def test_more_of_anything_is_seldom_worse() -> None:
    """Of random networks on random machines; docs/whatif.md lists what is found."""
    taken, worse = anomalies(range(60))
    assert taken > 300
    assert len(worse) <= 0.03 * taken, worse


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_fewer_weight_bits_are_never_worse(objective: Objective) -> None:
    """Of packaged networks: 16, 8 and 4 bits."""
    for network in ("digits_cnn", "mobilenet_v2"):
        edits = [{"weights.bits": bits} for bits in (16, 8, 4)]
        rows = accelsim.evaluate(network, arch="edge_16x16", edits=edits, objective=objective)
        cycles, energy = rows["cycles"].astype(float), rows["energy_pj"]
        value = {"cycles": cycles, "energy": energy, "edp": cycles * energy}[objective]
        assert (value[1:] <= SLACK * value[:-1]).all()
