"""One chunk of rows as one file: Parquet where pyarrow is installed, else a JSON object a line; a file that is cut or changed is found out."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np

from accelsim.errors import SweepError
from accelsim.explore.sweep.space import DTYPES, Column, Columns, Kind, column_of

PARQUET, JSONL = ".parquet", ".jsonl"
Kinds = Mapping[str, Kind]


class DamagedError(Exception):
    """A file is not what was written."""


def suffix() -> str:
    """The form that chunks are written in here."""
    return PARQUET if find_spec("pyarrow") else JSONL


def write_chunk(stream: IO[bytes], columns: Columns, kinds: Kinds, *, form: str) -> None:
    """Write ``columns``, of those ``kinds``, in the ``form`` that files of that suffix have, under a seal."""
    write = _write_parquet if form == PARQUET else _write_jsonl
    write(stream, columns, kinds, _seal(columns, kinds))


def read_chunk(path: Path, kinds: Kinds) -> dict[str, Column]:
    """The columns in ``path``; DamagedError where they are not those that were sealed, OSError where the file cannot be read."""
    columns, seal = (_read_parquet if path.suffix == PARQUET else _read_jsonl)(path, kinds)
    if seal != _seal(columns, kinds):
        raise DamagedError("its values are not those that were written")
    return columns


def _seal(columns: Columns, kinds: Kinds) -> dict[str, str]:
    """How many rows there are, and a digest of their values, whatever form they are written in."""
    digest = hashlib.sha256()
    for name, kind in kinds.items():
        content = _bytes(columns[name], kind)
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return {"rows": str(len(columns["point"])), "sha256": digest.hexdigest()}


def _bytes(column: Column, kind: Kind) -> bytes:
    if kind == "text":
        return json.dumps(column.tolist()).encode()
    return (np.where(np.isnan(column), np.nan, column) if kind == "real" else column).tobytes()


def _write_parquet(stream: IO[bytes], columns: Columns, kinds: Kinds, seal: dict[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"whole": pa.int64(), "real": pa.float64(), "truth": pa.bool_(), "text": pa.string()}
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()], metadata=seal)
    arrays = [pa.array(columns[name], types[kind], from_pandas=False) for name, kind in kinds.items()]
    content = io.BytesIO()  # what a stream refuses comes through pyarrow in other words
    pq.write_table(pa.table(arrays, schema=schema), content, compression="zstd", write_page_checksum=True)
    stream.write(content.getbuffer())


def _read_parquet(path: Path, kinds: Kinds) -> tuple[dict[str, Column], dict[str, str]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise SweepError(f"{path}: is a Parquet file, which needs pyarrow: pip install 'accelsim[explore]'") from error
    content = path.read_bytes()
    try:
        table = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True).read(use_threads=False)
        seal = {key: table.schema.metadata[key.encode()].decode() for key in ("rows", "sha256")}
        return {name: _from_arrow(table.column(name), kind) for name, kind in kinds.items()}, seal
    except (pa.ArrowException, KeyError, TypeError, OSError, ValueError) as error:
        raise DamagedError(str(error)) from error


def _from_arrow(values: Any, kind: Kind) -> Column:
    return column_of(values.to_pylist(), kind) if kind == "text" else values.to_numpy().astype(DTYPES[kind], copy=False)


def _write_jsonl(stream: IO[bytes], columns: Columns, kinds: Kinds, seal: dict[str, str]) -> None:
    for values in zip(*(_plain(columns[name], kind) for name, kind in kinds.items()), strict=True):
        stream.write(_line(dict(zip(kinds, values, strict=True))))
    stream.write(_line(seal))


def _line(entries: dict[str, Any]) -> bytes:
    return json.dumps(entries, allow_nan=False).encode() + b"\n"


def _plain(column: Column, kind: Kind) -> list[Any]:
    """The values as JSON holds them; no number is null."""
    values: list[Any] = column.tolist()
    return [None if math.isnan(value) else value for value in values] if kind == "real" else values


def _read_jsonl(path: Path, kinds: Kinds) -> tuple[dict[str, Column], dict[str, str]]:
    try:
        *rows, seal = (json.loads(line) for line in path.read_bytes().splitlines())
        return {name: column_of([_value(row[name], kind) for row in rows], kind) for name, kind in kinds.items()}, seal
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DamagedError(f"a line is cut: {error}") from error


def _value(value: Any, kind: Kind) -> Any:
    return math.nan if kind == "real" and value is None else value
