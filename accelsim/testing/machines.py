"""Random machines, tilings and Programs; everything follows from one generator of numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.arch import DATAFLOWS, Arch, load_arch
from accelsim.builder import build_program
from accelsim.graph import PIXEL, Graph, Layer, VectorLayer
from accelsim.hardware import packed_bytes, passes_of
from accelsim.mapper import map_graph
from accelsim.program import LOOP_ORDERS, MacMapping, Mapping, Program, VectorMapping
from accelsim.testing.networks import Rng, random_graph

Mappings = tuple[Mapping | None, ...]


_RANGES = {
    "array.cols": (1, 20), "accumulator.count": (4, 200), "weight_buffer.size_bytes": (16, 400),
    "output_buffer.size_bytes": (100, 500), "requantizer.lanes": (1, 17), "vector.lanes": (1, 17), "dma.setup_cycles": (0, 10),
    "dma.zero_run_bits": (1, 6), "dram.bandwidth_bytes_per_s": (10**7, 10**10), "dram.latency_ns": (0, 200),
    **{f"{name}_buffer.ports": (1, 3) for name in ("weight", "activation", "output")},
    **{f"{name}_buffer.banks": (1, 4) for name in ("weight", "activation", "output")},
}  # fmt: skip
_CHOICES: dict[str, tuple[Any, ...]] = {
    "array.activation_bits": (4, 8), "array.pipeline_stages": (0, 0, 0, 1, 3, 8), "dma.queues": (1, 2, 3, 3),
    "activation_buffer.bytes_per_cycle": (None, None, 1, 3, 8), "dma.weight_compression": (None, None, "zero_run_length"),
    "activation_buffer.im2col": ("implicit", "implicit", "buffer", "dram"), "dram.burst_bytes": (1, 1, 8, 64),
    "dram.standard": (None, None, None, None, "LPDDR5_6400", "HBM2_2000", "DDR4_3200"),
    **{f"{name}.double_buffered": (False, True) for name in ("accumulator", "weight_buffer", "output_buffer")},
    "activation_buffer.double_buffered": (False, True), "weight_buffer.bytes_per_cycle": (None, 16, 16, 3),
    "output_buffer.bytes_per_cycle": (None, None, None, 1, 4), "requantizer.streaming": (False, False, True),
    "vector.fuse_activations": (False, True), "vector.fuse_elementwise": (False, True),
    "vector.fuse_pools": (False, True),
    "requantizer.pipeline_stages": (0, 0, 1, 5),
    "requantizer.parameter_bytes": (0, 0, 10), "array.reduction": ("flat", "flat", "per_tap"), "array.issue_cycles": (0, 0, 0, 7),
    "array.fold_issue_cycles": (0, 0, 0, 3), "dma.write_bytes": (1, 1, 1, 4), "dma.whole_weight_tiles": (False, False, True),
    "streams.weights.port": (None, None, "flash"),
    "streams.weights.bandwidth_bytes_per_s": (None, None, 10**8), "streams.activations.latency_ns": (None, None, 30.0),
    "streams.activations.bandwidth_bytes_per_s": (None, None, 10**9), "streams.activations.port": (None, None, None, "in"),
    "streams.weights.latency_ns": (None, None, 0.0), "streams.outputs.latency_ns": (None, None, 70.0),
    "streams.outputs.port": (None, None, "out", "flash"), "streams.outputs.bandwidth_bytes_per_s": (None, None, 3 * 10**8),
    "array.weight_scratchpad_bytes": (None, None, 64), "array.activation_scratchpad_bytes": (None, None, 24),
    "array.sum_scratchpad_bytes": (None, None, 96), "array.hop_um": (None, 200.0), "array.zero_gating": (None, None, 0.25),
    "weight_buffer.decoders": (None, 1, 7), "weight_buffer.coding": (None, None, None, "codebook", "golomb_rice"),
}  # fmt: skip


SHARING = 0.25
"""Share of random machines whose weights and activations stand in one memory."""


def random_arch(rng: Rng, *, dataflow: str | None = None, sharing: float = SHARING) -> Arch:
    """A machine with every knob turned at random; :func:`roomy` makes its buffers hold the smallest tiles of a network.

    An adder tree adds the products of all its rows at once and preloads nothing. One machine of three keeps no tensors on chip; most
    of those have several cores. Of some, ``sharing`` of all, weights and activations stand in one memory.
    """
    resident = int(rng.choice([0, int(rng.integers(1, 400)), int(rng.integers(400, 6000))]))
    chosen, rows = dataflow or list(DATAFLOWS)[int(rng.integers(len(DATAFLOWS)))], int(rng.integers(1, 20))
    tree = DATAFLOWS[chosen].broadcast
    edits: dict[str, Any] = {name: int(rng.integers(*ends)) for name, ends in _RANGES.items()}
    edits |= {name: values[int(rng.integers(len(values)))] for name, values in _CHOICES.items()}
    slots = int(rng.choice([2, 2, 3, 8])) if edits["weight_buffer.double_buffered"] else 2
    edits["weight_buffer.size_bytes"] += 8 * (slots - 2)  # codes of 16 bits in rows of 4
    edits |= {"array.dataflow": chosen, "array.rows": rows, "accumulator.products_per_add": rows if tree else 1}
    edits["array.weight_preload"] = "serial" if tree else str(rng.choice(["serial", "overlapped"]))
    edits["array.weight_zero_points"] = str(rng.choice(["subtract", "extra_channel"])) if rows > 1 else "subtract"
    edits["array.drain"] = "serial" if tree else str(rng.choice(["serial", "overlapped"]))
    if tree:
        edits |= dict.fromkeys(
            ("array.zero_gating", *(f"array.{name}_scratchpad_bytes" for name in ("weight", "activation", "sum")))
        )
    edits["array.stripe_pixels"] = int(rng.choice([1, 4, 16])) if tree and rng.integers(2) else None
    edits["array.step_folds"] = int(rng.choice([1, 2, 4])) if tree else 1
    edits["array.group_folds"] = str(rng.choice(["apart", "side_by_side"])) if tree else "apart"
    edits["array.dot_products"] = 1 if tree else int(rng.choice([1, 1, 3]))
    if edits["weight_buffer.coding"] == "golomb_rice":
        edits["dma.weight_compression"] = None
        edits["dma.whole_weight_tiles"] = False
    if edits["dma.weight_compression"] is not None:
        edits["dma.whole_weight_tiles"] = False
    if edits["dma.whole_weight_tiles"]:  # so many of one tile at 16 bits
        edits["weight_buffer.size_bytes"] += 2 * slots * rows * edits["array.cols"] * edits["array.dot_products"]
    if edits["dram.standard"] is not None or edits["dram.burst_bytes"] > 1:
        edits["dma.write_bytes"] = 1
    edits["activation_buffer.size_bytes"] = resident + int(rng.integers(400, 2000))
    edits["activation_buffer.resident_bytes"] = resident
    edits["activation_buffer.fuse_pairs"] = resident > 0 and resident % 2 == 0
    edits["weight_buffer.slots"] = slots
    if rng.random() < sharing:
        edits["weight_buffer.slots"] = 2
        room = int(rng.integers(400, 1000))
        fixed = edits["activation_buffer.fuse_pairs"] or rng.random() < 1 / 4
        edits |= _shared(rng, edits["weight_buffer.size_bytes"], room, resident)
        edits["shared_buffer.weight_banks"] = edits["shared_buffer.weight_banks"] if fixed else None
    if not resident:
        edits["cores.count"] = int(rng.choice([1, 2, 3, 5]))
        edits["cores.split"] = str(rng.choice(["auto", "channels", "rows"]))
    apart = rng.spawn(1)[0]
    return load_arch("edge_16x16").with_(edits | _memories(apart) | _coded(apart))


def _coded(rng: Rng) -> dict[str, Any]:
    """Of a quarter of the machines, how many zeros of activations are coded."""
    zeros = (None, None, None, 0.0, 0.6, 0.9)[int(rng.integers(6))]
    return {"dma.activation_compression": None if zeros is None else "run_length", "dma.activation_zeros": zeros or 0.0}


def _memories(rng: Rng) -> dict[str, Any]:
    """Of half of the machines, weights or activations in an SRAM outside the buffers, which every energy table prices; DRAMs by name are
    prices alone, as ``tech.dram`` is."""
    edits: dict[str, Any] = {}
    for name in ("weights", "activations"):
        memory = (None, None, "sram")[int(rng.integers(3))]
        edits[f"streams.{name}.memory"] = memory
        edits[f"streams.{name}.memory_bytes"] = None if memory is None else int(rng.integers(10**4, 10**5))
    return edits


def _shared(rng: Rng, weights: int, activations: int, resident: int) -> dict[str, Any]:
    """One memory in place of two of so many bytes, with a bank more for each kind of data that may begin none of its own."""
    kinds = 2 + (resident > 0)
    banks = int(rng.choice([kinds, 8, 8, 32, 64]))
    bank = (
        max(weights, activations, resident)
        if banks == kinds
        else -(-(weights + activations + resident) // (banks - kinds))
    )
    edits: dict[str, Any] = dict.fromkeys(("weight_buffer.size_bytes", "activation_buffer.size_bytes"))
    edits |= {
        f"{name}_buffer.{key}": value
        for name in ("weight", "activation")
        for key, value in (("banks", 1), ("ports", 2))
    }
    edits |= {"shared_buffer.size_bytes": banks * bank + int(rng.integers(banks)), "shared_buffer.banks": banks}
    return edits | {"shared_buffer.weight_banks": -(-weights // bank)}


def roomy(arch: Arch, graph: Graph) -> Arch:
    """``arch`` with buffers that hold two of the longest rows that some layer of ``graph`` needs whole, and windows of wide codes."""
    bits = max(tensor.format.bits for tensor in graph.tensors.values())
    rows = [x.output_shape[-1] for x in graph.layers if isinstance(x, VectorLayer) and x.whole_axes]
    longest = 2 * int(packed_bytes(max(rows, default=0), max(8, bits)))
    edits = {"output_buffer.size_bytes": max(arch.output_buffer.size_bytes, longest)}
    edits["accumulator.count"] = max(arch.accumulator.count, 8 * -(-bits // 8))
    if arch.activation_buffer.size_bytes is None:
        bank = max(arch.shared_buffer.bank_bytes * -(-bits // 8), longest)
        edits["shared_buffer.size_bytes"] = (arch.shared_buffer.banks or 0) * bank
        return arch.with_(edits)
    kept = arch.activation_buffer.kept_bytes
    slots = (arch.activation_buffer.size_bytes - kept) * -(-bits // 8)
    edits["activation_buffer.size_bytes"] = kept + max(slots, longest)
    return arch.with_(edits)


def random_mapping(rng: Rng, layer: Layer, best: Mapping | None, window: tuple[int, int] = PIXEL) -> Mapping | None:
    """A legal mapping that the mapper would not have chosen: the chosen tiles, some of them cut further, into whole pieces of ``window``."""
    if isinstance(best, MacMapping):
        free = ("oh", "ow", "kh", "kw", "groups", "n", *(() if best.groups > 1 else ("oc", "ic")))
        cut: dict[str, Any] = {name: int(rng.integers(1, getattr(best, name) + 1)) for name in free}
        cut |= {name: -(-cut[name] // side) * side for name, side in zip(("oh", "ow"), window, strict=True)}
        return replace(best, order=LOOP_ORDERS[int(rng.integers(2))], band=0, **cut)
    if isinstance(best, VectorMapping):
        whole = layer.whole_axes if isinstance(layer, VectorLayer) else ()
        cuts = [size if i in whole else int(rng.integers(1, size + 1)) for i, size in enumerate(best.tile)]
        return VectorMapping(tile=tuple(cuts))
    return None


def random_mappings(rng: Rng, graph: Graph, arch: Arch) -> Mappings:
    """The mapper's tiles, or worse ones, half of the time each."""
    mappings: Mappings = map_graph(graph, arch=arch)
    return cut_further(rng, graph, arch, mappings) if rng.random() < 0.5 else mappings


def cut_further(rng: Rng, graph: Graph, arch: Arch, mappings: Mappings) -> Mappings:
    """:func:`random_mapping` of every layer."""
    windows = {one.producer: one.window for one in passes_of(graph, arch)}
    layers = zip(graph.layers, mappings, strict=True)
    return tuple(random_mapping(rng, layer, m, windows.get(i, PIXEL)) for i, (layer, m) in enumerate(layers))


def random_program(seed: int, *, dataflow: str | None = None) -> Program:
    """A random network on a machine that has room for it, of ``dataflow`` if named, in :func:`random_mappings`."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    arch = roomy(random_arch(rng, dataflow=dataflow), graph)
    return build_program(graph, arch=arch, mappings=random_mappings(rng, graph, arch))
