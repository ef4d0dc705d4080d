"""One model for every choice of quantizers: each is a few float operators under an If, and all of their numbers are graph inputs.

A quantizer is ``(clip(round(x / s + a), low, high) - b) * s``: QuantizeLinear and DequantizeLinear with ``a = b = 0`` and bounds
``min - z``, ``max - z``; QONNX's Quant, which adds the zero point before it rounds, with ``a = b = z``. No runtime sees integers in
it, so that none of its shortcuts is taken. Weights and biases are graph inputs too: those that are quantized are fed so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.network.products import is_product
from accelsim.ptq.network.proto import IR_VERSION, Names, make_node, nodes_of
from accelsim.ptq.operands import coded_operands
from accelsim.ptq.parameters import ActQuant
from accelsim.ptq.plan import Group
from accelsim.ptq.probe.places import QuantizerId, quantized_tensors

SEGMENTS = 8
"""Pieces that a network is cut into at most; a run repeats those from the first quantizer that another run had otherwise."""
OPSET = 21
"""As the QDQ files': from operator set 13, the first that is read, to 21 no operator that is quantized changed its meaning."""
NUMBERS = ("on", "scale", "shift", "low", "high")
"""What a quantizer of activations is told: a switch, and s, a = b, and the bounds of the equation above."""


@dataclass(frozen=True, eq=False)
class Segment:
    """A piece of the network as a ModelProto that reads ``reads`` and makes ``makes``; the quantizers in it."""

    proto: Any
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    acts: tuple[QuantizerId, ...]
    parameters: Mapping[str, tuple[str, ...]]
    """Graph inputs for the weights and bias, or the constants, of a node, by its output."""


@dataclass(frozen=True, eq=False)
class _Piece:
    """The nodes that one node of the network becomes, the quantizers behind it, and the graph inputs for its parameters."""

    nodes: tuple[Any, ...]
    quantizers: tuple[QuantizerId, ...]
    parameters: Mapping[str, tuple[str, ...]]
    work: float


def prefix(known: QuantizerId) -> str:
    """What the graph inputs of a quantizer of activations begin with."""
    return f"quantizer/{known.tensors[0]}"


def act_feeds(known: QuantizerId, held: ActQuant | None, *, zero_point_first: bool) -> dict[str, Any]:
    """The numbers of a quantizer: switched off where ``held`` is None."""
    if held is None:
        values = dict(zip(NUMBERS, (np.bool_(False), *map(np.float32, (1, 0, 0, 0))), strict=True))
    else:
        shift = held.zero_point if zero_point_first else 0
        moved = held.zero_point - shift
        ends = (held.format.min - moved, held.format.max - moved)
        values = dict(zip(NUMBERS, (np.bool_(True), *map(np.float32, (held.scale, shift, *ends))), strict=True))
    return {f"{prefix(known)}/{name}": np.asarray(value) for name, value in values.items()}


