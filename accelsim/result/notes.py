"""What a machine's description asks for and does not get: settings that change nothing, and what-ifs that are not what they seem.

The one list of such checks: a row of :data:`IDLE` for a setting that may do nothing, of :data:`TRAPS` for anything else worth a
sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from accelsim.arch import Arch, checked, load_arch, preset_names
from accelsim.energy import clock_note, table_of
from accelsim.graph import MacLayer, PassKind
from accelsim.hardware import Engine, activation_share, coded_share, is_decoded, window_obstacle
from accelsim.program import Program
from accelsim.units import BYTES, exact_text


class Idle(NamedTuple):
    """A setting at ``path`` that makes no difference to the one that is ``neutral``, its default, where ``because`` gives a reason."""

    path: str
    neutral: object
    because: Callable[[Program], str]


def notes(program: Program) -> tuple[str, ...]:
    """A sentence for each setting of the machine that does nothing for this Program, and for each trap."""
    return (*idle_settings(program).values(), *(text for find in TRAPS if (text := find(program))))


def decisions(arch: Arch, *, asked: Arch) -> tuple[str, ...]:
    """A sentence for what the machine that was ``asked`` for left to the mapper, and ``arch`` has."""
    if asked.activation_buffer.is_divided:
        return ()
    buffer = arch.activation_buffer
    whole = arch.shared_buffer.size_bytes if buffer.size_bytes is None else buffer.size_bytes
    kept, size = (exact_text(value or 0, BYTES) for value in (buffer.kept_bytes, whole))
    why = "; several cores exchange tensors through DRAM only" if arch.cores.count > 1 else ""
    return (f"activation_buffer.resident_bytes of auto: {kept} of {size} keep tensors on chip{why}",)


def idle_settings(program: Program) -> dict[str, str]:
    """By path, what is said of a setting that is not the default and changes no cycle, byte or picojoule."""
    found = {}
    for path, neutral, because in IDLE:
        value = program.arch.get(path)
        if value != neutral and (reason := because(program)):
            found[path] = f"{path} of {str(value).lower()} changes nothing: {reason}"
    return found


def _mac_layers(program: Program) -> Iterator[MacLayer]:
    return (layer for layer in program.graph.layers if isinstance(layer, MacLayer))


def _nothing_resident(program: Program) -> str:
    if program.arch.activation_buffer.resident_bytes:
        return ""
    return "the rows between two layers stand in activation_buffer.resident_bytes, which is 0"


def _one_core(program: Program) -> str:
    return "" if program.arch.cores.count > 1 else "cores.count is 1, so that no layer is shared out"


def _not_coded(program: Program) -> str:
    if not program.arch.dma.weight_compression:
        return "weights are not coded; set dma.weight_compression"
    known = any(layer.weights is not None for layer in _mac_layers(program))
    return "" if known else "only the shapes of the weights are known, which are not coded"


def _symmetric(program: Program) -> str:
    if any(layer.has_weight_zero_points for layer in _mac_layers(program)):
        return ""
    return "no layer has weights with zero points that their codes are to be rid of"


def _no_codebook(program: Program) -> str:
    known = [layer for layer in _mac_layers(program) if layer.weights is not None]
    if not known:
        return "only the shapes of the weights are known, which are not coded"
    if any(is_decoded(layer, program.arch) for layer in known):
        return ""
    if program.arch.weight_buffer.coding != "codebook":
        alone = program.arch.cores.count == 1  # a core's share of a layer is coded by itself
        return "its code makes no layer's weights shorter" if alone else ""
    return "every layer's weights take more than half of the values that their width has"


def _nothing_decoded(program: Program) -> str:
    return (
        "weights are not coded; set weight_buffer.coding"
        if program.arch.weight_buffer.coding is None
        else _no_codebook(program)
    )


def _no_shorter(program: Program) -> str:
    if activation_share(program.arch) < 1:
        return ""
    bits = program.arch.array.activation_bits
    return f"so few zeros make no code of values of {bits} bits shorter"


def _no_zeros_coded(program: Program) -> str:
    if program.arch.dma.activation_compression is None:
        return "activations are not coded; set dma.activation_compression"
    return _no_shorter(program)


def _no_wires(program: Program) -> str:
    table = table_of(program.arch)
    return "" if table.find("wire", "move") else f"energy table {table.name} holds no wire that a length would price"


def _no_zeros(program: Program) -> str:
    return "" if program.arch.array.zero_gating else "no product has a zero operand by it"


def _within_a_burst(program: Program) -> str:
    dram = program.arch.dram
    if dram.channel is None or dram.burst_bytes > dram.channel.burst_bytes:
        return ""
    return f"a burst of {dram.standard} has {dram.channel.burst_bytes} bytes anyway"


def _nothing_preloads(program: Program) -> str:
    array = program.arch.array
    if array.flow.preloads and not array.flow.overlaps:
        return ""
    return f"nothing stays in an array of dataflow {array.dataflow}"


def _no_steps(program: Program) -> str:
    array = program.arch.array
    return (
        ""
        if array.flow.broadcast and array.reduction == "per_tap"
        else "taps fill no rows of their own of an adder tree"
    )


def _no_groups(program: Program) -> str:
    if not program.arch.array.flow.broadcast:
        return "the array has no adder trees"
    return "" if any(layer.geometry.groups > 1 for layer in _mac_layers(program)) else "no layer has groups"


def _no_stripes(program: Program) -> str:
    array = program.arch.array
    if array.flow.broadcast:
        return ""
    return f"only an adder tree takes other weights between two pixels, not an array of dataflow {array.dataflow}"


def _bursts_round_out(program: Program) -> str:
    burst = program.arch.dram.bytes_per_burst
    return f"bursts of {burst} bytes round out every run by themselves" if burst > 1 else ""


def _no_windows(program: Program) -> str:
    def unrolled(layer: MacLayer) -> bool:
        g = layer.geometry
        plain = (g.kh, g.kw, g.stride_h, g.stride_w, g.upsample_h, g.upsample_w) == (1,) * 6
        return not (plain and g.pad_top == g.pad_left == 0)

    return "" if any(unrolled(layer) for layer in _mac_layers(program)) else "no layer has windows of more than a pixel"


def _apart(program: Program) -> Iterator[tuple[int, PassKind, str]]:
    """(number, kind, obstacle) of each layer directly behind one with MACs, or behind others in its pass, that the machine would compute on
    the fly if nothing forbade it."""
    graph, arch = program.graph, program.arch
    last = {one.producer: one.consumer for one in program.passes}
    for index, layer in enumerate(graph.layers):
        follower = graph.followers.get(last.get(index, index))
        if follower is None or not isinstance(layer, MacLayer) or not arch.vector.fuses(follower.kind):
            continue
        obstacle = follower.obstacle
        if not obstacle and follower.kind == "pool":
            obstacle = window_obstacle(index, follower, graph, arch)
        if obstacle:
            yield last.get(index, index) + 1, follower.kind, obstacle


def _no_pass(name: str, kind: PassKind, what: str) -> Idle:
    def because(program: Program) -> str:
        graph = program.graph
        if any(graph.followers[index - 1].kind == kind for one in program.passes for index in one.behind):
            return ""
        apart = [f"{graph.layers[i].name!r}: {obstacle}" for i, of, obstacle in _apart(program) if of == kind]
        return apart[0] if apart else f"no {what} follows a layer with MACs directly"

    return Idle(f"vector.{name}", False, because)


def _nothing_in_dram(program: Program) -> str:
    return "weights and activations stand in memories of their own" if all(program.arch.streams.apart) else ""


def _nothing_shared(program: Program) -> str:
    shared = program.arch.shared_buffer.size_bytes is not None
    return "" if shared else "weights and activations have a memory each; set shared_buffer.size_bytes"


IDLE = (
    Idle("activation_buffer.fuse_pairs", False, _nothing_resident),
    Idle("cores.split", "auto", _one_core),
    Idle("dma.zero_run_bits", 4, _not_coded),
    Idle("dram.burst_bytes", 1, _within_a_burst),
    Idle("array.weight_preload", "serial", _nothing_preloads),
    Idle("array.stripe_pixels", None, _no_stripes),
    Idle("array.step_folds", 1, _no_steps),
    Idle("array.group_folds", "apart", _no_groups),
    Idle("dma.write_bytes", 1, _bursts_round_out),
    Idle("dma.whole_weight_tiles", False, _bursts_round_out),
    Idle("activation_buffer.im2col", "implicit", _no_windows),
    Idle("array.weight_zero_points", "subtract", _symmetric),
    Idle("array.hop_um", None, _no_wires),
    Idle("array.zero_gating", None, _no_zeros),
    Idle("weight_buffer.coding", None, _no_codebook),
    Idle("weight_buffer.decoders", None, _nothing_decoded),
    _no_pass("fuse_activations", "activation", "layer of one element each"),
    _no_pass("fuse_elementwise", "elementwise", "sum or product with another tensor"),
    _no_pass("fuse_pools", "pool", "pool"),
    Idle("dma.activation_compression", None, _no_shorter),
    Idle("dma.activation_zeros", 0.0, _no_zeros_coded),
    Idle("tech.dram", None, _nothing_in_dram),
    Idle("shared_buffer.banks", None, _nothing_shared),
    Idle("shared_buffer.weight_banks", None, _nothing_shared),
)


def _sliced(program: Program) -> str:
    """Operands wider than ports of several bits (one bit is bit-serial by intent), with the passes that each product takes."""
    array, found, layers = program.arch.array, Counter[str](), list(_mac_layers(program))
    ports = {"weight": array.weight_bits, "activation": array.activation_bits}
    for layer in layers:
        widths = layer.code_format.bits, program.graph.tensors[layer.inputs[0]].format.bits
        wide = [
            f"{bits}-bit {name}s in {-(-bits // port)} slices"
            for bits, (name, port) in zip(widths, ports.items(), strict=True)
            if bits > port > 1
        ]
        found[f"{' and '.join(wide)}, {array.passes(*widths)} passes of the array per product" if wide else ""] += 1
    parts = [f"{text} ({number} of {len(layers)} layers with MACs)" for text, number in found.items() if text]
    if not parts:
        return ""
    return f"ports of {array.weight_bits} bits for weights, {array.activation_bits} for activations: {'; '.join(parts)}"


def _clock(program: Program) -> str:
    return clock_note(program.arch)


def _idle_cores(program: Program) -> str:
    busy, count = len(set(program.groups.core.tolist())), program.arch.cores.count
    return f"{count - busy} of {count} cores do nothing: no layer has as many shares" if busy < count else ""


def _keeps_nothing(program: Program) -> str:
    kept = program.arch.activation_buffer.resident_bytes
    if not kept or Engine.KEEP in program.groups.engine:
        return ""
    return (
        f"activation_buffer.resident_bytes of {kept} keeps no tensor: none that lies between two layers fits; it only takes room from "
        "tiles"
    )


def _codes_nothing(program: Program) -> str:
    coding = program.arch.dma.weight_compression
    known = [layer for layer in _mac_layers(program) if layer.weights is not None]
    if coding is None or not known or any(coded_share(layer, program.arch) < 1 for layer in known):
        return ""
    return f"dma.weight_compression of {coding} makes no layer's weights shorter: they hold too few zeros"


def _priced_otherwise(program: Program) -> str:
    arch = program.arch
    if arch.dram.standard is None or arch.tech.dram is not None or all(arch.streams.apart):
        return ""
    return (
        f"dram.standard of {arch.dram.standard} sets times only: a bit of DRAM costs what {arch.tech.energy_table} says; choose a "
        "standard's energy with tech.dram"
    )


def _too_large(program: Program) -> str:
    """What memories outside the buffers do not hold, where their size is said."""
    graph, streams, found = program.graph, program.arch.streams, list[str]()
    if (size := streams.weights.memory_bytes) is not None and size < graph.weight_bytes:
        found.append(f"streams.weights.memory_bytes of {size} are fewer than the {graph.weight_bytes} of the weights")
    if (size := streams.activations.memory_bytes) is not None and graph.layers:
        tensors = [graph.tensors[name] for layer in graph.layers for name in (*layer.inputs, layer.output)]
        largest = max(tensors, key=lambda tensor: tensor.bytes)
        if size < largest.bytes:
            found.append(
                f"streams.activations.memory_bytes of {size} are fewer than the {largest.bytes} of tensor {largest.name!r}"
            )
    return f"{'; '.join(found)}: price, area and leakage are those of that size" if found else ""


def _outside_passes(program: Program) -> str:
    """Of a machine that computes some layers on the fly, those that it does not."""
    apart = list(_apart(program))
    if not apart or not program.passes:
        return ""
    first, _, obstacle = apart[0]
    others = f", nor are {len(apart) - 1} others" if len(apart) > 1 else ""
    return f"layer {program.graph.layers[first].name!r} is not computed on the fly: {obstacle}{others}"


def _how_far_to_trust(program: Program) -> str:
    """Of a preset whose cycles were measured elsewhere, as it ships; an edited machine is another."""
    arch = program.arch
    found = checked().get(arch.name)
    if found is None or arch.name not in preset_names():
        return ""
    shipped = load_arch(arch.name).model_copy(update={"arithmetic": arch.arithmetic})  # which moves no cycle
    return f"cycles of {arch.name} were compared with {found}" if shipped == arch else ""


TRAPS: tuple[Callable[[Program], str], ...] = (
    _sliced,
    _clock,
    _idle_cores,
    _keeps_nothing,
    _codes_nothing,
    _priced_otherwise,
    _too_large,
    _outside_passes,
    _how_far_to_trust,
)
