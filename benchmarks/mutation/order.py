"""In which order tests are asked: those that reach the mutant, the quick and near ones first."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

from mutation.reach import File, Place, Ran, Reach
from mutation.server import Server
from mutation.trial import rounds

AS_LONG = 3
"""The second round of cases of a test is asked as if it took so many times as long, the third so many times longer again."""
NEAREST, NEAR = 8, 24
"""Test files that are asked first, and those that are asked at all if they have to be recorded for it."""
LEAST_SECONDS = 0.02
SET_ASIDE = ("tests/house/", "tests/rtl/", "tests/test_mutants.py")
"""Tests that read the sources, or compile others."""


class Tests:
    """All tests, with what they reached when they ran without a mutant; that is recorded file by file, when it is asked for."""

    def __init__(self, root: Path, server: Server, reach: Reach) -> None:
        self._root, self._server, self._reach = root, server, reach
        self._by_file: dict[str, list[str]] = {}
        for test in server.tests:
            if not test.startswith(SET_ASIDE):
                self._by_file.setdefault(test.partition("::")[0], []).append(test)
        self._files = {file: known for file in self._by_file if (known := self._known(file))}
        self._turn = rounds(server.tests)

    def _known(self, file: str) -> File | None:
        known = self._reach.of(file, self._digest(file))
        return known and known._replace(tests=_completed(known.tests, self._by_file[file]))

    def _digest(self, file: str) -> str:
        return hashlib.sha256((self._root / file).read_bytes()).hexdigest()

    def record(self, files: Iterable[str]) -> None:
        """Of ``files``, those that have not run since they changed."""
        for file in files:
            if file in self._by_file and file not in self._files:
                self._files[file] = self._known(file) or self._recorded(file)

    def _recorded(self, file: str) -> File:
        tests = self._by_file[file]
        found = self._server.record(tests)
        print(f"{file}: {len(found)} of {len(tests)} tests ran", flush=True)
        self._reach.add(file, recorded(self._digest(file), found))
        known = self._known(file)
        assert known is not None
        return known

    def stages(self, near: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Test files that are asked one after the other: the nearest, those behind them, and whatever else has been recorded."""
        asked = [file for file in near if file in self._by_file]
        first, second = tuple(asked[:NEAREST]), tuple(asked[NEAREST:NEAR])
        yield first
        yield (*second, *(file for file in self._files if file not in (*first, *second)))

    @property
    def broken(self) -> list[str]:
        return [test for file in self._files.values() for test, ran in file.tests.items() if not ran.passed]

    @property
    def passed(self) -> set[str]:
        return {test for file in self._files.values() for test, ran in file.tests.items() if ran.passed}

    def naming(self, near: Sequence[str], places: Collection[Place]) -> list[str]:
        """The first tests that reach one of ``places``, of all that have been recorded."""
        known = any(file.reaching(places) for file in self._files.values())
        return [test for test, _ in self.ordered([*self._files], near, places, ())][:NEAR] if known else []

    def ordered(
        self, stage: Sequence[str], near: Sequence[str], places: Collection[Place], first: Collection[Place]
    ) -> list[tuple[str, float]]:
        """Tests of the files of ``stage`` that reach one of ``places``, those of ``first`` before others, with the seconds that each takes.

        All of those files if none is known to.
        A test of the second nearest file is asked as if it took twice its time, one of the third three times, and so on.
        """
        found = [(file, test, ran) for file in stage for test, ran in self._files[file].reaching(places).items()]
        if not any(known.reaching(places) for known in self._files.values()):
            found = [(file, test, ran) for file in stage for test, ran in self._files[file].tests.items()]
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
