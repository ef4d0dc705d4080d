"""A process that has collected all tests and forks for every mutant: nothing is imported or collected anew.

The mutant's code takes the place of the living function's (live.py), so that what only the import of a module would show stays
hidden here; mutants that survive are tried once more in a fresh process (trial.py).
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence, Set
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest

from mutation import live, reach
from mutation.nearest import Imports
from mutation.sites import Mutant
from mutation.trial import OPTIONS, Trial, Watch, cpu_seconds, entered, forked, rounds, told, watched

FILE_SECONDS = 40.0
"""CPU seconds after which no more tests of a file are recorded. The first case of every function runs first; cases that are left count as
the others of their function."""
RECORDING_SECONDS = 120.0
"""What recording a file may take: its last test may be a long one."""
PATIENCE, LEAST_SECONDS = 10, 100.0
"""CPU time that a test may take with a mutant, in times of its own without one, and at least."""


class Reached(NamedTuple):
    """Where a test may notice a mutant (a guard that never holds: behind the guard), and where it is likely to: behind its condition."""

    places: set[reach.Place]
    first: set[reach.Place]


class Server:
    """The process, from outside."""

    def __init__(self, root: Path, imports: Imports, log: Path) -> None:
        self._pipe, inside = multiprocessing.Pipe()
        self._process = os.fork()
        if not self._process:
            self._pipe.close()
            _serve(root, imports, log, inside)
        inside.close()
        self.tests: list[str] = self._answer()

    def record(self, tests: Sequence[str]) -> dict[str, tuple[bool, float, list[reach.Place]]]:
        """``tests`` without a mutant: whether each passed, its seconds, the places that it reached."""
        return self._ask("record", tests)  # type: ignore[no-any-return]

    def reached_by(self, mutant: Mutant, mutated: bytes) -> Reached | None:
        """None if the mutant shows only where its module is imported."""
        return self._ask("reached_by", mutant, mutated)  # type: ignore[no-any-return]

    def named(self, path: str, line: int) -> set[reach.Place]:
        """Where what a line of a module or of a class gives a name to is named."""
        return self._ask("named", path, line)  # type: ignore[no-any-return]

    def run(self, path: str, mutated: bytes, tests: Sequence[tuple[str, float]], limit: float) -> Trial:
        """``tests`` in turn, each with the seconds that it takes without a mutant, until one fails or ``limit`` is spent."""
        return self._ask("run", path, mutated, tests, limit)  # type: ignore[no-any-return]

    def close(self) -> None:
        os.kill(self._process, signal.SIGTERM)
        os.waitpid(self._process, 0)

    def _ask(self, *request: Any) -> Any:
        self._pipe.send(request)
        return self._answer()

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError("the process that holds the tests has ended; its log says why") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(root: Path, imports: Imports, log: Path, pipe: Connection) -> None:
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        told(log)
        entered(root)
        options = [*OPTIONS, "-s", "--continue-on-collection-errors", f"--basetemp={log.with_name('basetemp')}"]
        pytest.main(options, plugins=[_Held(root, imports, log, pipe)])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


class _Held:
    """A pytest plugin that answers requests where tests would run."""

    def __init__(self, root: Path, imports: Imports, log: Path, pipe: Connection) -> None:
        self._root, self._imports, self._pipe = root, imports, pipe
        self._log = log.with_name(f"{log.stem}_test.log")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        self._session, self._items = session, {item.nodeid: item for item in session.items}
        for name in self._imports.paths:
            if name.startswith("accelsim.") and not name.endswith("__main__"):
                importlib.import_module(name)
        gc.collect()
        self._living = live.Living(self._root)
        paths = sorted((self._root / "accelsim").rglob("*.py"))
        self._sources = {path.relative_to(self._root).as_posix(): path.read_bytes() for path in paths}
        self._marks = {path: reach.marks_of(path, source) for path, source in self._sources.items()}
        gc.freeze()
        self._pipe.send([*self._items])
        while request := self._received():
            try:
                self._pipe.send(getattr(self, request[0])(*request[1:]))
            except Exception as error:
                traceback.print_exc()
                self._pipe.send(RuntimeError(repr(error)))
        return True

    def _received(self) -> Any:
        try:
            return self._pipe.recv()
        except EOFError:
            return None

    def record(self, tests: Sequence[str]) -> dict[str, tuple[bool, float, list[reach.Place]]]:
        marked = self._marked

        def work() -> dict[str, tuple[bool, float, list[reach.Place]]]:
            recorder = _Recorder([mark.place for marks in self._marks.values() for mark in marks])
            for function, code in marked:
                function.__code__ = code
            turn = rounds(tests)
            self._run(sorted(tests, key=turn.__getitem__), recorder, lambda: cpu_seconds() > FILE_SECONDS)
            return recorder.found

        status, found = forked(work, self._log, seconds=RECORDING_SECONDS)
        if found is None:
            raise RuntimeError(f"{tests[0]} and what follows end with status {status}: {self._log.read_text()}")
        return found  # type: ignore[no-any-return]

    def reached_by(self, mutant: Mutant, mutated: bytes) -> Reached | None:
        functions = self._changed(mutant.path, mutated)
        if not functions:
            return None
        if made := self._living.made_of(function for function, _ in functions):
            return Reached(self._naming({each.py_func.__name__ for each in made}), set())
        marks = self._marks[mutant.path]
        at, inside = (find(marks, mutant.function, mutant.line) for find in (reach.mark_of, reach.body_of))
        first = {inside.place} if inside else set()
        return Reached(first if mutant.kind == "guard" else {at.place} if at else set(), first)

    def named(self, path: str, line: int) -> set[reach.Place]:
        return self._naming(reach.bound_at(self._sources[path], line))

    def _naming(self, names: Set[str]) -> set[reach.Place]:
        return {mark.place for marks in self._marks.values() for mark in marks if mark.names & names}

    def run(self, path: str, mutated: bytes, tests: Sequence[tuple[str, float]], limit: float) -> Trial:
        allowed = {name: max(LEAST_SECONDS, PATIENCE * seconds) for name, seconds in tests}

        def inside(watch: Watch) -> None:
            if mutated:
                self._living.exchange(self._changed(path, mutated))
            watch.pytest_sessionstart(self._session)
            self._run([*allowed], watch, watch.done)

        return watched(inside, Watch(limit, self._log.with_suffix(".json"), allowed=allowed), self._log)

    def _run(self, tests: Sequence[str], plugin: Any, done: Callable[[], bool]) -> None:
        items = [self._items[name] for name in tests]
        self._session.items = items
        self._session.config.pluginmanager.register(plugin)
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if done():
                break

    @cached_property
    def _marked(self) -> list[tuple[FunctionType, CodeType]]:
        """Living functions that are not compiled, with code that has marks."""
        found, first = [], 0
        for path, source in self._sources.items():
            code = reach.marked(path, source, str(self._root / path), first)
            living = self._living.of(live.pairs(self._code(path, source), code))
            found += [(function, marked) for function, marked in living if not self._living.made_of([function])]
            first += len(self._marks[path])
        return found

    def _changed(self, path: str, mutated: bytes) -> list[Any]:
        """Living functions with their new code."""
        pairs = live.exchanged(self._code(path, self._sources[path]), self._code(path, mutated))
        return self._living.of(pairs or ())

    def _code(self, path: str, source: bytes) -> CodeType:
        return compile(source, str(self._root / path), "exec", dont_inherit=True)


class _Recorder:
    """A pytest plugin that keeps what every test reaches and takes; what a fixture of a module does counts for all that follow."""

    def __init__(self, places: Sequence[reach.Place]) -> None:
        self._places, self._marks = places, reach.reached_marks(len(places))
        self._shared: set[int] = set()
        self._shared_seconds = self._paid = 0.0
        self.found: dict[str, tuple[bool, float, list[reach.Place]]] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._begin, self._passed = cpu_seconds(), True
        self._marks[:] = bytes(len(self._marks))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        before, begin = bytes(self._marks), cpu_seconds()
        yield
        if fixturedef.scope != "function":
            self._shared |= {n for n, mark in enumerate(self._marks) if mark and not before[n]}
            self._paid += cpu_seconds() - begin

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._passed &= not report.failed

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        reached = {n for n, mark in enumerate(self._marks) if mark} | self._shared
        places = sorted({self._places[n] for n in reached})
        seconds = self._shared_seconds + cpu_seconds() - self._begin
        self._shared_seconds, self._paid = self._shared_seconds + self._paid, 0.0
        self.found[nodeid] = self._passed, round(seconds, 3), places
