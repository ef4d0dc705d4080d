"""A network and a machine as the streamed schedule reads them: arrays of named records, made once per Graph and once per Arch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder import NONE, VectorTiles, stretched_of
from accelsim.graph import Graph, Layer, MacLayer, Reshape, shared_memory
from accelsim.hardware import (
    DMA_QUEUES,
    Engine,
    Memory,
    Pass,
    accumulator_words,
    activation_share,
    array_of,
    capacity_of,
    depth,
    output_of,
    requantizer_of,
    stream_ports,
    streaming_of,
    streams_of,
    vector_of,
    weight_blocks,
)

Index = NDArray[np.int64]
MOST_OPERATIONS = 2**21
"""Tile operations that are streamed at once; a network of more goes the way of its Program, which says whether it is held."""
_OF_STREAM = {"clock": "clock", "bandwidth": "bandwidth", "latency": "latency_cycles", "port": "port"}
NOTHING, MAC, VECTOR = range(3)
"""Kinds of layers: a Reshape, which moves nothing; one that the array computes; one of the vector unit."""


def _integers(names: str) -> np.dtype[Any]:
    return np.dtype([(name, np.int64) for name in names.split()])


LAYER = _integers(
    "kind n oh ow oc ic kh kw groups "
    "h_size h_stride h_dilation h_pad h_upsample w_size w_stride w_dilation w_pad w_upsample "
    "weight_bits activation_bits output_bits steps width behind behind_steps reader beside rank stretched pool_rows pool_cols"
)
"""A layer: its loop nest (``oc`` and ``ic`` per group) and windows, widths in bits, lane-steps per output of the vector unit, and
the place of its operands' widths among those of the network. Of a layer with MACs that others follow in its pass: how many
(``behind``) and their lane-steps, how far behind it one is that reads another tensor (``reader``, 0: none does), which operand of that one
is read ``beside`` (NONE: none), its axes and which of them are stretched; and of which window of pixels one is left."""
CHIP = _integers(
    "dataflow rows cols stages overlapped drains_behind by_tap step beside stripe tile_issue fold_issue pipelined weight_port activation_port "
    "weight_slot activation_slot accumulator_slot output_slot bank banks weight_slots activation_slots "
    "weight_depth activation_depth accumulator_depth output_depth "
    "dma_setup dma_queues dma_write weights_clock weights_bandwidth weights_latency weights_port activations_clock activations_bandwidth "
    "activations_latency activations_port outputs_clock outputs_bandwidth outputs_latency outputs_port "
    "requantizer_lanes streaming requantizer_stages vector_lanes activation_width output_width"
)
"""A machine of one core: the fields of :class:`accelsim.hardware.Machine` that do not depend on a layer's widths."""
WIDTH = _integers("passes products sum_words extra block_rows block_cols")
"""What the array makes of operands of some widths."""
TILING = _integers("n oh ow oc ic kh kw groups order cut")
"""How a layer is cut: the tile of a MAC layer and its loop order, or the cut of a vector layer among :class:`Tiles`."""
COUNTS = _integers(
    "operations tiles finish macs weight_bytes input_bytes recalled_bytes recalled_weight_bytes stored_bytes kept_bytes "
    "weight_fill input_fill output_fill beside_fill weight_reads activation_reads sum_writes requants vector_steps stream "
    "store_busy load_activations_busy load_weights_busy compute_busy requantize_busy vector_busy keep_busy recall_busy"
)
"""What a layer did: bytes asked for by its loads and stores, bytes filled into buffers, elements and words, and busy cycles."""


class Operands(NamedTuple):
    """Inputs of all layers: those of layer ``i`` from ``first[i]`` to ``first[i + 1]``.

    ``source``: the layer whose stores each waits for, ``NONE`` for what the host gives; ``computed``: that layer makes the tensor, else
    it is only taken to; ``boxwise``: both see it under one shape, so that a tile waits for the stores under it alone.
    """

    first: Index
    source: Index
    computed: NDArray[np.bool_]
    boxwise: NDArray[np.bool_]
    bits: Index


class Kept(NamedTuple):
    """Which layers' outputs stay on chip, and those whose places the output of layer ``i`` takes: ``over[first[i]:first[i + 1]]``."""

    outputs: Any
    first: Any
    over: Any


class Tiles(NamedTuple):
    """Tiles of vector layers, one cut behind the other in ``all``: cut ``t`` has the tiles from ``first[t]`` to ``first[t + 1]``, and
    reads the boxes from ``reads[t]`` to ``reads[t + 1]``; ``all.shape`` and ``all.tile`` have a row for each cut."""

    first: Any
    reads: Any
    all: VectorTiles


class Network(NamedTuple):
    """Layers (records of LAYER) and their operands."""

    layers: NDArray[Any]
    operands: Operands


def network_of(graph: Graph, passes: Sequence[Pass] = ()) -> tuple[Network, tuple[tuple[int, int, bool], ...]]:
    """The arrays of ``graph`` where a machine computes some layers in ``passes``, and the distinct widths (weights, activations, zero points
    of weights) of its MAC layers, at least one."""
    layers = np.zeros(len(graph.layers), dtype=LAYER)
    layers["pool_rows"] = layers["pool_cols"] = 1
    widths: dict[tuple[int, int, bool], int] = {}
    for row, layer in zip(layers, graph.layers, strict=True):
        for name, value in _layer(layer, graph, widths).items():
            row[name] = value
    for one in passes:
        row = layers[one.producer]
        row["behind"], row["behind_steps"], row["beside"] = len(one.behind), one.steps, one.operand
        row["pool_rows"], row["pool_cols"] = one.window
        if one.operand >= 0:
            row["reader"] = one.reader - one.producer
            row["rank"], row["stretched"] = stretched_of(graph.layers[one.reader], one.operand)
    return Network(layers, _operands(graph)), tuple(widths) or ((1, 1, False),)


