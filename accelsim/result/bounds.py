"""Two floors under a layer's cycles: the array's work at full use, and its operands and result once through the DRAM port."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import STREAMS, Arch, StreamName
from accelsim.graph import Layer, MacLayer
from accelsim.hardware import Engine, dma_of, packed_bytes, stored_bits
from accelsim.program import Program

Cycles = NDArray[np.int64]
_LOADS: Mapping[StreamName, Engine] = {"weights": Engine.LOAD_WEIGHTS, "activations": Engine.LOAD_ACTIVATIONS}


def compute_bounds(program: Program) -> Cycles:
    """Fewest cycles of each layer on all cores' full arrays: products x passes / (MACs x products per MAC), rounded up."""
    size = program.arch.peak_macs_per_cycle
    return np.array([math.ceil(work / size) for work in array_work(program)], dtype=np.int64)


def traffic_bounds(program: Program) -> Cycles:
    """Fewest cycles of each layer at the port of its streams that is busiest."""
    busiest: Cycles = _port_bounds(program).max(axis=0)
    return busiest


def traffic_bound(program: Program) -> int:
    """Fewest cycles of the network at the port that is busiest. Layers at different ones overlap, so that this may be less than what
    :func:`traffic_bounds` add up to."""
    return int(_port_bounds(program).sum(axis=1).max())


def _port_bounds(program: Program) -> Cycles:
    """Fewest cycles of each layer at each port, int64 of shape (ports, layers).

    Every operand that is loaded from DRAM and every result that is stored there, each of its bytes moved once (of an operand
    that is read in part, what was read), at the DRAM's bandwidth without set-up; 0 where nothing goes through DRAM.
    """
    moved = {stream: _moved(program, (engine,)) for stream, engine in _LOADS.items()}
    columns = moved["weights"].shape[1]
    sizes = np.array([_operand_bytes(program, layer, columns) for layer in program.graph.layers], dtype=np.int64)
    once = {stream: np.minimum(loaded, sizes.reshape(loaded.shape)).sum(axis=1) for stream, loaded in moved.items()}
    once["outputs"] = _moved(program, (Engine.STORE,)).sum(axis=1)
    return np.stack([_port_cycles(once, port, program.arch) for port in set(program.arch.streams.ports.values())])


def _port_cycles(once: Mapping[StreamName, Cycles], port: int, arch: Arch) -> Cycles:
    """Cycles of each layer at one port, of so many bytes of each stream."""
    mine = [(once[stream], dma) for stream in STREAMS if (dma := dma_of(arch, stream)).port == port]
    pace = math.lcm(*(dma.bandwidth for _, dma in mine))
    work = np.sum([size.astype(object) * (dma.clock * pace // dma.bandwidth) for size, dma in mine], axis=0)
    cycles: Cycles = (-(-work // pace)).astype(np.int64)
    return cycles


def array_work(program: Program) -> list[float]:
    """Processing-element cycles that the products of each layer need, at the array's rate for their widths."""
    return [_array_work(layer, program) for layer in program.graph.layers]


def _array_work(layer: Layer, program: Program) -> float:
    if not isinstance(layer, MacLayer):
        return 0
    bits, array = program.graph.tensors[layer.inputs[0]].format.bits, program.arch.array
    widths = layer.code_format.bits, bits
    return layer.macs * array.passes(*widths) / array.composed(*widths)


def _moved(program: Program, engines: tuple[Engine, ...]) -> Cycles:
    """Bytes moved by ``engines``, int64 of shape (layers, 1 + operands): of weights first."""
    alike = program.groups
    moved = np.zeros((len(program.graph.layers), 2 + int(alike.operand.max(initial=-1))), dtype=np.int64)
    np.add.at(
        moved, (alike.layer, alike.operand + 1), np.where(np.isin(alike.engine, engines), alike.sums(program.amount), 0)
    )
    return moved


def _operand_bytes(program: Program, layer: Layer, columns: int) -> list[int]:
    """Bytes of the layer's constant weights, then of each input, then zeros."""
    weights = 0
    if isinstance(layer, MacLayer) and len(layer.inputs) == 1:
        weights = int(packed_bytes(layer.geometry.oc * layer.geometry.reduction, stored_bits(layer, program.arch)))
    inputs = [program.graph.tensors[name].bytes for name in layer.inputs]
    return ([weights, *inputs] + [0] * columns)[:columns]
