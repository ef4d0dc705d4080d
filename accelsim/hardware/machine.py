"""A machine for the operands of one layer, as compiled code reads it; and what transfers of arrays of sizes take on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch, StreamName
from accelsim.graph import PIXEL, Follower, Graph, MacGeometry, MacLayer
from accelsim.hardware.array import array_of
from accelsim.hardware.buffers import accumulator_words, capacity_of, depth
from accelsim.hardware.kinds import Memory
from accelsim.hardware.laws import fits, footprint, transfer_cycles, unit_cycles
from accelsim.hardware.parts import (
    Loops,
    Machine,
    Operands,
    PerMemory,
    dma_of,
    im2col_of,
    requantizer_of,
    resident_of,
    streams_of,
)
from accelsim.hardware.weight_coding import is_decoded, stored_bits

Counts = NDArray[np.int64]
_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class OperandBits:
    """Widths of a MAC layer's operands and result, in bits: ``weight`` where they are multiplied, ``stored`` in memory, the same where None.

    ``zero_points``: whether some weights have one other than 0; ``decoded``: whether they are decoded in front of the array. ``steps``: of the
    vector unit on each output in the same pass, at whose end a ``window`` of rows and columns is one element.
    """

    weight: int
    activation: int
    output: int
    stored: int | None = None
    zero_points: bool = False
    steps: int = 0
    decoded: bool = False
    window: tuple[int, int] = PIXEL

    @property
    def held(self) -> int:
        """Of a weight in memory."""
        return self.stored or self.weight


def operand_bits(layer: MacLayer, graph: Graph, arch: Arch) -> OperandBits:
    """Widths of a MAC layer's weights, activations and output on ``arch``, and what follows in the same pass."""
    bits = _bits(layer, graph, arch)
    behind = _pass_from(graph.producer[layer.output], graph, arch) if arch.vector.passes else None
    return bits if behind is None else replace(bits, steps=behind.steps, window=behind.window)


def _bits(layer: MacLayer, graph: Graph, arch: Arch) -> OperandBits:
    """As if nothing followed."""
    activation, output = (graph.tensors[name].format.bits for name in (layer.inputs[0], layer.output))
    weight, stored = layer.code_format.bits, stored_bits(layer, arch)
    return OperandBits(
        weight=weight,
        activation=activation,
        output=output,
        stored=stored if stored < weight else None,
        zero_points=layer.has_weight_zero_points,
        decoded=is_decoded(layer, arch),
    )


class Pass(NamedTuple):
    """Layer ``producer``, whose outputs the layers behind it up to ``consumer`` take as the requantizer makes them; the ``tensors`` in
    between stand nowhere.

    ``reader``, ``operand``: the layer in it that reads another tensor beside, and which of its inputs that is; -1: none. ``steps`` of the
    vector unit per output of the producer, of which a ``window`` of rows and columns becomes one output of the pass.
    """

    producer: int
    consumer: int
    tensors: tuple[str, ...]
    reader: int
    operand: int
    steps: int
    window: tuple[int, int]

    @property
    def behind(self) -> range:
        """The layers that are computed on the fly."""
        return range(self.producer + 1, self.consumer + 1)


def passes_of(graph: Graph, arch: Arch) -> tuple[Pass, ...]:
    """The layers of ``graph`` that ``arch`` computes in one pass, in their order: the one decision that all others take from here."""
    if not arch.vector.passes:
        return ()
    found = (_pass_from(index, graph, arch) for index in graph.followers if isinstance(graph.layers[index], MacLayer))
    return tuple(one for one in found if one is not None)


def _pass_from(index: int, graph: Graph, arch: Arch) -> Pass | None:
    """Of the layer with MACs of that number: each layer behind it while there is one of another kind that the machine takes; a pool, which
    ends it, only where nothing is read beside and there is no :func:`window_obstacle`."""
    kinds, reader, operand, steps, window, last = set[str](), -1, -1, 0, PIXEL, index
    while (follower := graph.followers.get(last)) is not None:
        fused = not follower.obstacle and follower.kind not in kinds and arch.vector.fuses(follower.kind)
        if fused and follower.kind == "pool":
            fused = "elementwise" not in kinds and not window_obstacle(index, follower, graph, arch)
        if not fused:
            break
        last += 1
        kinds.add(follower.kind)
        steps, window = steps + follower.steps, follower.window
        if follower.operand >= 0:
            reader, operand = last, follower.operand
        if follower.kind == "pool":
            break
    if last == index:
        return None
    return Pass(index, last, tuple(graph.layers[i].output for i in range(index, last)), reader, operand, steps, window)


