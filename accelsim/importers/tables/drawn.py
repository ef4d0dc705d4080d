"""A shape-only Graph that holds what its rows have in common once, and makes layers, tensors and ports when they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Graph, HostPort, Layer, MatMul, Tensor
from accelsim.numerics import IntFormat

Shape = tuple[int, ...]
Value = TypeVar("Value")
RESULT = ".out"
FEW = 4096
"""Rows of tables whose layers and tensors are all made at once, some megabytes of them."""
OPERANDS, OUTSIDE = 2, -1
"""Most operands that a row has, and the source of one that no row makes."""
NO_ARITHMETIC = "none"
"""A shape-only graph holds no numbers, so no arithmetic either."""


format_of = cache(IntFormat)
"""The signed format of so many bits, one record for all."""


class Form(NamedTuple):
    """What rows of equal cells have in common, whatever their names: a ``pattern`` of the layer, the ``formats`` of its operands, and that
    of its ``result``, which ``leaves`` the network though rows read it, or does not."""

    pattern: Layer
    formats: tuple[IntFormat, ...]
    result: IntFormat
    leaves: bool = False

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """Shapes of the operands."""
        return self.pattern.input_shapes

    @property
    def output(self) -> Shape:
        """Shape of the result."""
        return self.pattern.output_shape

    def operands(self, name: str) -> tuple[str, ...]:
        """The tensors of its own that the row ``name`` reads: ``name.in``, or ``.left`` and ``.right``."""
        return (f"{name}.in",) if len(self.inputs) == 1 else (f"{name}.left", f"{name}.right")


def form_of(kind: type[Layer], fmt: IntFormat, **fields: Any) -> Form:
    """The form of rows that are layers of ``kind`` with ``fields``, on tensors of ``fmt``.

    The right operand of a product has the format of the weights, whose place it takes.
    """
    pattern = kind(name="", inputs=(), output="", **fields)
    right = pattern.weight_format if isinstance(pattern, MatMul) else fmt
    return Form(pattern, (fmt, right)[: len(pattern.input_shapes)], fmt)


class Table:
    """The rows: ``kinds`` of rows that are alike, the number ``of`` the kind of each row, and its name.

    ``sources`` (rows, OPERANDS) are the rows whose results stand at each operand, OUTSIDE where it comes from outside; None where all
    do. ``operands`` and ``leaves`` say of each kind how many operands it has, and whether its result leaves the network.
    """

    def __init__(
        self,
        kinds: Sequence[Form],
        of: NDArray[np.int32],
        names: Sequence[str],
        sources: NDArray[np.int32] | None,
        *,
        operands: NDArray[np.int8],
        leaves: NDArray[np.bool_],
    ) -> None:
        self.kinds, self.of, self.names, self.sources = kinds, of, names, sources
        self._operands, self._leaves = operands, leaves

    def __len__(self) -> int:
        return len(self.of)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The number of each row by its name."""
        return {name: row for row, name in enumerate(self.names)}

    def form(self, row: int) -> Form:
        """What the row has in common with others."""
        return self.kinds[int(self.of[row])]

    def inputs(self, row: int) -> tuple[str, ...]:
        """The tensors that the row reads."""
        own = self.form(row).operands(self.names[row])
        if self.sources is None:
            return own
        sources = self.sources[row].tolist()
        return tuple([n if s == OUTSIDE else self.names[s] + RESULT for n, s in zip(own, sources, strict=False)])

    def layer(self, row: int) -> Layer:
        """The layer of one row."""
        name = self.names[row]
        return replace(self.form(row).pattern, name=name, inputs=self.inputs(row), output=name + RESULT)

    def own_operands(self, row: int) -> tuple[str, ...]:
        """What the row reads from outside."""
        own = self.form(row).operands(self.names[row])
        if self.sources is None:
            return own
        return tuple([n for n, s in zip(own, self.sources[row].tolist(), strict=False) if s == OUTSIDE])

    def tensor(self, name: str) -> Tensor:
        """The tensor called ``name``; KeyError where there is none."""
        stem, _, _ = name.rpartition(".")
        row = self.index[stem]
        form = self.form(row)
        if name == stem + RESULT:
            return Tensor(name, form.output, form.result)
        own = form.operands(stem)
        at = own.index(name) if name in own else None
        if at is None or (self.sources is not None and self.sources[row, at] != OUTSIDE):
            raise KeyError(name)
        return Tensor(name, form.inputs[at], form.formats[at])

    def outside(self) -> NDArray[np.int64]:
        """Of every operand from outside, in order, its place ``OPERANDS * row + operand``."""
        own = np.arange(OPERANDS) < self._operands[self.of][:, None]
        if self.sources is not None:
            own &= self.sources == OUTSIDE
        return np.flatnonzero(own)

    def unread(self) -> NDArray[np.int64]:
        """The rows whose results leave the network: no row reads them, or the row says so."""
        leaving = self._leaves[self.of]
        if self.sources is None:
            return np.arange(len(self))
        read = np.zeros(len(self), np.bool_)
        read[self.sources[self.sources != OUTSIDE]] = True
        return np.flatnonzero(leaving | ~read)


