"""Output files: checked before the work, written whole or not at all."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import click

from accelsim.cli.shared.console import say
from accelsim.cli.shared.options import tables_of
from accelsim.errors import AccelsimError
from accelsim.files import remove_leftovers, replacing, temporary

STDOUT = "-"


class OutputFile(click.ParamType):  # type: ignore[type-arg]  # takes none at run time before click 8.4
    """The path of a file to write; ``-`` is stdout where ``stdout`` says so, a ``picture`` has the suffix of a picture."""

    name = "FILE"

    def __init__(self, *, stdout: bool = False, picture: bool = False) -> None:
        self.stdout, self.picture = stdout, picture


def check_parameters(parameters: Sequence[click.Parameter], values: Mapping[str, Any]) -> None:
    """Refuse output files of a command that cannot be written, or that anything else of its parameters names.

    The one check of every command, made before its work: what is no output file counts as an input where a file of that name
    exists, ``values`` of ``--set`` and the tables of machines included. :func:`write_text` and :func:`write_bytes` ask once more,
    for what those files name themselves.
    """
    outputs = [
        _Output(max(p.opts, key=len), p.type, values[p.name])
        for p in parameters
        if isinstance(p.type, OutputFile) and p.name
    ]
    given = [(o.option, o.path) for o in outputs if o.path is not None]
    if not given:
        return
    _check_stdout(outputs)
    for output in outputs:
        if output.kind.picture and output.path is not None:
            from accelsim.report.pictures import plot_format

            plot_format(output.path)
    inputs = (values[p.name] for p in parameters if p.name and not isinstance(p.type, OutputFile))
    check_outputs(given, inputs=[*_texts(inputs), *tables_of(values)])


class _Output(NamedTuple):
    """An option for an output file, and the path that came."""

    option: str
    kind: OutputFile
    path: str | None


def _check_stdout(outputs: Sequence[_Output]) -> None:
    streams = [o.option for o in outputs if o.kind.stdout]
    named = [o for o in outputs if not (o.kind.stdout or o.kind.picture)]
    if STDOUT in (o.path for o in named):
        other = f"'-' for stdout is for {' and '.join(streams)}; " if streams else ""
        raise AccelsimError(f"{other}name a file for {' and '.join(o.option for o in named)}")


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """Every text among ``values``, and the value of every ``path=value``, of several in one text too."""
    for value in values:
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                yield from (text, text.partition("=")[2].strip())
                yield from (part.partition("=")[2].strip(" \"'") for part in text.split(",") if "=" in part)


def check_outputs(outputs: Sequence[tuple[str, str]], *, inputs: Iterable[str] = ()) -> None:
    """Refuse ``outputs``, (option, path), that cannot be written, coincide, or would overwrite an input."""
    seen: dict[object, str] = {_identity(path): "an input file" for path in inputs}
    for option, given in outputs:
        if given != STDOUT:
            _check_writable(option, Path(given))
        path = Path(given).resolve()
        file = _identity(path) or path
        if file in seen and _is_replaceable(path):
            raise AccelsimError(f"{option} {given}: this is also {seen[file]}; choose another file")
        seen[file] = f"the file of {option}"


def _identity(path: str | Path) -> tuple[int, int] | None:
    """What all names of one regular file have in common, through links of both kinds; None where there is none."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


_read: set[str] = set()
"""Files that were opened to read since :func:`record_reads`."""


def record_reads() -> None:
    """From now on remember each file that is opened to read, whoever opens it and wherever its name stood."""
    _read.clear()
    _listen()


@cache
def _listen() -> None:
    sys.addaudithook(_remember)  # once, since nothing takes it away again


def _remember(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str | bytes) and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        _read.add(os.fsdecode(arguments[0]))


def _is_replaceable(path: Path) -> bool:
    """Whether ``path`` is, or would be, a regular file; devices and pipes are written in place."""
    return not path.exists() or path.is_file()


def _check_writable(option: str, path: Path) -> None:
    target = path.resolve()
    if target.is_dir():
        raise AccelsimError(f"{option} {path}: is a directory; give a file name")
    if not target.parent.is_dir():
        raise AccelsimError(f"{option} {path}: the directory {target.parent} does not exist; make it first")
    if not _is_replaceable(target):
        return
    try:
        with temporary(target):
            pass
    except OSError as error:
        raise AccelsimError(f"{option} {path}: cannot write into {target.parent}: {error.strerror}") from error
    if target.exists() and not os.access(target, os.W_OK):
        raise AccelsimError(f"{option} {path}: the file is write-protected; change its permissions or choose another")


def write_text(path: str, write: Callable[[IO[str]], Any]) -> None:
    """Let ``write`` fill ``path`` (or stdout for ``-``) with UTF-8 text."""
    if path == STDOUT:
        page = io.StringIO(newline="")
        write(page)
        if sys.stdout.isatty():
            say(page.getvalue(), end="")
        else:
            sys.stdout.write(page.getvalue())
            sys.stdout.flush()
        return
    with _whole(path) as stream, _as_text(stream) as text:
        write(text)


def write_bytes(path: str, write: Callable[[IO[bytes]], Any]) -> None:
    """Let ``write`` fill ``path``."""
    with _whole(path) as stream:
        write(stream)


@contextmanager
def _as_text(stream: IO[bytes]) -> Iterator[IO[str]]:
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=False)
    yield text
    text.flush()
    text.detach()


@contextmanager
def _whole(path: str) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path`` when all is written; links are followed, devices written in place."""
    target = Path(path).resolve()
    if (file := _identity(target)) and file in map(_identity, list(_read)):
        raise AccelsimError(f"{path}: this is also an input file; choose another file")
    try:
        if not _is_replaceable(target):
            with target.open("wb") as device:
                yield device
            return
        remove_leftovers(target)
        with replacing(target) as stream:
            yield stream
    except OSError as error:
        raise AccelsimError(f"{path}: cannot write: {error.strerror or error}") from error
