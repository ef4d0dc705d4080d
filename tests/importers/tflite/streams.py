"""Small streaming models: how a variable may be read and assigned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tests.importers.flat import Op, T, tflite_bytes

SHAPE, WINDOW = (1, 1, 4), (1, 3, 4)


def codes(name: str, shape: Sequence[int] = SHAPE, data: Any = None, kind: str = "INT8", zero: int = 3) -> T:
    """A tensor of one scale throughout."""
    return T(name, shape, kind, scale=0.5, zero=0 if kind != "INT8" else zero, data=data)


def handle(name: str, variable: str, container: str | None = None) -> Op:
    options = {"SharedName": variable} | ({} if container is None else {"Container": container})
    return Op("VAR_HANDLE", [], [name], options)


def read(handle: str, output: str) -> Op:
    return Op("READ_VARIABLE", [handle], [output])


def assign(handle: str, value: str) -> Op:
    return Op("ASSIGN_VARIABLE", [handle, value], [])


def resource(*names: str) -> list[T]:
    return [T(name, (), "RESOURCE") for name in names]


ONCE = Op("CALL_ONCE", [], [], {"InitSubgraphIndex": 1})


def begins(**values: Any) -> tuple[list[T], list[Op]]:
    """A subgraph that assigns each variable its constant."""
    tensors, operators = list[T](), list[Op]()
    for name, value in values.items():
        array = np.asarray(value)
        kind = {"int8": "INT8", "int16": "INT16", "int32": "INT32"}[array.dtype.name]
        tensors += [*resource(f"{name}_handle"), codes(f"{name}_first", array.shape, array, kind)]
        operators += [handle(f"{name}_handle", name), assign(f"{name}_handle", f"{name}_first")]
    return tensors, operators


def first(seed: int, shape: Sequence[int] = SHAPE, kind: Any = np.int8) -> Any:
    return np.random.default_rng(seed).integers(-100, 100, shape).astype(kind)


def window(kind: str = "INT8", *, initialized: bool = True) -> bytes:
    """The last frames side by side: what a streaming layer keeps."""
    held = (1, 2, 4)
    tensors = [
        codes("x", kind=kind), *resource("h"), codes("old", held, kind=kind), codes("all", WINDOW, kind=kind),
        T("begin", (3,), "INT32", data=[0, 1, 0]), T("end", (3,), "INT32", data=[1, 3, 4]),
        T("steps", (3,), "INT32", data=[1, 1, 1]), codes("new", held, kind=kind),
    ]  # fmt: skip
    operators = [
        ONCE, handle("h", "s"), read("h", "old"), Op("CONCATENATION", ["old", "x"], ["all"], {"Axis": 1}),
        Op("STRIDED_SLICE", ["all", "begin", "end", "steps"], ["new"]), assign("h", "new"),
    ]  # fmt: skip
    once = begins(s=first(1, held, {"INT8": np.int8, "INT16": np.int16}[kind])) if initialized else ((), ())
    return tflite_bytes(tensors, operators if initialized else operators[1:], ["x"], ["all"], once=once)


def _joined(inputs: Sequence[str], operators: Sequence[Op], more: Sequence[T], once: tuple[list[T], list[Op]]) -> bytes:
    """A model that puts ``inputs`` side by side behind ``operators``."""
    out = codes("y", (1, len(inputs), 4))
    last = Op("CONCATENATION", list(inputs), ["y"], {"Axis": 1})
    return tflite_bytes([codes("x"), *more, out], [ONCE, *operators, last], ["x"], ["y"], once=once)


def delayed() -> bytes:
    """Two variables in a row: what is assigned is the input, and the other variable's codes."""
    more = [*resource("h", "k"), codes("a"), codes("b")]
    operators = [handle("h", "p"), handle("k", "q"), read("h", "a"), read("k", "b"), assign("k", "a"), assign("h", "x")]
    return _joined(["x", "a", "b"], operators, more, begins(p=first(2), q=first(3)))


def swapped() -> bytes:
    """Two variables change places."""
    more = [*resource("h", "k"), codes("a"), codes("b")]
    operators = [handle("h", "p"), handle("k", "q"), read("h", "a"), read("k", "b"), assign("k", "a"), assign("h", "b")]
    return _joined(["x", "a", "b"], operators, more, begins(p=first(4), q=first(5)))


def shared() -> bytes:
    """One tensor is assigned to two variables."""
    more = [*resource("h", "k"), codes("a"), codes("b"), codes("c"), T("turn", (3,), "INT32", data=[0, 1, 2])]
    operators = [
        handle("h", "p"), handle("k", "q"), read("h", "a"), read("k", "b"), Op("TRANSPOSE", ["x", "turn"], ["c"]),
        assign("k", "c"), assign("h", "c"),
    ]  # fmt: skip
    return _joined(["x", "a", "b"], operators, more, begins(p=first(6), q=first(7)))


def read_behind() -> bytes:
    """Read before and behind an assignment, and twice over; a second handle of the same variable."""
    more = [*resource("h", "k"), codes("a"), codes("b"), codes("c")]
    operators = [
        handle("h", "p"), handle("k", "p"), read("h", "a"), read("k", "b"), assign("h", "x"), read("k", "c"),
    ]  # fmt: skip
    return _joined(["a", "b", "c"], operators, more, begins(p=first(8)))


def assigned_twice() -> bytes:
    """The last one counts; a reshaped tensor is assigned."""
    more = [*resource("h", "k"), codes("a"), codes("b"), codes("c", (4, 1)), codes("d")]
    operators = [
        handle("h", "p"), handle("k", "q"), read("h", "a"), read("k", "b"), assign("h", "x"), assign("h", "b"),
        Op("RESHAPE", ["x", None], ["c"], {"NewShape": [4, 1]}), Op("RESHAPE", ["c", None], ["d"], {"NewShape": [1, 1, 4]}),
        assign("k", "d"),
    ]  # fmt: skip
    operators = [Op(o.name, o.inputs[:1], o.outputs, o.options) if o.name == "RESHAPE" else o for o in operators]
    return _joined(["x", "a", "b"], operators, more, begins(p=first(9), q=first(10)))


def constant() -> bytes:
    """Nothing assigns one variable, nothing reads the other."""
    more = [*resource("h", "k"), codes("a")]
    operators = [handle("h", "p"), handle("k", "q"), read("h", "a"), assign("k", "x")]
    return _joined(["x", "a"], operators, more, begins(p=first(11), q=first(12)))


STREAMS: Mapping[str, Callable[[], bytes]] = MappingProxyType(
    {
        "window": window,
        "window16": lambda: window("INT16"),
        "delayed": delayed,
        "swapped": swapped,
        "shared": shared,
        "read_behind": read_behind,
        "assigned_twice": assigned_twice,
        "constant": constant,
    }
)
