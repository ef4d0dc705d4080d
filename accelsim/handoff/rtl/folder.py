"""The directory of an export: written whole or not at all, and never over what is not an export's."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accelsim.errors import AccelsimError
from accelsim.files import replacing_folder
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
    _check(target)
    try:
        with replacing_folder(target) as fresh:
            digests = {name: _write(fresh / name, text) for name, text in plan.files}
            _write(fresh / RECORD, json.dumps(_record(plan, digests), indent=1) + "\n")
            return sum(path.stat().st_size for path in fresh.rglob("*") if path.is_file())
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "; free some room" if full else ""
        raise AccelsimError(
            f"{target}: cannot write: {error.strerror or error}{remedy}; nothing was left there"
        ) from error


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


def _check(folder: Path) -> None:
    if not folder.parent.is_dir():
        raise AccelsimError(f"{folder}: the directory {folder.parent} does not exist; make it first")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise AccelsimError(f"{folder}: is a file; name a directory that is not there yet")
    if not any(folder.iterdir()):
        return
    known = _known(folder)
    if known is None:
        raise AccelsimError(f"{folder}: is not empty, and no export of RTL; name another directory")
    if strange := next(_strange(folder, known), None):
        raise AccelsimError(f"{folder}: {strange} in it is not of an export; move it away, or name another directory")


def _known(folder: Path) -> set[str] | None:
    try:
        data = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(data, dict) and data.get("format") == FORMAT and isinstance(data.get("sha256"), dict)
    return {RECORD, *data["sha256"]} if ours else None


def _strange(folder: Path, known: set[str]) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.is_file() and place.as_posix() not in known and place.parts[0] not in BY_BENCH:
            yield str(place)
