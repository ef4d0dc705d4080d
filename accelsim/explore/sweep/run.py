"""``sweep``: chunks go out to an executor, a bounded number at a time, and their rows come back to one writer."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.errors import ConfigError, SweepError
from accelsim.explore.sweep.accuracies import Accuracies
from accelsim.explore.sweep.pool import KEPT, ProcessPool, outcome
from accelsim.explore.sweep.space import Column, Columns, Space, check_workloads, points_of, read_space
from accelsim.explore.sweep.store import DamagedError, Shard, Store, header_of, open_store, owner
from accelsim.explore.sweep.work import Task, compute

IN_FLIGHT = 2
"""Chunks out at a time for each worker: one more than it works at, so that it need not wait for the next."""
UNKNOWN_WORKERS = 32
"""Workers of an executor that does not tell."""
MOST_REASONS = 1000
"""Texts of errors that are counted apart."""
STAGE = "points"
Progress = Callable[[str, int, int], None]
"""Called as ``(stage, done, total)``."""


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep, or a shard of one, came to: ``points`` gone through, ``rows`` for those that no constraint over axes leaves out.

    ``found`` of the points were finished before. Of the rows ``feasible`` keep all constraints and ``failed`` have an error; ``errors``
    counts those by their text, the first :data:`MOST_REASONS` of them; ``broken`` counts rows without error by each constraint over results
    that they do not keep.
    """

    folder: Path
    shard: Shard
    points: int
    found: int
    rows: int
    feasible: int
    failed: int
    errors: Mapping[str, int]
    broken: Mapping[str, int]


def sweep(
    space: Space | str | Path | Mapping[str, Any],
    *,
    out: str | Path,
    executor: Executor | None = None,
    shard: tuple[int, int] | None = None,
    progress: Progress | None = None,
    rerun: bool = False,
) -> Swept:
    """Evaluate every point of ``space``, a YAML file or its keys, into the folder ``out``; :func:`accelsim.read_sweep` reads it.

    Chunks of points are computed by ``executor`` (any of :mod:`concurrent.futures`; None: in this process) and written by this
    process, each once, whole and on the disk. What ``out`` holds already is not computed again, so that a sweep that was ended, by
    whatever, goes on where it stood. ``shard`` (i, n) is the i-th of n parts, for n processes that share ``out``. ``progress`` is
    called as ``("points", done, total)``. ``rerun``: where ``out`` holds rows of other code, models, tables or spaces, begin anew
    beside them.

    A point that cannot be evaluated is a row with its ``error``. ConfigError and ModelError for a space that cannot be read; SweepError
    where something has changed, another process writes the same, the folder takes no more, or the executor broke.
    """
    known, part = read_space(space), _shard(shard)
    check_workloads(known)
    store = open_store(Path(out), header_of(known), rerun=rerun)
    with owner(store.folder, part):
        store.tidy()
        run = _Run(known, store, part, executor, progress)
        run.resume()
        run.go_on()
    return run.swept()


def _shard(shard: tuple[int, int] | None) -> Shard:
    chosen = Shard(*(shard or (1, 1)))
    if not 1 <= chosen.part <= chosen.parts:
        raise ConfigError(f"shard {chosen}: expected i/n with 1 <= i <= n")
    return chosen


