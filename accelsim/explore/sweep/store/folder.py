"""The folder of a sweep: a folder per generation, of a header and one file per finished chunk, none of which is ever changed.

::

    DIR/run-1/sweep.json                what the rows follow from
    DIR/run-1/chunk-00000000.parquet    rows of the first points (.jsonl without pyarrow)
    DIR/run-1/accuracies-1-of-1.json    those of distinct arithmetics, where there are labels
    DIR/run-2/...                       after --rerun, where something had changed
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelsim.errors import SweepError
from accelsim.explore.sweep.accuracies import Known, Question, plain
from accelsim.explore.sweep.pool import KEPT
from accelsim.explore.sweep.space import Column, Columns
from accelsim.explore.sweep.store.chunks import JSONL, PARQUET, read_chunk, suffix, write_chunk
from accelsim.explore.sweep.store.header import KEYS, SCHEMA, Header, changes, header_text
from accelsim.explore.sweep.store.locks import Shard, brief
from accelsim.files import remove_leftovers, replacing

HEADER, ACCURACIES = "sweep.json", "accuracies"
_RUN = re.compile(r"run-([1-9][0-9]{0,8})")
_CHUNK = re.compile(rf"chunk-([0-9]{{8,}})({re.escape(PARQUET)}|{re.escape(JSONL)})")


@dataclass(frozen=True)
class Store:
    """One generation of a sweep in ``folder``."""

    folder: Path
    header: Header

    @property
    def chunks(self) -> range:
        """Numbers of all chunks."""
        return range(-(-self.header["points"] // self.header["chunk"]))

    def span(self, chunk: int) -> tuple[int, int]:
        """The first point of a chunk, and the one after its last."""
        size, points = self.header["chunk"], self.header["points"]
        return chunk * size, min((chunk + 1) * size, points)

    def files(self) -> dict[int, Path]:
        """Files by the number of their chunk."""
        with _refused(self.folder, "be read"):
            found = sorted(self.folder.iterdir())
        named = ((_CHUNK.fullmatch(path.name), path) for path in found)
        return {int(match[1]): path for match, path in named if match}

    def read(self, path: Path) -> dict[str, Column]:
        """The rows in a file of :meth:`files`; DamagedError where they are not whole."""
        with _refused(path, "be read"):
            return read_chunk(path, self.header["columns"])

    def write(self, chunk: int, columns: Columns) -> None:
        """Keep the rows of a chunk, whole and on the disk; SweepError where that fails, and then nothing of them is there."""
        form = suffix()
        path = self.folder / f"chunk-{chunk:08d}{form}"
        with _refused(path, "be written"), replacing(path, durable=True) as stream:
            write_chunk(stream, columns, self.header["columns"], form=form)

    def accuracies(self) -> Known:
        """The accuracies that any shard has kept; what cannot be read is computed again."""
        found: Known = {}
        for path in sorted(self.folder.glob(f"{ACCURACIES}-*.json")):
            with suppress(OSError, ValueError, TypeError):
                rows = json.loads(path.read_text(encoding="utf-8"))
                found |= {Question(workload, plain(values)): share for workload, values, share in rows}
        return found

    def keep_accuracies(self, shard: Shard, known: Known) -> None:
        """Keep what is known; SweepError where that fails."""
        path = self.folder / f"{ACCURACIES}-{shard.part}-of-{shard.parts}.json"
        rows = [[question.workload, question.values, share] for question, share in known.items()]
        with _refused(path, "be written"), replacing(path, durable=True) as stream:
            stream.write(json.dumps(rows).encode())

    def tidy(self) -> None:
        """Remove unfinished files that runs that were killed may have left."""
        for left in self.folder.glob(".*.tmp"):
            remove_leftovers(self.folder / left.name.removeprefix(".").rsplit(".", 2)[0])


@contextmanager
def _refused(path: Path, what: str) -> Iterator[None]:
    """SweepError for what the system refuses."""
    try:
        yield
    except OSError as error:
        remedy = "free some space; " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise SweepError(f"{path}: cannot {what}: {error.strerror or error}; {remedy}{KEPT}", path=str(path)) from error


def open_store(out: Path, header: Header, *, rerun: bool) -> Store:
    """The newest generation in ``out`` if its header is ``header``, a first one where there is none.

    Where something has changed: a new one beside it if ``rerun``, else SweepError that says what.
    """
    with _refused(out, "be written"):
        out.mkdir(parents=True, exist_ok=True)
        with brief(out):
            newest = newest_run(out)
            if newest is not None:
                store = _opened(newest)
                changed = changes(store.header, header)
                if not changed:
                    return store
                if not rerun:
                    raise _changed(out, changed)
            return _begun(out / f"run-{1 if newest is None else _number(newest) + 1}", header)


def _changed(out: Path, changed: list[str]) -> SweepError:
    return SweepError(
        f"{out}: holds a sweep from which this one differs in {', '.join(changed)}; --rerun (rerun=True) begins anew beside it, "
        "and keeps what is there; or give another folder",
        changed=changed,
    )


def _begun(folder: Path, header: Header) -> Store:
    folder.mkdir(exist_ok=True)
    with replacing(folder / HEADER, durable=True) as stream:
        stream.write(header_text(header).encode())
    return Store(folder, header)


def newest_run(out: Path) -> Path | None:
    """The folder of the last generation in ``out``; one without a header was not begun."""
    runs = [path for path in out.iterdir() if _RUN.fullmatch(path.name) and (path / HEADER).is_file()]
    return max(runs, key=_number, default=None)


def _number(folder: Path) -> int:
    return int(folder.name.removeprefix("run-"))


def _opened(folder: Path) -> Store:
    path = folder / HEADER
    try:
        header: Any = json.loads(path.read_text(encoding="utf-8"))
        if missing := [key for key in KEYS if key not in header]:
            raise ValueError(f"{missing[0]} is missing")
        if header["schema"] != SCHEMA:
            raise SweepError(
                f"{path}: files of version {header['schema']}, expected {SCHEMA}; read them with the accelsim that wrote them"
            )
    except (ValueError, KeyError, TypeError) as error:
        raise SweepError(f"{path}: is no header of a sweep: {error}; give another folder") from error
    return Store(folder, header)


def existing_store(out: Path) -> Store:
    """The newest generation in ``out``, or the generation ``out`` itself; SweepError where there is none."""
    with _refused(out, "be read"):
        newest = out if (out / HEADER).is_file() else newest_run(out)
    if newest is None:
        raise SweepError(f"{out}: holds no sweep; make one with: accelsim sweep SPACE.yaml --out {out}")
    return _opened(newest)
