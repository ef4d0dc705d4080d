"""Guided search: Optuna asks for points of a space, ``evaluate`` answers, and what was learnt chooses the next ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from accelsim.errors import ConfigError
from accelsim.explore.pareto import DEFAULT_OBJECTIVES, check_objectives
from accelsim.explore.sweep.accuracies import Accuracies
from accelsim.explore.sweep.space import WORKLOAD, Axis, Points, Space, check_workloads, column_of, read_space
from accelsim.explore.sweep.store import about, changes, header_of
from accelsim.explore.sweep.work import rows_of

if TYPE_CHECKING:
    import optuna
    import pandas

Sampler = Literal["nsga2", "nsga3", "tpe", "random"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
BATCH = 32
"""Points that are asked for at a time, of which none knows what comes of the others."""
STAGE = "points"
_HEADER, _ROW = "sweep", "row"
"""Attributes of a study and of a trial."""
_LEFT_OUT = "a constraint over axes leaves it out"
_DIRECTION: tuple[Literal["minimize", "maximize"], ...] = ("minimize", "maximize")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Guided:
    """What a search came to: Optuna's ``study``, and the ``table`` of all points that were evaluated, as :func:`accelsim.read_sweep` has it."""

    study: optuna.Study
    table: pandas.DataFrame


def guided_search(
    space: Space | str | Path | Mapping[str, Any],
    *,
    trials: int,
    objectives: Sequence[str] = DEFAULT_OBJECTIVES,
    maximise: Collection[str] = (),
    sampler: Sampler = "nsga2",
    seed: int = 0,
    storage: str | None = None,
    name: str = "accelsim",
    progress: Progress | None = None,
) -> Guided:
    """Ask ``sampler`` for ``trials`` points of ``space``, all told, which has one workload; its ``sample`` plays no part.

    ``objectives`` are columns of numbers of the table, to be least but for those in ``maximise``. Samplers: NSGA-II (Deb et al. 2002),
    NSGA-III (Deb and Jain 2014), TPE (Bergstra et al. 2011), or uniformly ``random``. Constraints over results steer; a point that one
    over axes leaves out, or that cannot be evaluated, is a failed trial with its reason. ``storage`` is a URL of Optuna's, such as
    ``sqlite:///study.db``, which its dashboard opens; the study ``name`` in it goes on where it stood. The same seed gives the same points
    in one go. ``progress`` is called as ``("points", done, total)``. ConfigError for a wrong argument, or a study of something else.
    """
    known = read_space(space)
    _check(known, trials, objectives, maximise, sampler)
    study, shares = _study(known, objectives, maximise, sampler, seed, storage, name), Accuracies(known)
    while (done := len(study.trials)) < trials:
        if progress is not None:
            progress(STAGE, done, trials)
        asked = [study.ask() for _ in range(min(BATCH, trials - done))]
        _answer(shares, study, asked, objectives)
    if progress is not None:
        progress(STAGE, done, trials)
    return Guided(study, _table(known, study))


def _check(space: Space, trials: int, objectives: Sequence[str], maximise: Collection[str], sampler: Sampler) -> None:
    if len(space.workloads) != 1:
        raise ConfigError(
            f"workloads: a guided search goes through one, got {len(space.workloads)}; search each by itself"
        )
    if trials < 1:
        raise ConfigError(f"trials: expected 1 or more, got {trials}")
    if sampler not in SAMPLERS:
        raise ConfigError(f"sampler {sampler!r}: expected one of {', '.join(SAMPLERS)}")
    others = {"point"} if space.labelled else {"point", "accuracy"}
    numbers = [name for name, kind in space.kinds.items() if kind in ("whole", "real") and name not in others]
    for objective in objectives:
        if objective not in numbers:
            raise ConfigError(f"objective {objective!r}: expected one of {', '.join(numbers)}", objective=objective)
    check_objectives(objectives, maximise)
    check_workloads(space)


