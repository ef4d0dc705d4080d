"""A TfliteModel becomes a Graph: boundary conversions go to the host, every other operator to its lowering."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from accelsim.arch import Arithmetic
from accelsim.errors import ModelError, Refusals
from accelsim.graph import Graph, HostPort, Layer, Outcome, SourceOperator, Tensor
from accelsim.importers.account import named_after
from accelsim.importers.files import name_of
from accelsim.importers.refusal import RefusalError, in_file
from accelsim.importers.registry import lowering_of
from accelsim.importers.tflite.context import (
    ACTIVATION_TYPES,
    FORMATS,
    Made,
    NodeContext,
    scale_of,
    zero_point_of,
)
from accelsim.importers.tflite.file.records import TfliteModel, TfliteOperator, TfliteTensor
from accelsim.importers.tflite.fold import fold
from accelsim.importers.tflite.registry import LOWERINGS
from accelsim.importers.tflite.rules import Rules
from accelsim.importers.tflite.variables import VARIABLES, Variables
from accelsim.numerics import Rounding

FLOAT = "FLOAT32"
REMEDY = (
    "quantize it with accelsim quantize, or convert with full-integer post-training quantization: TFLiteConverter with "
    "optimizations=[DEFAULT], a representative_dataset and target_spec.supported_ops=[TFLITE_BUILTINS_INT8]"
)


def build_graph(model: TfliteModel, arithmetic: Arithmetic) -> Graph:
    """The Graph of ``model`` under ``arithmetic``; ModelError or UnsupportedOperatorError where there is none."""
    _require_quantized(model)
    rules = Rules(arithmetic)
    variables = Variables(model, rules)
    made, boundary, settled = _lowered(model, rules, variables)
    copies, kept = variables.finish(made)
    made += copies
    kept += tuple(variable for each in made for variable in each.variables)
    layers = [layer for each in made for layer in each.layers]
    known = (settled.get(tensor.index, tensor) for tensor in model.tensors)
    model = replace(model, tensors=(*known, *(tensor for each in made for tensor in each.tensors)))
    outputs = _output_ports(model, boundary.exits)
    read = {name for layer in layers for name in layer.inputs} | {port.tensor for port in outputs}
    ends = [*(port.tensor for port in outputs), *(name for each in kept for name in (each.read, each.written))]
    inputs = _input_ports(model, boundary.entries, read, rules.host_rounding)
    with in_file(model.path):
        return Graph(
            name=name_of(model.path),
            arithmetic=arithmetic.name,
            tensors=_tensors(model, layers, [*(port.tensor for port in inputs), *ends]),
            layers=tuple(layers),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            constants=_constants(model, read),
            unread_inputs=_unread_inputs(model, inputs),
            approximations={name: text for each in made for name, text in each.approximations.items()},
            source=_source(model, layers),
            variables=kept,
        )


def _require_quantized(model: TfliteModel) -> None:
    computed = {model.tensors[i].type for operator in model.operators for i in operator.outputs}
    computed |= {model.tensors[i].type for i in model.inputs}
    if not computed & {"INT8", "INT16", "UINT8"}:
        raise ModelError(
            f"{model.path}: the model is not quantized (its activations are {', '.join(sorted(computed))}); {REMEDY}",
            path=model.path,
        )


Crossing = tuple[TfliteTensor, TfliteTensor]
"""Source and target."""


@dataclass(frozen=True)
class Boundary:
    """Conversions that the host makes: QUANTIZE of float graph inputs, DEQUANTIZE to graph outputs."""

    entries: list[Crossing] = field(default_factory=list)
    exits: list[Crossing] = field(default_factory=list)


def _lowered(
    model: TfliteModel, rules: Rules, variables: Variables
) -> tuple[list[Made], Boundary, dict[int, TfliteTensor]]:
    """What the operators become, and the tensors of which they tell more than the file.

    One that is refused stands in the way of no other, since the file tells the type, shape and scale of its result; but what is
    said of a result that no operator could read follows from its refusal.
    """
    refusals, made, boundary, broken = Refusals(model.path), list[Made](), Boundary(), set[int]()
    settled: dict[int, TfliteTensor] = {}
    for operator in model.operators:
        try:
            made.append(_lower(NodeContext(model, operator, rules, settled), boundary, variables))
        except ModelError as error:
            if not (operator.op in LOWERINGS or operator.op in VARIABLES) or not broken.intersection(operator.inputs):
                refusals.add(error)
            broken.update(i for i in operator.outputs if not _is_readable(model.tensors[i]))
    refusals.check()
    return made, boundary, settled


def _is_readable(tensor: TfliteTensor) -> bool:
    """Whether an operator can read what is computed into ``tensor``."""
    try:
        scale_of(tensor), zero_point_of(tensor)
    except RefusalError:
        return False
    return tensor.type in ACTIVATION_TYPES


def _lower(node: NodeContext, boundary: Boundary, variables: Variables) -> Made:
    """The layers of one operator; none where it is of the ``boundary``."""
    with node.located():
        if fold(node):
            node.check_all_seen()
            return Made()
    crossing = _crossing(node)
    if crossing is not None:
        (boundary.entries if node.op == "QUANTIZE" else boundary.exits).append(crossing)
        return Made()
    with node.located():
        made = (
            VARIABLES[node.op].function(variables, node)
            if node.op in VARIABLES
            else lowering_of(node.op, LOWERINGS).function(node)
        )
        node.check_all_seen()
        return made if isinstance(made, Made) else Made((made,))


def _crossing(node: NodeContext) -> Crossing | None:
    """Source and target of a conversion that the host makes; None for every other operator."""
    model, operator = node.model, node.record
    if operator.op not in ("QUANTIZE", "DEQUANTIZE") or len(operator.inputs) != 1 or len(operator.outputs) != 1:
        return None
    (source_index,), (target_index,) = operator.inputs, operator.outputs
    if source_index < 0:
        return None
    source, target = node.tensor(source_index), node.tensor(target_index)
    real, coded = (source, target) if operator.op == "QUANTIZE" else (target, source)
    if real.type != FLOAT:
        return None
    with node.located():
        _check_crossing(model, operator, real, coded)
        node.shape_is(target, source.shape)
    return source, target


def _check_crossing(model: TfliteModel, operator: TfliteOperator, real: TfliteTensor, coded: TfliteTensor) -> None:
    ports = model.inputs if operator.op == "QUANTIZE" else model.outputs
    place = "a graph input" if operator.op == "QUANTIZE" else "a graph output"
    if real.index not in ports or coded.is_constant:
        raise RefusalError(f"its float tensor {real.name!r} is not {place}", f"{operator.op} only at {place}s")
    if coded.type not in ("INT8", "INT16"):
        raise RefusalError(f"its integer tensor {coded.name!r} is {coded.type}", "INT8 or INT16")
    scale_of(coded), zero_point_of(coded)


def _input_ports(model: TfliteModel, entries: list[Crossing], read: set[str], rounding: Rounding) -> list[HostPort]:
    """Ports of the graph inputs that some layer reads; a TRANSPOSE_CONV's size, for one, is none."""
    ports = []
    for index in model.inputs:
        tensor = model.tensors[index]
        coded = [target for source, target in entries if source.index == index]
        ports += [HostPort(target.name, tensor.name, real=True, rounding=rounding) for target in coded]
        if tensor.name in read:
            ports.append(HostPort(tensor.name, tensor.name, rounding=rounding))
    return ports


