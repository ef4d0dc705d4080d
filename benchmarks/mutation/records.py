"""What is kept between runs: outcomes of mutants, and which tests pass without any."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mutation.tree import Tree


class Results:
    """Outcomes by mutant, appended to a file of JSON lines as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._rows = {self.key(row): row for row in map(json.loads, lines)}

    @staticmethod
    def key(row: dict[str, Any]) -> tuple[str, ...]:
        return tuple(row[name] for name in ("path", "function", "before", "after"))

    def of(self, row: dict[str, Any]) -> dict[str, Any] | None:
        return self._rows.get(self.key(row))

    def add(self, row: dict[str, Any]) -> None:
        self._rows[self.key(row)] = row
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


class Known:
    """Tests that pass without any mutant, and those that do not and so tell nothing, for one state of package and test file."""

    def __init__(self, path: Path, tree: Tree) -> None:
        self._path, self._tree = path, tree
        self._found: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}

    def passes(self, test: str) -> bool | None:
        """None where it is not known."""
        outcome, digest = self._found.get(test, ("", ""))
        return outcome == "passes" if digest == self._digest(test) else None

    def add(self, test: str, passes: bool) -> None:
        self._found[test] = ["passes" if passes else "fails", self._digest(test)]
        self._path.write_text(json.dumps(self._found, indent=0))

    @property
    def broken(self) -> list[str]:
        return [test for test in self._found if self.passes(test) is False]

    def _digest(self, test: str) -> str:
        file = self._tree.root / test.partition("::")[0]
        content = file.read_bytes() if file.is_file() else b""
        return hashlib.sha256(self._tree.package.encode() + content).hexdigest()
