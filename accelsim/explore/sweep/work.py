"""One chunk of a sweep, wherever it is computed: a range of points becomes columns of rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.explore.evaluate import ROW, evaluate
from accelsim.explore.sweep.accuracies import Question, joined, labelled
from accelsim.explore.sweep.space import (
    Column,
    Points,
    Space,
    column_of,
    model_digest,
    paths_of,
    points_of,
    result_columns,
)

KEY_DIGITS = 16
"""Hexadecimal digits of a row's key: 64 bits."""
Edit = dict[str, Any]
Known = Mapping[Question, float | None]


class Task(NamedTuple):
    """The points of a space from ``start`` to before ``stop``, and the accuracies of their arithmetics."""

    space: Space
    start: int
    stop: int
    accuracies: Known


def compute(task: Task) -> dict[str, Column]:
    """The rows of a task."""
    return rows_of(task.space, points_of(task.space, task.start, task.stop), task.accuracies)


def rows_of(space: Space, points: Points, accuracies: Known) -> dict[str, Column]:
    """The rows of points of ``space``, by column in the order of :attr:`Space.kinds`."""
    results, keys = list[Any](), list[str]()
    shares, by_machine = joined(space, points, accuracies)
    for number in dict.fromkeys(points.workload.tolist()):
        edits = list(_edits(space, points, number))
        keys += _keys(space, number, edits)
        results.append(_evaluated(space, number, edits, by_machine[points.workload == number]))
    table = np.concatenate([np.zeros(0, ROW), *results])
    table["accuracy"] = np.where(table["error"] == "", np.where(by_machine, table["accuracy"], shares), np.nan)
    rows = result_columns(table)
    columns = {"point": points.point, "key": column_of(keys, "text"), **points.columns, **rows}
    feasible = rows["error"] == ""
    for constraint in space.constraints_over(results=True):
        feasible = feasible & constraint.holds(columns)
    return columns | {"feasible": np.asarray(feasible, dtype=np.bool_)}


def _evaluated(space: Space, number: int, edits: Sequence[Edit], by_machine: Column) -> NDArray[np.void]:
    """The rows of one workload; with accuracies of their own where those follow the machine, shape (n,)."""
    table, model = np.zeros(len(edits), ROW), space.workloads[number]
    for with_labels in (False, True):
        rows = np.flatnonzero(by_machine == with_labels)
        if not len(rows):
            continue
        inputs, labels = labelled(space, number) if with_labels else (None, None)
        table[rows] = evaluate(
            model, arch=space.arch, edits=[edits[row] for row in rows.tolist()], objective=space.objective,
            inputs=inputs, labels=labels, quantize=space.quantize,
        )  # fmt: skip
    return table


def _edits(space: Space, points: Points, number: int) -> Iterator[Edit]:
    """The edits of those of ``points`` that are of one workload, which stand side by side."""
    paths = paths_of(space, number)
    chosen = np.flatnonzero(points.workload == number)
    begin, end = int(chosen[0]), int(chosen[-1]) + 1
    for values in zip(*(column[begin:end] for column in points.edits), strict=True):
        yield {path: value for axis, value in zip(paths, values, strict=True) for path in axis}


def _keys(space: Space, number: int, edits: Sequence[Edit]) -> list[str]:
    """A digest of all that a row follows from: model, machine, objective and edits."""
    begin = hashlib.sha256(model_digest(space.workloads[number]).encode())
    begin.update(f"{space.objective}\n{space.arch.to_yaml()}\n{space.quantize}\n".encode())
    keys = list[str]()
    for edit in edits:
        whole = begin.copy()
        whole.update(json.dumps(edit, sort_keys=True).encode())
        keys.append(whole.hexdigest()[:KEY_DIGITS])
    return keys
