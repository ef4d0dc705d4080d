"""What the exported RTL does not have yet, refused by the name of the field and its value."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from accelsim.arch import Arch
from accelsim.errors import ConfigError
from accelsim.execute import order_free, prove_graph
from accelsim.graph import Graph, MacLayer
from accelsim.handoff.rtl.schemes import SCHEMES, unit_of
from accelsim.hardware import (
    IMPLICIT,
    ComputeTiles,
    Engine,
    Memory,
    accumulator_words,
    array_cost,
    array_of,
    operand_bits,
)
from accelsim.numerics import IntFormat, Requant
from accelsim.program import Program

DATAFLOWS = ("weight_stationary", "output_stationary", "input_stationary", "adder_tree")
"""Dataflows that have RTL."""


def check_machine(arch: Arch) -> None:
    """ConfigError for the first structure of ``arch`` that the RTL does not have."""
    for path, value, expected in _structures(arch):
        if value not in expected:
            shown = " or ".join(
                "null" if one is None else str(one).lower() if isinstance(one, bool) else str(one) for one in expected
            )
            raise ConfigError(
                f"{path} of {value}: the exported RTL has no such structure yet; expected {shown} (--set {path}=...)",
                path=path,
            )


def _structures(arch: Arch) -> Iterator[tuple[str, object, tuple[object, ...]]]:
    array = arch.array
    yield "array.dataflow", array.dataflow, DATAFLOWS
    yield "array.brick_bits", array.brick_bits, (None,)
    yield "array.mac", array.mac, ("multiply",)
    yield "cores.count", arch.cores.count, (1,)
    yield "requantizer.parameter_bytes", arch.requantizer.parameter_bytes, (0,)
    yield "vector.fuse_activations", arch.vector.fuse_activations, (False,)
    yield "vector.fuse_elementwise", arch.vector.fuse_elementwise, (False,)
    yield "vector.fuse_pools", arch.vector.fuse_pools, (False,)
    yield "shared_buffer.size_bytes", arch.shared_buffer.size_bytes, (None,)
    yield "weight_buffer.coding", arch.weight_buffer.coding, (None,)
    yield "activation_buffer.im2col", arch.activation_buffer.im2col, ("implicit", "dram")


def check_network(program: Program) -> None:
    """ConfigError for the first layer, or structure that it asks for, that the RTL does not have."""
    graph, arch = program.graph, program.arch
    for layer in graph.layers:
        if isinstance(layer, MacLayer):
            _check_layer(layer, graph, arch)
    _check_windows(program)
    _check_order(program)
    _check_ports(program)


def _check_windows(program: Program) -> None:
    """Who brings back a kept tensor moves boxes; windows are unrolled by the DMA alone, which is outside."""
    if program.arch.activation_buffer.im2col == IMPLICIT:
        return
    for i in np.flatnonzero(program.of_engine(Engine.RECALL) & np.equal(program.memory, Memory.ACTIVATIONS)).tolist():
        layer = program.graph.layers[program.layer[i]]
        if isinstance(layer, MacLayer):
            raise ConfigError(
                f"activation_buffer.im2col of {program.arch.activation_buffer.im2col}: layer {layer.name!r} reads a tensor kept on chip, and "
                "the exported RTL does not unroll its windows yet; expected implicit, or activation_buffer.resident_bytes of 0",
                path="activation_buffer.im2col",
            )


def _check_layer(layer: MacLayer, graph: Graph, arch: Arch) -> None:
    bits, array = operand_bits(layer, graph, arch), arch.array
    passes = array.passes(bits.weight, bits.activation)
    wrong: list[tuple[bool, str]] = [
        (passes > 1, (f"its {bits.weight}-bit weights and {bits.activation}-bit activations take {passes} passes of array.weight_bits "
         f"{array.weight_bits} and array.activation_bits {array.activation_bits}; widen the ports")),
        (accumulator_words(bits.activation, arch) > 1, "its sums take several accumulator words; set accumulator.word_per_slice to false"),
        (layer.has_weight_zero_points and array.weight_zero_points != "subtract", ("its weights have zero points, and "
         f"array.weight_zero_points is {array.weight_zero_points}")),
        (layer.requant is None, "its sums are not requantized"),
    ]  # fmt: skip
    for is_wrong, reason in wrong:
        if is_wrong:
            raise ConfigError(
                f"layer {layer.name!r}: {reason}; the exported RTL has no such structure yet", layer=layer.name
            )
    if isinstance(layer.requant, Requant) and unit_of(layer.requant.rule) is None:
        raise ConfigError(
            f"layer {layer.name!r}: arithmetic scheme {layer.requant.scheme!r} has no RTL yet; expected one of {', '.join(SCHEMES)}",
            layer=layer.name,
        )
    fmt = IntFormat(arch.accumulator.bits)
    if layer.array_bias is not None and not (
        fmt.contains(int(layer.array_bias.min())) and fmt.contains(int(layer.array_bias.max()))
    ):
        raise ConfigError(
            f"layer {layer.name!r}: accumulator.bits of {fmt.bits} do not hold its bias, at which the exported accumulators start",
            layer=layer.name,
        )


def _check_order(program: Program) -> None:
    """Where sums can leave an accumulator that does not wrap, the model must add as the array does."""
    graph, arch = program.graph, program.arch
    overflow, proofs = arch.accumulator.overflow, prove_graph(graph, arch)
    if order_free(proofs, overflow):
        return
    worst = next(proof for proof in proofs if not proof.safe)
    if overflow == "trap":
        raise ConfigError(
            f"accumulator.overflow of trap: layer {worst.layer!r} can leave {arch.accumulator.bits} bits, and the exported RTL does not "
            "stop there; expected wrap, saturate or saturate_symmetric, or accumulators as wide as "
            f"{worst.bits_needed} bits", path="accumulator.overflow",
        )  # fmt: skip
    adds = products_per_add(arch)
    if arch.accumulator.products_per_add != adds:
        raise ConfigError(
            f"accumulator.products_per_add of {arch.accumulator.products_per_add}: array.dataflow {arch.array.dataflow} adds {adds} products "
            f"to an accumulator at once, and the sums of layer {worst.layer!r} may leave it; expected {adds}",
            path="accumulator.products_per_add",
        )
    if arch.array.reduction == "per_tap":
        _check_taps(program, worst.layer)


def _check_taps(program: Program, layer: str) -> None:
    """Each kernel tap begins an addition of its own, and a step of as many taps adds in another order."""
    array = program.arch.array
    for i in np.flatnonzero(program.of_engine(Engine.COMPUTE)).tolist():
        tile = compute_tile(program, i)
        taps = int(np.atleast_1d(tile.taps)[0])
        depth = int(tile.reduction[0]) // taps
        if taps > 1 and (depth % products_per_add(program.arch) or (array.flow.broadcast and array.step_folds > 1)):
            raise ConfigError(
                f"array.reduction of per_tap: the array adds up the products of {taps} kernel taps one by one, each of {depth} channels, the "
                f"model all in turn, and the sums of layer {layer!r} may leave the accumulator; expected flat, or wider accumulators",
                path="array.reduction",
            )


def products_per_add(arch: Arch) -> int:
    """Products that the array of ``arch`` adds to an accumulator at once."""
    array = arch.array
    return array.dot_products * (1 if array.dataflow == "output_stationary" else array.rows)


def _check_ports(program: Program) -> None:
    """Read ports of the buffers that hold the array up have no RTL."""
    arch = program.arch
    ports = {
        f"{name}.bytes_per_cycle": getattr(arch, name).bytes_per_cycle
        for name in ("weight_buffer", "activation_buffer")
        if getattr(arch, name).bytes_per_cycle is not None
    }
    if not ports:
        return
    free = arch.with_(dict.fromkeys(ports))
    for i in np.flatnonzero(program.of_engine(Engine.COMPUTE)).tolist():
        layer = program.graph.layers[program.layer[i]]
        assert isinstance(layer, MacLayer)
        bits = operand_bits(layer, program.graph, arch)
        cost = array_cost(
            compute_tile(program, i), array_of(free, weight_bits=bits.weight, activation_bits=bits.activation)
        )
        load = int(program.operands(i)[0])
        alike = (program.engine == program.engine[load]) & (program.memory == Memory.WEIGHTS)
        if (int(cost.cycles[0]), int(cost.latency[0])) != (
            int(program.cycles[i]),
            int(program.latency[i]),
        ) or program.latency[load] > program.latency[alike].min():
            path, value = next(iter(ports.items()))
            raise ConfigError(
                f"{path} of {value}: it holds up the array in layer {layer.name!r}, and the exported RTL reads its buffers as wide as the "
                "array needs; expected null", path=path,
            )  # fmt: skip


def compute_tile(program: Program, i: int) -> ComputeTiles:
    """Sizes of compute operation ``i``."""
    layer = program.graph.layers[program.layer[i]]
    assert isinstance(layer, MacLayer)
    (lo, hi), (wlo, whi) = program.box(i), program.box(int(program.operands(i)[0]))
    channels, unit = hi[3] - lo[3], layer.geometry.oc_per_group
    groups = max(1, channels // unit)
    sizes = {
        "pixels": (hi[0] - lo[0]) * (hi[1] - lo[1]) * (hi[2] - lo[2]),
        "reduction": (whi[1] - wlo[1]) * (whi[2] - wlo[2]) * (whi[3] - wlo[3]),
        "channels": channels // groups,
        "groups": groups,
        "taps": (whi[1] - wlo[1]) * (whi[2] - wlo[2]),
    }
    columns = {name: np.array([value], dtype=np.int64) for name, value in sizes.items()}
    return ComputeTiles(**columns, weights_kept=np.array([program.weight_reads[i] == 0]))
