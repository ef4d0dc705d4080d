"""Resource variables of streaming models: what an inference assigns is what the next one reads.

LiteRT and tflite-micro know a variable by container and shared name; CALL_ONCE runs a subgraph that assigns what it holds at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Layer, Reshape, StridedSlice, Variable
from accelsim.importers.registry import Lowering, lowering_of
from accelsim.importers.tflite.context import MOVED_TYPES, Made, NodeContext, view, zero_point_of
from accelsim.importers.tflite.file.records import TfliteModel, TfliteTensor
from accelsim.importers.tflite.rules import Rules


class Variables:
    """The variables of ``model`` while its operators are lowered in turn.

    A READ_VARIABLE before the variable is assigned makes its output an entry of the Graph, one behind that gives what was assigned.
    What nothing assigns is a constant; what nothing reads before it is assigned again carries nothing, and is none.
    """

    def __init__(self, model: TfliteModel, rules: Rules) -> None:
        self._rules = rules
        self._handles: dict[int, str] = {}
        self._initial: dict[str, TfliteTensor] = {}
        self._current: dict[str, TfliteTensor] = {}
        self._entries: dict[str, TfliteTensor] = {}  # with what they hold at first
        self._assigning: dict[str, NodeContext] = {}
        named = {each.outputs[:1]: _name(each.options) for each in model.operators if each.op == "VAR_HANDLE"}
        self._assigned = {named.get(each.inputs[:1]) for each in model.operators if each.op == "ASSIGN_VARIABLE"}

    def handle(self, node: NodeContext) -> Made:
        """VAR_HANDLE."""
        container, name = node.text_option("container"), node.text_option("shared_name")
        self._handles[node.output.index] = _name({"container": container, "shared_name": name})
        return Made()

    def call_once(self, node: NodeContext) -> Made:
        """CALL_ONCE, whose subgraph may assign constants."""
        called = node.model.once[node.option("init_subgraph_index")]
        handles: dict[int, str] = {}
        for operator in called.operators:
            each = NodeContext(called, operator, self._rules)
            with each.located():
                if lowering_of(each.op, ONCE).function is Variables.handle:
                    handles[each.output.index] = _name({key: each.text_option(key) for key in operator.options})
                    continue
                value = each.operand(1, MOVED_TYPES)
                each.constant(1, "what a variable holds at first")
                self._initial[handles[each.input(0).index]] = value
        return Made()

    def read(self, node: NodeContext) -> Made:
        """READ_VARIABLE."""
        name, output = self._named(node), node.result(MOVED_TYPES)
        if name not in self._current:
            codes = self._begins(node, name, output)
            if name not in self._assigned:
                node.settle(replace(node.output, data=codes))
                return Made()
            self._current[name] = self._entries[name] = replace(node.output, data=codes)
            return Made()
        value = self._current[name]
        node.typed(output, (value.type,))
        node.output_shape_is(value.shape)
        return Made((Reshape(**node.fields(value), source_operator=node.op),))

    def assign(self, node: NodeContext) -> Made:
        """ASSIGN_VARIABLE."""
        name, value = self._named(node), node.operand(1, MOVED_TYPES)
        for other in (self._initial.get(name), self._entries.get(name)):
            same = other is None or (other.type, other.shape) == (value.type, value.shape)
            node.need(
                same, f"it makes {name!r} {value.type} of shape {list(value.shape)}", "one type and shape throughout"
            )
        self._current[name], self._assigning[name] = value, node
        return Made()

    def _named(self, node: NodeContext) -> str:
        handle = node.input(0)
        node.need(handle.index in self._handles, f"{handle.name!r} names no variable", "the output of a VAR_HANDLE")
        return self._handles[handle.index]

    def _begins(self, node: NodeContext, name: str, output: TfliteTensor) -> NDArray[Any]:
        """What variable ``name`` holds at first, as ``output``: LiteRT reads none that is not assigned; tflite-micro, the zero point."""
        first = self._initial.get(name)
        if first is None or first.data is None:
            node.need(
                self._rules.is_micro,
                f"{name!r} is read before anything is assigned to it, which LiteRT refuses",
                "a variable that the subgraph of a CALL_ONCE assigns, or the arithmetic tflite-micro",
            )
            return np.full(output.shape, zero_point_of(output), DTYPES[output.type])
        node.typed(output, (first.type,))
        node.output_shape_is(first.shape)
        return first.data

    def finish(self, made: Iterable[Made]) -> tuple[list[Made], tuple[Variable, ...]]:
        """The variables, and copies of what they are assigned where that is no memory of its own: an input, another variable."""
        home: dict[str, str | None] = {}
        for layer in (layer for each in made for layer in each.layers):
            home[layer.output] = home.get(layer.inputs[0]) if isinstance(layer, Reshape) else layer.output
        copies, variables, taken = list[Made](), list[Variable](), set[str]()
        for name, entry in self._entries.items():
            node, written = self._assigning[name], self._current[name].name
            place = home.get(written)
            if place is None or place in taken:
                copies.append(_copy(node, self._current[name]))
                place = written = copies[-1].tensors[0].name
            taken.add(place)
            assert entry.data is not None
            variables.append(Variable(name=name, read=entry.name, written=written, initial=entry.data))
        return copies, tuple(variables)


DTYPES = MappingProxyType({"INT8": np.int8, "INT16": np.int16, "INT32": np.int32})


def _name(options: Mapping[str, Any]) -> str:
    return "/".join(part for part in (options.get("container"), options.get("shared_name")) if part)


def _copy(node: NodeContext, value: TfliteTensor) -> Made:
    shape = view(value.shape)
    target = replace(value, name=node.fresh("kept"), data=None)
    layer: Layer = StridedSlice(
        name=node.layer_name,
        inputs=(value.name,),
        output=target.name,
        shapes=(shape,),
        shape=shape,
        begin=(0,) * len(shape),
        strides=(1,) * len(shape),
    )
    return Made((layer,), (target,))


Rule = Callable[[Variables, NodeContext], Made]
_STATE = "int8, int16, int32"
ONCE: Mapping[str, Lowering[Rule]] = MappingProxyType(
    {
        "VAR_HANDLE": Lowering(Variables.handle, (), _STATE, "names a variable"),
        "ASSIGN_VARIABLE": Lowering(Variables.assign, (), _STATE, "a copy where what is assigned has other readers"),
    }
)
"""What a subgraph that is called once may hold."""
VARIABLES: Mapping[str, Lowering[Rule]] = MappingProxyType(
    {
        "CALL_ONCE": Lowering(Variables.call_once, (), _STATE, "a subgraph that assigns constants to variables"),
        **ONCE,
        "READ_VARIABLE": Lowering(Variables.read, (Reshape,), _STATE, "moves nothing"),
    }
)
"""Operators of what is kept from inference to inference."""
