"""How the house is built, read from its source alone: who imports what, how large a folder is, what compiled functions take."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "accelsim"
MOST_FILES, MOST_FLOORS, MOST_PARAMETERS, MOST_UNNAMED = 15, 6, 8, 4

ALLOWED: dict[str, frozenset[str]] = {
    "arguments": frozenset(
        {
            "accelsim.program._hazards._claim",
            "accelsim.program._hazards.find_hazard",
            "accelsim.timing._stalls.attribute",
        }
    ),
}
"""By rule, what may break it: the checker and the stalls read a Program column by column, each an argument by its name.

An entry that no longer breaks its rule fails as well."""
CIRCLES: dict[frozenset[str], str] = {}
"""Files that import each other, and why they must; three at most."""


@cache
def files() -> dict[str, Path]:
    """Path of every module, by name; a package's is its ``__init__``."""
    named = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("accelsim", *path.relative_to(PACKAGE).with_suffix("").parts)
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(files()[module].read_text(encoding="utf-8"))


@cache
def offered(package: str) -> frozenset[str]:
    """Names that a package's ``__init__`` imports: ``accelsim.timing.schedule`` is a function there, whatever files lie beside."""
    froms = [node for node in tree(package).body if isinstance(node, ast.ImportFrom)] if is_package(package) else []
    return frozenset(alias.asname or alias.name for node in froms for alias in node.names)


@cache
def imported(module: str) -> frozenset[str]:
    """Modules of the package that ``module`` names in an import, wherever in the file, or to import them later."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in files():
            names = {alias.name for alias in node.names} - offered(node.module)
            rooms = {f"{node.module}.{name}" for name in names} & files().keys()
            found |= rooms if len(rooms) == len(node.names) else rooms | {node.module}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return frozenset(found & files().keys()) - {module}


def is_package(module: str) -> bool:
    return files()[module].name == "__init__.py"


def top(module: str) -> str:
    return ".".join(module.split(".")[:2])


def kept(rule: str, broken: dict[str, str]) -> None:
    """Fail with the messages of ``broken`` that are not allowed, and with allowances that nothing needs."""
    allowed = ALLOWED.get(rule, frozenset())
    assert not (new := {name: why for name, why in broken.items() if name not in allowed}), "\n" + "\n".join(
        new.values()
    )
    assert not (idle := allowed - broken.keys()), (
        f"ALLOWED[{rule!r}] is longer than it need be: take out {sorted(idle)}"
    )


def test_the_product_imports_every_module() -> None:
    """From the library's face and the command line; what strangers subclass stands apart."""
    used = set().union(*(reachable(root) | {root} for root in ("accelsim", "accelsim.__main__", "accelsim.testing")))
    packages = {module.rpartition(".")[0] for module in used}
    unused = files().keys() - used - packages - {package.rpartition(".")[0] for package in packages}
    kept(
        "unused", {m: f"{m}: nothing in the product imports it; use it, or move it to where it is used" for m in unused}
    )


def test_outsiders_import_a_folders_face() -> None:
    broken = {}
    for module in files():
        for target in imported(module):
            inside = top(module) == top(target)
            if not (inside or is_package(target) or target.count(".") == 1 or target.endswith(".compiled")):
                broken[f"{module} -> {target}"] = f"{module} imports {target}: take it from {target.rpartition('.')[0]}"
    kept("faces", broken)


def folders() -> Iterator[tuple[str, list[str]]]:
    """Each package with the modules that lie in it, sub-packages not counted."""
    for package in filter(is_package, files()):
        yield package, [m for m in files() if m.rpartition(".")[0] == package and not is_package(m)]


def test_no_folder_has_too_many_files() -> None:
    full = {
        name: f"{name} has {len(own)} files, {MOST_FILES} at most: split it"
        for name, own in folders()
        if len(own) > MOST_FILES
    }
    kept("files", full)