def _output_ports(model: TfliteModel, exits: list[Crossing]) -> list[HostPort]:
    coded = {target.index: source for source, target in exits}
    ports = []
    for index in model.outputs:
        tensor = model.tensors[index]
        source = coded.get(index, tensor)
        ports.append(HostPort(source.name, tensor.name, real=index in coded))
    return ports


def _tensors(model: TfliteModel, layers: Iterable[Layer], ends: Iterable[str]) -> dict[str, Tensor]:
    by_name = {tensor.name: tensor for tensor in model.tensors}
    used = [name for layer in layers for name in (*layer.inputs, layer.output)] + [*ends]
    return {name: _tensor(model, by_name[name]) for name in dict.fromkeys(used)}


def _unread_inputs(model: TfliteModel, ports: list[HostPort]) -> tuple[str, ...]:
    """Names of the graph inputs that are no ports."""
    known = {port.host_name for port in ports}
    names = (model.tensors[index].name for index in model.inputs)
    return tuple(name for name in names if name not in known)


def _constants(model: TfliteModel, read: set[str]) -> dict[str, NDArray[Any]]:
    """Values of the constant operands that layers read as tensors."""
    return {t.name: t.data for t in model.tensors if t.data is not None and t.name in read}


def _tensor(model: TfliteModel, tensor: TfliteTensor) -> Tensor:
    if tensor.type not in FORMATS:
        raise ModelError(f"{model.path}: tensor {tensor.name!r} is {tensor.type}; expected {', '.join(FORMATS)}")
    zero = int(tensor.zero_points[0]) if len(tensor.zero_points) == 1 else 0
    scale = float(tensor.scales[0]) if len(tensor.scales) == 1 else None
    return Tensor(tensor.name, tensor.shape, FORMATS[tensor.type], zero, scale)


def _outcome(model: TfliteModel, operator: TfliteOperator) -> Outcome:
    """Of an operator that made no layer."""
    if operator.op in VARIABLES:
        return Outcome.STATE
    is_folded = all(model.tensors[index].is_constant for index in operator.outputs)
    return Outcome.CONSTANT if is_folded else Outcome.HOST


def _source(model: TfliteModel, layers: Iterable[Layer]) -> tuple[SourceOperator, ...]:
    """What became of each operator: the layers named after it, or the host's conversion."""
    bases = {model.layer_name(operator): operator.index for operator in model.operators}
    named: dict[int, list[str]] = {index: [] for index in bases.values()}
    for layer in layers:
        if (base := named_after(layer.name, bases)) is not None:
            named[bases[base]].append(layer.name)
    made = []
    for operator in model.operators:
        own = tuple(named[operator.index])
        outputs = [model.tensors[i].name for i in operator.outputs]
        made.append(
            SourceOperator(
                index=operator.index,
                operator=operator.op,
                output=outputs[0] if outputs else "",
                outcome=Outcome.LAYER if own else _outcome(model, operator),
                layers=own,
            )
        )
    return tuple(made)
