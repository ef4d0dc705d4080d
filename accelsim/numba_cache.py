"""``njit`` whose compiled code is kept between runs and never goes stale.

Numba keys cached code on the source file of the compiled function alone: an edit of a function that it inlines from another
file would be served from the cache and give wrong results. The cache therefore lives in a directory named after a digest of
every source that compiled code is made from.

Compiling takes a thousand times longer than what a small network asks of most loops, so that a :func:`tiered` function is
interpreted until it has had more to do than that.

What lies there is data like any other: a file that is cut, damaged, of another function, or that cannot be read or written
costs a compilation and one warning, never the run. Every file begins with a digest of the rest, since a damaged one could
otherwise be loaded and run.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property, update_wrapper
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, overload

import numba
from numba.core import event
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.core.registry import CPUDispatcher
from platformdirs import user_cache_dir

_config: Any = numba.config
_compiler: Any = numba.njit  # takes more options than its types know

Function = TypeVar("Function", bound=Callable[..., Any])
_options: dict[str, dict[str, Any]] = {}
"""How every function that was met is compiled."""

COMPILED = (
    "activity",
    "arch",
    "builder",
    "explore/fronts",
    "graph",
    "hardware",
    "importers/tables",
    "kernels",
    "mapper",
    "numerics",
    "program",
    "quant",
    "timing",
)
"""Packages with compiled functions, or folders of one, and all that those import; modules beside them at the top level count as well."""
DIGEST_LENGTH = 16
"""Hexadecimal digits of the digest in the directory's name; 64 bits, as good as unique."""
INTERPRETED = 2000
"""Steps that a :func:`tiered` function is interpreted for in one process: some 20 ms, what it takes to read its compiled code."""
_SEAL_BYTES = hashlib.sha256().digest_size


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
    name = f"{function.__module__}.{function.__qualname__}"
    if _options.setdefault(name, options) != options:
        raise TypeError(
            f"{name} is compiled in two ways, whose code would lie under one name; give one of them a function of its own"
        )
    made = _compiler(nogil=True, no_cfunc_wrapper=True, **options)(function)  # nobody calls these from C
    directory = cache_directory()
    if directory is not None:
        with _numba_cache_at(directory), _without(directory):
            made._cache = _Cache(function)
    return made


def inner(function: Function, /) -> Function:
    """:func:`njit` for what only compiled functions call: nothing is compiled that would let Python call it, which gets a TypeError."""
    return _inside(function, _Inner)


def inlined(function: Function, /) -> Function:
    """:func:`inner`, written into what calls it: large code is optimized once, not once more by each that holds it."""
    return _inside(function, _Inner, inline="always")


def borrowing(function: Function, /) -> Function:
    """:func:`inner` for what makes no array and returns none: it reads its caller's without counting references to them.

    Counting takes half the time of loops that look up a few numbers in the arrays of a record.
    """
    return _inside(function, _Borrowing, _nrt=False)


def _inside(function: Function, kind: type[CPUDispatcher], **options: Any) -> Function:
    made: Any = njit(no_cpython_wrapper=True, **options)(function)
    made.__class__ = kind
    inside: Function = made
    return inside


class _Inner(CPUDispatcher):
    """Numba would call what was not compiled, and the process would end."""

    def __call__(self, *arguments: Any) -> Any:
        name = self.py_func.__name__
        raise TypeError(
            f"{name} is for compiled functions; to call it from Python compile it anew: numba.njit({name}.py_func)"
        )


class _Borrowing(_Inner):
    """An array that it returned would be released once too often."""

    def compile(self, sig: Any) -> Any:
        compiled = super().compile(sig)
        for made in self.nopython_signatures:
            if _holds_array(made.return_type):
                raise TypeError(f"{self.py_func.__name__} returns an array, so that it has to be `inner`")
        return compiled


def _holds_array(kind: Any) -> bool:
    return isinstance(kind, numba.types.Array) or any(_holds_array(each) for each in getattr(kind, "types", ()))


def tiered(work: Callable[..., int], /, most: int = INTERPRETED) -> Callable[[Function], Function]:
    """:func:`njit` for a function that only Python calls, interpreted until its calls have had more than ``most`` to do.

    ``work`` takes the arguments of a call and says how many steps, of some ten microseconds when interpreted, it has. Code that is
    compiled already is always taken. The same integers either way, as long as nothing leaves its type: numpy's scalars are interpreted.
    """
    return lambda function: _Tiered(function, work, most)  # type: ignore[return-value]


