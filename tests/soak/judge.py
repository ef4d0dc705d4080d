"""What a command may not do, whatever files it is given."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import signal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from ruamel.yaml import YAML

from tests.soak.cases import Case

EXIT_CODES = {0, 1, 2}
"""Done; refused, or a mismatch of ``verify``; a wrong command line, or ``verify`` could not compare."""
LONGEST_ERROR = 4000
"""Characters; an error names a place and a remedy, it does not repeat a file."""


class Ended(NamedTuple):
    """How a command ended: its exit code (negative: the signal that ended it) and what it said on stderr."""

    code: int
    stderr: str


def faults(case: Case, ended: Ended, folder: Path) -> list[str]:
    """Everything that is wrong with how ``case`` ended in ``folder``, each as a kind and a place."""
    found = [*_ending(ended), *_files(case, ended, folder)]
    if ended.code in EXIT_CODES - {0} and "accelsim: error:" not in ended.stderr and "Error:" not in ended.stderr:
        found += [] if case.arguments[0] == "verify" else ["silent: no error is named"]
    return found


def _ending(ended: Ended) -> list[str]:
    if ended.code in (-signal.SIGXCPU, -signal.SIGKILL):
        return ["hang: out of time"]
    if ended.code < 0:
        return [f"killed: {signal.Signals(-ended.code).name}"]
    if "Traceback (most recent call last)" in ended.stderr:
        return [f"traceback: {_place(ended.stderr)}"]
    if "not enough memory" in ended.stderr:
        return ["memory: more than the limit"]
    if ended.code not in EXIT_CODES:
        return [f"exit code: {ended.code}"]
    if len(ended.stderr) > LONGEST_ERROR:
        return ["long: an error of thousands of characters"]
    return []


def _place(text: str) -> str:
    """Innermost line of ours in a traceback, and the error."""
    ours = re.findall(r'File ".*?/(accelsim/\S+?)", line (\d+)', text) or [("?", "0")]
    return f"{':'.join(ours[-1])} {text.strip().splitlines()[-1][:120]}"


def _files(case: Case, ended: Ended, folder: Path) -> list[str]:
    """Inputs are as they were; an output is absent, as it was, or whole; nothing else is left."""
    found = []
    left = {path.name for path in folder.iterdir()}
    for name, data in case.files.items():
        if not name.startswith("out.") and (
            name not in left or _digest(folder / name) != hashlib.sha256(data).digest()
        ):
            found.append(f"lost: the input {name.partition('_')[0]} changed")
    outputs = {part for part in case.arguments if part.startswith("out.")}
    found += [f"left: {'temporary' if name.endswith('.tmp') else name}" for name in left - outputs - set(case.files)]
    for name in outputs & left:
        data = (folder / name).read_bytes()
        if data != case.files.get(name) and not _is_whole(name, data):
            found.append(f"half-written: {name}")
    if ended.code == 0:
        found += [
            f"absent: {name} of a command that did its work" for name in outputs if _is_unwritten(case, folder, name)
        ]
    return found


def _is_unwritten(case: Case, folder: Path, name: str) -> bool:
    path = folder / name
    return not path.exists() or path.read_bytes() == case.files.get(name)


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _is_whole(name: str, data: bytes) -> bool:
    try:
        match Path(name).suffix:
            case ".json":
                json.loads(data)
            case ".yaml":
                YAML(typ="safe").load(data)
            case ".onnx":
                return len(onnx.load_model_from_string(data).graph.node) > 0
            case ".npz":
                with np.load(io.BytesIO(data)) as arrays:
                    dict(arrays)
            case ".csv":
                rows = list(csv.reader(io.StringIO(data.decode())))
                return data.endswith(b"\n") and len({len(row) for row in rows}) == 1
            case _:
                return data.rstrip().endswith((b"</svg>", b"</html>"))
    except Exception:  # whatever a reader says of it
        return False
    return True
