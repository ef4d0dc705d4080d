"""Compiled code is kept between processes, and never outlives the sources that it was made from."""

from __future__ import annotations

import ast
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

import accelsim
from accelsim import numba_cache
from accelsim.numba_cache import COMPILED, cache_directory, source_digest

PACKAGE = Path(accelsim.__file__).parent


def imported_packages(path: Path) -> set[str]:
    """First-level names below ``accelsim`` that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "accelsim":
            found |= {node.module.split(".")[1]} if "." in node.module else {alias.name for alias in node.names}
    return found


def test_every_source_of_compiled_code_is_part_of_the_digest() -> None:
    top_level = {path.stem for path in PACKAGE.glob("*.py")}
    for path in PACKAGE.rglob("*.py"):
        if "accelsim.numba_cache import" in path.read_text(encoding="utf-8"):
            digested = [name for name in COMPILED if path.is_relative_to(PACKAGE / name)]
            assert digested, f"{path} compiles but its package is not digested"
            assert imported_packages(path) <= {*COMPILED, *top_level}, path


def test_any_edit_of_any_digested_source_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    (tmp_path / "report").mkdir()
    files = {"a.py": "x = 1", "kernels/b.py": "y = 2", "report/c.py": "z = 3"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    before = source_digest(tmp_path)
    assert source_digest(tmp_path) == before
    (tmp_path / "report/c.py").write_text("z = 4")
    assert source_digest(tmp_path) == before
    (tmp_path / "kernels/b.py").write_text("y = 3")
    changed = source_digest(tmp_path)
    (tmp_path / "kernels/b.py").rename(tmp_path / "kernels/d.py")
    assert len({before, changed, source_digest(tmp_path)}) == 3


MODULES = {
    "kernels/inner.py": "from accelsim.numba_cache import njit\n@njit\ndef inner(x):\n    return x * 2\n",
    "kernels/outer.py": (
        "from accelsim.kernels.inner import inner\nfrom accelsim.numba_cache import njit\n@njit\ndef outer(x):\n    return inner(x)\n"
    ),
}
SCRIPT = (
    "import numba; from accelsim.kernels.outer import outer; before = numba.config.CACHE_DIR; "
    "print(outer(10), sum(outer.stats.cache_hits.values()), numba.config.CACHE_DIR == before)"
)


def run_copy(root: Path, *, prelude: str = "", warnings: int = 0) -> list[str]:
    """What :data:`SCRIPT` prints, after so many warnings that name the cache's directory."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(root / "cache"), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", prelude + SCRIPT],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"compiled code in {root / 'cache'}") == done.stderr.count("Warning: ") == warnings
    return done.stdout.split()


def small_copy(root: Path) -> Path:
    """A package of two compiled functions and the cache's own module."""
    package = root / "accelsim"
    (package / "kernels").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "kernels/__init__.py").touch()
    shutil.copy(numba_cache.__file__, package)
    for name, text in MODULES.items():
        (package / name).write_text(text)
    return package


