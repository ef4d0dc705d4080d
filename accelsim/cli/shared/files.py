"""Output files: checked before the work, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from accelsim.errors import AccelsimError

STDOUT = "-"


def check_files(
    files: Mapping[str, str | None],
    *,
    inputs: Sequence[str | Path | None],
    streams: Sequence[str],
    named: Sequence[str],
) -> None:
    """AccelsimError on a path (by option, ``plot`` a picture) that cannot be written; only ``streams`` may go to stdout."""
    if STDOUT in (files[name] for name in named):
        to_stdout, to_files = (" and ".join(f"--{name}" for name in names) for names in (streams, named))
        raise AccelsimError(f"'-' for stdout is for {to_stdout}; name a file for {to_files}")
    if files["plot"] is not None:
        from accelsim.report.pictures import plot_format

        plot_format(files["plot"])
    check_outputs([(f"--{name}", path) for name, path in files.items()], inputs=inputs)


def check_outputs(outputs: Sequence[tuple[str, str | None]], *, inputs: Sequence[str | Path | None] = ()) -> None:
    """Refuse ``outputs``, (option, path), that cannot be written, coincide, or would overwrite an input."""
    seen: dict[Path, str] = {
        Path(path).resolve(): "an input file" for path in inputs if path is not None and Path(path).is_file()
    }
    for option, given in outputs:
        if given is None:
            continue
        if given != STDOUT:
            _check_writable(option, Path(given))
        path = Path(given).resolve()
        if path in seen and _is_replaceable(path):
            raise AccelsimError(f"{option} {given}: this is also {seen[path]}; choose another file")
        seen[path] = f"the file of {option}"


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
        with contextlib.closing(_temporary(target)) as stream:
            Path(stream.name).unlink()
    except OSError as error:
        raise AccelsimError(f"{option} {path}: cannot write into {target.parent}: {error.strerror}") from error
    if target.exists() and not os.access(target, os.W_OK):
        raise AccelsimError(f"{option} {path}: the file is write-protected; change its permissions or choose another")


def write_text(path: str, write: Callable[[IO[str]], Any]) -> None:
    """Let ``write`` fill ``path`` (or stdout for ``-``) with UTF-8 text."""
    if path == STDOUT:
        write(sys.stdout)
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
    import io

    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=False)
    yield text
    text.flush()
    text.detach()


@contextmanager
def _whole(path: str) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path`` when all is written; links are followed, devices written in place."""
    target = Path(path).resolve()
    try:
        if not _is_replaceable(target):
            with target.open("wb") as device:
                yield device
            return
        stream = _temporary(target)
        try:
            with stream:
                yield stream
            _keep_mode(target, stream)
            Path(stream.name).replace(target)
        except BaseException:
            Path(stream.name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise AccelsimError(f"{path}: cannot write: {error.strerror or error}") from error


def _temporary(target: Path) -> IO[bytes]:
    """A new file in the same directory, with the permissions that a new file gets there."""
    return (target.parent / f".{target.name[:200]}.{secrets.token_hex(6)}.tmp").open("xb")


def _keep_mode(target: Path, stream: IO[bytes]) -> None:
    if target.exists():
        Path(stream.name).chmod(stat.S_IMODE(target.stat().st_mode))
