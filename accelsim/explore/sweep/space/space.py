"""What a sweep goes through: workloads, a machine, axes over dotted paths, how points are chosen, and what they must keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from accelsim.arch import (
    Arch,
    Document,
    Problem,
    did_you_mean,
    listing,
    load_arch,
    read_document,
    read_text,
    short,
    validated,
)
from accelsim.errors import AccelsimError, ConfigError
from accelsim.explore.accuracy import OTHER_WIDTHS
from accelsim.explore.float_network import Quantize, read_quantize
from accelsim.explore.sweep.space.axes import GROUPS, Axis, read_axis
from accelsim.explore.sweep.space.columns import Kind, result_kinds
from accelsim.explore.sweep.space.constraints import Constraint, read_constraint
from accelsim.explore.sweep.space.sampling import Sample, read_sample
from accelsim.explore.widths import width_path
from accelsim.objective import DEFAULT_OBJECTIVE, Objective, checked_objective
from accelsim.resources import DEFAULT_ARCH

EXPECTED = "a space: a mapping of workloads, arch, axes, ..."
LARGEST_FILE = 1024 * 1024
"""Bytes."""
MOST_POINTS = 2**62
WORKLOAD, ACCURACY = "workload", "accuracy"

Groups = Mapping[str, tuple[str, ...]]
"""Patterns of layer names, by the name of the group."""


def _texts(value: Any) -> tuple[str, ...]:
    """One text or several, as a tuple; ValueError where they are none."""
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not texts or not all(isinstance(x, str) and x for x in texts):
        raise ValueError(f"expected a text or a list of them, got {short(value)}")
    return tuple(texts)


def _groups(value: Any) -> Groups:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected names of groups, each with a list of layers, got {short(value)}")
    return {str(name): _texts(layers) for name, layers in value.items()}


def _axes(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"expected dotted paths, each with its values, got {short(value)}")
    return {str(path): given for path, given in value.items()}


def _list(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list of conditions, got {short(value)}")
    return tuple(value)


def _inputs(value: Any) -> str | Mapping[str, str]:
    """A file of inputs for all workloads, or one for each."""
    files = value.values() if isinstance(value, Mapping) else [value]
    if not files or not all(isinstance(x, str) and x for x in files):
        raise ValueError(
            f"expected an .npz of inputs with 'labels', or workloads, each with its own, got {short(value)}"
        )
    return {str(name): file for name, file in value.items()} if isinstance(value, Mapping) else str(value)


def _as_value_error(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``read`` with its ConfigError as the ValueError that pydantic collects."""

    def checked(value: Any) -> Any:
        try:
            return read(value)
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("objective: ")) from error

    return checked


class _SpaceFile(BaseModel):
    """The keys of a space."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    workloads: Annotated[Any, PlainValidator(_texts), Field(description="names of workloads, or model files")]
    arch: Annotated[str, Field(description="the machine that the axes edit: a preset or a YAML file")] = DEFAULT_ARCH
    objective: Annotated[Any, PlainValidator(_as_value_error(checked_objective))] = DEFAULT_OBJECTIVE
    axes: Annotated[Any, PlainValidator(_axes), Field(description="dotted paths, each with its values")]
    groups: Annotated[Any, PlainValidator(_groups)] = Field(default_factory=dict)
    sample: Annotated[Any, PlainValidator(_as_value_error(read_sample))] = Sample()
    constraints: Annotated[Any, PlainValidator(_list)] = ()
    quantize: Annotated[Any, PlainValidator(_as_value_error(read_quantize))] = None
    accuracy: Annotated[Any, PlainValidator(_inputs)] = None


@dataclass(frozen=True)
class Space:
    """What :func:`accelsim.sweep` goes through; :func:`read_space` makes one.

    Points are numbered: all designs of the first workload, then those of the next; in a grid the last axis moves first. With
    ``quantize`` workloads are float networks; ``labelled`` has a file of inputs and labels for each workload, or none.
    """

    workloads: tuple[str, ...]
    arch: Arch
    machine: str
    objective: Objective
    axes: tuple[Axis, ...]
    groups: Groups
    sample: Sample
    constraints: tuple[Constraint, ...]
    quantize: Quantize | None = None
    labelled: tuple[str, ...] = ()

    @cached_property
    def designs(self) -> int:
        """Points of each workload."""
        return self.sample.count or math.prod(len(axis.levels) for axis in self.axes)

    @property
    def points(self) -> int:
        """Points of all workloads, those included that constraints over axes leave out."""
        return self.designs * len(self.workloads)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Kinds of all columns of the table, in their order."""
        return {
            "point": "whole",
            "key": "text",
            **_known_before(self.axes),
            **result_kinds(),
            "feasible": "truth",
        }

    def constraints_over(self, *, results: bool) -> Iterator[Constraint]:
        """Those that read ``results``, or those that axes alone decide."""
        axes = _known_before(self.axes).keys()
        return (x for x in self.constraints if (not x.names <= axes) == results)


def _known_before(axes: Sequence[Axis]) -> dict[str, Kind]:
    """Columns that are known before a point is evaluated."""
    return {WORKLOAD: "text", **{axis.path: axis.kind for axis in axes}}


