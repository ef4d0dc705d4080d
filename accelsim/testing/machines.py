"""Random machines, tilings and Programs; everything follows from one generator of numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.graph import Graph, Layer, VectorLayer
from accelsim.hardware import DATAFLOWS, packed_bytes
from accelsim.mapper import map_graph
from accelsim.program import (
    MacMapping,
    Mapping,
    Program,
    VectorMapping,
    fuse,
    in_whole_bytes,
    obstacle,
    row_axis,
    window_bytes,
)
from accelsim.testing.networks import Rng, random_graph

Mappings = tuple[Mapping | None, ...]


def random_array(rng: Rng, dataflow: str | None = None) -> dict[str, object]:
    """Shape and dataflow; an adder tree adds the products of all its rows at once and preloads nothing."""
    rows, chosen = int(rng.integers(1, 20)), dataflow or str(rng.choice(list(DATAFLOWS)))
    tree = chosen == "adder_tree"
    return {
        "array.rows": rows,
        "array.cols": int(rng.integers(1, 20)),
        "array.dataflow": chosen,
        "array.weight_preload": "serial" if tree else str(rng.choice(["serial", "overlapped"])),
        "accumulator.products_per_add": rows if tree else 1,
    }


def random_arch(rng: Rng, *, dataflow: str | None = None) -> Arch:
    """A machine with every knob turned at random; :func:`roomy` makes its buffers hold the smallest tiles of a network.

    One of three keeps no tensors on chip; most of those have several cores.
    """
    resident = int(rng.choice([0, rng.integers(1, 400), rng.integers(400, 6000)]))
    arch = load_arch("edge_16x16").with_(
        random_array(rng, dataflow)
        | {
            "array.pipeline_stages": int(rng.choice([0, 0, rng.integers(1, 9)])),
            "array.activation_bits": int(rng.choice([4, 8])),
            "accumulator.count": int(rng.integers(4, 200)),
            "weight_buffer.size_bytes": int(rng.integers(16, 400)),
            "activation_buffer.size_bytes": resident + int(rng.integers(400, 2000)),
            "activation_buffer.resident_bytes": resident,
            "activation_buffer.fuse_pairs": resident > 0 and resident % 2 == 0,
            "activation_buffer.bytes_per_cycle": None if rng.random() < 0.5 else int(rng.integers(1, 9)),
            "activation_buffer.im2col": str(rng.choice(["implicit", "implicit", "buffer", "dram"])),
            "output_buffer.size_bytes": int(rng.integers(100, 500)),
            "requantizer.lanes": int(rng.integers(1, 17)),
            "vector.lanes": int(rng.integers(1, 17)),
            "dma.queues": int(rng.choice([1, 2, 3, 3])),
            "dma.setup_cycles": int(rng.integers(0, 10)),
            "dma.weight_compression": None if rng.random() < 0.6 else "zero_run_length",
            "dma.zero_run_bits": int(rng.integers(1, 6)),
            "dram.bandwidth_bytes_per_s": int(rng.integers(10**7, 10**10)),
            "dram.latency_ns": float(rng.integers(0, 200)),
            "dram.burst_bytes": int(rng.choice([1, 1, 8, 64])),
            "dram.standard": None if rng.random() < 0.6 else str(rng.choice(["LPDDR5_6400", "HBM2_2000", "DDR4_3200"])),
        }
        | {f"{name}_buffer.ports": int(rng.integers(1, 3)) for name in ("weight", "activation", "output")}
        | {f"{name}_buffer.banks": int(rng.integers(1, 4)) for name in ("weight", "activation", "output")}
        | {
            f"{name}.double_buffered": bool(rng.integers(2))
            for name in ("accumulator", "weight_buffer", "activation_buffer", "output_buffer")
        }
    )
    if resident:
        return arch
    cores, split = int(rng.choice([1, 2, 3, 5])), str(rng.choice(["auto", "channels", "rows"]))
    return arch.with_({"cores.count": cores, "cores.split": split})


def roomy(arch: Arch, graph: Graph) -> Arch:
    """``arch`` with buffers that hold two of the longest rows that some layer of ``graph`` needs whole, and windows of wide codes."""
    bits = max(tensor.format.bits for tensor in graph.tensors.values())
    rows = [x.output_shape[-1] for x in graph.layers if isinstance(x, VectorLayer) and x.whole_axes]
    longest = 2 * int(packed_bytes(max(rows, default=0), max(8, bits)))
    slots = arch.activation_buffer.size_bytes - arch.activation_buffer.resident_bytes
    slots *= -(-bits // 8)
    edits = {"output_buffer.size_bytes": max(arch.output_buffer.size_bytes, longest)}
    edits["accumulator.count"] = max(arch.accumulator.count, 8 * -(-bits // 8))
    edits["activation_buffer.size_bytes"] = arch.activation_buffer.resident_bytes + max(slots, longest)
    return arch.with_(edits)


def random_mapping(rng: Rng, layer: Layer, best: Mapping | None) -> Mapping | None:
    """A legal mapping that the mapper would not have chosen: the chosen tiles, some of them cut further."""
    if isinstance(best, MacMapping):
        free = ("oh", "ow", "kh", "kw", "groups", "n", *(() if best.groups > 1 else ("oc", "ic")))
        cut: dict[str, Any] = {name: int(rng.integers(1, getattr(best, name) + 1)) for name in free}
        return replace(best, order=str(rng.choice(["weights_outer", "activations_outer"])), band=0, **cut)
    if isinstance(best, VectorMapping):
        whole = layer.whole_axes if isinstance(layer, VectorLayer) else ()
        cuts = [size if i in whole else int(rng.integers(1, size + 1)) for i, size in enumerate(best.tile)]
        return VectorMapping(tile=tuple(cuts))
    return None


def with_bands(rng: Rng, graph: Graph, mappings: Mappings, arch: Arch) -> Mappings:
    """The same tiles, with random bands for random pairs of layers that may be computed in step."""
    made = [mapping and replace(mapping, band=0) for mapping in mappings]
    for reader in range(1, len(made)):
        mapping, before = made[reader], made[reader - 1]
        if mapping is None or before is None or before.band or obstacle(graph, reader) or rng.random() < 0.3:
            continue
        view = graph.layers[reader].output_shape
        pair = fuse(graph, reader, int(rng.integers(1, 1 + max(1, view[row_axis(view)] // 2))))
        fits = window_bytes(graph, pair) <= arch.activation_buffer.resident_bytes
        if fits and in_whole_bytes(graph, pair.tensor, made[pair.maker]):
            made[reader] = replace(mapping, band=pair.computed[0])
    return tuple(made)


def random_mappings(rng: Rng, graph: Graph, arch: Arch, *, bands: bool = False) -> Mappings:
    """The mapper's tiles, or worse ones, half of the time each; some pairs of layers in ``bands``."""
    mappings: Mappings = map_graph(graph, arch=arch)
    if rng.random() < 0.5:
        mappings = tuple(random_mapping(rng, layer, m) for layer, m in zip(graph.layers, mappings, strict=True))
    return with_bands(rng, graph, mappings, arch) if bands and rng.random() < 0.7 else mappings


def random_program(seed: int, *, draw: Callable[[Rng], Graph] = random_graph, bands: bool = True) -> Program:
    """A network that ``draw`` makes, a machine, and :func:`random_mappings`."""
    rng = np.random.default_rng(seed)
    graph = draw(rng)
    arch = roomy(random_arch(rng), graph)
    return build_program(graph, arch=arch, mappings=random_mappings(rng, graph, arch, bands=bands))
