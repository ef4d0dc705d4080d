"""One run of test files in a fork of this process, which has imported what is heavy and nothing of the package."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import hypothesis
import pytest
from numba.core import event

BATCH = 2
"""Test files that are collected at first; twice as many if these find nothing, and so on."""
SHARE = 1 / 3
"""Of the time limit, what a single file may take."""
OPTIONS = ("-n0", "-pno:cacheprovider", "--no-header", "-Wignore::pytest.PytestAssertRewriteWarning")
MEMORY_BYTES = 32 * 2**30
OUT_OF_TIME = (signal.SIGKILL, signal.SIGXCPU, signal.SIGPROF)
PATIENCE = 8
"""Seconds of wall time for a second of the limit, which is CPU time: others may be busy as well."""


class Trial(NamedTuple):
    """``killed`` by the test ``by``, ``survived``, or ``timeout`` in the test ``by``."""

    outcome: str
    by: str
    tests: int
    seconds: float


def run_tests(tree: Path, files: Sequence[str], *, limit: float, broken: Sequence[str], log: Path) -> Trial:
    """Run ``files`` in turn, in a process that imports them anew, until one fails or ``limit`` seconds of CPU time are spent."""

    def inside(watch: Watch) -> None:
        entered(tree)
        for batch in _batches(files):
            pytest.main([*OPTIONS, "-x", *batch], plugins=[watch])
            if watch.done():
                break

    return watched(inside, Watch(limit, log.with_suffix(".json"), broken=frozenset(broken)), log)


def watched(inside: Callable[[Watch], None], watch: Watch, log: Path) -> Trial:
    """What ``watch`` tells of the tests that ``inside`` runs in a fork of this process."""
    watch.report.unlink(missing_ok=True)

    def work() -> None:
        inside(watch)
        watch.write("killed" if watch.by else "survived")

    status, _ = forked(work, log, seconds=watch.limit)
    if not watch.report.exists():
        raise RuntimeError(f"no test began: {log.read_text()}")
    trial = Trial(**json.loads(watch.report.read_text()))
    crashed = os.WIFSIGNALED(status) and os.WTERMSIG(status) not in OUT_OF_TIME
    return trial._replace(outcome="killed") if crashed else trial


def entered(tree: Path) -> None:
    """Let this process import what stands in ``tree``."""
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "CI": "1"}
    sys.path.insert(0, str(tree))


def forked(work: Callable[[], Any], log: Path, *, seconds: float) -> tuple[int, Any]:
    """The exit status of a fork, and what ``work`` gave there: it may take ``seconds`` of CPU time, and some more."""
    answer = log.with_suffix(".answer")
    answer.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        _in_child(work, seconds, log, answer)
    status = _waited(child, PATIENCE * seconds)
    return status, pickle.loads(answer.read_bytes()) if answer.exists() else None


def _waited(child: int, seconds: float) -> int:
    """The exit status of ``child``, whose whole group ends after ``seconds`` at the latest."""
    begin, ended, status = time.monotonic(), 0, 0
    try:
        while not ended and time.monotonic() - begin < seconds:
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0 if ended else 0.02)
    finally:
        if not ended:
            os.killpg(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
    return status


def _in_child(work: Callable[[], Any], seconds: float, log: Path, answer: Path) -> None:
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (int(4 * seconds) + 60, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        told(log)
        answer.write_bytes(pickle.dumps(work()))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def told(log: Path) -> None:
    """What this process prints goes to ``log``."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)


def _batches(files: Sequence[str]) -> Iterator[tuple[str, ...]]:
    left, size = iter(files), BATCH
    while batch := tuple(itertools.islice(left, size)):
        yield batch
        size *= 2


class Watch:
    """A pytest plugin: stops when the time is spent, and keeps a report that tells where it stands if it is killed.

    ``allowed`` has seconds of CPU time for each test, after which the process ends.
    """

    def __init__(
        self,
        limit: float,
        report: Path,
        *,
        broken: frozenset[str] = frozenset(),
        allowed: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self.limit, self.report, self._broken, self._allowed = limit, report, broken, allowed
        self._of_file: dict[str, float] = {}
        self._begin, self._compiling = 0.0, _Compiling()
        self.by, self.tests = "", 0

    def spent(self) -> float:
        """Seconds of CPU time but for those that compiling took, which a mutant of a compiled function asks for."""
        return cpu_seconds() - self._compiling.seconds

    def done(self) -> bool:
        return bool(self.by) or self.spent() > self.limit

    def write(self, outcome: str, by: str = "") -> None:
        found = {"outcome": outcome, "by": by or self.by, "tests": self.tests, "seconds": round(cpu_seconds(), 1)}
        self.report.write_text(json.dumps(found))

    def pytest_sessionstart(self, session: Any) -> None:
        """Hypothesis looks for a failure, not for the smallest."""
        self._session = session
        event.register("numba:compile", self._compiling)
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutants", hypothesis.settings(), phases=phases, database=None)
        hypothesis.settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Cases of a test in turns (:func:`rounds`); those that are marked slow come last."""
        turn = rounds(item.nodeid for item in items)
        kept = [item for item in items if item.nodeid not in self._broken]
        items[:] = sorted(kept, key=lambda item: (item.get_closest_marker("slow") is not None, turn[item.nodeid]))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._begin = self.spent()
        self.write("timeout", nodeid)
        signal.setitimer(signal.ITIMER_PROF, self._allowed.get(nodeid, 0))

    def pytest_runtest_setup(self, item: Any) -> None:
        if self._of_file.get(str(item.path), 0.0) > SHARE * self.limit:
            pytest.skip("the share of its file is spent")

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.by = self.by or (report.nodeid if report.failed else "")
        self.tests += report.when == "call"

    def pytest_collectreport(self, report: Any) -> None:
        self.by = self.by or (report.nodeid if report.failed else "")

    def pytest_runtest_teardown(self, item: Any) -> None:
        self._of_file[str(item.path)] = self._of_file.get(str(item.path), 0.0) + self.spent() - self._begin
        if self.spent() > self.limit:
            self._session.shouldstop = "the time is spent"


class _Compiling(event.Listener):  # type: ignore[misc]
    """CPU seconds that numba has compiled for."""

    def __init__(self) -> None:
        self.seconds, self._depth, self._begin = 0.0, 0, 0.0

    def on_start(self, event: Any) -> None:
        self._begin = self._begin if self._depth else cpu_seconds()
        self._depth += 1

    def on_end(self, event: Any) -> None:
        self._depth -= 1
        self.seconds += 0.0 if self._depth else cpu_seconds() - self._begin


def cpu_seconds() -> float:
    """Of this process and its children."""
    return sum(os.times()[:4])


def rounds(tests: Iterable[str]) -> dict[str, int]:
    """The first case of every test in round 0, the next three in round 1, the next twelve in round 2, ..."""
    seen: Counter[str] = Counter()
    found = {}
    for test in tests:
        function = test.partition("[")[0]
        found[test] = (3 * seen[function] + 1).bit_length() // 2
        seen[function] += 1
    return found