def window_obstacle(index: int, follower: Follower, graph: Graph, arch: Arch) -> str:
    """Why the machine cannot have windows of a pool in tiles of the layer with MACs of number ``index``; "" where it can.

    The least tile has one window of as many channels as the array has columns (all, where there are fewer), and one of its products each.
    Until it is decided how many bytes keep tensors, none do.
    """
    if not arch.activation_buffer.is_divided:
        arch = arch.with_({"activation_buffer.resident_bytes": 0})
    (rows, columns), layer = follower.window, graph.layers[index]
    assert isinstance(layer, MacLayer)
    g, bits = layer.geometry, _bits(layer, graph, arch)
    area = int(g.axis("h").span(rows, 1) * g.axis("w").span(columns, 1))
    tile = Loops(1, rows, columns, min(arch.array.cols, g.oc_per_group), 1, 1, 1, 1)
    operands = _operands(replace(bits, window=follower.window), arch)
    if fits(capacity_of(arch), footprint(operands, im2col_of(arch), tile, area)):
        return ""
    return f"the buffers hold no window of {rows}x{columns} for {tile.oc} channels"


def loops_of(g: MacGeometry) -> Loops:
    """The loop nest of a whole layer."""
    return Loops(g.n, g.oh, g.ow, g.oc_per_group, g.ic_per_group, g.kh, g.kw, g.groups)


def weight_blocks(arch: Arch, weight_bits: int, activation_bits: int) -> tuple[int, int]:
    """(steps of a sum, channels) of the blocks in which weights stand in memory; of one where they are packed, as all are in bursts."""
    array = arch.array
    if not arch.dma.whole_weight_tiles or arch.dram.bytes_per_burst > 1:
        return 1, 1
    return array.rows * array.products(weight_bits, activation_bits), array.cols


def _operands(bits: OperandBits, arch: Arch) -> Operands:
    return Operands(
        bits.held,
        bits.activation,
        bits.output,
        accumulator_words(bits.activation, arch),
        *weight_blocks(arch, bits.weight, bits.activation),
        *bits.window,
        1 / math.prod(bits.window),
    )


def machine_of(bits: OperandBits, arch: Arch, *, turns: int = 1) -> Machine:
    """``arch`` for the operands of a MAC layer; so many cores take ``turns`` at the DRAM port."""
    memories = Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.ACCUMULATORS, Memory.OUTPUTS
    return Machine(
        array=array_of(
            arch,
            weight_bits=bits.weight,
            activation_bits=bits.activation,
            zero_points=bits.zero_points,
            stored_bits=bits.stored,
            decoded=bits.decoded,
        ),
        capacity=capacity_of(arch),
        depth=PerMemory(*(depth(memory, arch) for memory in memories)),
        operands=_operands(bits, arch),
        streams=streams_of(arch, turns=turns),
        im2col=im2col_of(arch),
        requantizer=requantizer_of(arch, steps=bits.steps),
        resident=resident_of(arch),
    )


def dma_cycles(size: Counts, arch: Arch, stream: StreamName, commands: Any = 0) -> Counts:
    """Cycles that each transfer of ``size`` bytes holds its queue and the port of its ``stream``."""
    dma = dma_of(arch, stream)
    if int(size.max(initial=0)) * dma.clock > _INT64_MAX:
        size = size.astype(object)  # Python's integers, for the few machines where int64 could wrap
    cycles: Counts = transfer_cycles(dma, 1, size, commands).astype(np.int64, copy=False)
    return cycles


def resident_cycles(size: Counts, arch: Arch) -> Counts:
    """Cycles that moving ``size`` bytes into or out of the resident memory takes, at least 1."""
    cycles: Counts = unit_cycles(resident_of(arch), np.ones_like(size), size)
    return cycles
