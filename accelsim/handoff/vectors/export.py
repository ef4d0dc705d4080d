"""Golden vectors of one inference: numbers of every layer that the array runs, as files that benches read, and a manifest."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import did_you_mean
from accelsim.errors import ConfigError, InputError
from accelsim.execute import TileTrace
from accelsim.graph import Graph, MacLayer
from accelsim.handoff.folder import bytes_in, check_folder, exporting
from accelsim.handoff.vectors.benches import write_benches, write_constants
from accelsim.handoff.vectors.layer import ExportedLayer
from accelsim.handoff.vectors.manifest import MANIFEST, SCHEMA, layer_record, manifest_record, why_not
from accelsim.handoff.vectors.owned import strange_files
from accelsim.handoff.vectors.streams import FORMATS, FileFormat, Stream, StreamFiles
from accelsim.handoff.vectors.tiles import TileFiles, TilePlan
from accelsim.result import package_version
from accelsim.timing import Timeline

OPERATION_BYTES = 420
"""About what an operation takes in the file of operations."""
MOST_NAMED = 8
"""Layers that a message lists."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class VectorPlan:
    """What an export will write: known before any number is computed."""

    timeline: Timeline
    layers: tuple[TilePlan, ...]
    formats: tuple[FileFormat, ...]
    tiles: bool

    def streams(self, plan: TilePlan) -> tuple[Stream, ...]:
        """All streams of one layer."""
        return plan.exported.streams + (plan.streams if self.tiles else ())

    @property
    def files(self) -> int:
        """Files of streams."""
        return sum(len(self.formats) for plan in self.layers for stream in self.streams(plan) if stream.size)

    @property
    def bytes(self) -> int:
        """Exact size of the streams, and about that of the lists of operations."""
        listed = sum(OPERATION_BYTES * len(plan.operations) for plan in self.layers)
        return listed + sum(
            stream.bytes_in(fmt, plan.exported.folder)
            for plan in self.layers
            for stream in self.streams(plan)
            for fmt in self.formats
            if stream.size
        )


def plan_vectors(
    timeline: Timeline, *, layers: Sequence[str] = (), tiles: bool = False, formats: Sequence[FileFormat] = FORMATS
) -> VectorPlan:
    """Vectors of the ``layers`` named, or of all that the array runs, and with ``tiles`` of their tile operations.

    ConfigError for a layer that is not there, that the array does not run, or a network without any.
    """
    graph = timeline.program.graph
    if graph.shape_only:
        raise InputError(
            f"graph {graph.name!r} carries shapes only; it can be timed, not executed: there are no vectors of it"
        )
    chosen = _chosen(graph, layers)
    plans = tuple(TilePlan(ExportedLayer(timeline.program, index), timeline) for index in chosen)
    return VectorPlan(timeline, plans, tuple(fmt for fmt in FORMATS if fmt in formats), tiles)


def _chosen(graph: Graph, names: Sequence[str]) -> list[int]:
    index = {layer.name: i for i, layer in enumerate(graph.layers)}
    on_array = [i for i, layer in enumerate(graph.layers) if isinstance(layer, MacLayer)]
    for name in names:
        if name not in index:
            near = did_you_mean(name, index) or f"; the array runs {_listed([graph.layers[i].name for i in on_array])}"
            raise ConfigError(f"layer {name!r}: {graph.name!r} has no such layer{near}", layer=name)
        if reason := why_not(graph, name):
            raise ConfigError(
                f"layer {name!r}: {reason}; vectors are of layers on the array, such as {graph.layers[on_array[0]].name!r}"
                if on_array else f"layer {name!r}: {reason}, and the array runs no layer of this network", layer=name,
            )  # fmt: skip
    if not on_array:
        raise ConfigError(f"{graph.name!r}: the array runs none of its layers, so there are no vectors of them")
    return sorted({index[name] for name in names}) if names else on_array


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:MOST_NAMED]))
    return (
        shown + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
        if names
        else "none of its layers"
    )


