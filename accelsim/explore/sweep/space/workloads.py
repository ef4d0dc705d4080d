"""What a space means in each of its workloads: the file behind the name, and the layers of its groups."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from accelsim.errors import ConfigError
from accelsim.explore.float_network import FloatNetwork, Quantize
from accelsim.explore.networks import model_of
from accelsim.explore.sweep.space.axes import GROUPS
from accelsim.explore.sweep.space.space import Space
from accelsim.explore.widths import layer_width, layers_with_weights, width_path
from accelsim.importers import inputs_file, load_for, load_graph, resolve_model
from accelsim.names import LayerNames
from accelsim.simulation import read_labelled

MOST_LISTED = 10
"""Layers that a message lists."""


def model_digest(workload: str) -> str:
    """SHA-256 of the file of a workload."""
    return hashlib.sha256(resolve_model(workload).read_bytes()).hexdigest()


def data_files(space: Space) -> dict[str, Path]:
    """Files of calibration, and of inputs with labels, that rows follow from, by name."""
    files = {name: Path(inputs_file(name)) for name in space.labelled}
    if space.quantize is not None:
        for workload in space.workloads:
            files[f"calibration of {workload}"] = FloatNetwork.of(workload, space.quantize).calibration
    return files


def labelled_inputs(file: str) -> tuple[Mapping[str, Any], Any]:
    """The arrays and the labels of a file, or of what ships with a workload of that name; InputError where it has none."""
    return read_labelled(inputs_file(file), named=f"accuracy: {file}")


def paths_of(space: Space, number: int) -> list[tuple[str, ...]]:
    """Per axis the paths that it edits in workload ``number``: one, or those of a group's layers."""
    workload = space.workloads[number]
    return [expanded(axis.path, workload, space.groups, space.quantize) for axis in space.axes]


def expanded(
    path: str, workload: str, groups: Mapping[str, Sequence[str]], quantize: Quantize | None
) -> tuple[str, ...]:
    """The paths that an axis edits in ``workload``: ``path`` itself, or the widths of the layers of one of ``groups``."""
    width = width_path(path, one=GROUPS)
    if width is None or width.layer is None:
        return (path,)
    found = members(workload, tuple(groups[width.layer]), quantize)
    return tuple(layer_width(name, width.kind) for name in found)


def members(workload: str, patterns: tuple[str, ...], quantize: Quantize | None) -> tuple[str, ...]:
    """The layers with weights that a group has in a workload, in their order."""
    path = resolve_model(workload)
    return _members(path, path.stat().st_mtime_ns, patterns, quantize and quantize.of(workload))


@lru_cache(maxsize=256)
def _members(path: Path, _changed_ns: int, patterns: tuple[str, ...], quantize: Quantize | None) -> tuple[str, ...]:
    names = _layers(path, _changed_ns, quantize)
    chosen = {name for pattern in patterns for name in _matching(names, pattern)}
    return tuple(name for name in names.names if name in chosen)


@lru_cache(maxsize=16)
def _layers(path: Path, _changed_ns: int, quantize: Quantize | None) -> LayerNames:
    if quantize is not None:
        return LayerNames(FloatNetwork(path, quantize).layers)
    return layers_with_weights(load_graph(path))


def _matching(names: LayerNames, pattern: str) -> list[str]:
    """The layers that a glob fits, or the one that any other form of a name stands for; none where there are none."""
    return [name for name in names.names if fnmatchcase(name, pattern)] or _found(names, pattern)


def _found(names: LayerNames, given: str) -> list[str]:
    try:
        return [names.names[names.find(given)]]
    except ConfigError:
        return []


def check_workloads(space: Space) -> None:
    """Refuse a workload that cannot be read, a layer or a pattern of a group that no workload has, and two axes over one width.

    ConfigError, or what :func:`accelsim.load_graph` raises.
    """
    for workload in space.workloads:
        model = model_of(workload, space.quantize)
        _ = model.load_for(space.arch) if isinstance(model, FloatNetwork) else load_for(model, space.arch)
    for name in space.labelled:
        labelled_inputs(name)
    for name, patterns in space.groups.items():
        for pattern in patterns:
            if not any(members(workload, (pattern,), space.quantize) for workload in space.workloads):
                raise ConfigError(f"groups.{name}: {pattern!r} fits no layer with weights of {_of_all(space)}")
    for axis in space.axes:
        width = width_path(axis.path)
        if width and width.layer:
            _check_layer(space, axis.path, width.layer)
    for number, workload in enumerate(space.workloads):
        _check_overlap(space, number, workload)


def _check_layer(space: Space, path: str, layer: str) -> None:
    """Refuse a layer that no workload has, or that stands for several."""
    several = list[ConfigError]()
    for workload in space.workloads:
        try:
            _names(space, workload).find(layer)
            return
        except ConfigError as error:
            several += [error] * ("several" in error.data)
    if several:
        raise ConfigError(f"axes.{path}: among the layers with weights {several[0]}") from several[0]
    raise ConfigError(f"axes.{path}: {layer!r} is no layer with weights of {_of_all(space)}")


def _of_all(space: Space) -> str:
    """The workloads, and what layers they have."""
    known = [name for workload in space.workloads for name in _names(space, workload).names]
    more = ", ..." if len(known) > MOST_LISTED else ""
    return f"{', '.join(space.workloads)}; layers are {', '.join(known[:MOST_LISTED])}{more}"


def _names(space: Space, workload: str) -> LayerNames:
    path = resolve_model(workload)
    return _layers(path, path.stat().st_mtime_ns, space.quantize and space.quantize.of(workload))


def _check_overlap(space: Space, number: int, workload: str) -> None:
    by = dict[tuple[str, str], str]()
    for axis, paths in zip(space.axes, paths_of(space, number), strict=True):
        for width in filter(None, map(width_path, paths)):
            for layer in _found(_names(space, workload), width.layer) if width.layer else ():
                first = by.setdefault((layer, width.kind), axis.path)
                if first != axis.path:
                    raise ConfigError(
                        f"axes.{axis.path}: sets {width.kind} of {layer} in {workload}, as {first} does; leave it out of one of them"
                    )
