"""One run of test files in a fork of this process, which has imported what is heavy and nothing of the package."""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest

BATCH = 2
"""Test files that are collected at first; twice as many if these find nothing, and so on."""
SHARE = 1 / 3
"""Of the time limit, what a single file may take."""
OPTIONS = ("-x", "-n0", "-pno:cacheprovider", "--no-header", "-Wignore::pytest.PytestAssertRewriteWarning")
MEMORY_BYTES = 32 * 2**30
PATIENCE = 8
"""Seconds of wall time for a second of the limit, which is CPU time: others may be busy as well."""


class Trial(NamedTuple):
    """``killed`` by the test ``by``, ``survived``, or ``timeout`` in the test ``by``."""

    outcome: str
    by: str
    tests: int
    seconds: float


def run_tests(tree: Path, files: Sequence[str], *, limit: float, broken: Sequence[str], log: Path) -> Trial:
    """Run ``files`` in turn until one fails or ``limit`` seconds of CPU time are spent."""
    report = log.with_suffix(".json")
    report.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        _in_child(tree, files, limit, broken, log, report)
    status = _waited(child, PATIENCE * limit)
    if not report.exists():
        raise RuntimeError(f"no test began: {log.read_text()}")
    trial = Trial(**json.loads(report.read_text()))
    crashed = os.WIFSIGNALED(status) and os.WTERMSIG(status) not in (signal.SIGKILL, signal.SIGXCPU)
    return trial._replace(outcome="killed") if crashed else trial


def _waited(child: int, seconds: float) -> int:
    """The exit status of ``child``, whose whole group ends after ``seconds`` at the latest."""
    begin, ended, status = time.monotonic(), 0, 0
    try:
        while not ended and time.monotonic() - begin < seconds:
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0 if ended else 0.05)
    finally:
        if not ended:
            os.killpg(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
    return status


def _in_child(tree: Path, files: Sequence[str], limit: float, broken: Sequence[str], log: Path, report: Path) -> None:
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (int(2 * limit) + 30, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(tree)
        os.environ |= {"PYTHONPATH": str(tree), "CI": "1"}
        sys.path.insert(0, str(tree))
        watch = _Watch(limit, frozenset(broken), report)
        for batch in _batches(files):
            pytest.main([*OPTIONS, *batch], plugins=[watch])
            if watch.by or watch.spent() > limit:
                break
        watch.write("killed" if watch.by else "survived")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _batches(files: Sequence[str]) -> Iterator[tuple[str, ...]]:
    left, size = iter(files), BATCH
    while batch := tuple(itertools.islice(left, size)):
        yield batch
        size *= 2


class _Watch:
    """A pytest plugin: stops when the time is spent, and keeps a report that tells where it stands if it is killed."""

    def __init__(self, limit: float, broken: frozenset[str], report: Path) -> None:
        self._limit, self._broken, self._report = limit, broken, report
        self._of_file: dict[str, float] = {}
        self._begin = 0.0
        self.by, self.tests = "", 0

    def spent(self) -> float:
        return sum(os.times()[:4])

    def write(self, outcome: str, by: str = "") -> None:
        found = {"outcome": outcome, "by": by or self.by, "tests": self.tests, "seconds": round(self.spent(), 1)}
        self._report.write_text(json.dumps(found))

    def pytest_sessionstart(self, session: Any) -> None:
        """Hypothesis looks for a failure, not for the smallest."""
        self._session = session
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutants", hypothesis.settings(), phases=phases, database=None)
        hypothesis.settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """The first case of every test, then the next three, the next twelve, ...; those that are marked slow come last."""
        seen: Counter[str] = Counter()
        order = {}
        for item in items:
            function = item.nodeid.partition("[")[0]
            order[item] = item.get_closest_marker("slow") is not None, (3 * seen[function] + 1).bit_length() // 2
            seen[function] += 1
        items[:] = sorted((item for item in items if item.nodeid not in self._broken), key=order.__getitem__)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._begin = self.spent()
        self.write("timeout", nodeid)

    def pytest_runtest_setup(self, item: Any) -> None:
        if self._of_file.get(str(item.path), 0.0) > SHARE * self._limit:
            pytest.skip("the share of its file is spent")

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.by = self.by or (report.nodeid if report.failed else "")
        self.tests += report.when == "call"

    def pytest_collectreport(self, report: Any) -> None:
        self.by = self.by or (report.nodeid if report.failed else "")

    def pytest_runtest_teardown(self, item: Any) -> None:
        self._of_file[str(item.path)] = self._of_file.get(str(item.path), 0.0) + self.spent() - self._begin
        if self.spent() > self._limit:
            self._session.shouldstop = "the time is spent"
