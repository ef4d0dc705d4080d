"""Every one-token mutant of the package, found over ``ast`` and written as bytes, so that all else stays as it is.

Left out, since no test should read them: docstrings and comments, annotations, decorators, what ``if TYPE_CHECKING`` guards,
``__repr__``, all string literals (error texts among them) and what stands inside an f-string, and where a warning points
(``stacklevel``).
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple


class Mutant(NamedTuple):
    """``before`` at bytes ``start`` to ``end`` of ``path`` becomes ``after``."""

    path: str
    function: str
    line: int
    kind: str
    start: int
    end: int
    before: str
    after: str

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]

    def lines(self, source: bytes) -> tuple[str, str]:
        """The line that changes, without and with the mutant, on one line each."""
        begin, stop = source.rfind(b"\n", 0, self.start) + 1, source.find(b"\n", self.end)
        after = source[begin : self.start] + self.after.encode() + source[self.end : stop]
        return " ".join(source[begin:stop].decode().split()), " ".join(after.decode().split())


class _Change(NamedTuple):
    kind: str
    start: int
    end: int
    after: bytes


COMPARED = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: (r"not\s+in", "in"),
}
SIGNS = {ast.Add: (r"\+", "-"), ast.Sub: ("-", "+")}
JOINED = {ast.And: ("and", "or"), ast.Or: ("or", "and")}
UNARY = {ast.Not: ("not", "not "), ast.USub: ("sign", "-")}
CLAMPS = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}
SYMMETRIC = {*CLAMPS, "isinstance", "gcd", "lcm", "logical_and", "logical_or", "array_equal"}
"""Functions whose arguments may change places, or that fail at once if they do."""
GUARDING = (ast.Raise, ast.Return, ast.Continue, ast.Break)
NOT_MUTATED = ("annotation", "returns", "decorator_list", "type_comment")


class _Source:
    """Bytes of a file and where the nodes of its tree stand in them."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._lines = [0]
        for line in content.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._lines[node.lineno - 1] + node.col_offset, self._lines[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.expr | ast.stmt) -> bytes:
        begin, end = self.span(node)
        return self.content[begin:end]

    def token(self, kind: str, left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[_Change]:
        """The operator between two operands, brackets and line breaks apart."""
        begin, end = self.span(left)[1], self.span(right)[0]
        if found := re.search(old.encode(), re.sub(rb"#[^\n]*", lambda c: b" " * len(c[0]), self.content[begin:end])):
            yield _Change(kind, begin + found.start(), begin + found.end(), new.encode())


def mutants_of(path: Path, root: Path) -> Iterator[Mutant]:
    content = path.read_bytes()
    source = _Source(content)
    for function, node in _nodes(ast.parse(content), ""):
        for change in _changes(node, source):
            before = content[change.start : change.end].decode()
            line = content.count(b"\n", 0, change.start) + 1
            place = (path.relative_to(root).as_posix(), function, line)
            yield Mutant(*place, change.kind, change.start, change.end, before, change.after.decode())


def drawn(package: Path, seed: int, count: int, within: str = "") -> list[Mutant]:
    """``count`` mutants, kinds in turn, by a digest of what each changes: a longer draw begins with the shorter one, and a mutant's
    turn does not depend on the rest of the sources."""
    by_kind: dict[str, list[tuple[bytes, Mutant]]] = {}
    for path in sorted(package.rglob("*.py")):
        source = path.read_bytes()
        for mutant in mutants_of(path, package.parent) if path.is_relative_to(package.parent / within) else ():
            changed = (str(seed), mutant.path, mutant.function, mutant.kind, *mutant.lines(source))
            turn = hashlib.sha256("\0".join(changed).encode()).digest()
            by_kind.setdefault(mutant.kind, []).append((turn, mutant))
    rounds = zip_longest(*(sorted(by_kind[kind]) for kind in sorted(by_kind)))
    return [entry[1] for entry in chain.from_iterable(rounds) if entry is not None][:count]


def _nodes(node: ast.AST, function: str) -> Iterator[tuple[str, ast.AST]]:
    """Every node that may be mutated, with the dotted name of the function or class it stands in."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        function = f"{function}.{node.name}".lstrip(".")
    yield function, node
    for field, value in ast.iter_fields(node):
        if field not in NOT_MUTATED:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _left_out(child):
                    yield from _nodes(child, function)


def _left_out(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.FunctionDef) and node.name == "__repr__")
        or (isinstance(node, ast.keyword) and node.arg == "stacklevel")
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    )


def _changes(node: ast.AST, source: _Source) -> Iterator[_Change]:
    if isinstance(node, ast.Compare):
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            yield from source.token("comparison", left, right, *COMPARED[type(operator)])
    elif isinstance(node, ast.BoolOp):
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from source.token("and, or", left, right, *JOINED[type(node.op)])
    elif isinstance(node, ast.BinOp) and type(node.op) in SIGNS and not (_is_text(node.left) or _is_text(node.right)):
        yield from source.token("sign", node.left, node.right, *SIGNS[type(node.op)])
    elif isinstance(node, ast.UnaryOp):
        yield from _of_unary(node, source)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, source)
    elif isinstance(node, ast.If) and not node.orelse and isinstance(node.body[0], GUARDING):
        yield _Change("guard", *source.span(node.test), b"False")
    elif isinstance(node, ast.Return) and node.value and not _is_constant(node.value, None):
        yield _Change("return", *source.span(node.value), b"None")
    elif isinstance(node, ast.Subscript):
        yield from _of_index(node.slice, source)
    elif isinstance(node, ast.Constant) and type(node.value) is int and node.value < 2**16:
        yield _Change("constant", *source.span(node), str(node.value + 1).encode())


def _of_unary(node: ast.UnaryOp, source: _Source) -> Iterator[_Change]:
    if found := UNARY.get(type(node.op)):
        begin = source.span(node)[0]
        yield _Change(found[0], begin, begin + len(found[1]), b"")


def _of_call(node: ast.Call, source: _Source) -> Iterator[_Change]:
    name = ast.unparse(node.func).rpartition(".")[2]
    if name in CLAMPS:
        end = source.span(node.func)[1]
        yield _Change("clamp", end - len(name), end, CLAMPS[name].encode())
        if len(node.args) == 2 and not node.keywords and not isinstance(node.args[1], ast.Starred):
            yield _Change("clamp", *source.span(node), source.text(node.args[1]))
    if name in SYMMETRIC:
        return
    for first, second in zip(node.args, node.args[1:], strict=False):
        fixed = (
            isinstance(first, ast.Starred) or isinstance(second, ast.Starred) or (_is_text(first) and _is_text(second))
        )
        if not fixed and source.text(first) != source.text(second):
            (begin, inner), (outer, end) = source.span(first), source.span(second)
            between = source.content[inner:outer]
            yield _Change("arguments", begin, end, source.text(second) + between + source.text(first))


def _of_index(index: ast.expr, source: _Source) -> Iterator[_Change]:
    """A bound of a slice that is no literal, which stands among the constants."""
    for part in index.elts if isinstance(index, ast.Tuple) else [index]:
        for bound in (part.lower, part.upper) if isinstance(part, ast.Slice) else ():
            if bound is not None and not isinstance(bound, ast.Constant):
                yield _Change("slice", *source.span(bound), b"(" + source.text(bound) + b") + 1")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and type(node.value) is str)


def _is_constant(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
