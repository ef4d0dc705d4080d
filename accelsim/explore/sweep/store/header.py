"""What the rows of a sweep follow from: code, numerical libraries, models, energy tables, machine and space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accelsim.energy import load_table
from accelsim.explore.sweep.space import TABLE, Space, data_files, model_digest
from accelsim.result import package_version

SCHEMA = 1
"""Version of the files of a sweep."""
MOST_ROWS, LEAST_ROWS, CHUNKS = 2048, 16, 64
"""Points of a chunk at most and at least, and chunks of a sweep between those."""
KEYS = ("schema", "accelsim", "libraries", "models", "tables", "machine", "space", "points", "chunk", "columns")
"""Of a header."""
_CODE = (".py", ".yaml")
Header = dict[str, Any]


def header_of(space: Space) -> Header:
    """The header of a sweep through ``space`` by this very code."""
    return {
        "schema": SCHEMA,
        "accelsim": {"version": package_version(), "code": code_digest()},
        "libraries": {name: version(name) for name in ("numpy", "numba")},
        "models": {workload: model_digest(workload) for workload in space.workloads},
        "data": {name: _digest(path.read_bytes()) for name, path in sorted(data_files(space).items())},
        "tables": {name: _digest(repr(load_table(name)).encode()) for name in sorted(set(_tables(space)))},
        "machine": {"name": space.machine, "yaml": space.arch.to_yaml()},
        "space": _recorded(space),
        "points": space.points,
        "chunk": min(MOST_ROWS, max(LEAST_ROWS, space.points // CHUNKS)),
        "columns": space.kinds,
    }


def _recorded(space: Space) -> dict[str, Any]:
    return {
        "workloads": list(space.workloads),
        "objective": space.objective,
        "axes": {axis.path: axis.recorded for axis in space.axes},
        "groups": {name: list(patterns) for name, patterns in space.groups.items()},
        "sample": [space.sample.way, space.sample.count, space.sample.seed, space.sample.digest(len(space.axes))],
        "constraints": [constraint.text for constraint in space.constraints],
        "quantize": None if space.quantize is None else space.quantize.model_dump(mode="json"),
        "accuracy": list(space.labelled),
    }


def _tables(space: Space) -> Iterator[str]:
    yield space.arch.tech.energy_table
    yield from (level for axis in space.axes if axis.path == TABLE for level in axis.levels)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@cache
def code_digest() -> str:
    """SHA-256 of the package's sources and tables."""
    package, digest = Path(str(resources.files("accelsim"))), hashlib.sha256()
    for path in sorted(path for path in package.rglob("*") if path.suffix in _CODE):
        digest.update(f"{path.relative_to(package).as_posix()} {_digest(path.read_bytes())}\n".encode())
    return digest.hexdigest()


def about(header: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """What a table of rows says of the sweep that it is of."""
    space = header["space"]
    known = {"folder": folder, "points": header["points"], "machine": header["machine"]}
    known |= {"axes": list(space["axes"]), "groups": space["groups"], "objective": space["objective"]}
    return known | {"space": space, "columns": header["columns"]}


def header_text(header: Header) -> str:
    """As JSON, for ``sweep.json``."""
    return json.dumps(header, indent=1) + "\n"


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What of ``old`` is another in ``new``, in words."""
    old, new = json.loads(json.dumps(old)), json.loads(json.dumps(new))
    found = list[str]()
    if old.get("schema") != new["schema"]:
        return ["the form of the files"]
    if old["accelsim"] != new["accelsim"]:
        versions = sorted({old["accelsim"]["version"], new["accelsim"]["version"]})
        found.append(f"accelsim's code ({' and '.join(versions)})")
    for word, key in (
        ("", "libraries"),
        ("the model ", "models"),
        ("the data ", "data"),
        ("the energy table ", "tables"),
    ):
        names = sorted(old.get(key, {}).keys() & new[key].keys())
        found += [f"{word}{name}" for name in names if old[key][name] != new[key][name]]
    if old["machine"] != new["machine"]:
        found.append(f"the machine {new['machine']['name']}")
    parts = [key for key in new["space"] if old["space"].get(key) != new["space"][key]]
    if "axes" not in parts and list(old["space"]["axes"]) != list(new["space"]["axes"]):
        parts.append("order of axes")
    return found + [f"the space ({', '.join(parts)})"] * bool(parts)
