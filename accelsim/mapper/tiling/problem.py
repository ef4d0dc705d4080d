"""What the mapper's kernels read of a layer on a machine: where its tensors stand, what moving and computing costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Apart, Arch
from accelsim.energy import Costs, action_charges, memory_prices, prices
from accelsim.graph import Graph, MacGeometry, MacLayer
from accelsim.hardware import IMPLICIT, accumulator_words, activation_share, held_share, operand_bits

if TYPE_CHECKING:
    from accelsim.mapper.tiling._sums import Case

Rates = dict[str, Any]
RATES = np.dtype(
    [
        (name, np.float64)
        for name in (
            "mac", "requant", "weight_read", "activation_read", "accumulator_write", "weight_byte", "activation_byte",
            "output_byte", "dram_read_byte", "dram_write_byte", "weight_memory_byte", "input_memory_byte", "recalled_byte",
            "kept_byte", "cycle",
        )
    ]
)  # fmt: skip
"""Picojoules of a layer per product, requantization, element read, accumulator word written, byte moved, and cycle; of a byte that is read
outside the buffers ``dram_read_byte``, and ``weight_memory_byte`` or ``input_memory_byte`` more where they stand in other memories."""


class OnChip(NamedTuple):
    """Whether a layer's input, its output, and its weights, one tile then, are on chip, where they cost the DRAM port nothing."""

    inputs: bool
    outputs: bool
    weights: bool = False


THROUGH_DRAM = OnChip(inputs=False, outputs=False)


def case_of(layer: MacLayer, share: MacGeometry, *, shares: int, arch: Arch, kept: OnChip, code_bits: int = -1) -> Case:
    """Of one of so many ``shares`` of ``layer``; ``code_bits``: of its weights in DRAM at least, where they are coded, else -1."""
    from accelsim.mapper.tiling._sums import Case

    buffer, g = arch.activation_buffer, layer.geometry
    as_bound = arch.output_buffer.bytes_per_cycle is None and arch.dram.bytes_per_burst == arch.dma.write_bytes == 1
    as_bound = as_bound and (buffer.im2col == IMPLICIT or buffer.bytes_per_cycle is None) and code_bits < 0
    as_bound = as_bound and not arch.requantizer.parameter_bytes
    return Case(
        as_bound=as_bound,
        shares=shares,
        input_channels=share.ic,
        tensor_inputs=g.ic,
        tensor_outputs=g.oc,
        burst=8 * arch.dram.bytes_per_burst,
        code_bits=code_bits,
        parameters=arch.requantizer.parameter_bytes if len(layer.inputs) == 1 else 0,
        inputs_kept=kept.inputs,
        outputs_kept=kept.outputs,
        weights_kept=kept.weights,
    )


def rates_of(
    pj: Mapping[str, Any],
    *,
    stored_bits: Any,
    weight_bits: Any,
    activation_bits: Any,
    words: Any,
    stationary: str | None,
    apart: Apart,
    idle: Any,
    coded: float = 1.0,
) -> Rates:
    """The fields of RATES of a MAC layer from picojoules per action (``pj``, by name of its count) and per cycle (``idle``); numbers,
    or arrays of as many layers. Weights or activations may stand ``apart`` from the DRAM, and a share of ``coded`` of
    the bytes of activations be moved."""
    weights, inputs, outputs = (8 * (of + pj["dma_transfer"]) for of in memory_prices(pj, apart))
    nothing = 0.0 * pj["array_load"]
    split = any(apart) or coded < 1
    load_weights, load_inputs = (pj["array_load"] if stationary == kind else nothing for kind in ("weights", "inputs"))
    return {
        "mac": pj["array_mac"],
        "requant": pj["requantizer_requant"],
        "weight_read": stored_bits * pj["weight_buffer_read"] + weight_bits * load_weights + pj["weight_decode"],
        "activation_read": activation_bits * (pj["activation_buffer_read"] + load_inputs) + pj["array_sum"],
        "accumulator_write": words * (pj["accumulator_read"] + pj["accumulator_write"] + pj["array_correct"]),
        "weight_byte": 8 * pj["weight_buffer_write"],
        "activation_byte": 8 * pj["activation_buffer_write"],
        "output_byte": 8 * (pj["output_buffer_write"] + pj["output_buffer_read"]),
        "dram_read_byte": nothing if split else inputs,
        "dram_write_byte": coded * outputs,
        "weight_memory_byte": weights if split else nothing,
        "input_memory_byte": coded * inputs if split else nothing,
        "recalled_byte": 8 * pj["activation_buffer_read"],
        "kept_byte": 8 * pj["activation_buffer_write"],
        "cycle": idle,
    }


def layer_rates(layer: MacLayer, graph: Graph, arch: Arch, costs: Costs, idle: float) -> Rates:
    """:func:`rates_of` one layer, whose machine takes ``idle`` picojoules a cycle."""
    bits, share = operand_bits(layer, graph, arch), held_share(layer, arch)
    rates = rates_of(
        prices(action_charges(layer, graph=graph, arch=arch, costs=costs)),
        stored_bits=bits.held * share,
        weight_bits=bits.weight,
        activation_bits=bits.activation,
        words=accumulator_words(bits.activation, arch),
        stationary=arch.array.flow.stationary,
        apart=arch.streams.apart,
        idle=idle,
        coded=float(activation_share(arch)),
    )
    return {**rates, "weight_byte": rates["weight_byte"] * share}


def rate_records(rates: Rates, count: int) -> NDArray[np.void]:
    """Records of RATES for so many layers."""
    made = np.zeros(count, dtype=RATES)
    for name, rate in rates.items():
        made[name] = rate
    return made
