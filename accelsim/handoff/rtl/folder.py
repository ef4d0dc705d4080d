"""An export of RTL as a directory, with a record of what is in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accelsim.handoff.folder import bytes_in, check_folder, exporting
from accelsim.handoff.rtl.export import RtlPlan
from accelsim.result import package_version

RECORD, FORMAT = "rtl.json", "accelsim-rtl"
BY_BENCH = ("build", "results")
"""Folders that the bench makes."""


def export_rtl(plan: RtlPlan, folder: str | Path) -> int:
    """Write ``plan`` into ``folder``, which appears when all is written; bytes written.

    A folder that an export made is replaced; AccelsimError for any other that is not empty, and where the disk does not take the files.
    """
    target = Path(folder).resolve()
    check_folder(target, what="export of RTL", strange=lambda: _strange(target))
    with exporting(target, remedy="free some room") as fresh:
        digests = {name: _write(fresh / name, text) for name, text in plan.files}
        _write(fresh / RECORD, json.dumps(_record(plan, digests), indent=1) + "\n")
        return bytes_in(fresh)


def _write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _record(plan: RtlPlan, digests: dict[str, str]) -> dict[str, Any]:
    program = plan.design.timeline.program
    return {
        "format": FORMAT,
        "version": package_version(),
        "machine": program.arch.name,
        "network": program.graph.name,
        "layers": [layer.name for layer in program.graph.layers],
        "operations": len(program),
        "cycles": plan.design.timeline.total_cycles,
        "sha256": digests,
    }


def _known(folder: Path) -> set[str] | None:
    try:
        data = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(data, dict) and data.get("format") == FORMAT and isinstance(data.get("sha256"), dict)
    return {RECORD, *data["sha256"]} if ours else None


def _strange(folder: Path) -> Iterator[str] | None:
    known = _known(folder)
    if known is None:
        return None
    places = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return (str(place) for place in places if place.as_posix() not in known and place.parts[0] not in BY_BENCH)