def read_space(space: Space | str | Path | Mapping[str, Any]) -> Space:
    """The space in a YAML file, or of such keys; ConfigError names file, line, entry and remedy of everything that is wrong."""
    if isinstance(space, Space):
        return space
    if isinstance(space, Mapping):
        return _Reading(dict(space), Document(), "").space()
    path = Path(space)
    document = read_document(_text(path), name=str(path), expected=EXPECTED)
    return _Reading(document.data, document, str(path)).space()


@dataclass(frozen=True)
class _Reading:
    """The entries of a space, the lines where they stand, and the file's name, if there is one."""

    data: dict[str, Any]
    document: Document
    name: str

    def place(self, path: tuple[str, ...]) -> str:
        return f"{self.name}:{self.document.line(path)}: " if self.name else ""

    def space(self) -> Space:
        file = validated(_SpaceFile, self.data, place=self.place, found=tuple(self.document.problems))
        problems, axes, machines = list[Problem](), list[Axis](), list[Arch]()
        for path, given in file.axes.items():
            with _gathered(problems, ("axes", path)):
                axes.append(_grouped(read_axis(path, given, sampled=file.sample.way != "grid"), file.groups))
        with _gathered(problems, ("arch",)):
            machines.append(load_arch(file.arch))
        constraints = self.constraints(file, axes, problems) if not problems else ()
        problems += _too_many(file, axes)
        problems += _unlabelled(file, axes)
        validated(_SpaceFile, self.data, place=self.place, found=problems)
        chosen = file.objective, tuple(axes), file.groups, file.sample, constraints
        return Space(
            file.workloads, machines[0], file.arch, *chosen, _in_one_form(file.quantize, axes), _labelled(file)
        )

    def constraints(self, file: _SpaceFile, axes: Sequence[Axis], problems: list[Problem]) -> tuple[Constraint, ...]:
        kinds = {**_known_before(axes), **result_kinds()}
        del kinds["error"]
        made = list[Constraint]()
        for i, text in enumerate(file.constraints):
            with _gathered(problems, ("constraints", str(i))):
                made.append(read_constraint(text, kinds))
                if ACCURACY in made[-1].names and not file.accuracy:
                    raise ConfigError(f"{text!r}: needs inputs and labels; give accuracy: FILE in the space")
        return tuple(made)


def _too_many(file: _SpaceFile, axes: Sequence[Axis]) -> Iterator[Problem]:
    """What there is more of than may be."""
    points = math.prod(len(axis.levels) for axis in axes) * len(file.workloads)
    if file.sample.way == "grid" and points > MOST_POINTS:
        yield Problem(("axes",), f"more than {MOST_POINTS:,} points; draw a sample: sample: {{random: 1000}}")
    for i, workload in enumerate(file.workloads):
        if workload in file.workloads[:i]:
            yield Problem(("workloads", str(i)), f"{workload} stands twice; give each workload once")


def _in_one_form(quantize: Quantize | None, axes: Sequence[Axis]) -> Quantize | None:
    """``quantize`` with one format of files for all points: what a machine computes, and its area, follow that too."""
    if quantize is None or quantize.format != "auto":
        return quantize
    widths = [axis for axis in axes if axis.is_width]
    return quantize.in_form_for(
        (level for axis in widths for level in axis.levels), every=all(axis.levels for axis in widths)
    )


def _labelled(file: _SpaceFile) -> tuple[str, ...]:
    """The file of inputs and labels of each workload; none without them."""
    given = file.accuracy
    if given is None:
        return ()
    return tuple(given[name] if isinstance(given, Mapping) else given for name in file.workloads)


def _unlabelled(file: _SpaceFile, axes: Sequence[Axis]) -> Iterator[Problem]:
    """What stands in the way of an accuracy."""
    if isinstance(given := file.accuracy, Mapping):
        for name in file.workloads:
            if name not in given:
                yield Problem(("accuracy",), f"no inputs for {name}; give an .npz for each workload")
        for name in given:
            if name not in file.workloads:
                yield Problem(("accuracy", name), f"no such workload{did_you_mean(name, file.workloads)}")
    if given is not None and file.quantize is None:
        for axis in axes:
            if axis.is_width:
                remedy = "for accuracy give float networks as workloads, and quantize: {...}"
                yield Problem(("axes", axis.path), f"{OTHER_WIDTHS}; {remedy}")


@contextmanager
def _gathered(problems: list[Problem], path: tuple[str, ...]) -> Iterator[None]:
    """An AccelsimError inside is one more of ``problems``, at ``path``."""
    try:
        yield
    except AccelsimError as error:
        problems.append(Problem(path, str(error)))


def _grouped(axis: Axis, groups: Groups) -> Axis:
    """``axis``; ConfigError where it is about a group that is not there."""
    width = width_path(axis.path, one=GROUPS)
    if width and width.layer is not None and width.layer not in groups:
        hint = did_you_mean(width.layer, groups) or (
            f"; groups are {listing(groups)}" if groups else "; there are no groups"
        )
        raise ConfigError(f"unknown group {width.layer!r}{hint}")
    return axis


def _text(path: Path) -> str:
    try:
        return read_text(path, largest=LARGEST_FILE, expected=EXPECTED, kind=EXPECTED)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read: {reason}; expected {EXPECTED}", file=str(path)) from error