class _Tiered:
    def __init__(self, function: Callable[..., Any], work: Callable[..., int], most: int) -> None:
        update_wrapper(self, function)
        self.compiled = njit(function)
        kept = getattr(self.compiled, "_cache", None)
        self._work, self._left = work, 0 if isinstance(kept, _Cache) and kept.holds_any() else most

    def __call__(self, *arguments: Any) -> Any:
        if self._left > 0:
            self._left -= self._work(*arguments)
        return self.interpreted(*arguments) if self._left > 0 else self.compiled(*arguments)

    @cached_property
    def interpreted(self) -> Callable[..., Any]:
        """The function as Python runs it."""
        return _interpreted(self.compiled)


def _interpreted(compiled: Any) -> Callable[..., Any]:
    """The Python function behind a compiled one, which calls those behind the compiled ones that it calls."""
    function = getattr(compiled, "py_func", compiled)
    names = dict(function.__globals__)
    called = {name: names[name] for name in function.__code__.co_names if hasattr(names.get(name), "py_func")}
    names |= {name: _interpreted(other) for name, other in called.items()}
    return FunctionType(function.__code__, names, function.__name__, function.__defaults__)


@cache
def cache_directory() -> Path | None:
    """Where compiled code of these very sources is kept; None where nothing can be written."""
    base = _config.CACHE_DIR or user_cache_dir("accelsim", appauthor=False)
    directory = Path(base) / source_digest(Path(__file__).parent)
    with _without(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    return None


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


class _Sealed(IndexDataCacheFile):
    """Index and data files that begin with a digest of their name and content, data with the key that they are of.

    Two processes that write at once may leave one's data under the other's key.
    """

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        of, data = super().load(key) or (None, None)
        return data if of == key else None

    def _load_index(self) -> dict[Any, str]:
        with _without(Path(self._cache_path).parent):
            stamp, overloads = self._opened(self._index_path) or (None, {})
            return dict(overloads) if stamp == self._source_stamp else {}
        return {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, self._dump((self._source_stamp, overloads)))

    def _load_data(self, name: str) -> Any:
        return self._opened(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), self._dump(data))

    def _write(self, path: str, content: bytes) -> None:
        with self._open_for_write(path) as file:
            file.write(_seal(path, content) + content)

    def _opened(self, path: str) -> Any:
        """What the file holds, None where there is none; ValueError where its digest is not its own."""
        try:
            sealed = Path(path).read_bytes()
        except FileNotFoundError:
            return None
        seal, content = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
        if seal != _seal(path, content):
            raise ValueError(f"{Path(path).name} is damaged")
        return pickle.loads(content)


def _seal(path: str, content: bytes) -> bytes:
    return hashlib.sha256(f"{numba.__version__} {Path(path).name}\n".encode() + content).digest()


class _Place(CompileResultCacheImpl):
    """Files in the directory that is set, the first place that numba tries: beside the sources they would outlive an edit."""

    _locator_classes = CompileResultCacheImpl._locator_classes[:1]


class _Cache(FunctionCache):
    """Compiled code of one function on disk, done without where the disk does not give or take it."""

    _impl_class = _Place

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _Sealed(self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp())

    def holds_any(self) -> bool:
        """Whether some version of the function has been compiled."""
        return Path(self._cache_file._index_path).exists()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with _without(Path(self._cache_path).parent):
            return super().load_overload(sig, target_context)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with _without(Path(self._cache_path).parent):
            super().save_overload(sig, data)


@contextmanager
def _without(directory: Path) -> Iterator[None]:
    """Go on without what fails inside, whatever it raises: a pickle may raise anything."""
    try:
        yield
    except Exception as error:
        _warn(directory, f"{type(error).__name__}: {error}")


def _warn(directory: Path, reason: str) -> None:
    """Once a process, which would otherwise hear it of every function."""
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"compiled code in {directory} cannot be used ({reason}); functions are compiled anew, which takes longer; "
            "empty or free that directory, or name another with NUMBA_CACHE_DIR",
            RuntimeWarning,
            stacklevel=2,
        )


_warned = False


class _Announcement(event.Listener):
    """Says in the log, once a process, that functions of ours are compiled, which takes seconds."""

    said = False

    def on_start(self, event: Any) -> None:
        ours = event.data["dispatcher"].__module__.startswith(f"{__package__}.")
        if (
            ours and not self.said and cache_directory() is not None
        ):  # without one every run compiles, of which it warns
            self.said = True
            _log.info("compiling kernels, once per installation: the next run finds them compiled")

    def on_end(self, event: Any) -> None:
        """Nothing is said of the end."""


_log = logging.getLogger(__package__)
_register: Any = event.register
_register("numba:compile", _Announcement())


@contextmanager
def _numba_cache_at(directory: Path) -> Iterator[None]:
    """Numba reads its cache directory when a cache is made, so that it can be set for just that long."""
    before = _config.CACHE_DIR
    _config.CACHE_DIR = str(directory)
    try:
        yield
    finally:
        _config.CACHE_DIR = before