class Builder:
    """Pieces of one network, and the segments they make."""

    def __init__(
        self,
        model: OnnxModel,
        groups: Mapping[QuantizerId, Group],
        shapes: Mapping[str, tuple[int, ...]],
        *,
        batched: bool,
    ) -> None:
        self.model, self.shapes, self.batched = model, shapes, batched
        self.by_tensor = {name: known for known, group in groups.items() for name in quantized_tensors(model, group)}
        self.names = Names(model)
        self.renamed = {
            v.name: self.names.fresh(f"{v.name}/quantized") for v in model.inputs if v.name in self.by_tensor
        }
        self.constants: dict[str, Any] = dict(model.constants)

    def segments(self) -> tuple[Segment, ...]:
        """At most :data:`SEGMENTS`, of like work, cut where one tensor passes."""
        pieces = self._pieces
        bounds = [0, *self._cuts(pieces), len(pieces)]
        return tuple(self._segment(pieces, begin, end) for begin, end in pairwise(bounds))

    @cached_property
    def _pieces(self) -> list[_Piece]:
        inputs = [
            self._quantizer(v.name, v.name, self.renamed[v.name]) for v in self.model.inputs if v.name in self.renamed
        ]
        known = tuple(self.by_tensor[name] for name in self.renamed)
        return [_Piece(tuple(inputs), known, {}, 0.0), *(self._piece(node) for node in self.model.nodes)]

    def _piece(self, node: OnnxNode) -> _Piece:
        own = {n: self.names.fresh(f"{n}/float") for n in node.outputs if n in self.by_tensor}
        fed = parameter_names(node, self.model.constants)
        inputs = [fed.get(name) or self.renamed.get(name, name) for name in node.inputs]
        if is_product(node, self.model.constants):
            inputs = [self.renamed.get(node.inputs[0], node.inputs[0]), *fed.values()]
        elif node.op == "Reshape" and self.batched:
            inputs = [inputs[0], self._target(node)]
        outputs = [own.get(name, name) for name in node.outputs]
        made = nodes_of(node, self.model.layer_name(node), inputs, outputs)
        made += [self._quantizer(source, name, name) for name, source in own.items()]
        held = {node.outputs[0]: tuple(fed.values())} if fed else {}
        return _Piece(tuple(made), tuple(self.by_tensor[name] for name in own), held, self._work(node))

    def _target(self, node: OnnxNode) -> str:
        """The shape that a Reshape is told, with the leading axis as it comes where that is 1."""
        target = self.model.constants.get(node.inputs[1])
        if target is None or target.size < 2 or target[0] != 1:
            return node.inputs[1]
        name = self.names.fresh(f"{node.inputs[1]}/batched")
        self.constants[name] = np.array([0, *target[1:]], np.int64)
        return name

    def _work(self, node: OnnxNode) -> float:
        """MACs, and one operation an element elsewhere."""
        made = sum(math.prod(self.shapes[name]) for name in node.outputs if name)
        if not is_product(node, self.model.constants):
            return float(made)
        weights = self.model.constants[node.inputs[1]]
        return float(made * weights.size / self.shapes[node.outputs[0]][1 if "Conv" in node.op else -1])

    def _quantizer(self, source: str, tensor: str, target: str) -> Any:
        """``source`` as ``target``, quantized where the switch of ``tensor``'s quantizer is on."""
        from onnx import TensorProto, helper

        on, scale, shift, low, high = (f"{prefix(self.by_tensor[tensor])}/{name}" for name in NUMBERS)
        a, b, c, d, e, f, same = (self.names.fresh(f"{target}/{i}") for i in range(7))
        steps = [
            make_node("Div", [source, scale], a),
            make_node("Add", [a, shift], b),
            make_node("Round", [b], c),
            make_node("Clip", [c, low, high], d),
            make_node("Sub", [d, shift], e),
            make_node("Mul", [e, scale], f),
        ]

        def branch(nodes: list[Any], output: str) -> Any:
            end = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
            return helper.make_graph(nodes, output, [], [end])

        passed = branch([make_node("Identity", [source], same)], same)
        return make_node("If", [on], target, {"then_branch": branch(steps, f), "else_branch": passed})

    def _cuts(self, pieces: list[_Piece]) -> list[int]:
        """Between pieces, where one tensor alone passes, nearest to equal shares of the work."""
        done = np.cumsum([piece.work for piece in pieces])
        free = [i for i in range(1, len(pieces)) if len(self._passing(pieces, i)) == 1]
        shares = [done[-1] * k / SEGMENTS for k in range(1, SEGMENTS)]
        return sorted({min(free, key=lambda i: abs(done[i - 1] - share)) for share in shares}) if free else []

    def _passing(self, pieces: list[_Piece], cut: int) -> list[str]:
        """Tensors that pieces from ``cut`` on read, or that the network makes, and that earlier ones make or the network is given."""
        before = {name for piece in pieces[:cut] for node in piece.nodes for name in node.output}
        before |= {value.name for value in self.model.inputs}
        read = {name for piece in pieces[cut:] for node in piece.nodes for name in node_reads(node)}
        return sorted(before & (read | set(self.model.outputs)))

    def _segment(self, pieces: list[_Piece], begin: int, end: int) -> Segment:
        own = pieces[begin:end]
        reads = tuple(self._passing(pieces, begin)) if begin else tuple(value.name for value in self.model.inputs)
        made = {name for piece in own for node in piece.nodes for name in node.output}
        makes = tuple(name for name in self._passing(pieces, end) if name in made)
        acts = tuple(dict.fromkeys(known for piece in own for known in piece.quantizers))
        parameters = {name: fed for piece in own for name, fed in piece.parameters.items()}
        nodes = [node for piece in own for node in piece.nodes]
        read = {name for node in nodes for name in node_reads(node)}
        wanted = tuple(name for name in reads if name in read)
        return Segment(self._proto(nodes, wanted, makes, acts, parameters.values()), wanted, makes, acts, parameters)

    def _proto(
        self,
        nodes: list[Any],
        reads: Iterable[str],
        makes: Iterable[str],
        acts: Iterable[QuantizerId],
        parameters: Iterable[tuple[str, ...]],
    ) -> Any:
        from onnx import TensorProto, helper, numpy_helper

        def port(name: str, shape: Any = None, kind: int = TensorProto.FLOAT) -> Any:
            return helper.make_tensor_value_info(name, kind, shape)

        shapes = {value.name: self._port_shape(value.shape) for value in self.model.inputs}
        told = [f"{prefix(known)}/{name}" for known in acts for name in NUMBERS]
        inputs = [port(name, shapes.get(name)) for name in reads]
        inputs += [port(name, [], TensorProto.BOOL if name.endswith("/on") else TensorProto.FLOAT) for name in told]
        inputs += [port(name) for names in parameters for name in names]
        read = {name for node in nodes for name in node_reads(node)}
        kept = [numpy_helper.from_array(np.asarray(v), name) for name, v in self.constants.items() if name in read]
        graph = helper.make_graph(nodes, "probe", inputs, [port(name) for name in makes], kept)
        domains = {node.domain for node in nodes} - {"", "ai.onnx"}
        opsets = [("", max(self.model.opset, OPSET)), *((domain, 1) for domain in sorted(domains))]
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid(*opset) for opset in opsets])
        made.ir_version = IR_VERSION
        return made

    def _port_shape(self, shape: tuple[int, ...]) -> list[int | str]:
        return ["inferences", *shape[1:]] if self.batched else list(shape)


def parameter_names(node: OnnxNode, constants: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """Graph inputs for what is quantized of the constants of ``node``: weights and bias of a product, or operands, by their names."""
    name = node.outputs[0]
    if is_product(node, constants):
        return {node.inputs[1]: f"{name}/probe_weights", f"{name}/bias": f"{name}/probe_bias"}
    return {operand: f"{name}/probe_{operand}" for operand in coded_operands(node, constants)}


def node_reads(node: Any) -> set[str]:
    """What ``node`` reads, in its subgraphs too."""
    inner = (n for a in node.attribute for n in a.g.node)
    return {*node.input, *(name for n in inner for name in n.input)} - {""}
