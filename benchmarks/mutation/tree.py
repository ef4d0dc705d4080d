"""A copy of the checkout in which mutants are tried, and its own cache of compiled code.

Compiled code lives under a digest of all sources, so that every mutant would compile everything anew; here what a mutant cannot
reach is carried over from the tree without it, and back.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from numba.core.caching import _CacheLocator

from mutation.nearest import Imports
from mutation.sites import Mutant


class Tree:
    """``root`` holds the files of ``checkout`` as git lists them, brought up to date when it is made."""

    def __init__(self, checkout: Path, root: Path, cache: Path) -> None:
        self.root, self._cache = root, cache
        cache.mkdir(parents=True, exist_ok=True)
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=checkout, capture_output=True, text=True, check=True
        )
        files = [name for name in listed.stdout.splitlines() if (checkout / name).is_file()]
        before = self._digest() if root.exists() else None
        changed = self._copy(checkout, files)
        self.imports = Imports(root)
        if before is not None and before != self._digest():
            self._carry(before, self._digest(), self._reached(changed))
        sources = b"".join((root / name).read_bytes() for name in files if name.startswith("accelsim/"))
        self.package = hashlib.sha256(sources).hexdigest()

    @contextmanager
    def holding(self, mutant: Mutant) -> Iterator[None]:
        """The tree with ``mutant`` in it; restored whatever happens inside."""
        path, plain = self.root / mutant.path, self._digest()
        content, stat = path.read_bytes(), path.stat()
        self._write(path, mutant.applied(content))
        mutated, reached = self._digest(), self._reached([mutant.path])
        try:
            if mutated != plain:
                self._carry(plain, mutated, reached)
            yield
        finally:
            path.write_bytes(content)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            if mutated != plain:
                self._carry(mutated, plain, reached)
                shutil.rmtree(self._cache / mutated, ignore_errors=True)

    def _copy(self, checkout: Path, files: list[str]) -> list[str]:
        """Bring files up to date, remove what the checkout no longer has, and name what changed."""
        stale = {p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file()} - {*files}
        for name in stale:
            (self.root / name).unlink()
        changed = []
        for name in files:
            source, target = checkout / name, self.root / name
            if not target.exists() or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                self._write(target, source.read_bytes())
                changed.append(name)
        return changed

    def _write(self, path: Path, content: bytes) -> None:
        """With a time that follows from the content: bytecode is kept by a file's length and its second."""
        path.write_bytes(content)
        os.utime(path, (second := 10**9 + zlib.crc32(content) // 5, second))

    def _digest(self) -> str:
        path = self.root / "accelsim" / "numba_cache.py"
        spec = importlib.util.spec_from_file_location("numba_cache_of_the_tree", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return str(module.source_digest(path.parent))

    def _reached(self, changed: Iterable[str]) -> set[Path]:
        """Files whose compiled code may be made of one that changed."""
        modules = [self.imports.names[self.root / name] for name in changed if (self.root / name) in self.imports.names]
        return {self.imports.paths[name] for module in modules for name in self.imports.distances(module)}

    def _carry(self, source: str, target: str, reached: set[Path]) -> None:
        """Link compiled code from one digest's directory to another's, but for what is made of ``reached``."""
        stale = {(_CacheLocator.get_suitable_cache_subpath(str(path)), path.stem) for path in reached}
        for path in (self._cache / source).rglob("*.nb[ic]"):
            other = self._cache / target / path.relative_to(self._cache / source)
            if (path.parent.name, path.name.partition(".")[0]) in stale:
                continue
            if not other.exists() or not other.samefile(path):
                other.parent.mkdir(parents=True, exist_ok=True)
                other.unlink(missing_ok=True)
                other.hardlink_to(path)
