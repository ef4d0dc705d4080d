"""Compiled code is kept between processes, and never outlives the sources that it was made from."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
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
        if "njit" in path.read_text(encoding="utf-8") and path.stem != "numba_cache":
            package = path.relative_to(PACKAGE).parts[0]
            assert package in COMPILED, f"{path} compiles but its package is not digested"
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


def run_copy(root: Path) -> list[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(root / "cache"), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_an_edit_of_an_inlined_function_takes_effect_and_an_unchanged_one_is_loaded(tmp_path: Path) -> None:
    """Numba's own key looks at the calling file only and would return 20 both times."""
    package = tmp_path / "accelsim"
    (package / "kernels").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "kernels/__init__.py").touch()
    shutil.copy(numba_cache.__file__, package)
    for name, text in MODULES.items():
        (package / name).write_text(text)
    assert run_copy(tmp_path) == ["20", "0", "True"]
    assert run_copy(tmp_path) == ["20", "1", "True"]
    (package / "kernels/inner.py").write_text(MODULES["kernels/inner.py"].replace("x * 2", "x * 3"))
    assert run_copy(tmp_path) == ["30", "0", "True"]


def test_without_a_writable_directory_nothing_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(blocked))
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
