"""Run the tests that compare with a runtime, count their codes by operator, and write ``docs/operators.md``.

    python docs/make_operators.py [--tally FILE]     # some minutes; needs what `pip install 'accelsim[test]'` installs

``--tally FILE``: the counts of a run before, as ACCELSIM_TALLY=FILE of a run of the tests writes them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from accelsim.importers import supported_operators  # noqa: E402
from tests.tally import TALLY, Count  # noqa: E402

PAGE = ROOT / "docs" / "operators.md"
TESTS = "tests/importers", "tests/oracles"
FILES = {
    ".tflite": ("tflite-micro", "litert-reference", "litert-optimized", "litert-xnnpack"),
    ".onnx": ("onnxruntime",),
}
"""Suffix -> the runtimes that such files are compared with, each under the arithmetic of its name."""
NOTHING = "–"
HEAD = """# What is exact, operator by operator

Codes that the tests compare with a runtime, from the same inputs, by the operator that makes them and their type: how many, and `exact`
where not one differs; else the share that does, and by how many codes at most. `{nothing}`: nothing was compared; the runtime lacks the operator
or type, or accelsim refuses it under that arithmetic. What an operator may look like says `accelsim ops`, what is named as an approximation
[importing.md](importing.md). Networks as a whole are in [validation.md](validation.md). Written by

```sh
python docs/make_operators.py
```
"""


def counted(path: Path) -> list[Count]:
    """The lines of a tally."""
    return [Count(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def fresh() -> list[Count]:
    """Those of the tests, run now."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tally.jsonl"
        command = [sys.executable, "-m", "pytest", "-q", *TESTS]
        subprocess.run(command, cwd=ROOT, env={**os.environ, TALLY: str(path), "CI": "true"}, check=True)
        return counted(path)


def cell(counts: Iterable[Count]) -> str:
    """What all ``counts`` of one operator, type and runtime come to."""
    rows = list(counts)
    compared, differing = sum(row.compared for row in rows), sum(row.differing for row in rows)
    if not compared:
        return NOTHING
    if not differing:
        return f"exact, {compared:,}"
    return f"{differing / compared:.2%} of {compared:,}, by {max(row.most for row in rows)}"


def table(file: str, counts: Iterable[Count]) -> str:
    """Operators and types down, runtimes across; every operator that such a file may hold and that computes codes has its row."""
    cells: Mapping[tuple[str, str], dict[str, list[Count]]] = defaultdict(lambda: defaultdict(list))
    for count in counts:
        if count.file == file:
            cells[count.operator, count.type][count.runtime].append(count)
    listed = list(dict.fromkeys(one.operator for one in supported_operators() if one.source == file))
    rows = sorted(cells, key=lambda row: (listed.index(row[0]) if row[0] in listed else len(listed), row))
    runtimes = FILES[file]
    lines = [f"| `{file}` | codes | {' | '.join(runtimes)} |", "|---|---|" + "---:|" * len(runtimes)]
    lines += [
        f"| {op} | {kind} | {' | '.join(cell(cells[op, kind][name]) for name in runtimes)} |" for op, kind in rows
    ]
    return "\n".join(lines) + "\n"


def page(counts: list[Count]) -> str:
    """The whole page."""
    total, exact = sum(count.compared for count in counts), sum(count.compared - count.differing for count in counts)
    summary = f"{total:,} codes, {exact:,} of them the runtime's.\n"
    return "\n".join([HEAD.format(nothing=NOTHING), summary, *(table(file, counts) for file in FILES)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tally", type=Path)
    given = parser.parse_args().tally
    PAGE.write_text(page(fresh() if given is None else counted(given)), encoding="utf-8")


if __name__ == "__main__":
    main()
