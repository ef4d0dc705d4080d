"""The accuracy of each distinct arithmetic of a sweep, computed once, whoever computes it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, SweepError
from accelsim.explore.accuracy import Arrays, Labelled, is_value_path
from accelsim.explore.networks import Networks, model_of
from accelsim.explore.sweep.pool import KEPT, ProcessPool, outcome
from accelsim.explore.sweep.space import Column, Points, Space, labelled_inputs, paths_of
from accelsim.importers import inputs_file

Known = dict["Question", float | None]
"""Shares of labels; None where values follow the order of sums, and so the whole machine."""
Progress = Callable[[str, int, int], None]
STAGE = "accuracies"
SECONDS_BETWEEN = 10.0
"""Between times that what is known is kept: what a kill loses."""


class Question(NamedTuple):
    """An arithmetic: the number of a workload, and what the axes that values may follow have."""

    workload: int
    values: tuple[Any, ...]


def questions(space: Space, points: Points) -> list[Question]:
    """The arithmetic of each of ``points``."""
    axes = _value_axes(space)
    columns = zip(*(points.edits[k] for k in axes), strict=True) if axes else [()] * len(points.point)
    return [Question(number, plain(values)) for number, values in zip(points.workload.tolist(), columns, strict=True)]


def measure(space: Space, question: Question) -> float | None:
    """The share of labels that the base machine meets with those edits; NaN where it cannot compute them, which rows say."""
    paths = paths_of(space, question.workload)
    pairs = zip(_value_axes(space), question.values, strict=True)
    edit = {path: value for axis, value in pairs for path in paths[axis]}
    model = model_of(space.workloads[question.workload], space.quantize)
    try:
        networks = Networks(model, space.arch, space.objective, Labelled(*labelled(space, question.workload)))
        return networks.accuracy(edit)
    except InputError as error:
        raise InputError(f"accuracy: {space.labelled[question.workload]}: {error}") from error


def _value_axes(space: Space) -> list[int]:
    return [k for k, axis in enumerate(space.axes) if axis.is_width or is_value_path(axis.path)]


def plain(value: Any) -> Any:
    """``value`` with tuples for lists, as keys have them."""
    return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value


def labelled(space: Space, workload: int) -> tuple[Arrays, NDArray[Any]]:
    """The inputs and labels of a workload, which a process reads once."""
    file = space.labelled[workload]
    return _labelled(file, Path(inputs_file(file)).stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _labelled(file: str, _changed_ns: int) -> tuple[Arrays, NDArray[Any]]:
    return labelled_inputs(file)


@dataclass
class Accuracies:
    """What is known of the arithmetics of ``space``; ``executor`` computes the others, or this process on all its cores."""

    space: Space
    executor: Executor | None = None
    keep: Callable[[Known], None] = lambda _: None
    progress: Progress | None = None
    known: Known = field(default_factory=dict)

    def of(self, points: Points) -> Known:
        """The accuracies of ``points``, those that are not known computed now."""
        if not self.space.labelled:
            return {}
        asked = dict.fromkeys(questions(self.space, points))
        missing = [question for question in asked if question not in self.known]
        try:
            self._learn(missing)
        finally:
            if missing:
                self.keep(self.known)
        return {question: self.known[question] for question in asked}

    def _learn(self, missing: list[Question]) -> None:
        kept = time.monotonic()
        for number, (question, share) in enumerate(self._computed(missing)):
            self.known[question] = share
            if self.progress is not None and len(missing) > 1:
                self.progress(STAGE, number + 1, len(missing))
            if time.monotonic() - kept > SECONDS_BETWEEN:
                self.keep(self.known)
                kept = time.monotonic()

    def _computed(self, missing: list[Question]) -> Iterator[tuple[Question, float | None]]:
        if self.executor is None or len(missing) < 2:
            yield from ((question, measure(self.space, question)) for question in missing)
            return
        left = dict.fromkeys(missing)
        for again in (False, True):
            try:
                for question, share in self._by(self.executor, list(left)):
                    del left[question]
                    yield question, share
                return
            except BrokenExecutor as error:
                if again or not isinstance(self.executor, ProcessPool):
                    raise SweepError(f"a worker died while accuracies were computed ({error}); {KEPT}") from error
                self.executor.renew()

    def _by(self, executor: Executor, missing: list[Question]) -> Iterator[tuple[Question, float | None]]:
        futures = [executor.submit(measure, self.space, question) for question in missing]
        try:
            for number, (question, future) in enumerate(zip(missing, futures, strict=True)):
                yield question, outcome(future, f"accuracy {number + 1} of {len(missing)}")
        finally:
            for future in futures:
                future.cancel()


def joined(space: Space, points: Points, known: Mapping[Question, float | None]) -> tuple[Column, Column]:
    """The accuracy of each of ``points``, NaN where it is not known, and whether it follows the whole machine: both of shape (n,)."""
    shares = [known[question] for question in questions(space, points)] if known else [math.nan] * len(points.point)
    by_machine = np.array([share is None for share in shares], dtype=np.bool_)
    return np.array([math.nan if share is None else share for share in shares], dtype=np.float64), by_machine
