"""What the exported RTL does not have yet, refused by the name of the field and its value."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from accelsim.arch import Arch
from accelsim.errors import ConfigError
from accelsim.execute import order_free, prove_graph
from accelsim.graph import Graph, MacLayer
from accelsim.handoff.rtl.schemes import SCHEMES
from accelsim.hardware import ComputeTiles, Engine, accumulator_words, array_cost, array_of, operand_bits
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
    yield "array.reduction", array.reduction, ("flat",)
    yield "array.stripe_pixels", array.stripe_pixels, (None,)
    yield "array.step_folds", array.step_folds, (1,)
    yield "array.group_folds", array.group_folds, ("apart",)
    yield "array.dot_products", array.dot_products, (1,)
    yield "array.brick_bits", array.brick_bits, (None,)
    yield "array.mac", array.mac, ("multiply",)
    yield "array.issue_cycles", array.issue_cycles, (0,)
    yield "array.fold_issue_cycles", array.fold_issue_cycles, (0,)
    yield "cores.count", arch.cores.count, (1,)
    yield "dma.queues", arch.dma.queues, (3,)
    yield "requantizer.streaming", arch.requantizer.streaming, (False,)
    yield "requantizer.parameter_bytes", arch.requantizer.parameter_bytes, (0,)
    yield "requantizer.stages", arch.requantizer.stages, (None,)
    yield "vector.fuse_activations", arch.vector.fuse_activations, (False,)
    yield "vector.fuse_elementwise", arch.vector.fuse_elementwise, (False,)
    yield "vector.fuse_pools", arch.vector.fuse_pools, (False,)
    yield "shared_buffer.size_bytes", arch.shared_buffer.size_bytes, (None,)
    yield "weight_buffer.coding", arch.weight_buffer.coding, (None,)
    yield "activation_buffer.im2col", arch.activation_buffer.im2col, ("implicit",)


def check_network(program: Program) -> None:
    """ConfigError for the first layer, or structure that it asks for, that the RTL does not have."""
    graph, arch = program.graph, program.arch
    if kept := [e.label for e in (Engine.KEEP, Engine.RECALL) if program.of_engine(e).any()]:
        raise ConfigError(
            f"activation_buffer.resident_bytes of {arch.activation_buffer.resident_bytes}: the exported RTL keeps no tensors on chip yet, "
            f"and the network has operations to {kept[0]} them; set it to 0", path="activation_buffer.resident_bytes",
        )  # fmt: skip
    for layer in graph.layers:
        if isinstance(layer, MacLayer):
            _check_layer(layer, graph, arch)
    _check_order(graph, arch)
    _check_ports(program)


def _check_layer(layer: MacLayer, graph: Graph, arch: Arch) -> None:
    bits, array, g = operand_bits(layer, graph, arch), arch.array, layer.geometry
    passes = array.passes(bits.weight, bits.activation)
    wrong: list[tuple[bool, str]] = [
        (passes > 1, (f"its {bits.weight}-bit weights and {bits.activation}-bit activations take {passes} passes of array.weight_bits "
         f"{array.weight_bits} and array.activation_bits {array.activation_bits}; widen the ports")),
        (accumulator_words(bits.activation, arch) > 1, "its sums take several accumulator words; set accumulator.word_per_slice to false"),
        (layer.has_weight_zero_points, f"its weights have zero points (array.weight_zero_points {array.weight_zero_points})"),
        ((g.upsample_h, g.upsample_w) != (1, 1), f"it is a {layer.operator}, whose inputs stand apart"),
        (not isinstance(layer.requant, Requant), "its outputs are compared with thresholds"),
    ]  # fmt: skip
    for is_wrong, reason in wrong:
        if is_wrong:
            raise ConfigError(
                f"layer {layer.name!r}: {reason}; the exported RTL has no such structure yet", layer=layer.name
            )
    assert isinstance(layer.requant, Requant)
    if layer.requant.scheme not in SCHEMES:
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


def _check_order(graph: Graph, arch: Arch) -> None:
    """Where sums can leave an accumulator that does not wrap, the model must add as the array does."""
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


def products_per_add(arch: Arch) -> int:
    """Products that the array of ``arch`` adds to an accumulator at once."""
    return 1 if arch.array.dataflow == "output_stationary" else arch.array.rows


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
        if (int(cost.cycles[0]), int(cost.latency[0])) != (
            int(program.cycles[i]),
            int(program.latency[i]),
        ) or program.latency[load] > (program.latency[program.of_engine(Engine.LOAD_WEIGHTS)].min()):
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
