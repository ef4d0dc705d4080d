"""Large plain tables: rows told apart as bytes, names and kinds of rows found by compiled tables, nothing made of a single row.

Only what is right is read here. Whatever is not plain, or not right, is left to :mod:`accelsim.importers.tables.wiring`, which defines what a
table means and says of every row what is wrong with it.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError
from accelsim.importers.tables.drawn import OPERANDS, OUTSIDE, Drawn, Form, Table
from accelsim.importers.tables.lines import Lines
from accelsim.numerics import IntFormat

LEAST_BYTES, LEAST_FIRST = 2**20, 2**23
"""Of a table that is read so, and of one for whose sake the compiler would be imported, which takes half a second."""
REMEMBERED = 2**16
"""Forms that are kept, where rows differ more than that."""
MOST_ELEMENTS = 2**62
"""Of a tensor whose elements are compared as int64."""
Make = Callable[[str, list[str]], Form]
"""The form of the row at file:line from all its cells; ModelError says what is wrong with it, the name included."""


def bulk_table(lines: Lines, make: Make, *, name: int, inputs: int | None, mark: str) -> Table | None:
    """The rows of ``lines`` as :func:`~accelsim.importers.tables.wiring.graph_of_rows` takes them; None where they are not read here."""
    least = LEAST_BYTES if "numba" in sys.modules else LEAST_FIRST
    if len(lines.data) < least or name != 0 or inputs not in (None, len(lines.header) - 1):
        return None
    found = _scanned(lines, inputs is not None, mark)
    if found is None:
        return None
    kinds = Kinds(lines, found, make)
    try:
        facts = Facts(kinds, found.sources is not None)
    except AccelsimError:
        return None
    if found.sources is not None and not facts.join(found):
        return None
    names = Names(lines.data, found.begin, found.end)
    sources = None if found.sources is None else np.maximum(found.sources, OUTSIDE)
    return Table(kinds, found.kind, names, sources, operands=facts.operands, leaves=facts.leaves)


class Found(NamedTuple):
    """Of each row where its name begins and ends, the number of its kind, and its sources; of each kind its line in the file, and where
    its cells begin behind the first comma."""

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    kind: NDArray[np.int32]
    sources: NDArray[np.int32] | None
    line: NDArray[np.int64]
    cells: NDArray[np.int64]


def _scanned(lines: Lines, reads: bool, mark: str) -> Found | None:
    from accelsim.importers.tables import _scan

    number = lines.head[1][0]
    begin = _behind_lines(lines.data, number)
    if begin is None or (mark and mark.encode() in lines.data):
        return None
    data = np.frombuffer(lines.data, np.uint8)
    if _scan.unclear(data) and not _scan.clear(data):
        return None
    most = lines.data.count(b"\n", begin) + 1
    names, kinds = _texts(most), _texts(most)
    rows = _scan.Rows(
        np.empty(most, np.int32), np.empty(most, np.int64), np.empty((most if reads else 0, OPERANDS), np.int32)
    )
    cut = _scan.Cut(begin, number + 1, reads, csv.field_size_limit())
    count, different = _scan.scan(data, cut, names, kinds, rows)
    if count == _scan.UNCLEAR:
        return None
    sources = rows.sources[:count] if reads else None
    return Found(
        names.begin[:count],
        names.end[:count],
        rows.kind[:count],
        sources,
        rows.line[:different],
        kinds.begin[:different],
    )


def _behind_lines(data: bytes, count: int) -> int | None:
    """Where the line behind the first ``count`` begins; None where they do not end in a line feed each."""
    at = 0
    for _ in range(count):
        at = data.find(b"\n", at) + 1
        if at == 0:
            return None
    return at if len(data[:at].decode("utf-8-sig").splitlines()) == count else None


def _texts(most: int) -> Any:
    """Room for ``most`` texts."""
    from accelsim.importers.tables import _scan

    slots = np.full(1 << (2 * most - 1).bit_length(), -1, np.int32)
    return _scan.Texts(np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.uint64), slots)


class Names(Drawn[str]):
    """Names of rows, made of the file's bytes when they are asked for."""

    def __init__(self, data: bytes, begin: NDArray[np.int64], end: NDArray[np.int64]) -> None:
        self._data, self._begin, self._end = data, begin, end

    def __len__(self) -> int:
        return len(self._begin)

    def one(self, at: int) -> str:
        return self._data[self._begin[at] : self._end[at]].decode()

    def __iter__(self) -> Iterator[str]:
        for begin, end in zip(self._begin.tolist(), self._end.tolist(), strict=True):
            yield self._data[begin:end].decode()


class Kinds(Drawn[Form]):
    """The forms of rows that are alike, made when they are asked for; the last REMEMBERED or less of them are kept."""

    def __init__(self, lines: Lines, found: Found, make: Make) -> None:
        self._lines, self._found, self._make, self._made = lines, found, make, dict[int, Form]()

    def __len__(self) -> int:
        return len(self._found.line)

    def one(self, at: int) -> Form:
        form = self._made.get(at)
        if form is None:
            if len(self._made) >= REMEMBERED:
                self._made.clear()
            form = self._made[at] = self._make(self._lines.at(int(self._found.line[at])), self._cells(at))
        return form

    def _cells(self, kind: int) -> list[str]:
        data, cells = self._lines.data, int(self._found.cells[kind])
        begin, end = data.rfind(b"\n", 0, cells) + 1, data.find(b"\n", cells)
        return [cell.strip() for cell in data[begin : end if end >= 0 else None].decode("utf-8-sig").split(",")]


class Facts:
    """Of each kind: its ``operands``, whether its result ``leaves`` the network, and, where rows read others, the elements and formats that it
    reads and makes. AccelsimError of a kind that cannot be made."""

    def __init__(self, kinds: Kinds, reads: bool) -> None:
        self.operands, self.leaves = np.zeros(len(kinds), np.int8), np.zeros(len(kinds), np.bool_)
        self._elements = np.full((len(kinds) if reads else 0, 1 + OPERANDS), -1, np.int64)
        self._formats = np.zeros(self._elements.shape, np.int32)
        numbers = dict[IntFormat, int]()
        for kind in range(len(kinds)):
            form = kinds[kind]
            self.operands[kind], self.leaves[kind] = len(form.inputs), form.leaves
            if reads:
                shapes, formats = (form.output, *form.inputs), (form.result, *form.formats)
                for at, (shape, fmt) in enumerate(zip(shapes, formats, strict=True)):
                    self._elements[kind, at] = min(math.prod(shape), MOST_ELEMENTS)
                    self._formats[kind, at] = numbers.setdefault(fmt, len(numbers))

    def join(self, found: Found) -> bool:
        """Whether every row can read what it names."""
        from accelsim.importers.tables import _scan

        assert found.sources is not None
        if bool((self._elements == MOST_ELEMENTS).any()):
            return False
        return all(self._fits(found.kind, found.sources[:, at], at, _scan.NOT_GIVEN) for at in range(OPERANDS))

    def _fits(self, kind: NDArray[np.int32], source: NDArray[np.int32], at: int, absent: int) -> bool:
        """The same of operand ``at`` of every row."""
        if bool(((source != absent) & (at >= self.operands[kind])).any()):
            return False
        joined = np.flatnonzero(source >= 0)
        reader, maker = kind[joined], kind[source[joined]]
        same = self._elements[reader, 1 + at] == self._elements[maker, 0]
        return bool((same & (self._formats[reader, 1 + at] == self._formats[maker, 0])).all())
