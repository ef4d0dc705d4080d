"""Mutants in a process that has the package imported: the code of functions that live there is exchanged, nothing is imported anew."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from numba.core.caching import NullCache
from numba.core.dispatcher import Dispatcher

OPTIMIZED = 1
"""The flag of code with local variables: a function's, not a module's or a class's."""
Pair = tuple[CodeType, CodeType]


def exchanged(plain: CodeType, changed: CodeType) -> list[Pair] | None:
    """Functions whose code differs, outermost first; None where that of a module or class does, which ran when it was imported."""
    unlike = [pair for pair in pairs(plain, changed) if not _same(*pair)]
    functions = [pair for pair in unlike if pair[0].co_flags & OPTIMIZED]
    bodies = [pair for pair in unlike if not pair[0].co_flags & OPTIMIZED]
    return functions if functions and all(_same(*pair, inside=False) for pair in bodies) else None


def _inner(code: CodeType) -> list[CodeType]:
    return [const for const in code.co_consts if isinstance(const, CodeType)]


def pairs(plain: CodeType, changed: CodeType) -> Iterator[Pair]:
    """Code and the code inside it, as far as both have as much inside."""
    yield plain, changed
    if len(_inner(plain)) == len(_inner(changed)):
        for pair in zip(_inner(plain), _inner(changed), strict=True):
            yield from pairs(*pair)


def _same(plain: CodeType, changed: CodeType, *, inside: bool = True) -> bool:
    """Whether both do the same wherever they stand, and whether the code ``inside`` does."""

    def own(code: CodeType) -> tuple[Any, ...]:
        consts = [(type(c), repr(c)) for c in code.co_consts if not isinstance(c, CodeType)]
        return code.co_name, code.co_code, consts, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars

    inner = _inner(plain), _inner(changed)
    return (
        own(plain) == own(changed)
        and len(inner[0]) == len(inner[1])
        and (not inside or all(_same(*pair) for pair in zip(*inner, strict=True)))
    )


class Living:
    """The functions of a tree that live in this process, and what is compiled of them."""

    def __init__(self, root: Path) -> None:
        objects = gc.get_objects()
        self._functions: dict[str, list[FunctionType]] = {}
        for each in objects:
            if type(each) is FunctionType and each.__code__.co_filename.startswith(f"{root}/accelsim/"):
                self._functions.setdefault(each.__code__.co_filename, []).append(each)
        compiled = [each for each in objects if isinstance(each, Dispatcher)]
        self._compiled = [each for each in compiled if each.py_func.__module__.startswith("accelsim.")]
        self._tiered = {id(t.compiled): t for t in objects if type(t).__name__ == "_Tiered"}
        self._calls = {id(each): {id(other) for other in _called(each.py_func)} for each in self._compiled}

    def of(self, pairs: Iterable[Pair]) -> list[tuple[FunctionType, CodeType]]:
        """The functions that run the first code of a pair, with the second."""
        return [
            (function, changed)
            for plain, changed in pairs
            for function in self._functions.get(plain.co_filename, ())
            if function.__code__ == plain
        ]

    def made_of(self, functions: Iterable[FunctionType]) -> list[Any]:
        """Compiled functions that hold code of ``functions``: their own, and what calls them."""
        sources = {id(function) for function in functions}
        found = {id(each) for each in self._compiled if id(each.py_func) in sources}
        while new := {caller for caller, called in self._calls.items() if called & found} - found:
            found |= new
        return [each for each in self._compiled if id(each) in found]

    def exchange(self, functions: list[tuple[FunctionType, CodeType]]) -> None:
        """Give the functions their new code; what is compiled of them is compiled anew, and not kept."""
        for function, code in functions:
            function.__code__ = code
        for each in self.made_of(function for function, _ in functions):
            each._cache = NullCache()
            if tiered := self._tiered.get(id(each)):
                tiered._left = type(tiered).__init__.__globals__["INTERPRETED"]


def _called(function: FunctionType) -> Iterator[Any]:
    """Compiled functions that stand in a function under a global name, as ``name`` or ``module.name``."""
    names = {name for code in _all(function.__code__) for name in code.co_names}
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    for found in [*(function.__globals__[name] for name in names if name in function.__globals__), *cells]:
        ours = isinstance(found, ModuleType) and found.__name__.startswith("accelsim.")
        inner = [getattr(found, name, None) for name in names] if ours else [found]
        for each in inner:
            each = each.compiled if type(each).__name__ == "_Tiered" else each
            if isinstance(each, Dispatcher):
                yield each


def _all(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in _inner(code):
        yield from _all(inner)
