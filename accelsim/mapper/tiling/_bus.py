"""Bytes on the bus of a DRAM that moves whole bursts, and its commands: what is expected of a tiling, whose runs begin anywhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.hardware import AT_DMA, Bursts, Loops, Machine, Operands
from accelsim.hardware.compiled import box_bytes, packed_bytes, parts, rows_cycles, windows_bytes
from accelsim.mapper.tiling._cycles import Ports
from accelsim.mapper.tiling._sums import Case, Seen, Traffic
from accelsim.numba_cache import inner
from accelsim.program.compiled import Nest


class DramSide(NamedTuple):
    """What an estimate needs of the DRAM: its bursts, the inner three sizes of the tensors as they stand there, and the size of coded
    weights over their own (0: they are not coded)."""

    bursts: Bursts
    weights: Any
    inputs: Any
    outputs: Any
    coded: float


class Boxes(NamedTuple):
    """Sizes of the boxes that tiles load and store, as their tensors stand in DRAM: of full channels and taps, and of as many pixels as
    tiles have on average."""

    weights: Any
    inputs: Any
    outputs: Any


@inner
def boxes_of(operands: Operands, layer: Loops, tile: Loops, seen: Seen) -> Boxes:
    """Of the tiles of a layer, which see inputs as often as they are fetched, and store what leaves the pass."""
    down, across = parts(layer.oh, tile.oh), parts(layer.ow, tile.ow)
    rows = seen.rows / (down * parts(layer.kh, tile.kh))
    columns = seen.columns / (across * parts(layer.kw, tile.kw))
    return Boxes(
        (tile.groups * tile.oc, tile.kh, tile.kw, tile.ic),
        (float(tile.n), rows, columns, float(tile.groups * tile.ic)),
        (
            float(tile.n),
            layer.oh / (down * operands.pool_rows),
            layer.ow / (across * operands.pool_cols),
            float(tile.groups * tile.oc),
        ),
    )


@inner
def on_bus(
    machine: Machine, case: Case, dram: DramSide, tile: Loops, box: Boxes, loads: tuple[Nest, int, int], moved: Traffic
) -> Traffic:
    """``moved`` with the bytes on the bus that are expected."""
    burst, bits, (nest, weight_loads, input_loads) = dram.bursts.size, machine.operands, loads
    if burst == 1:
        weight_bus = int(moved.weights * dram.coded)
        return Traffic(
            moved.weights, moved.inputs, moved.held, moved.outputs, weight_bus, moved.input_bus, moved.output_bus
        )
    if dram.coded > 0:
        taps = tile.oc * tile.groups * tile.kh * tile.kw
        weights = np.ceil(packed_bytes(taps * tile.ic, bits.weight_bits) * dram.coded / burst) * burst
    else:
        weights = box_bytes(burst, float(bits.weight_bits), box.weights, dram.weights)
    (n, rows, columns, channels), (_, oh, ow, _) = box.inputs, box.outputs
    oh, ow = oh * bits.pool_rows, ow * bits.pool_cols
    if machine.im2col.mode == AT_DMA and oh * ow * tile.kh * tile.kw > rows * columns:
        window = tile.kh, tile.kw
        inputs = windows_bytes(burst, float(bits.activation_bits), n * oh * ow, window, channels, dram.inputs)
    else:
        inputs = box_bytes(burst, float(bits.activation_bits), box.inputs, dram.inputs)
    outputs = box_bytes(burst, float(bits.output_bits), box.outputs, dram.outputs)
    return Traffic(
        moved.weights,
        moved.inputs,
        moved.held,
        moved.outputs,
        0 if case.weights_kept else int(weights * weight_loads),
        0 if case.inputs_kept else int(inputs * input_loads),
        0 if case.outputs_kept else int(outputs * nest.spatial * nest.channels),
    )


@inner
def commands_of(machine: Machine, dram: DramSide, box: Boxes, loads: tuple[Nest, int, int], moved: Traffic) -> Ports:
    """Cycles of the DRAM's commands for all transfers: those around each, and those of its bursts or of the rows that it opens."""
    bursts, bits, (nest, weight_loads, input_loads) = dram.bursts, machine.operands, loads
    stores = nest.spatial * nest.channels
    weights = 0.0  # coded, a tile's are a run of its own
    if dram.coded == 0:
        weights = rows_cycles(bursts, bursts.read_again, float(bits.weight_bits), box.weights, dram.weights)
    inputs = rows_cycles(bursts, bursts.read_again, float(bits.activation_bits), box.inputs, dram.inputs)
    outputs = rows_cycles(bursts, bursts.write_again, float(bits.output_bits), box.outputs, dram.outputs)
    each = bursts.each / bursts.size
    return Ports(
        int(weight_loads * bursts.read + max(moved.weight_bus * each, weight_loads * weights)),
        int(input_loads * bursts.read + max(moved.input_bus * each, input_loads * inputs)),
        int(stores * bursts.write + max(moved.output_bus * each, stores * outputs)),
    )
