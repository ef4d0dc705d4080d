"""Tile operations of one MAC layer: [load weights] [load activations] compute ... requantize store."""

from __future__ import annotations

import numpy as np

from accelsim.arch import Arch
from accelsim.builder.records import ALONE, NOWHERE, Follower, MacJob
from accelsim.builder.size import block_operations, tile_of
from accelsim.builder.state import BuildState
from accelsim.errors import ProgramError
from accelsim.graph import Layer, MacGeometry, MacLayer
from accelsim.hardware import loops_of, operand_bits
from accelsim.numerics import IntFormat
from accelsim.program import MacMapping, MacShare


def build_mac_layer(index: int, layer: MacLayer, mapping: MacMapping, state: BuildState, share: MacShare) -> None:
    """All operations of one core's ``share`` of ``layer``, linked to its memories and to the stores of ``state``."""
    from accelsim.builder._mac import mac_block

    check_bias(layer, state.arch)
    check_factors(layer, state.arch)
    g = share.geometry
    job = state.once((g, mapping), lambda: mac_job(g, mapping))
    if index in state.passes:
        job = job._replace(follower=_follower(state, index))
    machine = state.machine(operand_bits(layer, state.graph, state.arch))
    left, right = state.source(layer, 0), state.source(layer, 1) if len(layer.inputs) > 1 else NOWHERE
    block = state.block(index, share, block_operations(layer, share, mapping, in_pass=index in state.passes))
    state.end_block(block, mac_block(job, machine, state.port, left, right, block, state.columns, state.ends))


def mac_job(g: MacGeometry, m: MacMapping) -> MacJob:
    """A block of a layer cut as ``m`` says."""
    return MacJob(loops_of(g), tile_of(m), m.order == "weights_outer", g.axis("h"), g.axis("w"), ALONE)


def _follower(state: BuildState, index: int) -> Follower:
    """The layers behind layer ``index`` in the same pass."""
    one = state.passes[index]
    if one.operand < 0:
        return ALONE._replace(steps=one.steps, rows=one.window[0], cols=one.window[1])
    layer, number = state.graph.layers[one.reader], one.operand
    bits = state.bits(layer.inputs[number])
    return Follower(one.steps, state.source(layer, number), bits, *stretched_of(layer, number), *one.window)


def stretched_of(layer: Layer, operand: int) -> tuple[int, int]:
    """Axes of an operand of an element-wise layer (0: of none), and of the output's a bit for each along which it has one element."""
    if operand < 0:
        return 0, 0
    view = layer.input_shapes[operand]
    apart = len(layer.output_shape) - len(view)
    return len(view), sum(1 << (axis + apart) for axis, size in enumerate(view) if size == 1)


def check_factors(layer: MacLayer, arch: Arch) -> None:
    """ProgramError for the first weight that an array of shifters does not multiply by."""
    if arch.array.mac != "shift_add":
        return
    remedy = "quantize them so (--weight-format power-of-two or ternary), or set array.mac to multiply"
    if len(layer.inputs) > 1:
        raise ProgramError(
            f"layer {layer.name!r}: array.mac of shift_add multiplies by powers of two, and both of its operands are activations; set "
            "array.mac to multiply",
            layer=layer.name,
        )
    if layer.weights is None:
        return
    magnitudes = np.abs(layer.weights.astype(np.int64))
    wrong = np.argwhere(magnitudes & (magnitudes - 1))
    if len(wrong):
        value = int(layer.weights[tuple(wrong[0])])
        raise ProgramError(
            f"layer {layer.name!r}: array.mac of shift_add multiplies by 0 and powers of two, and a weight of output channel "
            f"{int(wrong[0][0])} is {value}; {remedy}",
            layer=layer.name,
            value=value,
        )


def check_bias(layer: MacLayer, arch: Arch) -> None:
    """ProgramError for the first bias that the machine's bias registers do not hold."""
    if layer.array_bias is None or arch.accumulator.bias_bits is None:
        return
    fmt = IntFormat(arch.accumulator.bias_bits)
    wide = np.flatnonzero((layer.array_bias < fmt.min) | (layer.array_bias > fmt.max))
    if wide.size:
        channel = int(wide[0])
        value = int(layer.array_bias[channel])
        raise ProgramError(
            f"layer {layer.name!r}: the bias {value} of output channel {channel} does not fit {fmt.bits} bits "
            f"({fmt.min}..{fmt.max}); widen accumulator.bias_bits, or set it to null: as wide as the sum",
            layer=layer.name,
            channel=channel,
            value=value,
            bits=fmt.bits,
        )
