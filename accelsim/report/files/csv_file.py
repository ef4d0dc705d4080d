"""A Result as CSV: one line per layer, the columns of ``Result.rows()``."""

from __future__ import annotations

import csv
from typing import IO, Any

from accelsim.result import Result


def write_csv(result: Result, stream: IO[str]) -> None:
    """Write one line per layer to ``stream``, opened with ``newline=""``; what does not exist stays empty."""
    rows = result.rows()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return "x".join(map(str, value))
    return "" if value is None else value