def test_no_folder_has_too_many_floors() -> None:
    """The longest chain of imports among the files of one folder."""

    def height(module: str, own: frozenset[str], seen: tuple[str, ...]) -> int:
        below = (imported(module) & own) - set(seen)
        return 1 + max((height(m, own, (*seen, module)) for m in below), default=0)

    broken = {}
    for name, own in folders():
        floors = max((height(m, frozenset(own), ()) for m in own), default=0)
        if floors > MOST_FLOORS:
            broken[name] = (
                f"{name} stands on {floors} floors, {MOST_FLOORS} at most: move what lies lowest or highest elsewhere"
            )
    kept("floors", broken)


@cache
def reachable(module: str) -> frozenset[str]:
    """Every module that ``module`` imports, directly or not; the library's own face imports when it is asked to, so nothing
    passes through it."""
    found, todo = set(), [module]
    while todo:
        new = imported(todo.pop()) - found - {"accelsim"}
        found |= new
        todo += new
    return frozenset(found)


def test_no_circles() -> None:
    below = {module: reachable(module) for module in files()}
    circles = {
        frozenset(m for m in below[module] if module in below[m]) for module in files() if module in below[module]
    }
    kept("circles", {" ".join(sorted(c)): f"these import each other: {sorted(c)}" for c in circles - CIRCLES.keys()})
    assert len(CIRCLES) <= 3
    assert CIRCLES.keys() <= circles, "CIRCLES lists files that no longer import each other"


COMPILERS = {"njit", "inner", "inlined", "borrowing", "tiered"}
"""Decorators of :mod:`accelsim.numba_cache`."""


def compiled() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every function that numba compiles, with its ``module.name``."""
    for module in files():
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef) and any(
                ast.unparse(d).partition("(")[0] in COMPILERS for d in node.decorator_list
            ):
                yield f"{module}.{node.name}", node


def parameters(function: ast.FunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args]


def test_compiled_functions_take_few_scalars() -> None:
    broken = {}
    for name, function in compiled():
        scalars = [
            a.arg
            for a in parameters(function)
            if a.annotation and ast.unparse(a.annotation) in ("int", "float", "bool")
        ]
        if len(scalars) > MOST_PARAMETERS:
            broken[name] = (
                f"{name} takes {len(scalars)} scalars by position, {MOST_PARAMETERS} at most: make them a NamedTuple"
            )
    kept("scalars", broken)


def test_compiled_functions_take_few_arguments() -> None:
    counts = {name: len(parameters(function)) for name, function in compiled()}
    long = {
        n: f"{n} takes {c} arguments, {MOST_PARAMETERS} at most: group them"
        for n, c in counts.items()
        if c > MOST_PARAMETERS
    }
    kept("arguments", long)


def unnamed(function: ast.FunctionDef) -> dict[str, set[int]]:
    """Per parameter, the literal slots that are read from it: ``x[7]`` or ``x[7, i]``; ``x.shape[0]`` is no slot."""
    slots: dict[str, set[int]] = {a.arg: set() for a in parameters(function)}
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in slots:
            index = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) and node.slice.elts else node.slice
            if isinstance(index, ast.Constant) and isinstance(index.value, int):
                slots[node.value.id].add(index.value)
    return slots


def test_compiled_functions_read_named_slots() -> None:
    """A record of more than four slots has names: a NamedTuple, or constants for its columns."""
    broken = {}
    for name, function in compiled():
        for parameter, slots in unnamed(function).items():
            if len(slots) > MOST_UNNAMED:
                broken[f"{name}({parameter})"] = (
                    f"{name} reads slots {sorted(slots)} of {parameter!r} by number: give them names"
                )
    kept("slots", broken)


@pytest.mark.parametrize("rule", ALLOWED)
def test_allowances_belong_to_a_rule(rule: str) -> None:
    assert rule in {"unused", "faces", "files", "floors", "circles", "scalars", "arguments", "slots"}
