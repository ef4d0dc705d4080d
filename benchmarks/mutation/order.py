"""In which order tests are asked: those that reach the mutant, the quick and near ones first."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from statistics import fmean

from mutation.reach import File, Place, Ran, Reach
from mutation.server import Server
from mutation.trial import rounds

AS_LONG = 3
"""The second round of cases of a test is asked as if it took so many times as long, the third so many times longer again."""
UNKNOWN_FILES = 8
"""Nearest files that are asked where no test is known to reach a mutant: compiled functions that are found in a table."""
LEAST_SECONDS = 0.02
SET_ASIDE = ("tests/house/", "tests/rtl/", "tests/test_mutants.py")
"""Tests that read the sources, or compile others."""


class Tests:
    """All tests, with what they reached when they ran without a mutant."""

    def __init__(self, root: Path, server: Server, reach: Reach) -> None:
        self._files: dict[str, File] = {}
        by_file: dict[str, list[str]] = {}
        for test in server.tests:
            if not test.startswith(SET_ASIDE):
                by_file.setdefault(test.partition("::")[0], []).append(test)
        for file, tests in by_file.items():
            digest = hashlib.sha256((root / file).read_bytes()).hexdigest()
            if reach.of(file, digest) is None:
                found = server.record(tests)
                print(f"{file}: {len(found)} of {len(tests)} tests ran", flush=True)
                reach.add(file, recorded(digest, found))
            known = reach.of(file, digest)
            assert known is not None
            self._files[file] = known._replace(tests=_completed(known.tests, tests))
        self._turn = rounds(server.tests)

    @property
    def broken(self) -> list[str]:
        return [test for file in self._files.values() for test, ran in file.tests.items() if not ran.passed]

    @property
    def passed(self) -> set[str]:
        return {test for file in self._files.values() for test, ran in file.tests.items() if ran.passed}

    def ordered(
        self, near: Sequence[str], places: Collection[Place], first: Collection[Place]
    ) -> list[tuple[str, float]]:
        """Tests that reach one of ``places``, those of ``first`` before others, with the seconds that each takes.

        Those of the nearest files if none is known to.
        A test of the second nearest file is asked as if it took twice its time, one of the third three times, and so on.
        """
        found = [
            (file, test, ran) for file, known in self._files.items() for test, ran in known.reaching(places).items()
        ]
        if not found:
            files = [file for file in near if file in self._files][:UNKNOWN_FILES]
            found = [(file, test, ran) for file in files for test, ran in self._files[file].tests.items()]
        rank = {file: n for n, file in enumerate(near)}
        likely = {test for known in self._files.values() for test in known.reaching(first)}

        def turn(entry: tuple[str, str, Ran]) -> tuple[bool, float]:
            file, test, ran = entry
            far = 1 + rank.get(file, len(near))
            return test not in likely, max(LEAST_SECONDS, ran.seconds) * far * float(AS_LONG ** self._turn[test])

        return [(test, ran.seconds) for _, test, ran in sorted(found, key=turn) if ran.passed]


def recorded(digest: str, found: dict[str, tuple[bool, float, list[Place]]]) -> File:
    places = {place: n for n, place in enumerate(sorted({p for _, _, reached in found.values() for p in reached}))}
    tests = {
        test: Ran(passed, seconds, sum(1 << places[place] for place in reached))
        for test, (passed, seconds, reached) in found.items()
    }
    return File(digest, places, tests)


def _completed(known: dict[str, Ran], tests: Iterable[str]) -> dict[str, Ran]:
    """All ``tests``: one that did not run counts as the other cases of its function, and is left out if none ran."""
    cases: dict[str, list[Ran]] = {}
    for test, ran in known.items():
        cases.setdefault(test.partition("[")[0], []).append(ran)
    found = {}
    for test in tests:
        if test in known:
            found[test] = known[test]
        elif others := cases.get(test.partition("[")[0]):
            reached = 0
            for ran in others:
                reached |= ran.reached
            found[test] = Ran(all(ran.passed for ran in others), fmean(ran.seconds for ran in others), reached)
    return found