def export_vectors(
    plan: VectorPlan,
    inputs: Mapping[str, NDArray[Any]],
    folder: str | Path,
    *,
    progress: Progress | None = None,
) -> int:
    """Write the vectors of one inference into ``folder``, which appears when all is written; bytes written.

    ``inputs`` are codes by Graph name, in their Graph shapes.

    A folder that an export made is replaced; AccelsimError for any other that is not empty, and where the disk does not take the files.
    """
    target = Path(folder).resolve()
    check_folder(target, what="vectors of an export", strange=lambda: strange_files(target))
    with exporting(target, remedy="free some room, leave out --tiles or formats, or name single layers") as fresh:
        _check_room(target, plan)
        _write(plan, inputs, fresh, progress or (lambda *_: None))
        return bytes_in(fresh)


def _check_room(target: Path, plan: VectorPlan) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < plan.bytes:
        raise OSError(errno.ENOSPC, f"the vectors take {plan.bytes:,} bytes, the disk has {free:,} free")


def _write(plan: VectorPlan, inputs: Mapping[str, NDArray[Any]], root: Path, progress: Progress) -> None:
    digests: dict[str, str] = {}
    write_benches(root, plan.formats)
    with ExitStack() as stack:
        writer = _Writer(plan, root, stack, digests)
        program = plan.timeline.program
        trace = TileTrace(program, inputs)
        stop = max(int(one.operations[-1]) for one in plan.layers) + 1
        for step in trace.steps(stop):
            writer.take(step, trace)
            if step.operation % 64 == 0 or step.operation + 1 == stop:
                progress("tile operations", step.operation + 1, stop)
    entries = [layer_record(one.exported, plan.timeline, plan.streams(one), plan.formats) for one in plan.layers]
    record = manifest_record(
        plan.timeline, entries, formats=plan.formats, tiles=plan.tiles, digests=digests, version=package_version()
    )
    schema = (files(__name__.rpartition(".")[0]) / SCHEMA).read_text(encoding="utf-8")
    (root / SCHEMA).write_text(schema, encoding="utf-8", newline="\n")
    (root / MANIFEST).write_text(json.dumps(record, indent=1) + "\n", encoding="ascii", newline="\n")


class _Writer:
    """Layers that are open while their operations run; each is written and forgotten behind its last one."""

    def __init__(self, plan: VectorPlan, root: Path, stack: ExitStack, digests: dict[str, str]) -> None:
        self._plan, self._root, self._stack, self._digests = plan, root, stack, digests
        self._by_layer = {one.exported.index: one for one in plan.layers}
        self._open: dict[int, TileFiles] = {}
        self._sums: dict[int, NDArray[np.int64]] = {}

    def take(self, step: Any, trace: TileTrace) -> None:
        """One operation more."""
        program = self._plan.timeline.program
        index = int(program.layer[step.operation])
        if index not in self._by_layer:
            return
        plan = self._by_layer[index]
        if index not in self._open:
            self._begin(plan)
        self._open[index].take(step)
        if step.taken is not None:
            lo, hi = program.box(step.operation)
            self._sums[index][tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))] = step.taken
        if step.operation == plan.operations[-1]:
            self._end(plan, trace)

    def _begin(self, plan: TilePlan) -> None:
        index, exported = plan.exported.index, plan.exported
        (self._root / exported.folder).mkdir()
        files = TileFiles(plan, self._root, self._plan.formats, data=self._plan.tiles)
        self._stack.callback(files.close)
        self._open[index] = files
        self._sums[index] = np.zeros(exported.layer.geometry.output_shape, dtype=np.int64)

    def _end(self, plan: TilePlan, trace: TileTrace) -> None:
        exported, index = plan.exported, plan.exported.index
        self._digests |= self._open.pop(index).finish()
        sums = self._sums.pop(index)
        for stream in exported.streams:
            with StreamFiles(stream, self._root, exported.folder, self._plan.formats) as out:
                out.append(exported.values(stream.name, trace.tensor, sums))
                self._digests |= out.finish()
        write_constants(self._root, exported)
