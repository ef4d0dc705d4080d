"""Files that are whole or absent, whatever ends the process that writes them."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def replacing(target: Path, *, durable: bool = False) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``target`` when all is written; OSError where the system refuses.

    ``durable``: it is on the disk, not only in memory, before it has its name, and so is the name in the end.
    """
    with temporary(target) as (stream, name):
        yield stream
        stream.flush()
        if durable:
            os.fsync(stream.fileno())
        if not name.exists():
            _give_name(stream, name)
        if fcntl is None:  # Windows moves no open file
            stream.close()
        name.replace(target)
    if durable:
        _settle_names(target.parent)


def _settle_names(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system, nor Windows, lets a folder be settled
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


_UNNAMED = hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir()
"""Whether the system has files without a name, which vanish with the process whatever ends it."""


@contextmanager
def temporary(target: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A new file in the directory of ``target`` with the permissions that a new file gets there, and the name it may take.

    It has that name from the start where the file system has no unnamed files. Gone in the end where it still has it.
    """
    name = target.parent / f".{target.name[:200]}.{secrets.token_hex(_TOKEN_BYTES)}{_SUFFIX}"
    try:
        with _opened(name) as stream:
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_EX)
                if target.exists():
                    os.fchmod(stream.fileno(), stat.S_IMODE(target.stat().st_mode))
            yield stream, name
    finally:
        name.unlink(missing_ok=True)


def _opened(name: Path) -> IO[bytes]:
    if _UNNAMED:
        with contextlib.suppress(OSError):
            return os.fdopen(os.open(name.parent, os.O_TMPFILE | os.O_RDWR, 0o666), "w+b")
    return name.open("xb")


def _give_name(stream: IO[bytes], name: Path) -> None:
    """Let an unnamed file appear as ``name``; where the system forbids that, a copy of it."""
    try:
        # src_dir_fd, which an absolute path does not need, makes Python call linkat, which alone follows this link
        os.link(f"/proc/self/fd/{stream.fileno()}", name, src_dir_fd=stream.fileno())
    except OSError:
        stream.seek(0)
        with name.open("xb") as copy:
            os.fchmod(copy.fileno(), stat.S_IMODE(os.fstat(stream.fileno()).st_mode))
            shutil.copyfileobj(stream, copy)
            copy.flush()
            os.fsync(copy.fileno())


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``target`` when all is written, and vanishes where it is not; OSError where the system refuses.

    What a run that was killed left beside ``target`` goes first.
    """
    _remove_folders(target)
    lock = _hidden(target).with_suffix(_LOCK)
    with lock.open("xb") as held:
        if fcntl is not None:
            fcntl.flock(held, fcntl.LOCK_EX)
        fresh = lock.with_suffix(_SUFFIX)
        try:
            fresh.mkdir()
            yield fresh
            _swap(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _swap(fresh: Path, target: Path) -> None:
    old = _hidden(target).with_suffix(_OLD)
    if target.exists():
        target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _hidden(target: Path) -> Path:
    return target.parent / f".{target.name[:200]}.{secrets.token_hex(_TOKEN_BYTES)}{_SUFFIX}"


def _remove_folders(target: Path) -> None:
    """Remove what killed runs left: their locks are free."""
    pattern = re.compile(rf"\.{re.escape(target.name[:200])}\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}{re.escape(_LOCK)}")
    with contextlib.suppress(OSError):
        for lock in [path for path in target.parent.iterdir() if pattern.fullmatch(path.name)]:
            with contextlib.suppress(OSError), lock.open("rb") as left:
                if fcntl is not None:
                    fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.with_suffix(_SUFFIX), ignore_errors=True)
                lock.unlink()


_SUFFIX, _LOCK, _OLD = ".tmp", ".lock", ".old"
_TOKEN_BYTES = 6


def remove_leftovers(target: Path) -> None:
    """Remove what runs that were killed left beside ``target``; a file of a live run is locked (or, on Windows, open)."""
    pattern = re.compile(rf"\.{re.escape(target.name[:200])}\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}{re.escape(_SUFFIX)}")
    with contextlib.suppress(OSError):  # a folder that may be written need not be readable
        found = [path for path in target.parent.iterdir() if pattern.fullmatch(path.name)]
        for path in found:
            with contextlib.suppress(OSError), path.open("rb") as left:
                if fcntl is not None:
                    fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                else:
                    left.close()
                path.unlink()
