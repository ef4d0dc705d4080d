"""Where quantizers stand: which tensors get one, and which of them must share theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accelsim.errors import ConfigError
from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.network.float_network import fused_rectifier
from accelsim.ptq.network.operators import MOVING, OPERATORS, data_inputs
from accelsim.ptq.network.products import products
from accelsim.ptq.settings import Settings


@dataclass(frozen=True)
class Group:
    """Tensors under one quantizer; ``measured`` are those that make its range, ``bits`` the width of their codes.

    ``signed_as`` names a tensor whose codes' sign they share: softmax units have one type of codes for input and output.
    """

    tensors: tuple[str, ...]
    measured: tuple[str, ...]
    bits: int
    known_range: tuple[float, float] | None
    signed_as: str | None


@dataclass(frozen=True)
class Plan:
    """Groups of the quantized tensors, and the weights' widths by the output of their node."""

    groups: tuple[Group, ...]
    weight_bits: dict[str, int]


@dataclass(frozen=True)
class Place:
    """A width that can be chosen: of a layer's ``weights``, or of activations; ``name`` is that for which settings have an exception.

    ``known_as`` are the names that the layer or the tensors have; ``reads`` is the name of the activations that a layer with weights reads.
    """

    name: str
    weights: bool
    known_as: tuple[str, ...]
    reads: str | None = None


def places(model: OnnxModel, plan: Plan) -> tuple[Place, ...]:
    """All of them, activations first. What a layer with weights makes goes by the layer's name, other activations by their tensor's."""
    named: dict[str, Group] = {}
    for group in plan.groups:
        maker = next((node for node in products(model) if _made_by(model, node) in group.tensors), None)
        name = None if maker is None else model.layer_name(maker)
        named[group.tensors[0] if name is None or name in named else name] = group
    of = {tensor: name for name, group in named.items() for tensor in group.tensors}
    weighted = (
        Place(model.layer_name(node), True, tuple(filter(None, _layer_names(model, node))), of[node.inputs[0]])
        for node in products(model)
    )
    return (*(Place(name, False, group.tensors) for name, group in named.items()), *weighted)


def _made_by(model: OnnxModel, node: OnnxNode) -> str:
    """The quantized tensor that ``node`` makes, behind the rectifiers fused into it."""
    after = fused_rectifier(model, node)
    return node.outputs[0] if after is None else _made_by(model, after)


def make_plan(model: OnnxModel, settings: Settings) -> Plan:
    """Quantizers at the graph inputs and behind every operator, but not between one and the rectifier fused into it.

    A tensor that an operator only moves keeps its scale, and the operands of a Concat share one, as integer hardware needs it
    (Nagel 2106.08295, section 2). Raises ConfigError for names of no layer, and for groups given two widths.
    """
    names = {value.name: (value.name,) for value in model.inputs} | _names(model)
    others = {name for known in names.values() for name in known if name}
    settings = settings.named([model.layer_name(node) for node in model.nodes], others)
    leader = _leaders(model, list(names))
    moved = {name for node in model.nodes if node.op in MOVING for name in node.outputs}
    groups = []
    for first in dict.fromkeys(leader.values()):
        members = tuple(name for name in names if leader[name] == first)
        groups.append(_group(model, settings, names, members, moved))
    weight_bits = {
        node.outputs[0]: settings.widths(_layer_names(model, node)).weights or settings.weights
        for node in products(model)
    }
    return Plan(tuple(groups), weight_bits)


def _group(
    model: OnnxModel, settings: Settings, names: dict[str, tuple[str, ...]], members: tuple[str, ...], moved: set[str]
) -> Group:
    chosen = {
        settings.layers[n].acts: n
        for t in members
        for n in names[t]
        if n in settings.layers and settings.layers[n].acts
    }
    if len(chosen) > 1:
        given = ", ".join(f"{name!r} {bits}" for bits, name in chosen.items())
        raise ConfigError(f"layers share one scale, and so their width, but are given {given} bits; give them the same")
    measured = tuple(name for name in members if name not in moved) or members
    made_by = {name: node for node in model.nodes for name in node.outputs}
    producers = [made_by[name] for name in measured if name in made_by]
    ranges = {OPERATORS[made_by[name].op].known_range if name in made_by else None for name in measured}
    known_range = ranges.pop() if len(ranges) == 1 else None
    signed_as = next((node.inputs[0] for node in producers if node.op == "Softmax"), None)
    return Group(members, measured, next(iter(chosen), None) or settings.acts, known_range, signed_as)


def _names(model: OnnxModel) -> dict[str, tuple[str, ...]]:
    """Quantized tensors and the names of their layer: nodes and tensors, a fused rectifier's too."""
    fused = {node.outputs[0] for node in model.nodes if fused_rectifier(model, node) is not None}
    named: dict[str, tuple[str, ...]] = {}
    for node in model.nodes:
        before = next((n for n in model.nodes if n.outputs[0] in node.inputs and n.outputs[0] in fused), None)
        own = _own_names(model, node)
        earlier = () if before is None else _chain_names(model, before, fused)
        if node.outputs[0] not in fused:
            named |= {name: (name, *own[1:], *earlier) for name in node.outputs if name}
    return named


def _chain_names(model: OnnxModel, node: OnnxNode, fused: set[str]) -> tuple[str, ...]:
    before = next((n for n in model.nodes if n.outputs[0] in node.inputs and n.outputs[0] in fused), None)
    return (*_own_names(model, node), *(() if before is None else _chain_names(model, before, fused)))


def _own_names(model: OnnxModel, node: OnnxNode) -> tuple[str, ...]:
    return (node.outputs[0], node.name, model.layer_name(node))


def _layer_names(model: OnnxModel, node: OnnxNode) -> Iterator[str]:
    """Names by which the weights of ``node`` are known."""
    yield from _own_names(model, node)
    after = fused_rectifier(model, node)
    if after is not None:
        yield from _layer_names(model, after)


def _leaders(model: OnnxModel, tensors: list[str]) -> dict[str, str]:
    """The first tensor of each tensor's group (union-find)."""
    parent = {name: name for name in tensors}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for node in model.nodes:
        if node.op in MOVING:
            for position in data_inputs(node.op, len(node.inputs)):
                for output in filter(None, node.outputs):
                    parent[root(output)] = root(node.inputs[position])
    return {name: root(name) for name in tensors}