@pytest.mark.slow
def test_an_edit_of_an_inlined_function_takes_effect_and_an_unchanged_one_is_loaded(tmp_path: Path) -> None:
    """Numba's own key looks at the calling file only and would return 20 both times."""
    package = small_copy(tmp_path)
    assert run_copy(tmp_path) == ["20", "0", "True"]
    assert run_copy(tmp_path) == ["20", "1", "True"]
    (package / "kernels/inner.py").write_text(MODULES["kernels/inner.py"].replace("x * 2", "x * 3"))
    assert run_copy(tmp_path) == ["30", "0", "True"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replace_by_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": cut,
    "a flipped bit": flip,
    "foreign": lambda path: path.write_bytes(pickle.dumps("0.0.0") + pickle.dumps({})),
    "a pickle that raises": lambda path: path.write_bytes(b"cos\n_exit\n(I9\ntR."),
    "a directory": replace_by_a_directory,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_file_is_compiled_anew_and_mended(tmp_path: Path, suffix: str, kind: str) -> None:
    small_copy(tmp_path)
    assert run_copy(tmp_path) == ["20", "0", "True"]
    for path in list((tmp_path / "cache").rglob(f"*.{suffix}")):
        DAMAGE[kind](path)
    assert run_copy(tmp_path, warnings=1) == ["20", "0", "True"]
    if kind != "a directory":
        assert run_copy(tmp_path) == ["20", "1", "True"]


@pytest.mark.slow
def test_files_that_changed_places_are_not_taken_for_each_other(tmp_path: Path) -> None:
    small_copy(tmp_path)
    assert run_copy(tmp_path) == ["20", "0", "True"]
    first, second = sorted((tmp_path / "cache").rglob("*.nbc"))
    content = first.read_bytes(), second.read_bytes()
    first.write_bytes(content[1])
    second.write_bytes(content[0])
    assert run_copy(tmp_path, warnings=1) == ["20", "0", "True"]


FULL = """
import numba.core.caching as caching
def full(self, path): raise OSError(28, "No space left on device")
caching.IndexDataCacheFile._open_for_write = full
"""


@pytest.mark.slow
def test_a_full_disk_costs_a_compilation_and_one_warning(tmp_path: Path) -> None:
    small_copy(tmp_path)
    assert run_copy(tmp_path, prelude=FULL, warnings=1) == ["20", "0", "True"]
    assert run_copy(tmp_path) == ["20", "0", "True"]


@pytest.mark.slow
def test_data_under_the_key_of_another_signature_is_not_run(tmp_path: Path) -> None:
    """As two processes leave it that write at once: one's index, the other's data."""
    small_copy(tmp_path)
    swap = "import pickle; from accelsim.kernels.outer import outer; outer(1.5)\n"
    run_copy(tmp_path, prelude=swap)
    for path in (tmp_path / "cache").rglob("*.nbi"):
        stamp, names = pickle.loads(path.read_bytes()[32:])
        keys = list(names)
        content = pickle.dumps((stamp, dict(zip(keys, [names[key] for key in reversed(keys)], strict=True))))
        path.write_bytes(numba_cache._seal(str(path), content) + content)
    assert run_copy(tmp_path) == ["20", "0", "True"]


def test_without_a_writable_directory_nothing_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(blocked))
    monkeypatch.setattr(numba_cache, "_warned", False)
    with pytest.warns(RuntimeWarning, match=str(blocked)):
        assert cache_directory.__wrapped__() is None
    monkeypatch.setattr(numba_cache, "cache_directory", lambda: None)

    @numba_cache.njit
    def twice(x: int) -> int:
        return 2 * x

    assert twice(21) == 42
    assert str(numba.config.CACHE_DIR) == str(blocked)


def test_options_reach_numba() -> None:
    @numba_cache.njit(boundscheck=True)
    def first(x: int) -> int:
        return x + 1

    assert first(1) == 2
    assert first.targetoptions["boundscheck"]  # type: ignore[attr-defined]
    assert first.targetoptions["nogil"]  # type: ignore[attr-defined]


def test_python_is_told_that_it_cannot_call_what_only_compiled_functions_call() -> None:
    from accelsim.hardware import compiled

    with pytest.raises(TypeError, match="box_bytes is for compiled functions"):
        compiled.box_bytes(8.0, 8.0, (1.0,) * 4, None)


def test_a_function_is_compiled_in_one_way() -> None:
    """Compiled code lies under a function's name: one without a wrapper for Python must not be taken for one with it."""

    def doubled(x: int) -> int:
        return 2 * x

    numba_cache.inner(doubled)
    with pytest.raises(TypeError, match="doubled is compiled in two ways"):
        numba_cache.njit(doubled)


def test_what_borrows_arrays_returns_none() -> None:
    """It counts no references, so that whoever took an array from it would release one that it does not have."""

    class Pair(NamedTuple):
        size: int
        values: Any

    def paired(x: Any) -> Any:
        return Pair(len(x), x)

    borrowed = numba_cache.borrowing(paired)

    def outer(x: Any) -> Any:
        return borrowed(x).size

    with pytest.raises(Exception, match="paired returns an array"):
        numba_cache.njit(outer)(np.zeros(3))
