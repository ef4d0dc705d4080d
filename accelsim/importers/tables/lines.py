"""The lines of a table in CSV: one row each, told apart into a name, what the row reads, and the rest, which rows have in common."""

from __future__ import annotations

import csv
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from accelsim.errors import ModelFileError

QUOTE, COMMENT = '"', "#"
_HEAD = 2**16
"""Bytes in which the header is looked for before all lines are told apart."""


class Cells(NamedTuple):
    """A row: its ``name``, the row's own cell of ``inputs``, and a ``key`` that is equal where all other cells are."""

    name: str
    key: Hashable
    inputs: str


@dataclass(frozen=True)
class Lines:
    """What is not blank and no comment in ``data``, the bytes of a table: the header and then the rows."""

    path: Path
    data: bytes

    @cached_property
    def _counted(self) -> tuple[Sequence[str], Sequence[int]]:
        return _counting(_text(self.data))

    @property
    def texts(self) -> Sequence[str]:
        """Of the header and then the rows."""
        return self._counted[0]

    @property
    def numbers(self) -> Sequence[int]:
        """Of their lines, from 1 on."""
        return self._counted[1]

    @cached_property
    def head(self) -> tuple[Sequence[str], Sequence[int]]:
        """Texts and numbers of the first of them, two where there are as many."""
        start = self.data[:_HEAD]
        if len(start) < len(self.data):
            whole = start[: start.rfind(b"\n") + 1]  # no letter is cut, in UTF-8
            found = _counting(_text(whole))
            if len(found[0]) > 1:
                return found
        return self._counted

    @cached_property
    def header(self) -> list[str]:
        """The cells of the first line; ModelFileError where it is no CSV."""
        return next(self._records(self.head[0]))

    def where(self, row: int) -> str:
        """file:line of a row, -1 for the header."""
        return self.at(self.head[1][0] if row < 0 else self.numbers[row + 1])

    def at(self, number: int) -> str:
        """file:line."""
        return f"{self.path}:{number}"

    def cells(self, row: int) -> list[str]:
        """All cells of a row that :meth:`rows` has come to."""
        return _stripped(next(csv.reader([self.texts[row + 1]], strict=True)))

    def rows(self, name: int, inputs: int | None = None) -> Iterator[Cells | tuple[str, str, str]]:
        """Every row, whose column ``name`` and, if there is one, ``inputs`` are its own; ModelFileError where a line is no CSV."""
        last = len(self.header) - 1
        if self._plain and name == 0 and inputs in (None, last):
            return self._cut(last if inputs is None else inputs, inputs is not None)
        return self._sorted_out(name, inputs)

    def _cut(self, last: int, reads: bool) -> Iterator[tuple[str, str, str]]:
        """Rows of which only the ends are the row's own: what stands between need not be taken apart."""
        for text in islice(self.texts, 1, None):
            name, _, key = text.partition(",")
            if not reads:
                yield name.strip(), key, ""
                continue
            key, _, inputs = key.rpartition(",")
            yield name.strip(), key, inputs

    def _sorted_out(self, name: int, inputs: int | None) -> Iterator[Cells]:
        own, known = {name, inputs}, dict[Hashable, Hashable]()
        for record in islice(self._records(self.texts), 1, None):
            key = len(record), *(cell for i, cell in enumerate(record) if i not in own)
            reads = record[inputs] if inputs is not None and inputs < len(record) else ""
            yield Cells(record[name] if name < len(record) else "", known.setdefault(key, key), reads)

    @cached_property
    def _plain(self) -> bool:
        """Whether a comma always parts two cells."""
        return not any(QUOTE in text for text in self.texts) and max(map(len, self.texts)) <= csv.field_size_limit()

    def _records(self, texts: Sequence[str]) -> Iterator[list[str]]:
        records = csv.reader(texts, strict=True)
        try:
            for count, record in enumerate(records, 1):
                if records.line_num != count:
                    raise ModelFileError(
                        f"{self.path}: a quoted cell runs over the end of its line; expected one row per line"
                    )
                yield _stripped(record)
        except csv.Error as error:
            raise ModelFileError(f"{self.path}: not a CSV file: {error}") from error


def read_lines(path: Path, expected: str) -> Lines:
    """The lines of the table at ``path``; blank ones and those that begin with ``#`` are left out.

    Raises ModelFileError for a file that cannot be read, or holds no row; ``expected`` says what its header should be.
    """
    return _checked(Lines(path, _read(path)), expected)


def lines_of(text: str, path: Path, expected: str) -> Lines:
    """As :func:`read_lines`, of a ``text`` that stands at ``path`` or is to go by that name."""
    return _checked(Lines(path, text.encode()), expected)


def _checked(lines: Lines, expected: str) -> Lines:
    texts, _ = lines.head
    if not texts:
        raise ModelFileError(f"{lines.path}: no header line; expected the columns {expected}")
    if len(texts) == 1:
        raise ModelFileError(f"{lines.path}: the table has a header but no layers")
    return lines


def _text(data: bytes) -> str:
    return data.decode("utf-8-sig")


def _counting(text: str) -> tuple[Sequence[str], Sequence[int]]:
    """The lines of ``text`` that count, and their numbers."""
    texts = text.splitlines()
    numbers: Sequence[int] = range(1, len(texts) + 1)
    if COMMENT in text or not all(map(str.strip, texts)):
        numbers = [number for number, text in zip(numbers, texts, strict=True) if _counts(text)]
        texts = [texts[number - 1] for number in numbers]
    return texts, numbers


def _counts(line: str) -> bool:
    text = line.lstrip()
    return bool(text) and not text.startswith(COMMENT)


def _read(path: Path) -> bytes:
    """The bytes of a file that is UTF-8 text."""
    try:
        data = path.read_bytes()
        if not data.isascii():
            _text(data)
        return data
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ModelFileError(
            f"{path}: expected a layer table in CSV, but it cannot be read: {reason}", path=str(path)
        ) from error


def _stripped(record: Sequence[str]) -> list[str]:
    return [cell.strip() for cell in record]
