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


def strange_files(folder: Path) -> Iterator[str] | None:
    """Files that neither an export of vectors nor a bench wrote; None where no export made ``folder``."""
    return _strange(folder, read_manifest(folder)) if (folder / MANIFEST).is_file() else None


def _strange(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
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
