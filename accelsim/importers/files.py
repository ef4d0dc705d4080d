"""Bytes of a model file, and the one place where whatever a damaged file provokes becomes a :class:`ModelFileError`."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from accelsim.errors import AccelsimError, ModelFileError

MAX_FILE_BYTES = 2**31 - 1
"""A flatbuffer addresses itself with signed 32-bit offsets, and a protobuf message is smaller than 2 GiB."""
GARBAGE = (
    struct.error,
    AssertionError,
    IndexError,
    KeyError,
    ValueError,
    TypeError,
    OverflowError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)
"""What reading a damaged file can raise."""


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """A format of model files: ``name`` with its article, the ``sizes`` it can have, and the ``remedy`` for a damaged one.

    ``broken_rule`` asks the format's own checker which rule a file breaks, and where; empty where it finds none.
    """

    suffix: str
    name: str
    sizes: str
    remedy: str
    least_bytes: int = 0
    broken_rule: Callable[[Path], str] = lambda _: ""

    def malformed(self, path: Path, reason: str) -> ModelFileError:
        """The error of a file that is not what its name says."""
        return ModelFileError(f"{path}: malformed {self.suffix} file: {reason}; {self.remedy}", path=str(path))

    @contextmanager
    def guard(self, path: Path, place: Callable[[], str] = lambda: "it") -> Iterator[None]:
        """Turn whatever a damaged file provokes into one ModelFileError; deliberate errors pass. ``place``: what was read last."""
        try:
            yield
        except AccelsimError:
            raise
        except GARBAGE as error:
            found = self.broken_rule(path) or f"{place()} holds what the format does not allow: {one_line(error)}"
            raise self.malformed(path, found) from error

    def read(self, path: Path) -> bytes:
        """All bytes of the file at ``path``; ModelFileError when it is missing, no regular file, or of an impossible size."""
        try:
            size = path.stat().st_size
            if path.is_file() and self.least_bytes <= size <= MAX_FILE_BYTES:
                return path.read_bytes()
            what = "a directory" if path.is_dir() else f"{size} bytes long" if path.is_file() else "not a regular file"
            raise ModelFileError(f"{path}: expected {self.name} {self.sizes}, but it is {what}", path=str(path))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            raise ModelFileError(
                f"{path}: expected {self.name}, but it cannot be read: {reason}", path=str(path)
            ) from error


def name_of(path: str | Path) -> str:
    """The name of a model: its file's without the suffix, with U+FFFD for what is not UTF-8."""
    return os.fsencode(Path(path).stem).decode(errors="replace")


def one_line(error: BaseException, *, longest: int = 160) -> str:
    """The message of ``error`` on one line, cut to ``longest`` characters."""
    return " ".join(str(error).split())[:longest]
