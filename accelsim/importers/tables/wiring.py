"""Rows become the Graph of a table: names that stand once, and the column ``inputs``, in which a row reads what rows above made."""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Sequence

import numpy as np

from accelsim.errors import AccelsimError, GraphError, ModelError, Refusals
from accelsim.graph import Graph
from accelsim.importers.files import name_of
from accelsim.importers.tables.bulk import REMEMBERED, Make, bulk_table
from accelsim.importers.tables.drawn import OPERANDS, OUTSIDE, Form, Table, graph_of
from accelsim.importers.tables.lines import Lines
from accelsim.numerics import IntFormat

FROM_OUTSIDE = "-"
"""In the column ``inputs``: an operand that no row made."""
_ALL_OUTSIDE = (OUTSIDE,) * OPERANDS


def graph_of_rows(lines: Lines, make: Make, *, name: int, inputs: int | None = None, mark: str = "") -> Graph:
    """The Graph of the rows below the header: columns ``name`` and ``inputs`` are a row's own, rows alike in all others are made once.

    A row with ``mark`` in its name, or none, is made on its own. ModelError of every row that is refused, where two have one name too.
    """
    table = bulk_table(lines, make, name=name, inputs=inputs, mark=mark)
    if table is None:
        table = _table(lines, make, name, inputs, mark)
    return graph_of(table, name_of(lines.path))


def _table(lines: Lines, make: Make, name: int, inputs: int | None, mark: str) -> Table:
    """The rows one by one, which :func:`bulk_table` takes at once where nothing is wrong with them."""
    wiring, refusals, known = Wiring(lines), Refusals(lines.path), dict[Hashable, int]()
    for row, (own, key, reads) in enumerate(lines.rows(name, inputs)):
        try:
            kind = known.get(key)
            if kind is None or not own or (mark and mark in own):
                if len(known) >= REMEMBERED:
                    known.clear()
                kind = known[key] = wiring.kind(make(lines.where(row), lines.cells(row)))
            if not wiring.add(row, own, reads, kind):
                raise _twice(lines, row, name, own)
        except AccelsimError as error:
            refusals.add(_located(lines.where(row), error))
            wiring.refused.add(own)
    refusals.check()
    return wiring.table()


def _located(where: str, error: AccelsimError) -> AccelsimError:
    if not isinstance(error, GraphError):
        return error
    located = ModelError(f"{where}: {error}")
    located.__cause__ = error
    return located


def _twice(lines: Lines, row: int, column: int, name: str) -> ModelError:
    first = next(i for i in range(row) if lines.cells(i)[column : column + 1] == [name])
    return ModelError(
        f"{lines.where(row)}: column 'name': {name!r} already stands at {lines.where(first)}; names must be unique"
    )


class Wiring:
    """The rows so far, and the names of those that were ``refused`` and so made nothing."""

    def __init__(self, lines: Lines) -> None:
        self.refused = set[str]()
        self._lines, self._kinds, self._index = lines, list[Form](), dict[str, int]()
        self._of, self._sources = array("i"), array("i")

    def kind(self, form: Form) -> int:
        """The number of a form that rows may have from now on."""
        self._kinds.append(form)
        return len(self._kinds) - 1

    def add(self, row: int, name: str, reads: str, kind: int) -> bool:
        """Whether the row ``name`` is new, and then taken; it ``reads`` the rows that its cell names. ModelError where it can't."""
        number = len(self._of)
        sources = self._read(row, reads.split(), self._kinds[kind]) if reads else _ALL_OUTSIDE
        if self._index.setdefault(name, number) != number:
            return False
        self._of.append(kind)
        self._sources.extend(sources)
        return True

    def table(self) -> Table:
        """The rows, none of which was refused."""
        return Table(
            self._kinds,
            np.array(self._of, np.int32),
            list(self._index),
            np.array(self._sources, np.int32).reshape(-1, OPERANDS),
            operands=np.array([len(form.inputs) for form in self._kinds], np.int8),
            leaves=np.array([form.leaves for form in self._kinds], np.bool_),
        )

    def _read(self, row: int, given: Sequence[str], form: Form) -> Sequence[int]:
        """The sources of the operands of a row that reads the rows ``given``, in order."""
        if len(given) > len(form.inputs):
            expected = f"at most {len(form.inputs)} names, the operands of {form.pattern.operator}"
            raise self._error(row, expected, " ".join(given))
        sources = [self._source(row, *operand) for operand in zip(given, form.inputs, form.formats, strict=False)]
        return (*sources, *_ALL_OUTSIDE[len(given) :])

    def _source(self, row: int, name: str, shape: Sequence[int], fmt: IntFormat) -> int:
        """The row ``name``, if its result can be read as ``shape`` of ``fmt``; OUTSIDE where an operand from outside stands for it."""
        at = None if name == FROM_OUTSIDE else self._index.get(name)
        if at is None:
            if name != FROM_OUTSIDE and name not in self.refused:
                raise self._error(row, f"names of rows above, or {FROM_OUTSIDE!r} for an operand from outside", name)
            return OUTSIDE
        maker = self._kinds[self._of[at]]
        made, read = math.prod(maker.output), math.prod(shape)
        if made != read or maker.result != fmt:
            expected = f"a result of {read} elements of {fmt.bits} bits, as this row reads"
            raise self._error(row, expected, f"{name}, which makes {made} of {maker.result.bits} bits")
        return at

    def _error(self, row: int, expected: str, got: str) -> ModelError:
        return ModelError(f"{self._lines.where(row)}: column 'inputs': expected {expected}, got {got}", column="inputs")
