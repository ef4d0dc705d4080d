"""Rows as CSV: of a Result one line per layer, the columns of ``Result.rows()``."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import IO, Any

from accelsim.display import printable_lines
from accelsim.result import Result

FORMULA = ("=", "+", "-", "@")
"""What the cells begin with that a spreadsheet runs; it shows those that begin with an apostrophe as they are."""


def write_csv(result: Result, stream: IO[str]) -> None:
    """Write one line per layer to ``stream``, as :func:`write_rows`."""
    write_rows(result.rows(), stream)


def write_rows(rows: Sequence[Mapping[str, Any]], stream: IO[str]) -> None:
    """Write one line per dictionary to ``stream``, opened with ``newline=""``; what does not exist stays empty.

    Names come from files: control characters but line ends are ``?``, and a text that a spreadsheet would run begins with an apostrophe.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return "x".join(map(str, value))
    if isinstance(value, str):
        text = printable_lines(value)
        return f"'{text}" if text.lstrip().startswith(FORMULA) else text
    return "" if value is None else value
