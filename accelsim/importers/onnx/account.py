"""What became of every node, told after the fact from the layers that were made in its turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from accelsim.graph import Outcome, SourceOperator
from accelsim.importers.account import named_after
from accelsim.importers.onnx.file.records import OnnxNode
from accelsim.importers.onnx.network import Network, Pending, Real, Weights


@dataclass(frozen=True)
class Lowered:
    """A ``node`` and the layers that its lowering made."""

    node: OnnxNode
    layers: tuple[str, ...]


def account(net: Network, turns: Sequence[Lowered]) -> tuple[SourceOperator, ...]:
    """One record per node, in the order of the file."""
    made = {layer.name for layer in net.layers}
    turns = [replace(turn, layers=tuple(name for name in turn.layers if name in made)) for turn in turns]
    owner = _owners(net, turns)
    return tuple(_record(net, turn, turns, owner) for turn in sorted(turns, key=lambda turn: turn.node.index))


def _owners(net: Network, turns: Sequence[Lowered]) -> Mapping[str, int]:
    """Index of the node that each layer belongs to: the one it is named after, else the one whose turn made it."""
    made_by = {name: turn.node.index for turn in turns for name in turn.layers}
    bases = {net.model.layer_name(turn.node): turn.node.index for turn in turns}
    named = {layer.name: bases[base] for layer in net.layers if (base := named_after(layer.name, bases)) is not None}
    return {**made_by, **named}


def _record(net: Network, turn: Lowered, turns: Sequence[Lowered], owner: Mapping[str, int]) -> SourceOperator:
    node = turn.node
    own = tuple(layer.name for layer in net.layers if owner.get(layer.name) == node.index)
    outcome, layers = (Outcome.LAYER, own) if own else _outcome(net, turn, turns)
    return SourceOperator(index=node.index, operator=node.op, output=node.outputs[0], outcome=outcome, layers=layers)


def _outcome(net: Network, turn: Lowered, turns: Sequence[Lowered]) -> tuple[Outcome, tuple[str, ...]]:
    """Of a node without layers of its own."""
    name = turn.node.outputs[0]
    value = net.values.get(name)
    if isinstance(value, np.ndarray | Weights):
        return Outcome.CONSTANT, ()
    if turn.layers:
        return Outcome.FUSED, turn.layers
    if isinstance(value, Pending):
        return Outcome.FUSED, _finished(net, name, turns)
    at_input = any(port.tensor == name and port.real for port in net.inputs)
    at_output = isinstance(value, Real) and name in net.model.outputs
    return (Outcome.HOST if at_input or at_output else Outcome.NOTHING), ()


def _finished(net: Network, name: str, turns: Sequence[Lowered]) -> tuple[str, ...]:
    """Layers made in the turn that settles the pending result ``name``."""
    for turn in turns:
        if name in turn.node.inputs:
            value = net.values.get(turn.node.outputs[0])
            return turn.layers or (_finished(net, turn.node.outputs[0], turns) if isinstance(value, Pending) else ())
    return ()
