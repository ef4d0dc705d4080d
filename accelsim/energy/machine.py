"""The machine as its tables see it: the sizes of its parts, one action of each, its area and its idle power."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from accelsim.arch import SPECIAL_SCHEMES, Arch
from accelsim.energy.costs import Charges, Costs
from accelsim.energy.table.components import (
    ALL_LAYERS,
    AREA,
    LEAK,
    MAC_LAYERS,
    MEMORIES,
    PARTS,
    SCRATCHPADS,
    VECTOR_LAYERS,
    Charge,
)
from accelsim.energy.table.entries import missing_entry
from accelsim.errors import ConfigError
from accelsim.graph import Graph, Layer, MacLayer
from accelsim.hardware import accumulator_words, is_decoded, longest_code, stored_bits
from accelsim.numerics import Requant, Requantization, RequantScheme, Thresholds, scheme_named

BUFFERS = ("weight_buffer", "activation_buffer", "output_buffer")
DEFAULT_MULTIPLIER = 32
"""Bits of the requantization multiplier of layers known by their shapes only (TFLite's quantized_multiplier)."""


def array_name(arch: Arch) -> str:
    """The array as a component: ``fusible_array`` where MACs are composed of bricks, ``tree_array`` of adder trees, ``shift_array`` where
    they shift."""
    if arch.array.mac == "shift_add":
        return "shift_array"
    if arch.array.flow.broadcast:
        return "tree_array"
    return "array" if arch.array.brick_bits is None else "fusible_array"


def load_steps(arch: Arch) -> float:
    """Registers that each bit of a stationary operand is written to: half of the rows of a systolic array on average, or one; one less
    where it ends in a scratchpad."""
    steps = 1.0 if arch.array.flow.broadcast else (arch.array.rows + 1) / 2
    return steps - (_staying(arch) in arch.array.scratchpads)


def _staying(arch: Arch) -> str:
    """The operand that stays, by its name among the scratchpads."""
    return "activations" if arch.array.flow.stationary == "inputs" else arch.array.flow.stationary


def product_sizes(arch: Arch, *, weight_bits: int, activation_bits: int, costs: Costs) -> dict[str, float]:
    """Sizes of one pass of one product: operand slices, the sum, registers written and wires driven per pass.

    In a weight-stationary array activations and sums move, in an input-stationary one weights and sums, in an
    output-stationary one both operands while the sum stays in its register. An adder tree broadcasts an activation from one
    register to all columns. A composable MAC works at full width. A scratchpad takes the place of its operand's register.
    """
    array, full = arch.array, arch.array.brick_bits is not None
    left = array.weight_bits if full else min(weight_bits, array.weight_bits)
    right = array.activation_bits if full else min(activation_bits, array.activation_bits)
    total = arch.accumulator.bits * accumulator_words(activation_bits, arch)
    widths = {"weights": left, "activations": right, "sums": total}
    moved = sum(widths[operand] for operand in array.flow.passing)
    written = sum(widths[operand] for operand in {*array.flow.passing, "sums"} - array.scratchpads.keys())
    stays, tree = not array.flow.sums_move, array.flow.broadcast
    sizes: dict[str, float] = {
        "left_bits": left, "right_bits": right, "sum_bits": total, "hop_bits": moved if stays else moved + total,
        "register_bits": right / array.cols if tree else written,
    }  # fmt: skip
    pitch = _pitch(arch, costs)
    sizes |= _tree_sizes(arch, left + right) | _shift_sizes(left, right)
    return sizes | ({} if pitch is None else {"length_um": pitch})


def _shift_sizes(left: int, right: int) -> dict[str, float]:
    """Rows of multiplexers that shift ``right`` bits by 0 to ``left - 2`` places, and their width."""
    return {"shift_rows": max(0, left - 2).bit_length(), "shift_bits": left + right - 1}


def _tree_sizes(arch: Arch, product_bits: int) -> dict[str, float]:
    """Adders per product of a tree over the rows, their mean width, and the share of a product in the sum behind the tree.

    Level i adds numbers of ``product_bits + i - 1`` bits in pairs; an odd one passes to the next level.
    """
    adders, bits, left, width = 0, 0, arch.array.rows, product_bits
    while left > 1:
        adders, bits, width = adders + left // 2, bits + left // 2 * width, width + 1
        left -= left // 2
    rows = arch.array.rows
    return {"tree_adders": adders / rows, "tree_bits": bits / max(1, adders), "tree_share": 1 / rows}


def _pitch(arch: Arch, costs: Costs) -> float | None:
    """Micrometres from one processing element to the next, as the machine says or taken to be square; None where the table lacks areas."""
    if arch.array.hop_um is not None:
        return arch.array.hop_um
    name = "shift_pe" if arch.array.mac == "shift_add" else "pe" if arch.array.brick_bits is None else "fusible_pe"
    known = Costs(costs.table)
    areas = [known.maybe(name, AREA, _port_sizes(arch))]
    areas += [known.maybe("scratchpad", AREA, {"capacity_bytes": size}) for size in arch.array.scratchpads.values()]
    found = [sum(area.values()) for area in areas if area is not None]
    return math.sqrt(sum(found)) if len(found) == len(areas) else None


def _port_sizes(arch: Arch) -> dict[str, float]:
    """Sizes of a processing element as it is built: its ports, registers for all that passes through it."""
    left, right, word = arch.array.weight_bits, arch.array.activation_bits, arch.accumulator.bits
    held = {"weights": left, "activations": right, "sums": word}
    registers = sum(bits for operand, bits in held.items() if operand not in arch.array.scratchpads)
    sizes = {"left_bits": left, "right_bits": right, "sum_bits": word, "register_bits": registers}
    return sizes | _tree_sizes(arch, left + right) | _shift_sizes(left, right)


def multiply_charges(layer: MacLayer, *, graph: Graph, arch: Arch, costs: Costs) -> Charges:
    """What one product of ``layer`` draws on, all its passes; a composable MAC shares a cycle among its products.

    A weight whose zero point is subtracted in front of its multiplier has one bit more there. Of a gated product the registers and wires
    alone draw (``array.zero_gating``), which the operands pass on their way to others.
    """
    bits = layer.code_format.bits, graph.tensors[layer.inputs[0]].format.bits
    sizes = product_sizes(arch, weight_bits=bits[0], activation_bits=bits[1], costs=costs)
    if layer.has_weight_zero_points and arch.array.weight_zero_points == "subtract":
        sizes["left_bits"] += 1
    times = arch.array.passes(*bits) / arch.array.composed(*bits)
    found = costs.charges(array_name(arch), "mac", sizes)
    return {key: times * pj * (1.0 if key in _UNGATED else active_share(arch)) for key, pj in found.items()}


_UNGATED = ("register.write", "wire.move")


def active_share(arch: Arch) -> float:
    """The share of the products that the array makes: all, or those without a zero operand where it gates the others."""
    return 1.0 - (arch.array.zero_gating or 0.0)


def scratchpad_charges(charge: Charge, layer: MacLayer, *, graph: Graph, arch: Arch, costs: Costs) -> Charges:
    """What a scratchpad of each MAC unit draws per product, or per bit that is loaded into the array; nothing where it is absent.

    Every product reads its operands, all their slices, and every step of a unit reads and writes the sum of its products. What passes
    is written where it arrives, once per product; what stays is written when it is loaded. Reads of weights are gated.
    """
    operand = _OPERAND_OF[charge.component]
    size = arch.array.scratchpads.get(operand)
    if size is None or ((operand == _staying(arch)) != (charge.action == "load") and charge.action != "read"):
        return {}
    bits = 1.0 if charge.action == "load" else _accessed_bits(operand, layer, graph, arch, costs)
    found = costs.maybe(charge.component, charge.action, {"bits": bits, "capacity_bytes": float(size)}) or {}
    gated = active_share(arch) if (operand, charge.action) == ("weights", "read") else 1.0
    return {key: pj * gated for key, pj in found.items()}


_OPERAND_OF: Mapping[str, str] = {component: operand for operand, component in SCRATCHPADS.items()}


def _accessed_bits(operand: str, layer: MacLayer, graph: Graph, arch: Arch, costs: Costs) -> float:
    """Bits of ``operand`` that one product takes from its unit's scratchpad, in all its passes."""
    bits = layer.code_format.bits, graph.tensors[layer.inputs[0]].format.bits
    sizes = product_sizes(arch, weight_bits=bits[0], activation_bits=bits[1], costs=costs)
    name = {"weights": "left_bits", "activations": "right_bits", "sums": "sum_bits"}[operand]
    shared = arch.array.composed(*bits) * (arch.array.dot_products if operand == "sums" else 1)
    return sizes[name] * arch.array.passes(*bits) / shared


def requant_charges(layer: Layer, *, graph: Graph, arch: Arch, costs: Costs) -> Charges:
    """What the requantization of one sum draws on, by the layer's scheme: a product, a shift, or comparisons."""
    rule: Requantization | None = getattr(layer, "requant", None)
    sizes = _code_sizes(layer, graph, arch)
    if isinstance(rule, Thresholds):
        return costs.charges("requantizer", "threshold", sizes)
    shifts = isinstance(rule, Requant) and not rule.rule.has_multiplier
    return costs.charges("requantizer", "shift" if shifts else "requant", sizes)


def _load_charges(layer: Layer, *, graph: Graph, arch: Arch, costs: Costs) -> Charges:
    """What one bit of a stationary operand draws on, on its way into the array."""
    moved = costs.maybe("array", "load", {"bits": 1.0}) or {}
    return {key: pj * load_steps(arch) for key, pj in moved.items()}


def is_corrected(layer: Layer, arch: Arch) -> bool:
    """Whether sums of ``layer`` have one product more, of the sum of their inputs and a zero point of weights."""
    corrects = arch.array.weight_zero_points == "extra_channel"
    return corrects and isinstance(layer, MacLayer) and layer.has_weight_zero_points


def _input_sum_bits(layer: Layer, graph: Graph, arch: Arch) -> int:
    """Width of the sum of the inputs in one sum: of a row each, or of as many as an accumulator holds where sums stay."""
    if not arch.array.flow.stationary:
        return arch.accumulator.bits
    return graph.tensors[layer.inputs[0]].format.bits + (arch.array.rows - 1).bit_length()


def correction_charges(layer: MacLayer, *, graph: Graph, arch: Arch, costs: Costs) -> Charges:
    """What the product of a sum of inputs and a zero point of weights draws on, per accumulator word of the sum that it goes into."""
    if not is_corrected(layer, arch):
        return {}
    words = accumulator_words(graph.tensors[layer.inputs[0]].format.bits, arch)
    left, right = layer.code_format.bits, _input_sum_bits(layer, graph, arch)
    sizes = {"left_bits": float(left), "right_bits": float(right), "sum_bits": float(arch.accumulator.bits * words)}
    made = costs.maybe("array", "correct", sizes) or {}
    return {key: pj / words for key, pj in made.items()}


def input_sum_charges(layer: MacLayer, *, graph: Graph, arch: Arch, costs: Costs) -> Charges:
    """What the addition of one input to the sum of them draws on."""
    if not is_corrected(layer, arch):
        return {}
    return costs.maybe("array", "sum", {"bits": float(_input_sum_bits(layer, graph, arch))}) or {}


def decoding_charges(layer: MacLayer, *, graph: Graph, arch: Arch, costs: Costs) -> Charges:
    """What looking one weight up in the layer's codebook, or shifting its code out of the stream, draws on."""
    index, value = stored_bits(layer, arch), layer.code_format.bits
    if not is_decoded(layer, arch):
        return {}
    if index == value:
        window = longest_code(layer)
        sizes = {"bits": float(window), "shift_rows": float(window.bit_length())}
        return costs.maybe("rice_decoder", "decode", sizes) or {}
    return costs.maybe("weight_buffer", "decode", {"bits": float(value), "capacity_bytes": 2**index * value / 8}) or {}


_BY_LAYER: Mapping[str, Callable[..., Charges]] = {
    "array_mac": multiply_charges,
    "array_load": _load_charges,
    "array_correct": correction_charges,
    "array_sum": input_sum_charges,
    "weight_buffer_decode": decoding_charges,
    "requantizer_requant": requant_charges,
}
"""Charges whose component, action or number follows the layer and the machine."""


def charges_of(charge: Charge, layer: Layer, *, graph: Graph, arch: Arch, costs: Costs) -> Charges:
    """What one action draws on while ``layer`` runs; nothing for a layer that does not pay for it."""
    if charge.layers not in (ALL_LAYERS, MAC_LAYERS if isinstance(layer, MacLayer) else VECTOR_LAYERS):
        return {}
    if charge.component in MEMORIES and not getattr(arch.streams.apart, MEMORIES[charge.component]):
        return {}
    if charge.component in _OPERAND_OF and isinstance(layer, MacLayer):
        return scratchpad_charges(charge, layer, graph=graph, arch=arch, costs=costs)
    if charge.key in _BY_LAYER:
        return _BY_LAYER[charge.key](layer, graph=graph, arch=arch, costs=costs)
    sizes = layer_sizes(charge, layer, graph, arch)
    if (
        charge.component in MEMORIES
        and not sizes["capacity_bytes"]
        and not costs.table.find(charge.component, charge.action)
    ):
        raise ConfigError(missing_entry(costs.table, charge.component, charge.action), table=costs.table.name)
    if charge.optional:
        return costs.maybe(charge.component, charge.action, sizes) or {}
    return costs.charges(charge.component, charge.action, sizes)


def layer_sizes(charge: Charge, layer: Layer, graph: Graph, arch: Arch) -> dict[str, float]:
    """The sizes at which a charge is asked for: of one bit, of a word in its memory, of one output code, or none."""
    if charge.sizes == "memory":
        word = float(arch.accumulator.bits) if charge.component == "accumulator" else 1.0
        if charge.component in MEMORIES:
            return {"bits": word, "capacity_bytes": float(_memory_bytes(charge.component, arch))}
        return {"bits": word, "capacity_bytes": memory_banks(arch)[charge.component].size}
    if charge.sizes == "code":
        return _code_sizes(layer, graph, arch)
    return {"bits": 1.0} if charge.sizes == "bit" else {}


def _code_sizes(layer: Layer, graph: Graph, arch: Arch) -> dict[str, float]:
    return {
        "sum_bits": arch.accumulator.bits * accumulator_words(graph.tensors[layer.inputs[0]].format.bits, arch),
        "output_bits": graph.tensors[layer.output].format.bits,
        "multiplier_bits": multiplier_bits(getattr(layer, "requant", None)),
    }


def multiplier_bits(rule: Requantization | None) -> int:
    """Width of the multiplier that a requantization needs, sign included."""
    return rule.rule.multiplier_bits if isinstance(rule, Requant) else DEFAULT_MULTIPLIER


def requantizer_name(arch: Arch) -> str:
    """The requantization unit as the machine's arithmetic builds it for convolutions: with a multiplier, a shifter, comparators."""
    scheme = _scheme(arch)
    if scheme is None:
        return "threshold_requantizer"
    return "requantizer" if scheme.has_multiplier else "shift_requantizer"


def _scheme(arch: Arch) -> RequantScheme | None:
    """What convolutions are requantized by; None for thresholds."""
    name = arch.rules().schemes.get("CONV_2D", "")
    return None if name in SPECIAL_SCHEMES or not name else scheme_named(name)


def _memory_bytes(component: str, arch: Arch) -> int:
    """Bytes of a memory outside the buffers; 0 of one that its size does not price."""
    return dict(zip(MEMORIES, arch.streams.memories, strict=True))[component][1] or 0


class Banks(NamedTuple):
    """A memory of ``number`` banks of ``size`` bytes each."""

    number: int
    size: float


def memory_banks(arch: Arch) -> dict[str, Banks]:
    """The banks of each memory on the chip: an access concerns one of them, whatever memory they make up together.

    In a shared memory weights and activations have banks of the same size. What joins banks (decoders, multiplexers, wires to them) is in no
    packaged table, and is not counted.
    """
    shared = arch.shared_buffer
    found = {"accumulator": Banks(1, max(1, arch.accumulator.count * arch.accumulator.bits // 8))}
    for name in BUFFERS:
        buffer = getattr(arch, name)
        if buffer.size_bytes is not None:
            found[name] = Banks(buffer.banks, buffer.size_bytes / buffer.banks)
        else:
            found[name] = found["shared_buffer"] = Banks(shared.banks or 0, float(shared.bank_bytes))
    return found


def part_sizes(part: str, arch: Arch) -> dict[str, float]:
    """Sizes of a whole part of the machine, or of one bank of a memory, for area and leakage."""
    if part == "array":
        return _port_sizes(arch) | {"pes": arch.array.macs}
    if part == "requantizer":
        scheme = _scheme(arch)
        width = DEFAULT_MULTIPLIER if scheme is None else scheme.multiplier_bits
        return {"lanes": arch.requantizer.lanes, "multiplier_bits": width, "sum_bits": arch.accumulator.bits}
    if part == "vector":
        return {"lanes": arch.vector.lanes}
    if part in _OPERAND_OF:
        size = arch.array.scratchpads.get(_OPERAND_OF[part], 0)
        return {"units": arch.array.rows * arch.array.cols, "capacity_bytes": size}
    if part in MEMORIES:
        return {"capacity_bytes": _memory_bytes(part, arch)}
    return {"capacity_bytes": memory_banks(arch).get(part, Banks(0, 0.0)).size}


def _copies(part: str, arch: Arch) -> int:
    """How many of what :func:`part_sizes` describes all cores have: banks of a memory, or one of each part, of those outside one for all."""
    if part in MEMORIES:
        return 1
    banks = memory_banks(arch).get(part)
    return arch.cores.count * (1 if banks is None else banks.number)


def part_name(part: str, arch: Arch) -> str:
    """The component that a part of the machine is, by its configuration."""
    return {"array": array_name(arch), "requantizer": requantizer_name(arch)}.get(part, part)


def parts_of(arch: Arch) -> tuple[str, ...]:
    """Those of :data:`PARTS` that the machine has."""
    absent = {component for component, operand in _OPERAND_OF.items() if operand not in arch.array.scratchpads}
    absent |= {"shared_buffer"} if arch.shared_buffer.size_bytes is None else {"weight_buffer", "activation_buffer"}
    absent |= {memory for memory in MEMORIES if not _memory_bytes(memory, arch)}
    absent |= {"weight_memory"} if arch.streams.is_one_sram else set()
    return tuple(part for part in PARTS if part not in absent)


def area_charges(arch: Arch, costs: Costs) -> dict[str, Charges | None]:
    """Square micrometres of each part of the machine by entry of the table, all cores together; None for a part that it does not hold
    all of."""
    found = {part: costs.maybe(part_name(part, arch), AREA, part_sizes(part, arch)) for part in parts_of(arch)}
    return {
        part: None if charges is None else {key: _copies(part, arch) * um2 for key, um2 in charges.items()}
        for part, charges in found.items()
    }


def area_um2(arch: Arch, costs: Costs) -> dict[str, float | None]:
    """The sums of :func:`area_charges`."""
    found = area_charges(arch, costs)
    return {part: None if charges is None else sum(charges.values()) for part, charges in found.items()}


def idle_charges(arch: Arch, costs: Costs) -> dict[str, Charges]:
    """Picojoules per cycle that the machine draws whether it works or not: leakage of each part, and the clock tree, of all cores.

    Keys are the components of the split: ``leakage``, ``clock``.
    """
    leakage: Charges = {}
    for part in parts_of(arch):
        found, copies = costs.maybe(part_name(part, arch), LEAK, part_sizes(part, arch)) or {}, _copies(part, arch)
        for key, watts in found.items():
            leakage[key] = leakage.get(key, 0.0) + copies * watts * 1e12 / arch.clock_hz
    clock = costs.maybe("clock", "tick", part_sizes("array", arch)) or {}
    return {"leakage": leakage, "clock": {key: arch.cores.count * pj for key, pj in clock.items()}}