def _study(
    space: Space, objectives: Sequence[str], maximise: Collection[str], sampler: Sampler, seed: int, storage: str | None, name: str
) -> optuna.Study:  # fmt: skip
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("a guided search needs Optuna: pip install 'accelsim[optuna]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [_DIRECTION[objective in maximise] for objective in objectives]
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            sampler=_sampler(sampler, seed),
            directions=directions,
            load_if_exists=True,
        )
    except Exception as error:  # of whatever database the URL names
        reason = str(error).split("\n")[0]
        raise ConfigError(
            f"storage {storage!r}: cannot be used: {reason}; expected such as sqlite:///study.db"
        ) from error
    header = {**header_of(space), "objectives": [[x, x in maximise] for x in objectives]}
    known = study.user_attrs.get(_HEADER, header)
    differ = changes(known, header) + ["the objectives"] * (known["objectives"] != header["objectives"])
    if differ:
        raise ConfigError(
            f"study {name!r} in {storage}: changed since: {', '.join(differ)}; give this one another name"
        )
    study.set_user_attr(_HEADER, header)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(objectives))
    return study


def _sampler(sampler: Sampler, seed: int) -> optuna.samplers.BaseSampler:
    from optuna import exceptions, samplers

    made: dict[Sampler, Callable[..., optuna.samplers.BaseSampler]] = {
        "nsga2": samplers.NSGAIISampler,
        "nsga3": samplers.NSGAIIISampler,
        "tpe": samplers.TPESampler,
        "random": samplers.RandomSampler,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
        return made[sampler](seed=seed)


def _suggested(trial: optuna.Trial, axis: Axis) -> Any:
    """A value of ``axis``: of levels that are numbers by their rank, which keeps their order, else by themselves."""
    if axis.levels and axis.kind == "text":
        return trial.suggest_categorical(axis.path, list(axis.levels))
    if axis.levels:
        ranked = sorted(axis.levels, key=lambda level: -np.inf if level is None else level)
        return ranked[trial.suggest_int(f"rank of {axis.path}", 0, len(ranked) - 1)]
    if axis.whole:
        return trial.suggest_int(axis.path, int(axis.low), int(axis.high), log=axis.log)
    return trial.suggest_float(axis.path, axis.low, axis.high, log=axis.log)


def _points(space: Space, asked: Sequence[optuna.Trial]) -> Points:
    """Those of the trials that constraints over axes leave in, numbered by trial."""
    values = [[_suggested(trial, axis) for trial in asked] for axis in space.axes]
    columns = {WORKLOAD: np.array([space.workloads[0]] * len(asked), dtype=object)}
    columns |= {axis.path: column_of(given, axis.kind) for axis, given in zip(space.axes, values, strict=True)}
    kept = np.ones(len(asked), dtype=np.bool_)
    for constraint in space.constraints_over(results=False):
        kept &= constraint.holds(columns)
    numbers = np.array([trial.number for trial in asked], dtype=np.int64)[kept]
    edits = [[value for value, keep in zip(given, kept.tolist(), strict=True) if keep] for given in values]
    return Points(numbers, np.zeros_like(numbers), {name: column[kept] for name, column in columns.items()}, edits)


def _answer(shares: Accuracies, study: optuna.Study, asked: Sequence[optuna.Trial], objectives: Sequence[str]) -> None:
    """Evaluate what was asked for, and tell ``study`` of each trial."""
    from optuna.trial import TrialState

    space = shares.space
    points = _points(space, asked)
    columns = rows_of(space, points, shares.of(points))
    broken = {constraint.text: ~constraint.holds(columns) for constraint in space.constraints_over(results=True)}
    place = {number: row for row, number in enumerate(columns["point"].tolist())}
    for trial in asked:
        row = place.get(trial.number)
        error = _LEFT_OUT if row is None else columns["error"][row]
        if row is not None:
            trial.set_user_attr(_ROW, {name: column[row : row + 1].tolist()[0] for name, column in columns.items()})
        if row is None or error:
            trial.set_user_attr("error", error)
            study.tell(trial, state=TrialState.FAIL)
            continue
        for text, breaks in broken.items():
            trial.set_constraint(text, float(breaks[row]))
        study.tell(trial, [float(columns[objective][row]) for objective in objectives])


def _table(space: Space, study: optuna.Study) -> pandas.DataFrame:
    import pandas as pd

    rows = [trial.user_attrs[_ROW] for trial in study.trials if _ROW in trial.user_attrs]
    frame = pd.DataFrame({name: column_of([row[name] for row in rows], kind) for name, kind in space.kinds.items()})
    frame.attrs["sweep"] = about(study.user_attrs[_HEADER], "")
    return frame
