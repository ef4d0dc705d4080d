"""The directory of an export: written whole or not at all, and never over what no export wrote."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from accelsim.errors import AccelsimError
from accelsim.files import replacing_folder


@contextmanager
def exporting(target: Path, *, remedy: str) -> Iterator[Path]:
    """A new directory that takes the place of ``target`` when all is written; refusals of the system are one error, which names it, and a
    full disk's ``remedy``."""
    try:
        with replacing_folder(target) as fresh:
            yield fresh
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise AccelsimError(
            f"{target}: cannot write: {error.strerror or error}{f'; {remedy}' if full else ''}; nothing was left there"
        ) from error


def check_folder(folder: Path, *, what: str, strange: Callable[[], Iterable[str] | None]) -> None:
    """AccelsimError unless an export of ``what`` may write ``folder``: it is not there, empty, or holds nothing but what one wrote.

    ``strange``: files in it that neither an export nor its benches wrote; None where no export made it.
    """
    if not folder.parent.is_dir():
        raise AccelsimError(f"{folder}: the directory {folder.parent} does not exist; make it first")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise AccelsimError(f"{folder}: is a file; name a directory that is not there yet")
    if not any(folder.iterdir()):
        return
    found = strange()
    if found is None:
        raise AccelsimError(f"{folder}: is not empty, and no {what}; name another directory")
    for name in found:
        raise AccelsimError(f"{folder}: {name} in it is not of an export; move it away, or name another directory")


def bytes_in(folder: Path) -> int:
    """Of all files under ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
