"""Numba kernel of the default mapper for a whole network: its choice for every MAC layer of a machine that the streamed schedule knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.hardware import AT_ARRAY, Bursts, Im2col, Machine, Operands, PerMemory, Unit
from accelsim.mapper._candidates import candidates_of as _tiered_candidates
from accelsim.mapper._estimate import DramSide, choose
from accelsim.numba_cache import inner, njit
from accelsim.timing import MAC, NONE, Kept, Network
from accelsim.timing.compiled import array_of_chip, dma_of_chip, kept_operand, loops_of_record, windows_of_record

MAPPED = -1
candidates_of: Any = _tiered_candidates.compiled  # type: ignore[attr-defined]
"""As compiled functions call it."""
_BYTES = Bursts(1.0, 0.0, 0.0, 0.0)


@inner
def _machine(record: Any, chip: Any, width: Any) -> Machine:
    """The machine for the operands of a layer."""
    return Machine(
        array_of_chip(chip, width, record.weight_bits, record.activation_bits),
        PerMemory(chip.weight_slot, chip.activation_slot, chip.accumulator_slot, chip.output_slot),
        PerMemory(chip.weight_depth, chip.activation_depth, chip.accumulator_depth, chip.output_depth),
        Operands(record.weight_bits, record.activation_bits, record.output_bits, width.sum_words),
        dma_of_chip(chip),
        Im2col(AT_ARRAY, chip.activation_width),
        Unit(chip.requantizer_lanes, 0),
        Unit(1, chip.activation_width),
    )


@njit
def map_network(network: Network, chip: Any, widths: Any, kept: Kept, twins: Any, slack: float, tilings: Any) -> int:
    """Write the tile of every MAC layer into ``tilings``; the first layer that nothing fits, else MAPPED.

    ``twins``: an earlier layer of the same loop nest and widths, which is cut alike where the same operands are kept on chip.
    """
    nowhere = np.zeros(3)
    for index in range(len(network.layers)):
        record = network.layers[index]
        if record.kind != MAC:
            continue
        twin, outputs = twins[index], kept.outputs[index]
        inputs = kept_operand(network.operands, network.operands.first[index], kept)
        # In two steps: the operands of no twin must not be asked for.
        alike = twin != NONE and kept.outputs[twin] == outputs
        if alike and kept_operand(network.operands, network.operands.first[twin], kept) == inputs:
            tilings[index] = tilings[twin]
            continue
        layer, (rows, columns) = loops_of_record(record), windows_of_record(record)
        dram = DramSide(_BYTES, nowhere, nowhere, nowhere, inputs, outputs, False, 0.0)
        machine = _machine(record, chip, widths[record.width])
        best = choose(machine, dram, layer, candidates_of(layer, rows, columns, machine.array), slack)
        if not best.fits:
            return index
        tiling, tile = tilings[index], best.tile
        tiling.n, tiling.oh, tiling.ow, tiling.oc, tiling.ic = tile.n, tile.oh, tile.ow, tile.oc, tile.ic
        tiling.kh, tiling.kw, tiling.groups, tiling.order = tile.kh, tile.kw, tile.groups, best.order
    return MAPPED
