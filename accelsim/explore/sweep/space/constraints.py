"""Constraints of a space: conditions over axes and results, read by Python's own parser and worked out by columns.

Numbers, names of columns, ``+ - * / // % **``, comparisons, ``and or not``, and the functions of :data:`FUNCTIONS`; nothing else is
evaluated. A column whose name is no Python name stands in quotes: ``"layers.conv/1.weights.bits" <= 4``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import did_you_mean, listing
from accelsim.errors import ConfigError
from accelsim.explore.sweep.space.columns import Columns, Kind

Sort = Literal["number", "truth", "text"]
LONGEST = 500
"""Characters of a constraint."""
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": np.abs,
    "log2": np.log2,
    "max": lambda *x: reduce(np.maximum, x),
    "min": lambda *x: reduce(np.minimum, x),
    "sqrt": np.sqrt,
}
_ONE_ARGUMENT = ("abs", "log2", "sqrt")
_ARITHMETIC: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_COMPARISONS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_SORTS: Mapping[Kind, Sort] = {"whole": "number", "real": "number", "truth": "truth", "text": "text"}


@dataclass(frozen=True)
class Constraint:
    """A condition on a point; ``names`` are the columns that it reads."""

    text: str
    names: frozenset[str]

    def holds(self, columns: Columns) -> NDArray[np.bool_]:
        """Where it holds, shape (n,); nothing is less or greater than NaN."""
        size = len(next(iter(columns.values())))
        with np.errstate(all="ignore"):
            truth = _value(_parsed(self.text), _Reader(columns, self.names))
        return np.broadcast_to(np.asarray(truth, dtype=np.bool_), size)


def read_constraint(text: Any, kinds: Mapping[str, Kind]) -> Constraint:
    """The constraint in ``text`` over columns of those ``kinds``; ConfigError says what is wrong, and at which character."""
    if not isinstance(text, str):
        raise ConfigError(f"expected a condition such as 'area_um2 < 2e6', got {text!r}")
    if len(text) > LONGEST:
        raise ConfigError(f"expected at most {LONGEST} characters, got {len(text)}")
    checker = _Checker(text, kinds)
    if checker.sort(_parsed(text)) != "truth":
        raise ConfigError(f"{text!r}: is no condition; compare it with something")
    if not checker.names:
        raise ConfigError(f"{text!r}: names no column; expected one of {listing(kinds)}")
    return Constraint(text, frozenset(checker.names))


@lru_cache(maxsize=256)
def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ConfigError(f"{text!r}: character {error.offset or 1}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"{text!r}: cannot be read: {error}") from error


def _dotted(node: ast.expr) -> str | None:
    """The name in ``node``: ``array.rows`` is one, of no attribute."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)) is not None:
        return f"{before}.{node.attr}"
    return None


class _Checker:
    """What each part of a constraint is; collects the columns that it names."""

    def __init__(self, text: str, kinds: Mapping[str, Kind]) -> None:
        self.text, self.kinds, self.names = text, kinds, set[str]()

    def sort(self, node: ast.expr) -> Sort:
        match node:
            case ast.Constant(value=bool()):
                return "truth"
            case ast.Constant(value=int() | float()):
                return "number"
            case ast.Constant(value=str() as name):
                return self.column(name) if name in self.kinds else "text"
            case ast.Name() | ast.Attribute():
                return self.named(node)
            case ast.BoolOp(values=parts):
                return self.all("truth", *parts)
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return self.all("truth", part)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=part):
                return self.all("number", part)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return self.all("number", left, right)
            case ast.Compare():
                return self.comparison(node)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS and args:
                if name in _ONE_ARGUMENT and len(args) > 1:
                    raise self.wrong(node, f"{name} takes one number")
                return self.all("number", *args)
        raise self.wrong(node, f"{ast.unparse(node)[:60]!r} is not understood; expected numbers, columns, + - * / // % **, "
                          f"comparisons, and, or, not, {listing(FUNCTIONS)}")  # fmt: skip

    def all(self, sort: Sort, *nodes: ast.expr) -> Sort:
        for node in nodes:
            if (found := self.sort(node)) != sort:
                words = {"number": "a number", "truth": "a condition", "text": "a text"}
                raise self.wrong(node, f"{ast.unparse(node)[:60]} is {words[found]}, expected {words[sort]}")
        return sort

    def named(self, node: ast.expr) -> Sort:
        name = _dotted(node)
        if name is None:
            raise self.wrong(node, f"{ast.unparse(node)[:60]!r} is no column")
        if name not in self.kinds:
            hint = did_you_mean(name, self.kinds) or f"; expected one of {listing(self.kinds)}"
            raise self.wrong(node, f"unknown column {name!r}{hint}")
        return self.column(name)

    def column(self, name: str) -> Sort:
        self.names.add(name)
        return _SORTS[self.kinds[name]]

    def comparison(self, node: ast.Compare) -> Sort:
        sides = [node.left, *node.comparators]
        sorts = [self.sort(side) for side in sides]
        unknown = [op for op in node.ops if type(op) not in _COMPARISONS]
        if unknown:
            raise self.wrong(node, "expected < <= > >= == or !=")
        order = any(not isinstance(op, (ast.Eq, ast.NotEq)) for op in node.ops)
        for side, sort in zip(sides, sorts, strict=True):
            if sort != sorts[0]:
                text = side.value if isinstance(side, ast.Constant) else None
                near = did_you_mean(text, self.kinds) if isinstance(text, str) else ""
                raise self.wrong(side, f"{ast.unparse(side)[:60]} is a {sort}, compared with a {sorts[0]}{near}")
            if sort != "number" and order:
                raise self.wrong(side, f"{ast.unparse(side)[:60]} is a {sort}, which only == and != compare")
        return "truth"

    def wrong(self, node: ast.expr, reason: str) -> ConfigError:
        return ConfigError(f"{self.text!r}: character {node.col_offset + 1}: {reason}")


@dataclass(frozen=True)
class _Reader:
    """Columns by name; numbers as float64, so that nothing wraps around."""

    columns: Columns
    names: frozenset[str]

    def column(self, name: str) -> NDArray[Any]:
        values = self.columns[name]
        return values.astype(np.float64) if values.dtype.kind in "iu" else values


def _value(node: ast.expr, reader: _Reader) -> Any:
    """The array or number that ``node`` is, which :class:`_Checker` has passed."""
    match node:
        case ast.Constant(value=value):
            if isinstance(value, str):
                return reader.column(value) if value in reader.names else value
            return np.float64(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        case ast.Name() | ast.Attribute():
            return reader.column(str(_dotted(node)))
        case ast.BoolOp(op=op, values=parts):
            join = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return reduce(join, (_value(part, reader) for part in parts))
        case ast.UnaryOp(op=op, operand=part):
            inner = _value(part, reader)
            return np.logical_not(inner) if isinstance(op, ast.Not) else -inner if isinstance(op, ast.USub) else inner
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_value(left, reader), _value(right, reader))
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [_value(side, reader) for side in (left, *others)]
            pairs = zip(ops, sides, sides[1:], strict=False)
            return reduce(np.logical_and, (_COMPARISONS[type(op)](a, b) for op, a, b in pairs))
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name](*(_value(argument, reader) for argument in args))
    raise AssertionError(ast.dump(node))