class Drawn(Sequence[Value]):
    """A sequence whose members are made when they are asked for."""

    @abstractmethod
    def one(self, at: int) -> Value:
        """The member at ``at``, from 0 on."""

    @overload
    def __getitem__(self, at: int) -> Value: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Value]: ...
    def __getitem__(self, at: int | slice) -> Value | Sequence[Value]:
        if isinstance(at, slice):
            return tuple(self.one(i) for i in range(len(self))[at])
        return self.one(range(len(self))[at])


class Layers(Drawn[Layer]):
    """The layers of a table, each made once."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._made: list[Layer | None] = [None] * len(table)

    def __len__(self) -> int:
        return len(self._made)

    def one(self, at: int) -> Layer:
        layer = self._made[at]
        if layer is None:
            layer = self._made[at] = self.table.layer(at)
        return layer


class Tensors(Mapping[str, Tensor]):
    """The tensors of a table by name: of every row what it reads from outside, and its result."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __getitem__(self, name: str) -> Tensor:
        return self.table.tensor(name)

    def __iter__(self) -> Iterator[str]:
        for row, name in enumerate(self.table.names):
            yield from self.table.own_operands(row)
            yield name + RESULT

    def __len__(self) -> int:
        return len(self.table) + len(self.table.outside())


class Ports(Drawn[HostPort]):
    """Tensors that cross between host and machine: ``places`` are numbers that ``name`` makes names of."""

    def __init__(self, table: Table, places: Callable[[], NDArray[np.int64]], name: Callable[[int], str]) -> None:
        self.table, self._count, self._name = table, places, name

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        return self._count()

    def __len__(self) -> int:
        return len(self._places)

    def one(self, at: int) -> HostPort:
        name = self._name(int(self._places[at]))
        return HostPort(name, name)


def _inputs(table: Table) -> Ports:
    return Ports(table, table.outside, lambda place: table.inputs(place // OPERANDS)[place % OPERANDS])


def _outputs(table: Table) -> Ports:
    return Ports(table, table.unread, lambda row: table.names[row] + RESULT)


@dataclass(frozen=True, eq=False, kw_only=True)
class TableGraph(Graph):
    """A Graph whose rules hold by the way its rows were read: checking it would make all of it."""

    def __post_init__(self) -> None:
        parts = self.tensors, self.layers, self.inputs, self.outputs
        if len({id(getattr(part, "table", part)) for part in parts}) > 1:  # an edited copy
            super().__post_init__()


def graph_of(table: Table, name: str) -> Graph:
    """The Graph of the rows of ``table``, which are alike in every cell or checked one by one.

    Of FEW rows everything is made at once, since what costs a network looks at each layer a hundred times.
    """
    tensors: Mapping[str, Tensor] = Tensors(table)
    layers: Sequence[Layer] = Layers(table)
    inputs: Sequence[HostPort] = _inputs(table)
    outputs: Sequence[HostPort] = _outputs(table)
    kind: type[Graph] = TableGraph
    if len(table) <= FEW:
        kind = Graph
        tensors, layers, inputs, outputs = dict(tensors), tuple(layers), tuple(inputs), tuple(outputs)
    return kind(
        name=name,
        arithmetic=NO_ARITHMETIC,
        tensors=tensors,
        layers=layers,
        inputs=inputs,
        outputs=outputs,
        shape_only=True,
    )
