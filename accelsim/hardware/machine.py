"""A machine for the operands of one layer, as compiled code reads it; and what transfers of arrays of sizes take on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch, StreamName
from accelsim.graph import Graph, MacGeometry, MacLayer
from accelsim.hardware.array import array_of
from accelsim.hardware.buffers import accumulator_words, capacity_of, depth
from accelsim.hardware.kinds import Memory
from accelsim.hardware.laws import transfer_cycles, unit_cycles
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
    vector unit on each output in the same pass.
    """

    weight: int
    activation: int
    output: int
    stored: int | None = None
    zero_points: bool = False
    steps: int = 0
    decoded: bool = False

    @property
    def held(self) -> int:
        """Of a weight in memory."""
        return self.stored or self.weight


def operand_bits(layer: MacLayer, graph: Graph, arch: Arch) -> OperandBits:
    """Widths of a MAC layer's weights, activations and output on ``arch``."""
    activation, output = (graph.tensors[name].format.bits for name in (layer.inputs[0], layer.output))
    weight, stored = layer.code_format.bits, stored_bits(layer, arch)
    return OperandBits(
        weight=weight,
        activation=activation,
        output=output,
        stored=stored if stored < weight else None,
        zero_points=layer.has_weight_zero_points,
        steps=_steps_behind(layer, graph, arch),
        decoded=is_decoded(layer, arch),
    )


class Pass(NamedTuple):
    """Layer ``producer``, whose outputs layer ``consumer``, the next one, takes as the requantizer makes them; ``tensor`` is what lies
    between, and stands nowhere. ``operand``: the consumer's input that is read beside, -1: none."""

    producer: int
    consumer: int
    tensor: str
    operand: int


def passes_of(graph: Graph, arch: Arch) -> tuple[Pass, ...]:
    """The layers of ``graph`` that ``arch`` computes in one pass, in their order: the one decision that all others take from here."""
    if not arch.vector.passes:
        return ()
    return tuple(
        Pass(index, index + 1, graph.layers[index].output, follower.operand)
        for index, follower in graph.followers.items()
        if not follower.obstacle and arch.vector.fuses(follower.kind)
    )


def _steps_behind(layer: MacLayer, graph: Graph, arch: Arch) -> int:
    """Steps of the vector unit on each output of ``layer`` in the same pass; 0 where none follows."""
    follower = graph.followers.get(graph.producer[layer.output]) if arch.vector.passes else None
    return follower.steps if follower and not follower.obstacle and arch.vector.fuses(follower.kind) else 0


def loops_of(g: MacGeometry) -> Loops:
    """The loop nest of a whole layer."""
    return Loops(g.n, g.oh, g.ow, g.oc_per_group, g.ic_per_group, g.kh, g.kw, g.groups)


def weight_blocks(arch: Arch, weight_bits: int, activation_bits: int) -> tuple[int, int]:
    """(steps of a sum, channels) of the blocks in which weights stand in memory; of one where they are packed, as all are in bursts."""
    array = arch.array
    if not arch.dma.whole_weight_tiles or arch.dram.bytes_per_burst > 1:
        return 1, 1
    return array.rows * array.products(weight_bits, activation_bits), array.cols


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
        operands=Operands(
            bits.held,
            bits.activation,
            bits.output,
            accumulator_words(bits.activation, arch),
            *weight_blocks(arch, bits.weight, bits.activation),
        ),
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
