"""Which test reaches which statements of the package, told by marks that are set on the way.

A mark stands before the first statement of every block of a function and behind every compound statement. Compiled functions have
none; a test reaches them where it reaches a name of theirs.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
from collections.abc import Iterable
from pathlib import Path
from types import CodeType
from typing import NamedTuple

BLOCKS = ("body", "orelse", "finalbody")
Place = str
"""``path:function:statement``, the statement by its first line: it stands though lines above it come and go."""


class Mark(NamedTuple):
    place: Place
    line: int
    names: frozenset[str]
    """What is named behind the mark and before the next, by which compiled functions are reached."""


def marks_of(path: str, source: bytes) -> list[Mark]:
    return _Marking(path, source).marks


def marked(path: str, source: bytes, filename: str, first: int) -> CodeType:
    """Code that sets ``__reached__[first + n]`` where mark ``n`` stands."""
    marking = _Marking(path, source)
    for block, at, number in reversed(marking.sites):
        statement = ast.parse(f"__reached__[{first + number}] = 1").body[0]
        for node in ast.walk(statement):
            ast.copy_location(node, block[min(at, len(block) - 1)])
        block.insert(at, statement)
    return compile(marking.tree, filename, "exec", dont_inherit=True)


def mark_of(marks: Iterable[Mark], function: str, line: int) -> Mark | None:
    """The mark behind which ``line`` of ``function`` stands."""
    return next((m for m in reversed([*marks]) if m.line <= line and f":{function}:" in m.place), None)


def body_of(marks: Iterable[Mark], function: str, line: int) -> Mark | None:
    """The first mark behind ``line`` of ``function``: in the block that a condition on that line guards."""
    return next((m for m in marks if m.line > line and f":{function}:" in m.place), None)


def bound_at(source: bytes, line: int) -> frozenset[str]:
    """What the statement of a module, and that of a class, to which ``line`` belongs gives a name to."""
    found: set[str] = set()
    todo = ast.parse(source).body
    for node in todo:
        if node.lineno <= line <= (node.end_lineno or node.lineno):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            found |= {name.id for each in targets if each for name in ast.walk(each) if isinstance(name, ast.Name)}
            found |= {node.name} if isinstance(node, (ast.ClassDef, ast.FunctionDef)) else set()
            todo += node.body if isinstance(node, ast.ClassDef) else []
    return frozenset(found)


def reached_marks(count: int) -> bytearray:
    """What the marks set; it stands among the names that every module knows."""
    builtins.__reached__ = bytearray(count)  # type: ignore[attr-defined]
    return builtins.__reached__  # type: ignore[attr-defined,no-any-return]


class _Marking:
    def __init__(self, path: str, source: bytes) -> None:
        self._path, self._lines = path, source.decode().splitlines()
        self.tree = ast.parse(source)
        self.marks: list[Mark] = []
        self.sites: list[tuple[list[ast.stmt], int, int]] = []
        self._visit(self.tree, "", inside=False)

    def _visit(self, node: ast.AST, function: str, *, inside: bool) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            function, inside = f"{function}.{node.name}".lstrip("."), not isinstance(node, ast.ClassDef)
        for field, value in ast.iter_fields(node):
            if field in BLOCKS and isinstance(value, list):
                self._block(value, function, inside=inside)
            elif field in ("handlers", "cases"):
                for each in value:
                    self._visit(each, function, inside=inside)

    def _block(self, block: list[ast.stmt], function: str, *, inside: bool) -> None:
        compound = True
        for at, statement in enumerate(block):
            text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if inside and compound and not text:
                self._mark(block, at, function)
            elif inside and not text:
                self.marks[-1] = self.marks[-1]._replace(names=self.marks[-1].names | _names(statement))
            compound = text or hasattr(statement, "body")
            self._visit(statement, function, inside=inside)

    def _mark(self, block: list[ast.stmt], at: int, function: str) -> None:
        line = block[at].lineno
        place = f"{self._path}:{function}:{self._lines[line - 1].strip()}"
        self.sites.append((block, at, len(self.marks)))
        self.marks.append(Mark(place, line, _names(block[at])))


def _names(statement: ast.stmt) -> frozenset[str]:
    """Names and attributes outside the blocks of a statement."""
    todo: list[ast.AST] = [statement]
    found = set()
    for node in todo:
        found |= {node.id} if isinstance(node, ast.Name) else {node.attr} if isinstance(node, ast.Attribute) else set()
        todo += [n for n in ast.iter_child_nodes(node) if not (isinstance(n, ast.stmt) and node is statement)]
    return frozenset(found)


class Ran(NamedTuple):
    """A test without any mutant; bit ``n`` of ``reached`` is place ``n`` of its file."""

    passed: bool
    seconds: float
    reached: int


class File(NamedTuple):
    digest: str
    places: dict[Place, int]
    tests: dict[str, Ran]

    def reaching(self, places: Iterable[Place]) -> dict[str, Ran]:
        bits = sum(1 << self.places[place] for place in {*places} & self.places.keys())
        return {name: ran for name, ran in self.tests.items() if ran.reached & bits}


class Reach:
    """What every test reached when it ran last, by test file; kept in a folder, which several runs may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, file: str, digest: str) -> File | None:
        """None if the file has not run since it changed."""
        path = self._path(file)
        kept = json.loads(path.read_text()) if path.exists() else {}
        if kept.get("digest") != digest:
            return None
        tests = {name: Ran(*ran[:2], int(ran[2], 16)) for name, ran in kept["tests"].items()}
        return File(digest, {place: n for n, place in enumerate(kept["places"])}, tests)

    def add(self, file: str, found: File) -> None:
        tests = {name: (*ran[:2], f"{ran.reached:x}") for name, ran in found.tests.items()}
        kept = {"file": file, "digest": found.digest, "places": [*found.places], "tests": tests}
        written = self._path(file).with_suffix(f".{os.getpid()}")
        written.write_text(json.dumps(kept))
        written.replace(self._path(file))

    def _path(self, file: str) -> Path:
        return self._folder / f"{file.replace('/', '.')}.json"
