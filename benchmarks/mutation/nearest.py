"""Which test files stand nearest to a module: by their folder's and their own name, then by how far they import it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path


class Imports:
    """Who imports whom in a tree, name by name: what a folder's face only passes on leads to where it is defined."""

    def __init__(self, root: Path) -> None:
        self.paths = {}
        for top in ("accelsim", "tests"):
            for path in sorted((root / top).rglob("*.py")):
                parts = path.relative_to(root).with_suffix("").parts
                self.paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        self.names = {path: name for name, path in self.paths.items()}
        self._resolved = cache(self._resolve)
        self.direct = {name: self._direct(name) for name in self.paths}

    def distances(self, module: str) -> dict[str, int]:
        """Every module that leads to ``module``, and over how many imports."""
        found, todo = {module: 0}, [module]
        for current in todo:
            new = [name for name, below in self.direct.items() if current in below and name not in found]
            found |= dict.fromkeys(new, found[current] + 1)
            todo += new
        return found

    def _direct(self, module: str) -> frozenset[str]:
        found = set()
        for node in ast.walk(self._tree(module)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {self._resolved(node.module, alias.name) for alias in node.names}
                found |= {node.module} if self._runs_others(node.module) else set()
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "accelsim":
                found.add(self._resolved("accelsim", node.attr))
        return frozenset((found & self.paths.keys()) - {module})

    def _runs_others(self, module: str) -> bool:
        """Whether a face imports modules for what that does: the command line's, where every command adds itself."""
        return module in self.paths and any(
            isinstance(node, ast.Import) and alias.name.startswith(f"{module}.")
            for node in self._tree(module).body
            for alias in getattr(node, "names", ())
        )

    def _resolve(self, module: str, name: str) -> str:
        """The module that ``name`` of ``module`` comes from."""
        if f"{module}.{name}" in self.paths and name not in self._passed_on(module):
            return f"{module}.{name}"
        home = self._passed_on(module).get(name)
        return self._resolved(*home) if home else module

    @cache  # noqa: B019  one object a run
    def _passed_on(self, module: str) -> dict[str, tuple[str, str]]:
        if module not in self.paths or self.paths[module].name not in ("__init__.py", "compiled.py"):
            return {}
        froms = [
            node
            for node in ast.walk(self._tree(module))
            if isinstance(node, ast.ImportFrom) and node.module not in (None, module)
        ]
        return {a.asname or a.name: (str(node.module), a.name) for node in froms for a in node.names}

    @cache  # noqa: B019
    def _tree(self, module: str) -> ast.Module:
        return ast.parse(self.paths[module].read_text(encoding="utf-8"))


HOMES = {
    "accelsim.importers.tflite": ("tests.oracles", "tests.importers.test_lowering", "tests.importers.test_malformed"),
    "accelsim.importers.onnx": ("tests.importers.onnx.test_import", "tests.importers.onnx.test_integer_operators"),
    "accelsim.importers.tables": ("tests.importers.test_table", "tests.importers.test_scalesim"),
    "accelsim.report": ("tests.report", "tests.test_result_figures"),
    "accelsim.report.verification": ("tests.verification.test_command",),
    "accelsim.cli": ("tests.test_cli",),
    "accelsim.__main__": ("tests.test_cli",),
    "accelsim.result": ("tests.report", "tests.test_simulation"),
    "accelsim.testing": ("tests.contracts", "tests.laws"),
}
"""Test files that stand nearer to a folder than their names tell."""


def nearest_tests(imports: Imports, module: str, function: str) -> list[str]:
    """Test files that import ``module``, nearest first; those of its folder and those that name it or ``function`` stand before others.

    A file that does not import it, as a test of the installed command, counts if it is in the folder of the module.
    """
    distances = imports.distances(module)
    words = set(re.split(r"[._]+", module)) - {"accelsim", ""}
    folders = module.split(".")[1:-1]
    homes = tuple(h for folder, h in HOMES.items() if f"{module}.".startswith(f"{folder}.") for h in h)
    called = re.compile(rf"\b{re.escape(function.rpartition('.')[2] or module.rpartition('.')[2])}\b")

    def near(name: str) -> tuple[int, int, int]:
        parts = name.split(".")[1:-1]
        shared = next((i for i, pair in enumerate(zip(folders, parts, strict=False)) if len({*pair}) > 1), len(parts))
        own = len(words & set(re.split(r"[._]+", name))) + 2 * bool(called.search(imports.paths[name].read_text()))
        home = 6 * name.startswith(homes) if homes else 0
        far = 2 * (len(parts) - shared) - 2 * shared - own - home
        return distances.get(name, 9) + far, distances.get(name, 9), imports.paths[name].stat().st_size

    def counts(name: str) -> bool:
        test = name.rpartition(".")[2].startswith("test_") and not name.startswith(("tests.house", "tests.rtl"))
        own = (*homes, f"tests.{folders[0]}." if folders else "tests.test_")
        return test and (name in distances or name.startswith(own))

    return sorted(filter(counts, imports.paths), key=near)
