"""Laws of ``activation_buffer.resident_bytes: auto``: the memory is divided as serves the objective, and more of it never does harm.

Beside the objective energy they ask for a table in which an access costs the same in memories of any size (in shipped ones larger
memories cost more per access, so that more SRAM may be worth less use of it), for what closed forms know exactly (no bursts, no
coded weights, no fused pairs), for codes of whole bytes, which any tile may cut, and for layers that read no more in larger tiles
(those of a strided slice read the rows between its own).
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.arch import Arch
from accelsim.builder import build_program
from accelsim.energy import count_actions
from accelsim.graph import Graph, MacLayer, Reshape, StridedSlice, shared_memory
from accelsim.hardware import packed_bytes
from accelsim.mapper import OBJECTIVES, divide_memory, map_graph, network_cost
from accelsim.objective import Objective
from accelsim.program import Program, tensor_bytes
from tests.generate import random_arch, random_graph, roomy

RESIDENT, SIZE = "activation_buffer.resident_bytes", "activation_buffer.size_bytes"
seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def flat_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``horowitz_45nm`` with memories whose accesses cost what those of 8 KiB do."""
    text = (files("accelsim") / "energy" / "tables" / "horowitz_45nm.yaml").read_text(encoding="utf-8")
    by_size = (
        r"law: power\n    at: \{bits: 64, capacity_bytes: 8192\}\n    exponents: \{bits: 1, capacity_bytes: [0-9.]+\}"
    )
    text, found = re.subn(by_size, "law: linear\n    at: {bits: 64}", text)
    assert found == 4  # memories, and scratchpads
    path = tmp_path_factory.mktemp("table") / "flat.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def drawn(seed: int, **edits: Any) -> tuple[Graph, Arch]:
    """A network of whole bytes, and a machine of one core that closed forms know exactly, its memory to be divided."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, most_layers=7)
    while any(bits % 8 for bits in widths(graph)) or any(isinstance(x, StridedSlice) for x in graph.layers):
        graph = random_graph(rng, most_layers=7)
    plain = {
        "cores.count": 1, "dram.standard": None, "dram.burst_bytes": 1, "dma.weight_compression": None, RESIDENT: 0,
        "activation_buffer.fuse_pairs": False,
    }  # fmt: skip
    arch = roomy(random_arch(rng, sharing=0.0).with_(plain), graph)
    return graph, arch.with_({RESIDENT: "auto", **edits})


def widths(graph: Graph) -> list[int]:
    """Of all tensors and weights."""
    weights = [layer.weight_format.bits for layer in graph.layers if isinstance(layer, MacLayer)]
    return [tensor.format.bits for tensor in graph.tensors.values()] + weights


def built(graph: Graph, arch: Arch, objective: Objective) -> Program:
    """As the default mapper divides the memory and cuts the layers."""
    machine = divide_memory(graph, arch=arch, objective=objective)
    return build_program(graph, arch=machine, mappings=map_graph(graph, arch=machine, objective=objective))


def traffic(program: Program) -> int:
    """Bytes at the DRAM."""
    counts = count_actions(program)
    return int((counts.dram_read + counts.dram_write).sum()) // 8


@relaxed
@given(seeds, st.sampled_from([1.1, 1.5, 2, 4, 16, 256]))
def test_more_memory_never_means_more_traffic(flat_table: Path, seed: int, more: float) -> None:
    graph, arch = drawn(seed, **{"tech.energy_table": flat_table})
    larger = arch.with_({SIZE: int(arch.activation_buffer.size_bytes * more)})
    assert traffic(built(graph, larger, "energy")) <= traffic(built(graph, arch, "energy"))


@relaxed
@given(seeds, st.booleans())
def test_when_everything_fits_only_compulsory_traffic_is_left(flat_table: Path, seed: int, fused: bool) -> None:
    """With room for all tensors at once and for every layer in one tile. Inputs come once for each layer that reads them."""
    room = {f"{name}.size_bytes": 2**24 for name in ("weight_buffer", "activation_buffer", "output_buffer")}
    rest = {"accumulator.count": 2**22, "tech.energy_table": flat_table, "activation_buffer.fuse_pairs": fused}
    graph, arch = drawn(
        seed,
        **room,
        **rest,
        **{
            "activation_buffer.im2col": "implicit",
            "dma.write_bytes": 1,
            "dma.whole_weight_tiles": False,
            "requantizer.parameter_bytes": 0,
        },
    )
    assert traffic(built(graph, arch, "energy")) <= compulsory(graph)


def compulsory(graph: Graph) -> int:
    """Bytes of weights, of outputs, and, for each layer, of what it reads that stands in DRAM anyway: inputs and outputs of the network."""
    macs = [layer for layer in graph.layers if isinstance(layer, MacLayer) and len(layer.inputs) == 1]
    weights = sum(int(packed_bytes(np.prod(x.geometry.weight_shape), x.weight_format.bits)) for x in macs)
    home = shared_memory(graph.layers)
    read = [home.get(name, name) for layer in graph.layers if not isinstance(layer, Reshape) for name in layer.inputs]
    outputs = [port.tensor for port in graph.outputs]
    outside = {home.get(name, name) for name in outputs}
    given = [name for name in read if name not in graph.producer or name in outside]
    return weights + sum(tensor_bytes(graph, name) for name in [*given, *outputs])


@relaxed
@given(seeds, st.sampled_from(OBJECTIVES), st.booleans())
@example(356, "cycles", False)  # a network of one Reshape, which costs nothing
def test_auto_is_never_worse_than_nothing_kept(seed: int, objective: Objective, fused: bool) -> None:
    """Nor than any other division that is tried."""
    graph, arch = drawn(seed, **{"activation_buffer.fuse_pairs": fused})
    machine = divide_memory(graph, arch=arch, objective=objective)

    def cost(size: int) -> float:
        return network_cost(graph, arch=arch.with_({RESIDENT: size}), objective=objective).by(objective)

    assert cost(machine.activation_buffer.kept_bytes) <= cost(0)


@pytest.mark.parametrize("count", [2, 3])
def test_several_cores_keep_nothing(count: int) -> None:
    """They exchange tensors through DRAM; the Result says so, of the same machine as with 0."""
    arch = accelsim.load_arch("edge_16x16").with_({"cores.count": count, RESIDENT: "auto"})
    result = accelsim.simulate("digits_cnn", arch=arch)
    assert result.notes[0] == (
        "activation_buffer.resident_bytes of auto: 0 of 64 KiB keep tensors on chip; several cores exchange tensors through DRAM only"
    )
    assert result.total == accelsim.simulate("digits_cnn", arch=arch.with_({RESIDENT: 0})).total