def _layer(layer: Layer, graph: Graph, widths: dict[tuple[int, int, bool], int]) -> dict[str, int]:
    if isinstance(layer, Reshape):
        return {"kind": NOTHING}
    output = graph.tensors[layer.output].format.bits
    if not isinstance(layer, MacLayer):
        return {"kind": VECTOR, "output_bits": output, "steps": getattr(layer, "steps_per_output", 1)}
    g, weight, activation = layer.geometry, layer.code_format.bits, graph.tensors[layer.inputs[0]].format.bits
    found = {"kind": MAC, "weight_bits": weight, "activation_bits": activation, "output_bits": output}
    found |= {"n": g.n, "oh": g.oh, "ow": g.ow, "oc": g.oc_per_group, "ic": g.ic_per_group}
    kind = weight, activation, layer.has_weight_zero_points
    found |= {"kh": g.kh, "kw": g.kw, "groups": g.groups, "width": widths.setdefault(kind, len(widths))}
    for side in ("h", "w"):
        axis = g.axis(side)._asdict()
        found |= {f"{side}_{name}": axis[name] for name in ("size", "stride", "dilation", "pad", "upsample")}
    return found


def _operands(graph: Graph) -> Operands:
    home, made, before = shared_memory(graph.layers), dict[str, int](), NONE
    first, rows = [0], []
    for index, layer in enumerate(graph.layers):
        if not isinstance(layer, Reshape):
            for name, view in zip(layer.inputs, layer.input_shapes, strict=True):
                source = made.get(home.get(name, name), NONE)
                same = source != NONE and graph.layers[source].output_shape == view
                other = before if graph.shape_only else NONE
                bits = graph.tensors[name].format.bits
                rows.append((source if source != NONE else other, source != NONE, same, bits))
            made[layer.output] = before = index
        first.append(len(rows))
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    sources, computed, boxwise, bits_of = (np.ascontiguousarray(column) for column in columns)
    return Operands(np.array(first, np.int64), sources, computed > 0, boxwise > 0, bits_of)


def supported(arch: Arch) -> bool:
    """Whether the streamed schedule knows all that ``arch`` does: one core, whole bytes from DRAM, nothing coded, unrolled or fused."""
    plain = arch.dram.channel is None and arch.dram.bytes_per_burst == 1
    plain = plain and arch.dma.weight_compression is None and arch.weight_buffer.coding is None
    plain = plain and activation_share(arch) == 1
    plain = plain and arch.requantizer.parameter_bytes == 0
    plain = plain and arch.array.mac == "multiply"  # whether weights are what it takes, the Program says
    buffer = arch.activation_buffer
    plain = plain and arch.dma.write_bytes == 1
    return plain and arch.cores.count == 1 and buffer.im2col == "implicit" and not buffer.fuse_pairs


def chip_of(arch: Arch) -> dict[str, int]:
    """The fields of CHIP."""
    array, streams, unit = array_of(arch, weight_bits=1, activation_bits=1), streams_of(arch), requantizer_of(arch)
    memories = {"weight": Memory.WEIGHTS, "activation": Memory.ACTIVATIONS, "accumulator": Memory.ACCUMULATORS}
    memories["output"], room = Memory.OUTPUTS, capacity_of(arch)
    return {
        "dataflow": array.dataflow, "rows": array.rows, "cols": array.cols, "stages": array.stages,
        "overlapped": array.overlapped, "drains_behind": array.drains_behind, "by_tap": array.by_tap,
        "step": array.step, "beside": array.beside, "stripe": array.stripe,
        "tile_issue": array.tile_issue, "fold_issue": array.fold_issue, "pipelined": arch.array.pipelines_tiles,
        "weight_port": array.weight_port, "activation_port": array.activation_port,
        **{f"{name}_slot": size for name, size in zip(memories, room, strict=False)},
        **{name: getattr(room, name) for name in ("bank", "banks", "weight_slots", "activation_slots")},
        **{f"{name}_depth": depth(memory, arch) for name, memory in memories.items()},
        "dma_setup": streams.weights.setup_cycles, "dma_queues": streams.weights.queues, "dma_write": streams.weights.write,
        **{f"{name}_{of}": getattr(dma, field) for name, dma in streams._asdict().items() for of, field in _OF_STREAM.items()},
        "requantizer_lanes": unit.lanes, "streaming": streaming_of(arch), "requantizer_stages": unit.stages,
        "vector_lanes": vector_of(arch).lanes, "activation_width": vector_of(arch).width,
        "output_width": output_of(arch).width,
    }  # fmt: skip


def width_of(arch: Arch, weight_bits: int, activation_bits: int, zero_points: bool) -> tuple[int, ...]:
    """The fields of WIDTH."""
    array = array_of(arch, weight_bits=weight_bits, activation_bits=activation_bits, zero_points=zero_points)
    return (
        array.passes,
        array.products,
        accumulator_words(activation_bits, arch),
        array.extra,
        *weight_blocks(arch, weight_bits, activation_bits),
    )


def queues_of(arch: Arch) -> Index:
    """(2, engines): the in-order queue of each engine, and the port at which those of the DMA take turns."""
    shared = np.stack([np.arange(len(Engine), dtype=np.int64), np.zeros(len(Engine), dtype=np.int64)])
    shared[0, : len(DMA_QUEUES[3])] = DMA_QUEUES[arch.dma.queues]
    shared[1, : len(DMA_QUEUES[3])] = stream_ports(arch)
    return shared
