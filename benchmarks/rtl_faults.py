"""Faults put into exported RTL: what `accelsim compare-vectors` says of the codes that it then makes.

    python benchmarks/rtl_faults.py [--jobs 1] [--only TEXT] [--results DIR] [--write]

Every fault is one edit of an exported source (tests/rtl/faults.py). The directory is built and played by its own bench, and its `results`
are compared with exported vectors. A line for each. ``--results`` keeps what the benches made, and what is there is not played again;
``--write`` puts the table into ``docs/handoff.md``. Exit status 1 where fewer than nine of ten are named by the first layer that they show
in and by their kind.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from docs.pages import replaced
from tests.rtl.fault_runs import Verdict, exports, verdict, whole
from tests.rtl.faults import FAULTS, MACHINES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "handoff.md"
NAME, NEEDED = "rtl_faults", 0.9


def table(found: Sequence[Verdict]) -> str:
    """Markdown: each fault, where and what it is, and what was said."""
    named = sum(one.named for one in found)
    lines = [
        f"\n{named} of {len(found)} are named, {named / len(found):.0%}:\n",
        "| fault | source | machine | first shown in | named | what is said |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        fault = one.fault
        answer = "yes" if one.named else f"no: {one.kind or 'nothing'} in {one.layer or 'no layer'}"
        lines.append(
            f"| {fault.name} | `{fault.file}` | {fault.machine} | {fault.layer} | {answer} | {one.kind}: {one.said} |"
        )
    return "\n".join(lines) + "\n\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--write", action="store_true", help="into the page")
    given = parser.parse_args()
    begun, found = time.perf_counter(), list[Verdict]()
    faults = [fault for fault in FAULTS if given.only in fault.name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.results or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys(fault.machine for fault in faults):
            exports(name, folder)
            said = whole(name, folder)
            print(f"{name}: {said}", flush=True)
            if not said.endswith(": 0 differences"):
                return 1
        with ProcessPoolExecutor(given.jobs) as pool:
            for one in pool.map(verdict, faults, [folder] * len(faults)):
                found.append(one)
                answer = "named" if one.named else "NOT NAMED"
                print(f"{one.fault.name}: {answer}: layer {one.layer!r}, {one.kind}: {one.said}", flush=True)
    share = sum(one.named for one in found) / len(found)
    print(
        f"{share:.0%} of {len(found)} faults on {len(MACHINES)} machines are named, {time.perf_counter() - begun:.0f} s"
    )
    if given.write:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), NAME, table(found)), encoding="utf-8")
    return int(share < NEEDED)


if __name__ == "__main__":
    sys.exit(main())
