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
NOTHING, EXACT = "–", "exact"
ECOSYSTEMS = ROOT / "docs" / "ecosystems.json"
HEAD = """# What is exact, operator by operator

Codes that the tests compare with a runtime, from the same inputs, by the operator that makes them and their type: how many, and `exact`
where not one differs; else the share that does, and by how many codes at most. `{nothing}`: nothing was compared; the runtime lacks the operator
or type, or accelsim refuses it under that arithmetic. What an operator may look like says `accelsim ops`, what is named as an approximation
[importing.md](importing.md): codes that depend on such layers stand behind `named`. Networks as a whole are in [validation.md](validation.md).
Written by

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
    """What all ``counts`` of one operator, type and runtime come to; codes behind named approximations for themselves."""
    rows = list(counts)
    plain, named = ([row for row in rows if row.named is wanted] for wanted in (False, True))
    parts = [share(plain), f"named: {share(named)}" if any(row.differing for row in named) else share(named)]
    if parts[0].startswith(EXACT) and parts[1].startswith(EXACT):
        return share(rows)
    return "; ".join(part for part in parts if part) or NOTHING


def share(rows: list[Count]) -> str:
    """How many codes ``rows`` hold and what of them is exact; empty for none."""
    compared, differing = sum(row.compared for row in rows), sum(row.differing for row in rows)
    if not compared:
        return ""
    if not differing:
        return f"{EXACT}, {compared:,}"
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


def exact_operators(text: str) -> set[str]:
    """Operators of a page in whose rows something was compared and nothing differs, but what is named as an approximation."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and not cells[0].startswith("`") and len(cells) > 2:
            found.setdefault(cells[0], []).extend(cells[2:])
    parts = {op: [part for cell in cells for part in cell.split("; ")] for op, cells in found.items()}
    return {
        op
        for op, told in parts.items()
        if any(part.startswith(EXACT) for part in told)
        and all(part.startswith((EXACT, "named: ", NOTHING)) for part in told)
    }


def shares(text: str) -> dict[str, tuple[list[str], list[str]]]:
    """By ecosystem: the operators that occur in its quantized networks, and which of them are not exact."""
    exact, held = exact_operators(text), json.loads(ECOSYSTEMS.read_text(encoding="utf-8"))
    return {
        one["source"]: (one["operators"], [op for op in one["operators"] if op not in exact]) for one in held.values()
    }


def ecosystems(text: str) -> str:
    """The table of :func:`shares`."""
    found = shares(text)
    lines = ["| ecosystem | operators | exact | not |", "|---|---:|---:|---|"]
    lines += [
        f"| `{name}` | {len(every)} | {1 - len(others) / len(every):.1%} | {', '.join(others) or NOTHING} |"
        for name, (every, others) in found.items()
    ]
    every, others = (sum(len(pair[i]) for pair in found.values()) for i in (0, 1))
    return "\n".join([*lines, f"| `all` | {every} | {1 - others / every:.1%} | |", ""])


COMMON = """## Operators of common networks

Which operators occur in the quantized networks of four ecosystems, listed from their own code (`docs/make_ecosystems.py`, which says
how, writes `docs/ecosystems.json`), and the share of them that is exact above.
"""


def page(counts: list[Count]) -> str:
    """The whole page."""
    total, exact = sum(count.compared for count in counts), sum(count.compared - count.differing for count in counts)
    summary = f"{total:,} codes, {exact:,} of them the runtime's.\n"
    tables = [table(file, counts) for file in FILES]
    return "\n".join([HEAD.format(nothing=NOTHING), summary, *tables, COMMON, ecosystems("\n".join(tables))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tally", type=Path)
    given = parser.parse_args().tally
    PAGE.write_text(page(fresh() if given is None else counted(given)), encoding="utf-8")


if __name__ == "__main__":
    main()
