"""What somebody's RTL wrote: which file stands for which stream, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import did_you_mean
from accelsim.errors import InputError
from accelsim.handoff.compare.golden import decoded
from accelsim.handoff.vectors import parse_hex

NUMPY = ".npy"
HEX = (".hex", ".mem", ".txt", ".dat")
Layers = Sequence[Mapping[str, Any]]
ORDER = ("tile_bytes", "weights", "tile_weights", "activations", "tile_activations", "bias", "tile_before", "tile_after", "accumulators",
         "tile_output", "output")  # fmt: skip
"""Streams in the order in which one follows from another; parameters of the requantization stand before the codes."""


class Found(NamedTuple):
    """A file that stands for a stream of a layer."""

    path: Path
    layer: Mapping[str, Any]
    stream: str


def find(theirs: Path, layers: Layers, *, layer: str | None, stream: str | None) -> list[Found]:
    """Files of ``theirs``, a directory or one file, in the order of the network; InputError where none fits."""
    chosen = _chosen(layers, layer, stream)
    if theirs.is_dir():
        found = [one for entry in chosen for one in _of_layer(theirs, entry, stream)]
        if not found:
            names = ", ".join(f"{entry['folder']}/output.hex" for entry in chosen[:2])
            raise InputError(f"{theirs}: holds no stream of the vectors; expected files such as {names}, or .npy")
        return found
    if not theirs.is_file():
        raise InputError(f"{theirs}: no such file or directory")
    return [_single(theirs, chosen, stream)]


def _chosen(layers: Layers, layer: str | None, stream: str | None) -> Layers:
    names = {entry["name"]: entry for entry in layers} | {entry["folder"]: entry for entry in layers}
    if layer is not None and layer not in names:
        near = did_you_mean(layer, names) or f"; they have {', '.join(repr(entry['name']) for entry in layers[:8])}"
        raise InputError(f"layer {layer!r}: the vectors have no such layer{near}")
    chosen = layers if layer is None else [names[layer]]
    if stream is not None and not any(stream in entry["streams"] for entry in chosen):
        known = list(chosen[0]["streams"])
        raise InputError(
            f"stream {stream!r}: the vectors have no such stream{did_you_mean(stream, known) or f'; they have {known}'}"
        )
    return chosen


def _rank(name: str) -> float:
    return ORDER.index(name) if name in ORDER else ORDER.index("tile_output") - 0.5


def _of_layer(theirs: Path, entry: Mapping[str, Any], stream: str | None) -> list[Found]:
    found = []
    for name in sorted(entry["streams"], key=_rank):
        for suffix in (NUMPY, *HEX):
            path = theirs / entry["folder"] / f"{name}{suffix}"
            if stream in (None, name) and path.is_file():
                found.append(Found(path, entry, name))
                break
    return found


def _single(theirs: Path, layers: Layers, stream: str | None) -> Found:
    """A file by its name: FOLDER/STREAM.ext, or LAYER.ext for its output; or of the only layer there is."""
    places = {theirs.parent.name, theirs.stem}
    entries = [entry for entry in layers if len(layers) == 1 or {entry["name"], entry["folder"]} & places]
    if len(entries) != 1:
        raise InputError(
            f"{theirs}: its name says no layer; give --layer, one of {', '.join(repr(e['name']) for e in layers[:8])}"
        )
    (entry,) = entries
    return Found(theirs, entry, stream or (theirs.stem if theirs.stem in entry["streams"] else "output"))


def numbers(found: Found) -> NDArray[Any]:
    """Theirs in the shape of the stream: int64, or floats; InputError where they are too few, too many, or no numbers."""
    stream = found.layer["streams"][found.stream]
    shape, size = tuple(stream["shape"]), int(np.prod(stream["shape"], dtype=np.int64))
    try:
        if found.path.suffix == NUMPY:
            values = np.load(found.path, allow_pickle=False)
        else:
            values = decoded(parse_hex(found.path.read_bytes(), str(found.path)), stream)
    except OSError as error:
        raise InputError(f"{found.path}: cannot read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(str(error) if str(found.path) in str(error) else f"{found.path}: {error}") from error
    if values.dtype.kind not in ("iuf" if stream["kind"] == "float" else "iu"):
        raise InputError(f"{found.path}: expected integers, got {values.dtype}")
    if values.size != size:
        raise InputError(
            f"{found.path}: {values.size:,} numbers, but {found.stream} of layer {found.layer['name']!r} has {size:,} "
            f"({' x '.join(map(str, shape))}); write all of them, in that order"
        )
    made: NDArray[Any] = values.reshape(shape)
    return made if made.dtype.kind == "f" else made.astype(np.int64)
