"""Whose a folder is: an export replaces what an export wrote, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accelsim.errors import AccelsimError
from accelsim.handoff.vectors.manifest import FORMAT, MANIFEST

BY_BENCHES = ("build", "results")
"""Folders that the benches make."""


def check_folder(folder: Path) -> None:
    """AccelsimError unless an export may write ``folder``: it is not there, empty, or holds nothing but what an export wrote."""
    if not folder.parent.is_dir():
        raise AccelsimError(f"{folder}: the directory {folder.parent} does not exist; make it first")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise AccelsimError(f"{folder}: is a file; name a directory that is not there yet")
    if not any(folder.iterdir()):
        return
    manifest = read_manifest(folder) if (folder / MANIFEST).is_file() else None
    if manifest is None:
        raise AccelsimError(f"{folder}: is not empty, and no vectors of an export; name another directory")
    if strange := next(_strange(folder, manifest), None):
        raise AccelsimError(f"{folder}: {strange} in it is not of an export; move it away, or name another directory")


def _strange(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Files that neither an export nor a bench wrote."""
    layers = {entry["folder"] for entry in manifest["layers"]}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        head = place.parts[0]
        ours = head in (*BY_BENCHES, MANIFEST, "manifest.schema.json", "bench") or head in layers
        streams = str(place) in manifest["sha256"] or place.name in ("operations.json", "layer.h", "layer.svh")
        if path.is_file() and not (ours and (head not in layers or streams)):
            yield str(place)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an export; AccelsimError where there is none, or another's."""
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AccelsimError(f"{folder}: has no {MANIFEST}; expected what accelsim export vectors wrote") from None
    except OSError as error:
        raise AccelsimError(f"{path}: cannot read: {error.strerror}") from error
    except ValueError as error:
        raise AccelsimError(f"{path}: is no JSON: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise AccelsimError(f"{path}: is no manifest of {FORMAT}")
    return data
