"""One owner of each shard: a lock that the system frees when its owner ends, however that ends."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from accelsim.errors import SweepError

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_TAKEN = (errno.EAGAIN, errno.EACCES)


class Shard(NamedTuple):
    """Part ``part`` of ``parts``, from 1."""

    part: int = 1
    parts: int = 1

    def __str__(self) -> str:
        return f"{self.part}/{self.parts}"


@contextmanager
def brief(folder: Path) -> Iterator[None]:
    """Alone among those who look up or write the header of ``folder``; waits for its turn."""
    with (folder / "header.lock").open("ab") as file:
        _flock(file, exclusive=True, wait=True)
        yield


@contextmanager
def owner(folder: Path, shard: Shard) -> Iterator[None]:
    """The only writer of ``shard`` in ``folder``, or of all shards where it is the only one; SweepError where there is another."""
    with ExitStack() as stack:
        whole = stack.enter_context((folder / "sweep.lock").open("ab"))
        if not _flock(whole, exclusive=shard.parts == 1):
            raise _taken(folder, shard)
        if shard.parts > 1:
            part = stack.enter_context((folder / f"shard-{shard.part}-of-{shard.parts}.lock").open("ab"))
            if not _flock(part, exclusive=True):
                raise _taken(folder, shard)
        yield


def _taken(folder: Path, shard: Shard) -> SweepError:
    which = "" if shard.parts == 1 else f"shard {shard} of "
    return SweepError(
        f"{folder.parent}: another process writes {which}this sweep; wait until it ends, or give another folder",
        folder=str(folder),
    )


def _flock(file: IO[bytes], *, exclusive: bool, wait: bool = False) -> bool:
    """Whether ``file`` is locked now; as if it were where the file system has no locks, which is warned of."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        warnings.warn(
            f"{file.name}: cannot be locked ({error.strerror}); see to it that each shard has one writer",
            RuntimeWarning,
            stacklevel=2,
        )
    return True
