"""``njit`` whose compiled code is kept between runs and never goes stale.

Numba keys cached code on the source file of the compiled function alone: an edit of a function that it inlines from another
file would be served from the cache and give wrong results. The cache therefore lives in a directory named after a digest of
every source that compiled code is made from.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, overload

import numba
from platformdirs import user_cache_dir

_config: Any = numba.config

Function = TypeVar("Function", bound=Callable[..., Any])

COMPILED = (
    "activity",
    "arch",
    "builder",
    "graph",
    "hardware",
    "kernels",
    "mapper",
    "numerics",
    "program",
    "quant",
    "timing",
)
"""Packages with compiled functions, and all that those import; modules beside them at the top level count as well."""
DIGEST_LENGTH = 16
"""Hexadecimal digits of the digest in the directory's name; 64 bits, as good as unique."""


@overload
def njit(function: Function, /) -> Function: ...


@overload
def njit(**options: Any) -> Callable[[Function], Function]: ...


def njit(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Compile on first call, with the GIL released; cached on disk where a cache directory can be written.

    ``NUMBA_CACHE_DIR`` takes the place of the user's cache directory. Nothing global stays changed.
    """
    if function is None:
        return lambda decorated: njit(decorated, **options)
    directory = cache_directory()
    with _numba_cache_at(directory):
        return numba.njit(cache=directory is not None, nogil=True, **options)(function)


@cache
def cache_directory() -> Path | None:
    """Where compiled code of these very sources is kept; None where nothing can be written."""
    base = _config.CACHE_DIR or user_cache_dir("accelsim", appauthor=False)
    directory = Path(base) / source_digest(Path(__file__).parent)
    return directory if _is_writable(directory) else None


def source_digest(package: Path) -> str:
    """Digest of numba's version and of the sources of ``package`` at its top level and in ``COMPILED``."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(
        [*package.glob("*.py"), *(path for name in COMPILED for path in (package / name).rglob("*.py"))]
    ):
        content = path.read_bytes()
        digest.update(f"\n{path.relative_to(package).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:DIGEST_LENGTH]


def _is_writable(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False


@contextmanager
def _numba_cache_at(directory: Path | None) -> Iterator[None]:
    """Numba reads its cache directory when a function is decorated, so that it can be set for just that long."""
    before = _config.CACHE_DIR
    _config.CACHE_DIR = str(directory or before)
    try:
        yield
    finally:
        _config.CACHE_DIR = before