@dataclass
class _Run:
    """One shard of a sweep while it is computed."""

    space: Space
    store: Store
    shard: Shard
    executor: Executor | None
    progress: Progress | None
    finished: set[int] = field(default_factory=set)
    done: int = 0
    found: int = 0
    rows: int = 0
    feasible: int = 0
    failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)

    @property
    def chunks(self) -> range:
        """Numbers of the shard's chunks."""
        return self.store.chunks[self.shard.part - 1 :: self.shard.parts]

    @cached_property
    def total(self) -> int:
        """Points of the shard."""
        return sum(stop - start for start, stop in map(self.store.span, self.chunks))

    def resume(self) -> None:
        """Count what is there; what is damaged will be computed again."""
        damaged = list[str]()
        for chunk, path in self.store.files().items():
            if chunk in self.chunks and chunk not in self.finished:
                try:
                    self.count(chunk, self.store.read(path))
                except DamagedError:
                    damaged.append(path.name)
        self.found = self.done
        if damaged:
            shown = ", ".join(damaged[:3]) + ", ..." * (len(damaged) > 3)
            warnings.warn(
                f"{self.store.folder}: {len(damaged)} damaged file(s), computed again: {shown}",
                RuntimeWarning,
                stacklevel=3,
            )

    def count(self, chunk: int, columns: Columns) -> None:
        """The rows of ``chunk`` are kept."""
        start, stop = self.store.span(chunk)
        self.finished.add(chunk)
        self.done += stop - start
        self.rows += len(columns["point"])
        self.feasible += int(np.count_nonzero(columns["feasible"]))
        errors = Counter(error for error in columns["error"].tolist() if error)
        self.failed += errors.total()
        for error in errors:
            if error in self.errors or len(self.errors) < MOST_REASONS:
                self.errors[error] += errors[error]
        valid = columns["error"] == ""
        for constraint in self.space.constraints_over(results=True) if len(valid) else ():
            self.broken[constraint.text] += int(np.count_nonzero(valid & ~constraint.holds(columns)))

    def go_on(self) -> None:
        """Compute and keep what is not there."""
        self.tell()
        left = self.tasks()
        with closing(_here(left) if self.executor is None else _Flight(self.executor, left).landed()) as computed:
            for task, columns in computed:
                chunk = task.start // self.store.header["chunk"]
                self.store.write(chunk, columns)
                self.count(chunk, columns)
                self.tell()

    def tasks(self) -> Iterator[Task]:
        """What is not there, each chunk with the accuracies of its arithmetics."""
        keep = partial(self.store.keep_accuracies, self.shard)
        shares = Accuracies(self.space, self.executor, keep, self.progress, self.store.accuracies())
        for chunk in self.chunks:
            if chunk not in self.finished:
                start, stop = self.store.span(chunk)
                known = shares.of(points_of(self.space, start, stop)) if self.space.labelled else {}
                yield Task(self.space, start, stop, known)

    def tell(self) -> None:
        if self.progress is not None:
            self.progress(STAGE, self.done, self.total)

    def swept(self) -> Swept:
        return Swept(
            folder=self.store.folder,
            shard=self.shard,
            points=self.done,
            found=self.found,
            rows=self.rows,
            feasible=self.feasible,
            failed=self.failed,
            errors=dict(self.errors.most_common()),
            broken=dict(self.broken),
        )


def _here(tasks: Iterator[Task]) -> Generator[tuple[Task, Columns]]:
    for task in tasks:
        yield task, compute(task)


@dataclass
class _Flight:
    """Tasks that an executor has at a time, out of ``left``."""

    executor: Executor
    left: Iterator[Task]
    out: dict[Future[dict[str, Column]], Task] = field(default_factory=dict)
    tried: set[int] = field(default_factory=set)

    def landed(self) -> Generator[tuple[Task, Columns]]:
        """Each task with its rows, as they come."""
        try:
            self.send(itertools.islice(self.left, IN_FLIGHT * workers_of(self.executor)))
            while self.out:
                for future in wait(self.out, return_when=FIRST_COMPLETED).done:
                    if future not in self.out:  # sent once more
                        continue
                    columns = self.rows(future)
                    if columns is not None:
                        task = self.out.pop(future)
                        self.send(itertools.islice(self.left, 1))
                        yield task, columns
        finally:
            for future in self.out:
                future.cancel()

    def send(self, tasks: Iterator[Task]) -> None:
        for task in tasks:
            try:
                self.out[self.executor.submit(compute, task)] = task
            except BrokenExecutor as error:
                self.renew(task, error)

    def rows(self, future: Future[dict[str, Column]]) -> Columns | None:
        """The rows of a task; None where its worker died and it was sent once more."""
        task = self.out[future]
        try:
            return outcome(future, f"points {task.start} to {task.stop - 1}")
        except BrokenExecutor as error:
            self.renew(task, error)
            return None

    def renew(self, task: Task, error: BrokenExecutor) -> None:
        """Send all that was out to new processes, once for each task; SweepError where there are none."""
        again = [task, *(other for other in self.out.values() if other is not task)]
        self.out.clear()
        if not isinstance(self.executor, ProcessPool) or task.start in self.tried:
            often = "twice " if task.start in self.tried else ""
            raise SweepError(
                f"a worker died {often}while points {task.start} to {task.stop - 1} were computed ({error}); {KEPT}"
            ) from error
        self.tried |= {other.start for other in again}
        self.executor.renew()
        self.send(iter(again))


def workers_of(executor: Executor) -> int:
    """How many tasks it computes at a time, as far as it tells: attributes of the pools of Python, mpi4py and Dask."""
    for name in ("num_workers", "_max_workers"):
        if isinstance(count := getattr(executor, name, None), int) and count > 0:
            return count
    with suppress(Exception):  # a client of Dask, without a public name
        return max(1, sum(executor._client.nthreads().values()))  # type: ignore[attr-defined]
    return UNKNOWN_WORKERS
